"""Controls: labels that say nothing, and what the report makes of students that learned them."""

import re
import shutil

import pytest
from conftest import ROOT, command, inside, read, recorded, write
from test_evaluate_pgr import CEILING, STUDENT, WEAK, evaluate, evaluate_folder, is_png, predictions
from test_pairs import finished, left_out

from w2s import lineage, stage


def soft_labels(folder, n=40, key="text"):
    lines = []
    for i in range(n):
        p1 = round(0.2 + i / 100, 2)
        text = ["one", "other"] if key == "choices" else f"text {i}"
        lines.append({"id": f"e{i}", key: text, "group": i // 2, "probs": [round(1 - p1, 2), p1]})
    return write(folder / "labels.jsonl", lines)


def controls_of(labels, out, **flags):
    words = [f"--{name}={value}" for name, value in flags.items()]
    inside("control_labels.py", f"--labels={labels}", *words, f"--out={out}")
    return read(out / "labels.jsonl")


@pytest.mark.parametrize("key", ["text", "choices"])
def test_shuffled_labels_are_the_same_ones_of_other_texts(tmp_path, key):
    labels = soft_labels(tmp_path, key=key)
    before, after = read(labels), controls_of(labels, tmp_path / "a")
    for ours, theirs in zip(after, before, strict=True):
        assert {**ours, "probs": theirs["probs"]} == theirs
    old, new = [row["probs"] for row in before], [row["probs"] for row in after]
    assert old != new and sorted(old) == sorted(new)

    assert controls_of(labels, tmp_path / "b") == after
    assert controls_of(labels, tmp_path / "c", seed=1) != after


def test_uniform_labels_and_ground_truth(tmp_path):
    labels = soft_labels(tmp_path)
    uniform = controls_of(labels, tmp_path / "uniform", kind="uniform")
    assert {tuple(row["probs"]) for row in uniform} == {(0.5, 0.5)}

    truth = [{"id": i, "text": "t", "label": i % 2} for i in range(20)]
    shuffled = controls_of(write(tmp_path / "truth.jsonl", truth), tmp_path / "truth")
    assert "label" not in shuffled[0]  # a label that says nothing is no ground truth
    assert sum(row["probs"][1] for row in shuffled) == 10


def test_another_kind_is_refused(tmp_path):
    status, _, error = inside("control_labels.py", f"--labels={soft_labels(tmp_path)}",
                              "--kind=mixed", f"--out={tmp_path / 'out'}", ok=False)
    assert status and "--kind=mixed: shuffled or uniform is needed" in error

    status, _, error = command(ROOT / "run_all.sh", "a", "b", "c", CONTROL="yes", ok=False)
    assert status and "0, 1 or the kinds, shuffled uniform, are needed" in error


@pytest.mark.parametrize("control, kinds", [
    ("0", [""]), ("1", ["", "-shuffled"]), ("uniform shuffled", ["", "-uniform", "-shuffled"])])
def test_run_all_trains_each_loss_on_them_too(tmp_path, control, kinds):
    commands = recorded(tmp_path, ROOT / "run_all.sh", "a", "b", "task", CONTROL=control)
    students = []
    for command in commands:
        flags = dict(word.removeprefix("--").split("=", 1) for word in command if "=" in word)
        if flags["out"].split("/")[-1].startswith("a-to-b"):
            students.append((flags["out"], flags["labels"], flags["loss"]))
    seed = "results/task/seed0"
    assert students == [
        (f"{seed}/a-to-b_{loss}{kind}", f"{seed}/labels_a{kind}/labels.jsonl", loss)
        for kind in kinds for loss in ("xent", "conf")]


def test_the_labels_share_by_hand(tmp_path):
    # The control is right on 0-3 and 8 of ten: student - control is +1 on 5, 6, 7, -1 on 8.
    report, printed = evaluate(tmp_path, WEAK, CEILING, **{
        "good": STUDENT, "good-shuffled": {0, 1, 2, 3, 8}, "good-uniform": STUDENT,
        "other-shuffled": WEAK})
    good, alone = report["students"]
    assert alone["name"] == "other-shuffled"  # its student is not there: a row of its own
    assert "| control: other-shuffled | " in printed
    shuffled, uniform = good["controls"]["shuffled"], good["controls"]["uniform"]
    assert shuffled["accuracy"] == 0.5 and shuffled["share"] == pytest.approx(0.2)
    # of 200 examples, mean 0.2, variance 0.4 - 0.04; t is 1.97 with 199 degrees of freedom
    half = 1.97 * (0.36 / 200) ** 0.5
    assert shuffled["share_low"] == pytest.approx(0.2 - half, abs=5e-4)
    assert shuffled["share_high"] == pytest.approx(0.2 + half, abs=5e-4)
    assert (uniform["share"], uniform["share_low"], uniform["share_high"]) == (0, 0, 0)

    assert "0.500 ± 0.035 | +0.200 [0.116, 0.284]" in printed
    assert "student good is not clearly better than its control, the same on uniform" in printed
    assert "the same on shuffled" not in printed
    assert is_png(tmp_path / "out" / "pgr.png")


def test_a_report_without_controls_says_so(tmp_path):
    _, printed = evaluate(tmp_path, WEAK, CEILING, good=STUDENT)
    assert "No controls: what the labels contributed" in printed and "labels' share" not in printed


def test_the_share_is_of_the_seeds_that_have_both(tmp_path):
    for seed in range(3):
        folder = tmp_path / "task" / f"seed{seed}"
        finished(folder / "weak_a", WEAK, seed)
        finished(folder / "ceiling_b", CEILING, seed)
        finished(folder / "a-to-b_xent", STUDENT, seed)
        if seed:
            finished(folder / "a-to-b_xent-shuffled", WEAK - {seed}, seed)
    report, printed = evaluate_folder(tmp_path / "task")
    student, = report["students"]
    control = student["controls"]["shuffled"]
    assert student["seeds"] == 3 and control["seeds"] == 2
    assert control["accuracy"] == pytest.approx(0.4) and control["share"] == pytest.approx(0.3)
    assert re.search(r"0\.400 ± 0\.0\d+ \(2 seeds\) \| \+0\.300 \[", printed)


def sha(path):
    return {"sha256": stage.fingerprint(path)["sha256"]}


def test_a_control_of_earlier_labels_is_left_out(tmp_path):
    """Its labels are made of the supervisor's: where these are made again, they are old."""
    seed = tmp_path / "task" / "seed0"
    labels = soft_labels(seed / "labels_a")
    write(seed / "labels_a" / "run.json", [{"inputs": {"data": {"sha256": "truth"}}}])
    controls_of(labels, seed / "labels_a-shuffled")
    for name, right, learned in [
            ("weak_a", WEAK, {}), ("ceiling_b", CEILING, {"sha256": "truth"}),
            ("a-to-b_xent", STUDENT, sha(labels)),
            ("a-to-b_xent-shuffled", WEAK, sha(seed / "labels_a-shuffled" / "labels.jsonl"))]:
        finished(seed / name, right, 1, inputs={"labels": learned} if learned else {})
    report, _ = evaluate_folder(tmp_path / "task")
    assert report["students"][0]["controls"]

    soft_labels(seed / "labels_a", n=50)
    finished(seed / "a-to-b_xent", STUDENT, 2, inputs={"labels": sha(labels)})
    report, printed = evaluate_folder(tmp_path / "task")
    assert left_out(printed) == ["seed0/a-to-b_xent-shuffled"]
    assert not report["students"][0]["controls"]


def test_a_student_of_its_own_labels_is_held_against_these(tmp_path):
    seed = tmp_path / "task" / "seed0"
    soft_labels(seed / "labels_a", n=30)
    own = soft_labels(seed / "labels_b-own")
    for name, right in [("weak_a", WEAK), ("ceiling_b", CEILING), ("a-to-b_xent-own", STUDENT)]:
        inputs = {"labels": sha(own)} if "own" in name else {}
        finished(seed / name, right, 1, inputs=inputs)
    report, printed = evaluate_folder(tmp_path / "task")
    assert report["students"][0]["name"] == "xent-own" and not left_out(printed)

    shutil.copy(seed / "labels_a" / "labels.jsonl", own)
    error = inside("evaluate_pgr.py", tmp_path / "task", ok=False)[2]
    assert "a-to-b_xent-own was trained on other data or labels" in error


def test_own_labels_of_another_model_than_the_ceilings_are_old(tmp_path):
    """Not so where the ceiling has a model/ of its own, which is not the one that was asked."""
    seed = tmp_path / "task" / "seed0"
    own = soft_labels(seed / "labels_b-own")
    for asked in ("b", "another b"):
        inputs = {"model": {"sha256": asked}}
        write(seed / "labels_b-own" / "run.json", [{"stage": "prompt_strong", "inputs": inputs}])
        finished(seed / "weak_a", WEAK, 1)
        finished(seed / "ceiling_b", CEILING, 1, inputs={"model": {"sha256": "b"}})
        finished(seed / "a-to-b_xent-own", STUDENT, 1,
                 inputs={"labels": sha(own), "model": {"sha256": "b"}})
        write(seed / "ceiling_b" / "model" / "model.safetensors", [{}])
        status, _, error = inside("evaluate_pgr.py", tmp_path / "task", ok=False)
        refused = asked == "another b"
        assert (status, "xent-own was trained" in error) == (int(refused), refused)


def test_a_control_of_another_recipe_is_left_out(tmp_path):
    seed = tmp_path / "task" / "seed0"
    for name, right, args in [
            ("weak_a", WEAK, {}), ("ceiling_b", CEILING, {}),
            ("a-to-b_probe-xent", STUDENT, {"linear_probe": True, "lr": 1}),
            ("a-to-b_probe-xent-shuffled", WEAK, {"linear_probe": True, "lr": 2})]:
        finished(seed / name, right, 1, args=args)
    report, printed = evaluate_folder(tmp_path / "task")
    assert left_out(printed) == ["seed0/a-to-b_probe-xent-shuffled"]
    assert not report["students"][0]["controls"]


@pytest.mark.parametrize("weak, strong", [
    ("x-shuffled", "b"), ("a", "org/b-own"), ("a+c-uniform", "b"), ("a-confidence0.5", "b")])
def test_a_model_called_as_students_are_is_refused(weak, strong):
    status, _, error = command(ROOT / "run_all.sh", weak, strong, "task", ok=False)
    assert status and "students take names that end so" in error


@pytest.mark.parametrize("weak, message", [
    ("a,b", "a chain, for analyses.sh chain"), ("a+", "a model is missing"), ("+a", "is missing")])
def test_several_models_are_written_in_one_way(weak, message):
    status, _, error = command(ROOT / "run_all.sh", weak, "b", "task", ok=False)
    assert status and message in error


def test_names_of_controls():
    assert lineage.split_control("conf:alpha=1-shuffled") == ("conf:alpha=1", "shuffled")
    assert lineage.split_control("xent-via-b-uniform") == ("xent-via-b", "uniform")
    assert lineage.split_control("xent-own") == ("xent-own", "")


def test_three_supervisors_make_a_ladder(tmp_path):
    seed = tmp_path / "task" / "seed0"
    predictions(seed / "ceiling_s" / "predictions.jsonl", CEILING)
    for weak in "abc":
        assert not (tmp_path / "task" / "ladder.png").exists()
        predictions(seed / f"weak_{weak}" / "predictions.jsonl", WEAK - {"abc".index(weak)})
        for loss in ("xent", "conf", "conf-shuffled", *(["only"] if weak == "a" else [])):
            predictions(seed / f"{weak}-to-s_{loss}" / "predictions.jsonl", STUDENT)
        report, _ = evaluate_folder(tmp_path / "task")
    assert is_png(tmp_path / "task" / "ladder.png")
    assert len(report["more_pairs"]) == 2


@pytest.mark.parametrize("examples, message", [
    (31, "has 30"), (-1, "0 or more is needed"), (2, "none has label 1")])
def test_a_supervisor_of_fewer_examples(tmp_path, examples, message):
    lines = [{"id": i, "text": f"t {i}", "label": int(i > 1)} for i in range(30)]
    data = write(tmp_path / "train.jsonl", lines)
    error = inside("train_weak.py", "--model=none", f"--train={data}", f"--test={data}",
                   f"--examples={examples}", f"--out={tmp_path / 'out'}", ok=False)[2]
    assert message in error and error.count("\n") == 1
