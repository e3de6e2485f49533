"""Which students may be compared: what is left out of a report, and named, and what is not."""

import os
import re
import shutil

import pytest
from conftest import inside, write
from test_evaluate_pgr import CEILING, STUDENT, WEAK, evaluate_folder, predictions

from w2s import stage


def finished(folder, right, when, **run):
    """A run in a results folder: predictions, and what its run.json says."""
    path = predictions(folder / "predictions.jsonl", right)
    write(folder / "run.json", [{"args": {}, "inputs": {}, "code": "c", **run}])
    os.utime(path, (when, when))


def left_out(printed):
    """seed0/a-to-b_xent, ...: the students that a report names as left out."""
    lines = [line for line in printed.splitlines() if "Warning: left out" in line]
    return [re.search(r"seed\d/\S+", line)[0] for line in lines]


def test_a_student_of_other_labels_or_settings_is_left_out(tmp_path):
    seed = tmp_path / "task" / "seed0"
    sha = stage.fingerprint(write(seed / "labels_a" / "labels.jsonl", [{}]))["sha256"]
    write(seed / "labels_a" / "run.json", [{"inputs": {"data": {"sha256": "truth"}}}])
    for name, right, lr, labels, model, code in [
            ("weak_a", WEAK, 1, "", "small", "c"),
            ("ceiling_b", CEILING, 1, "truth", "big", "c"),
            ("a-to-b_good", STUDENT, 1, sha, "big", "c"),
            ("a-to-b_other-lr", STUDENT, 2, sha, "big", "c"),
            ("a-to-b_other-labels", STUDENT, 1, "old", "big", "c"),
            ("a-to-b_other-model", STUDENT, 1, sha, "bigger", "c"),
            ("a-to-b_other-code", STUDENT, 1, sha, "big", "d")]:
        predictions(seed / name / "predictions.jsonl", right)
        inputs = {"labels": {"sha256": labels}, "model": {"sha256": model}}
        run = {"args": {"lr": lr, "loss": name}, "inputs": inputs, "code": code}
        write(seed / name / "run.json", [run])
    shutil.copytree(seed, seed.with_name("seed0.bak"))  # a copy of a seed is none

    report, printed = evaluate_folder(tmp_path / "task")
    students = [(student["name"], student["seeds"]) for student in report["students"]]
    assert students == [("good", 1)]
    assert printed.count("left out") == 4
    for name, what in [("lr", "lr"), ("code", "code"), ("model", "model")]:
        assert re.search(f"other-{name} was .* It differs in: {what}\\.", printed)

    write(seed / "labels_a" / "run.json", [{"inputs": {"data": {"sha256": "other examples"}}}])
    error = inside("evaluate_pgr.py", tmp_path / "task", ok=False)[2]
    assert "good was trained on other data" in error

    # labels that were not copied with the rest: nothing says that they have changed
    shutil.rmtree(seed / "labels_a")
    report, _ = evaluate_folder(tmp_path / "task")
    assert [student["name"] for student in report["students"]] == ["good", "other-labels"]


def test_what_a_run_may_be_compared_by(tmp_path):
    test = write(tmp_path / "test.jsonl", [{}])
    other_test = write(tmp_path / "other.jsonl", [{}, {}])

    def digest(test=test, code="w2s/metrics.py", **flags):
        args = {"out": str(tmp_path / "out"), "test": str(test), "lr": 1.0, **flags}
        return stage.comparable(stage.start(args, ["test"], [code]))

    base = digest(seed=0, loss="xent", microbatch=0)
    assert base == digest(seed=1, loss="conf", microbatch=8)
    for other in [digest(lr=2.0), digest(epochs=1), digest(other_test), digest(code="losses.py")]:
        assert other != base
    stage.lock.release()


def test_a_pair_that_was_tested_on_another_file_is_left_out(tmp_path):
    seed = tmp_path / "task" / "seed0"
    for when, (strong, test) in enumerate([("b", "old"), ("c", "new")]):
        inputs = {"test": {"sha256": test}}
        finished(seed / "weak_a", WEAK, when, inputs=inputs)
        finished(seed / f"ceiling_{strong}", CEILING, when, inputs=inputs)
        finished(seed / f"a-to-{strong}_xent", CEILING, when, inputs=inputs)
    for name in ("ceiling_b", "a-to-b_xent"):
        path = predictions(seed / name / "predictions.jsonl", CEILING, copies=10)
        os.utime(path, (0, 0))

    report, printed = evaluate_folder(tmp_path / "task")
    assert report["ceiling"]["name"] == "c" and not report["more_pairs"]
    assert left_out(printed) == ["seed0/a-to-b_xent"]


def test_seeds_of_other_settings_or_of_an_earlier_loss_are_not_pooled(tmp_path):
    for seed, (lr, loss) in enumerate([(1, "old"), (1, "new"), (2, "new"), (1, "new")]):
        folder, args = tmp_path / "task" / f"seed{seed}", {"lr": lr, "seed": seed}
        finished(folder / "weak_a", WEAK, seed, args=args, loss_source="xent")
        finished(folder / "ceiling_b", CEILING, seed, args=args, loss_source="xent")
        finished(folder / "a-to-b_conf", STUDENT, seed, args=args, loss_source=loss)
    shutil.copytree(tmp_path / "task" / "seed3", tmp_path / "task" / "seed03")  # is none

    report, printed = evaluate_folder(tmp_path / "task")
    assert report["students"][0]["seeds"] == 2
    assert left_out(printed) == ["seed0/a-to-b_conf", "seed2/a-to-b_conf"]
    warning, = re.findall("of an earlier version of their loss in losses.py: (.*);", printed)
    assert warning.split(", ") == [
        "seed1/a-to-b_conf", "seed1/ceiling_b", "seed1/weak_a",
        "seed3/a-to-b_conf", "seed3/ceiling_b", "seed3/weak_a"]
    assert "another version of its loss" in (tmp_path / "task" / "report.md").read_text()


@pytest.mark.parametrize("name, its", [
    ("weak_a", "train"), ("ceiling_b", "labels"), ("ceiling_b", "model")])
def test_seeds_of_other_data_are_not_pooled(tmp_path, name, its):
    """Labels of supervisors and models tuned on the topic do differ from seed to seed.

    Nothing else may: `its`, an input of `name`, is another one for each seed.
    """
    for seed in (0, 1):
        same, of_seed = {its: {"sha256": "0"}}, {its: {"sha256": f"{seed}"}}
        tuned = {"model": {"sha256": f"{seed}"}}
        inputs = {"weak_a": same, "ceiling_b": same,
                  "a-to-b_xent": of_seed if its == "model" else {},
                  "ceiling_b-generative": tuned, "a-to-b-generative_xent": tuned, name: of_seed}
        for run, right in zip(inputs, (WEAK, CEILING, STUDENT, CEILING, STUDENT)):
            finished(tmp_path / "task" / f"seed{seed}" / run, right, seed, inputs=inputs[run])

    report, printed = evaluate_folder(tmp_path / "task")
    assert report["seeds"] == 1 and report["students"][0]["seeds"] == 1
    assert left_out(printed)[0] == "seed0/a-to-b_xent"
    if name != "weak_a":
        assert report["more_pairs"][0]["seeds"] == 2 and len(left_out(printed)) == 1


def test_all_students_of_a_table_are_held_against_the_same_two(tmp_path):
    """Three seeds of xent, then another learning rate for one seed of conf.

    It trains its supervisor and ceiling again.
    """
    for seed in range(3):
        folder, args = tmp_path / "task" / f"seed{seed}", {"lr": 2 if seed == 0 else 1}
        when = 9 if seed == 0 else seed
        finished(folder / "weak_a", WEAK, when, args=args)
        finished(folder / "ceiling_b", CEILING, when, args=args)
        finished(folder / "a-to-b_xent", STUDENT, seed, args={"lr": 1})
    finished(tmp_path / "task" / "seed0" / "a-to-b_conf", STUDENT, 9, args={"lr": 2})

    report, printed = evaluate_folder(tmp_path / "task")
    assert report["seeds"] == 1
    assert [student["name"] for student in report["students"]] == ["conf"]
    assert left_out(printed) == [f"seed{seed}/a-to-b_xent" for seed in range(3)]


def test_a_supervisor_that_was_tested_on_another_file_is_no_floor(tmp_path):
    for seed, its in ((0, "old"), (1, "new")):
        folder = tmp_path / "task" / f"seed{seed}"
        finished(folder / "weak_a", WEAK, seed, inputs={"test": {"sha256": its}})
        finished(folder / "ceiling_b", CEILING, seed, inputs={"test": {"sha256": "new"}})
        finished(folder / "a-to-b_xent", STUDENT, seed, inputs={"test": {"sha256": "new"}})
    report, printed = evaluate_folder(tmp_path / "task")
    assert report["seeds"] == 1 and left_out(printed) == ["seed0/a-to-b_xent"]


def test_a_student_whose_supervisor_has_no_test_predictions_is_named(tmp_path):
    for name, right in (("weak_a", WEAK), ("ceiling_b", CEILING), ("a-to-b_xent", STUDENT),
                        ("human-to-b_xent", STUDENT), ("a-to-middle_xent", STUDENT)):
        predictions(tmp_path / "task" / "seed0" / name / "predictions.jsonl", right)
    report, printed = evaluate_folder(tmp_path / "task")
    assert [student["name"] for student in report["students"]] == ["xent"]
    assert left_out(printed) == ["seed0/human-to-b_xent"]  # middle is a link of a chain
    assert "human-to-b_xent has no supervisor beside it" in printed
    assert report["weak"]["name"] == "a" and not report["more_pairs"]


@pytest.mark.parametrize("commit, students", [("a", 1), ("b", 0)])
def test_a_ceiling_of_another_commit_of_the_hub_s_model_is_none(tmp_path, commit, students):
    seed = tmp_path / "task" / "seed0"
    for name, right, loaded in [
            ("weak_a", WEAK, "a"), ("ceiling_b", CEILING, "a"), ("a-to-b_xent", STUDENT, commit),
            ("a-to-b_conf", STUDENT, "a")]:
        finished(seed / name, right, 0, args={"model": "o/m"}, versions={"o/m": loaded})
    report, printed = evaluate_folder(tmp_path / "task")
    assert len(report["students"]) == 1 + students
    assert left_out(printed) == ["seed0/a-to-b_xent"] * (1 - students)


def test_seeds_of_other_models_between_are_not_pooled(tmp_path):
    for seed, model in enumerate(("gpt2", "bert")):
        folder = tmp_path / "task" / f"seed{seed}"
        for name, right, given in [
                ("weak_a", WEAK, "a"), ("ceiling_b", CEILING, "b"),
                ("a-to-b_xent-via-m", STUDENT, "b"), ("a-to-m_xent", STUDENT, model)]:
            finished(folder / name, right, seed, inputs={"model": {"sha256": given}})
    report, printed = evaluate_folder(tmp_path / "task")
    assert report["students"][0]["seeds"] == 1 and left_out(printed) == ["seed0/a-to-b_xent-via-m"]


@pytest.mark.parametrize("made", ["model", "labels"])
@pytest.mark.parametrize("lr", [1, 2])
def test_seeds_whose_model_or_labels_were_made_with_other_settings_are_not_pooled(
        tmp_path, made, lr):
    for seed, rate in enumerate((1, lr)):
        folder = tmp_path / "task" / f"seed{seed}"
        write(folder / "made" / "run.json", [{"args": {"lr": rate}, "inputs": {}, "code": "c"}])
        given = {made: {"path": str(folder / "made" / "file"), "sha256": f"{seed}"}}
        for name, right, inputs in [
                ("weak_a", WEAK, {}), ("ceiling_b-generative", CEILING, {}),
                ("a-to-b-generative_xent", STUDENT, given)]:
            finished(folder / name, right, seed, inputs=inputs)
        if made == "model":
            finished(folder / "ceiling_b-generative", CEILING, seed, inputs=given)
    report, printed = evaluate_folder(tmp_path / "task")
    assert report["students"][0]["seeds"] == 3 - lr
    assert left_out(printed) == ["seed0/a-to-b-generative_xent"] * (lr - 1)


@pytest.mark.parametrize("run", [
    [], {"inputs": None}, {"inputs": []}, {"metrics": 3}, {"args": [1]}, {"inputs": {"a": 1}}])
def test_a_run_json_from_elsewhere_counts_as_none(tmp_path, run):
    seed = tmp_path / "task" / "seed0"
    for name, right in [("weak_a", WEAK), ("ceiling_b", CEILING), ("a-to-b_xent", STUDENT)]:
        predictions(seed / name / "predictions.jsonl", right)
        write(seed / name / "run.json", [run])
    assert len(evaluate_folder(tmp_path / "task")[0]["students"]) == 1
    assert stage.inputs_beside(seed / "new") == []
