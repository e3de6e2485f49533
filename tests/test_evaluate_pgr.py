"""PGR, agreement and their uncertainty against numbers worked out by hand, through the command line."""

import json
import os
import random
import re
import shutil

import numpy as np
import pytest
from conftest import inside, write

from w2s import report, stage

# Ten test examples, all of class 1. Weak is right on 0-4, the ceiling on 0-8, the student on 0-3 and 5-7.
WEAK, CEILING, STUDENT = {0, 1, 2, 3, 4}, set(range(9)), {0, 1, 2, 3, 5, 6, 7}


def predictions(path, right, copies=20):
    """The ten examples, so many times, in an order of its own: example i is predicted right if i % 10 is in `right`, with confidence 0.8."""
    lines = [{"id": f"e{i}", "label": 1, "probs": [0.2, 0.8] if i % 10 in right else [0.8, 0.2]} for i in range(10 * copies)]
    random.Random(str(path)).shuffle(lines)
    return write(path, lines)


def evaluate(folder, weak, ceiling, copies=20, **students):
    """The report, and what is printed, of predictions that are right on these examples."""
    weak, ceiling, *students = (predictions(folder / f"{name}.jsonl", right, copies)
                                for name, right in {"weak": weak, "ceiling": ceiling, **students}.items())
    return compare(weak, ceiling, students, folder / "out")


def compare(weak, ceiling, students, out):
    """The report, and what is printed, of prediction files."""
    printed = inside("evaluate_pgr.py", f"--weak={weak}", f"--ceiling={ceiling}", f"--students={','.join(map(str, students))}", f"--out={out}")[1]
    return json.loads((out / "report.json").read_text()), printed


def evaluate_folder(folder):
    """The report, and what is printed, of a results folder."""
    printed = inside("evaluate_pgr.py", folder)[1]
    return json.loads((folder / "report.json").read_text()), printed


def test_by_hand(tmp_path):
    report, printed = evaluate(tmp_path, weak=WEAK, ceiling=CEILING, good=STUDENT, bad={0, 9})
    assert report["weak"]["accuracy"] == 0.5 and report["ceiling"]["accuracy"] == 0.9
    good, bad = report["students"]
    assert good["name"] == "good" and good["accuracy"] == 0.7
    assert good["pgr"] == pytest.approx((0.7 - 0.5) / (0.9 - 0.5))
    assert bad["pgr"] == pytest.approx((0.2 - 0.5) / (0.9 - 0.5))  # below its supervisor: negative, and said so
    # the same prediction as weak: both right on 0-3, both wrong on 8 and 9 -> 6 of 10; 4 of the 5 where weak is right
    assert good["agreement"] == 0.6 and good["agreement_weak_right"] == 0.8 and good["agreement_weak_wrong"] == 0.4
    assert good["accuracy_se"] == pytest.approx((0.7 * 0.3 / 200) ** 0.5)
    assert good["confidence"] == pytest.approx(0.8)
    # student - weak: +1 on 5, 6, 7, -1 on 4: mean 0.2, variance 0.4 - 0.04
    assert good["gain"] == pytest.approx(0.2) and good["gain_se"] == pytest.approx((0.36 / 200) ** 0.5)
    assert good["pgr_low"] < 0.5 < good["pgr_high"]
    assert (tmp_path / "out" / "pgr.png").read_bytes()[:4] == b"\x89PNG"
    assert "0.50 [" in printed and printed.strip().splitlines()[0] in (tmp_path / "out" / "report.md").read_text()


def test_no_pgr_where_the_ceiling_is_not_clearly_above(tmp_path):
    report, printed = evaluate(tmp_path, weak=WEAK, ceiling={1, 2, 3, 4, 5, 6}, student=STUDENT, copies=2)
    assert report["students"][0]["pgr"] is None
    assert "Warning: PGR is not given" in printed and "unclear" in printed


def test_a_swap_of_roles_is_another_report(tmp_path):
    first, _ = evaluate(tmp_path, weak=WEAK, ceiling=CEILING, student=STUDENT)
    weak, ceiling, student = (tmp_path / f"{name}.jsonl" for name in ("weak", "ceiling", "student"))
    second, _ = compare(student, ceiling, [weak], tmp_path / "out")
    assert second["weak"]["accuracy"] == first["students"][0]["accuracy"] and second["students"][0]["pgr"] == pytest.approx(-1)


def test_a_student_of_other_labels_or_settings_is_left_out(tmp_path):
    seed = tmp_path / "task" / "seed0"
    sha = stage.fingerprint(write(seed / "labels_a" / "labels.jsonl", [{}]))["sha256"]
    write(seed / "labels_a" / "run.json", [{"inputs": {"data": {"sha256": "truth"}}}])
    for name, right, lr, labels, model, code in [
            ("weak_a", WEAK, 1, "", "small", "c"), ("ceiling_b", CEILING, 1, "truth", "big", "c"),
            ("a-to-b_good", STUDENT, 1, sha, "big", "c"), ("a-to-b_other-lr", STUDENT, 2, sha, "big", "c"),
            ("a-to-b_other-labels", STUDENT, 1, "old", "big", "c"), ("a-to-b_other-model", STUDENT, 1, sha, "bigger", "c"),
            ("a-to-b_other-code", STUDENT, 1, sha, "big", "d")]:
        predictions(seed / name / "predictions.jsonl", right)
        run = {"args": {"lr": lr, "loss": name}, "inputs": {"labels": {"sha256": labels}, "model": {"sha256": model}}, "code": code}
        (seed / name / "run.json").write_text(json.dumps(run))
    shutil.copytree(seed, seed.with_name("seed0.bak"))
    report, printed = evaluate_folder(tmp_path / "task")
    assert [(student["name"], student["seeds"]) for student in report["students"]] == [("good", 1)]  # a copy of a seed is none
    assert printed.count("left out") == 4
    write(seed / "labels_a" / "run.json", [{"inputs": {"data": {"sha256": "other examples"}}}])
    assert "good was trained on other data" in inside("evaluate_pgr.py", tmp_path / "task", ok=False)[2]
    shutil.rmtree(seed / "labels_a")  # was not copied with the rest: nothing says that they have changed
    assert [student["name"] for student in evaluate_folder(tmp_path / "task")[0]["students"]] == ["good", "other-labels"]


def test_a_pair_that_was_tested_on_another_file_is_left_out(tmp_path):
    for when, (strong, test) in enumerate([("b", "old"), ("c", "new")]):
        for name in ("weak_a", f"ceiling_{strong}", f"a-to-{strong}_xent"):
            finished(tmp_path / "task" / "seed0" / name, WEAK if name == "weak_a" else CEILING, when, inputs={"test": {"sha256": test}})
    for name in ("ceiling_b", "a-to-b_xent"):
        predictions(tmp_path / "task" / "seed0" / name / "predictions.jsonl", CEILING, copies=10)
        os.utime(tmp_path / "task" / "seed0" / name / "predictions.jsonl", (0, 0))
    report, printed = evaluate_folder(tmp_path / "task")
    assert report["ceiling"]["name"] == "c" and not report["more_pairs"] and left_out(printed) == ["seed0/a-to-b_xent"]


def test_folders_of_losses_with_parameters_can_be_named(tmp_path):
    places = [tmp_path / name / "predictions.jsonl" for name in ("w", "c", "conf:alpha=0.75,warmup=0.1", "xent")]
    for path, right in zip(places, (WEAK, CEILING, STUDENT, STUDENT)):
        predictions(path, right)
    weak, ceiling, *students = places
    report, _ = compare(weak, ceiling, students, tmp_path / "out")
    assert [student["name"] for student in report["students"]] == ["conf:alpha=0.75,warmup=0.1", "xent"]


def test_several_seeds_and_pairs(tmp_path):
    for seed, student in enumerate([STUDENT, STUDENT | {4}, STUDENT - {7}]):
        folder = tmp_path / "task" / f"seed{seed}"
        for name, right in {"weak_a": WEAK, "ceiling_b": CEILING, "ceiling_b-to-c": CEILING, "ceiling_b_v2": CEILING,
                            "a-to-b_v2_xent": STUDENT, "a-to-b_xent": student,
                            "a-to-b-to-c_reverse_kl": STUDENT}.items():
            predictions(folder / name / "predictions.jsonl", right)
    report, printed = evaluate_folder(tmp_path / "task")
    found = report["students"][0]
    assert found["name"] == "xent" and found["seeds"] == 3 and found["accuracy"] == pytest.approx(0.7)
    assert found["accuracy_seeds"] == pytest.approx([0.7, 0.8, 0.6])
    assert found["accuracy_se_seeds"] == pytest.approx(0.1 / 3**0.5)
    assert found["accuracy_se"] > found["accuracy_se_seeds"]  # the choice of test examples counts too
    assert found["pgr"] == pytest.approx(0.5)
    assert [(pair["ceiling"]["name"], [student["name"] for student in pair["students"]]) for pair in report["more_pairs"]] == [
        ("b-to-c", ["reverse_kl"]), ("b_v2", ["xent"])]
    assert "3 seeds" in printed
    assert "up to date" in inside("evaluate_pgr.py", tmp_path / "task")[1]


def test_scaling_and_the_difference_to_xent(tmp_path):
    """Two seeds, two supervisors, two strong models of known size."""
    for seed in (0, 1):
        folder = tmp_path / "task" / f"seed{seed}"
        for name, right in {"weak_a": WEAK, "weak_z": {0}, "ceiling_small": set(range(8)), "ceiling_big": CEILING, "a-to-small_xent": STUDENT - {0},
                            "a-to-big_xent": STUDENT, "a-to-big_conf": STUDENT | {8 + seed}, "z-to-big_xent": {0, 1}}.items():
            predictions(folder / name / "predictions.jsonl", right)
        for name, size in (("small", 10**6), ("big", 2 * 10**7)):
            (folder / f"ceiling_{name}" / "run.json").write_text(json.dumps({"metrics": {"parameters": size}}))
    report, printed = evaluate_folder(tmp_path / "task")
    conf = report["students"][1]
    assert conf["name"] == "conf" and conf["over_xent"] == pytest.approx(0.1)
    # +1 on one example in ten of each seed, another one in the other seed; the seeds' means do not differ
    assert 0 < conf["over_xent_se"] < (0.1 * 0.9 / 200) ** 0.5 and conf["over_xent_seeds"] == 2 and "over_xent" not in report["students"][0]
    lines = [line for line in printed.split("Scaling, student: xent")[1].splitlines() if line.startswith("|")]
    assert [[cell.split(" ±")[0].strip() for cell in line.split("|")[1:-1]] for line in lines if "--" not in line] == [
        ["", "small (1M)", "big (20M)"], ["students of a (0.500)", "0.600", "0.700"], ["students of z (0.100)", "", "0.200"],
        ["strong ceiling", "0.800", "0.900"]]
    assert (tmp_path / "task" / "scaling.png").read_bytes()[:4] == b"\x89PNG"


def test_a_supervisor_above_the_ceiling_leaves_no_gap(tmp_path):
    _, printed = evaluate(tmp_path, weak=CEILING, ceiling=WEAK, student=STUDENT)
    assert "| no gap" in printed and "nothing to recover" in printed


def test_warnings_say_what_means_nothing(tmp_path):
    """All examples are of class 1, but for those added here: a supervisor no better than chance, a student that always says 1."""
    lines = lambda said: [{"id": f"e{i}", "label": i % 2, "probs": [1 - p, p]} for i, p in enumerate(said)]
    files = {"weak": [0.9, 0.9, 0.2, 0.2] * 20, "ceiling": [0.1, 0.9] * 40, "one": [0.8] * 80, "good": [0.1, 0.9] * 38 + [0.9, 0.1] * 2}
    paths = {name: write(tmp_path / f"{name}.jsonl", lines(said)) for name, said in files.items()}
    _, printed = compare(paths["weak"], paths["ceiling"], [paths["one"], paths["good"]], tmp_path / "out")
    warnings = [line for line in printed.splitlines() if line.startswith("- Warning")]
    assert len(warnings) == 2 and "not clearly better than always giving the more frequent class (0.500)" in warnings[0]
    assert "student one gives nearly one class only (100% class 1, in 1 of 1 seeds)" in warnings[1]


def finished(folder, right, when, **run):
    """A run in a results folder: predictions, and what its run.json says."""
    path = predictions(folder / "predictions.jsonl", right)
    (folder / "run.json").write_text(json.dumps({"args": {}, "inputs": {}, "code": "c", **run}))
    os.utime(path, (when, when))


def left_out(printed):
    return [re.search(r"seed\d/\S+", line)[0] for line in printed.splitlines() if "Warning: left out" in line]


def test_seeds_of_other_settings_or_of_an_earlier_loss_are_not_pooled(tmp_path):
    for seed, (lr, loss) in enumerate([(1, "old"), (1, "new"), (2, "new"), (1, "new")]):
        for name, right in {"weak_a": WEAK, "ceiling_b": CEILING, "a-to-b_conf": STUDENT}.items():
            finished(tmp_path / "task" / f"seed{seed}" / name, right, seed, args={"lr": lr, "seed": seed},
                     loss_source=loss if "conf" in name else "xent")
    shutil.copytree(tmp_path / "task" / "seed3", tmp_path / "task" / "seed03")
    report, printed = evaluate_folder(tmp_path / "task")
    assert report["students"][0]["seeds"] == 2  # seed03 is none
    assert left_out(printed) == ["seed0/a-to-b_conf", "seed2/a-to-b_conf"]
    assert re.findall(r"(seed\d/\S+) was trained with its loss as it was in losses.py before the last edit", printed) == [
        f"seed{seed}/{name}" for seed in (1, 3) for name in ("a-to-b_conf", "ceiling_b", "weak_a")]
    assert "another version of its loss" in (tmp_path / "task" / "report.md").read_text()


@pytest.mark.parametrize("name, its", [("weak_a", "train"), ("ceiling_b", "labels"), ("ceiling_b", "model")])
def test_seeds_of_other_data_are_not_pooled(tmp_path, name, its):
    """Labels of supervisors and models tuned on the topic do differ from seed to seed; nothing else may."""
    for seed in (0, 1):
        folder = tmp_path / "task" / f"seed{seed}"
        same, of_seed = ({its: {"sha256": f"{value}"}} for value in (0, seed))
        tuned = {"model": {"sha256": f"{seed}"}}
        inputs = {"weak_a": same, "ceiling_b": same, "a-to-b_xent": of_seed if its == "model" else {},
                  "ceiling_b-generative": tuned, "a-to-b-generative_xent": tuned, name: of_seed}
        for run, right in zip(inputs, (WEAK, CEILING, STUDENT, CEILING, STUDENT)):
            finished(folder / run, right, seed, inputs=inputs[run])
    report, printed = evaluate_folder(tmp_path / "task")
    assert report["seeds"] == 1 and report["students"][0]["seeds"] == 1 and left_out(printed)[0] == "seed0/a-to-b_xent"
    if name != "weak_a":
        assert report["more_pairs"][0]["seeds"] == 2 and len(left_out(printed)) == 1


def test_all_students_of_a_table_are_held_against_the_same_two(tmp_path):
    """Three seeds of xent, then another learning rate for one seed of conf, which trains its supervisor and ceiling again."""
    for seed in range(3):
        folder, lr = tmp_path / "task" / f"seed{seed}", 2 if seed == 0 else 1
        for name, right in {"weak_a": WEAK, "ceiling_b": CEILING}.items():
            finished(folder / name, right, 9 if seed == 0 else seed, args={"lr": lr})
        finished(folder / "a-to-b_xent", STUDENT, seed, args={"lr": 1})
    finished(tmp_path / "task" / "seed0" / "a-to-b_conf", STUDENT, 9, args={"lr": 2})
    report, printed = evaluate_folder(tmp_path / "task")
    assert report["seeds"] == 1 and [m["name"] for m in report["students"]] == ["conf"]
    assert left_out(printed) == [f"seed{seed}/a-to-b_xent" for seed in range(3)]


def test_where_training_could_stop(tmp_path):
    points = [[(1, 0.6, 0.5), (2, 0.9, 0.4), (3, 0.7, 0.3)], [(1, 0.5, 0.2), (2, 0.6, 0.4), (3, 0.8, 0.5)]]  # step, accuracy, held-out loss
    files = [predictions(tmp_path / str(seed) / "predictions.jsonl", STUDENT) for seed in (0, 1)]
    for file, found in zip(files, points):
        write(file.with_name("curve.jsonl"), [{"step": step, "accuracy": accuracy, "held_out_loss": loss} for step, accuracy, loss in found])
    curve = report.overfitting(files, 10)["curve"]
    assert curve["accuracy"] == pytest.approx([0.55, 0.75, 0.75])
    assert {name: (curve[name]["steps"], pytest.approx(curve[name]["accuracy"])) for name in ("last", "held_out", "oracle")} == {
        "last": ([3, 3], 0.75), "held_out": ([3, 1], 0.6), "oracle": ([2, 3], 0.85)}
