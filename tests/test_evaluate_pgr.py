"""PGR, agreement and their uncertainty against numbers worked out by hand, by the command line."""

import json
import random

import pytest
from conftest import inside, write

from w2s import report

# Ten test examples, all of class 1.
# Weak is right on 0-4, the ceiling on 0-8, the student on 0-3 and 5-7.
WEAK, CEILING, STUDENT = {0, 1, 2, 3, 4}, set(range(9)), {0, 1, 2, 3, 5, 6, 7}


def predictions(path, right, copies=20):
    """The ten examples, so many times, in an order of its own.

    Example i is predicted right if i % 10 is in `right`, with confidence 0.8.
    """
    lines = []
    for i in range(10 * copies):
        probs = [0.2, 0.8] if i % 10 in right else [0.8, 0.2]
        lines.append({"id": f"e{i}", "label": 1, "probs": probs})
    random.Random(str(path)).shuffle(lines)
    return write(path, lines)


def evaluate(folder, weak, ceiling, copies=20, **students):
    """The report, and what is printed, of predictions that are right on these examples."""
    files = []
    for name, right in {"weak": weak, "ceiling": ceiling, **students}.items():
        files.append(predictions(folder / f"{name}.jsonl", right, copies))
    weak, ceiling, *students = files
    return compare(weak, ceiling, students, folder / "out")


def compare(weak, ceiling, students, out):
    """The report, and what is printed, of prediction files."""
    flags = [f"--weak={weak}", f"--ceiling={ceiling}", f"--students={','.join(map(str, students))}"]
    printed = inside("evaluate_pgr.py", *flags, f"--out={out}")[1]
    return json.loads((out / "report.json").read_text()), printed


def evaluate_folder(folder):
    """The report, and what is printed, of a results folder."""
    printed = inside("evaluate_pgr.py", folder)[1]
    return json.loads((folder / "report.json").read_text()), printed


def is_png(path):
    return path.read_bytes()[:4] == b"\x89PNG"


def test_by_hand(tmp_path):
    report, printed = evaluate(tmp_path, weak=WEAK, ceiling=CEILING, good=STUDENT, bad={0, 9})
    assert report["weak"]["accuracy"] == 0.5 and report["ceiling"]["accuracy"] == 0.9
    good, bad = report["students"]
    assert good["name"] == "good" and good["accuracy"] == 0.7
    assert good["pgr"] == pytest.approx((0.7 - 0.5) / (0.9 - 0.5))
    # below its supervisor: negative, and said so
    assert bad["pgr"] == pytest.approx((0.2 - 0.5) / (0.9 - 0.5))

    # the same prediction as weak: both right on 0-3, both wrong on 8 and 9: 6 of 10,
    # 4 of the 5 where weak is right
    assert good["agreement"] == 0.6
    assert good["agreement_weak_right"] == 0.8 and good["agreement_weak_wrong"] == 0.4
    assert good["accuracy_se"] == pytest.approx((0.7 * 0.3 / 200) ** 0.5)
    assert good["confidence"] == pytest.approx(0.8)

    # student - weak: +1 on 5, 6, 7, -1 on 4: mean 0.2, variance 0.4 - 0.04
    assert good["gain"] == pytest.approx(0.2)
    assert good["gain_se"] == pytest.approx((0.36 / 200) ** 0.5)
    assert good["pgr_low"] < 0.5 < good["pgr_high"]
    assert is_png(tmp_path / "out" / "pgr.png")
    assert "0.50 [" in printed
    assert "| auc" not in printed  # of one class there is none
    first_line = printed.strip().splitlines()[0]
    assert first_line in (tmp_path / "out" / "report.md").read_text()


def test_auc_stands_in_the_second_table(tmp_path):
    # pairs that class 1 wins: 3 of 4; 3 and a tie; all 4
    p1s = {"weak": [0.1, 0.6, 0.5, 0.9], "student": [0.6, 0.1, 0.6, 0.9],
           "ceiling": [0.1, 0.2, 0.8, 0.9]}
    files = {}
    for name, of_model in p1s.items():
        lines = []
        for i, p1 in enumerate(of_model * 20):
            lines.append({"id": f"e{i}", "label": i % 4 // 2, "probs": [1 - p1, p1]})
        files[name] = write(tmp_path / f"{name}.jsonl", lines)
    report, printed = compare(files["weak"], files["ceiling"], [files["student"]], tmp_path / "out")
    models = (report["weak"], *report["students"], report["ceiling"])
    assert [model["auc"] for model in models] == pytest.approx([0.75, 0.875, 1])
    assert "| auc " in printed and "| 0.875 ± " in printed


def test_no_pgr_where_the_ceiling_is_not_clearly_above(tmp_path):
    ceiling = {1, 2, 3, 4, 5, 6}
    report, printed = evaluate(tmp_path, weak=WEAK, ceiling=ceiling, student=STUDENT, copies=2)
    assert report["students"][0]["pgr"] is None
    assert "Warning: PGR is not given" in printed and "unclear" in printed


def test_a_swap_of_roles_is_another_report(tmp_path):
    first, _ = evaluate(tmp_path, weak=WEAK, ceiling=CEILING, student=STUDENT)
    weak, ceiling, student = (tmp_path / f"{name}.jsonl" for name in ("weak", "ceiling", "student"))
    second, _ = compare(student, ceiling, [weak], tmp_path / "out")
    assert second["weak"]["accuracy"] == first["students"][0]["accuracy"]
    assert second["students"][0]["pgr"] == pytest.approx(-1)


def test_folders_of_losses_with_parameters_can_be_named(tmp_path):
    rights = {"w": WEAK, "c": CEILING, "conf:alpha=0.75,warmup=0.1": STUDENT, "xent": STUDENT}
    files = []
    for name, right in rights.items():
        files.append(predictions(tmp_path / name / "predictions.jsonl", right))
    weak, ceiling, *students = files
    report, _ = compare(weak, ceiling, students, tmp_path / "out")
    names = [student["name"] for student in report["students"]]
    assert names == ["conf:alpha=0.75,warmup=0.1", "xent"]


def test_several_seeds_and_pairs(tmp_path):
    rights = {"weak_a": WEAK, "ceiling_b": CEILING, "ceiling_b-to-c": CEILING,
              "ceiling_b_v2": CEILING, "a-to-b_v2_xent": STUDENT,
              "a-to-b-to-c_reverse_kl": STUDENT}
    for seed, student in enumerate([STUDENT, STUDENT | {4}, STUDENT - {7}]):
        folder = tmp_path / "task" / f"seed{seed}"
        for name, right in {**rights, "a-to-b_xent": student}.items():
            predictions(folder / name / "predictions.jsonl", right)

    report, printed = evaluate_folder(tmp_path / "task")
    xent = report["students"][0]
    assert xent["name"] == "xent" and xent["seeds"] == 3
    assert xent["accuracy"] == pytest.approx(0.7)
    assert xent["accuracy_seeds"] == pytest.approx([0.7, 0.8, 0.6])
    assert xent["accuracy_se_seeds"] == pytest.approx(0.1 / 3**0.5)
    assert xent["accuracy_se"] > xent["accuracy_se_seeds"]  # the choice of test examples counts too
    assert xent["pgr"] == pytest.approx(0.5)

    others = {}
    for pair in report["more_pairs"]:
        others[pair["ceiling"]["name"]] = [student["name"] for student in pair["students"]]
    assert list(others.items()) == [("b-to-c", ["reverse_kl"]), ("b_v2", ["xent"])]
    assert "3 seeds" in printed
    assert "up to date" in inside("evaluate_pgr.py", tmp_path / "task")[1]


def test_scaling_and_the_difference_to_xent(tmp_path):
    """Two seeds, two supervisors, two strong models of known size."""
    rights = {"weak_a": WEAK, "weak_z": {0}, "ceiling_small": set(range(8)), "ceiling_big": CEILING,
              "a-to-small_xent": STUDENT - {0}, "a-to-big_xent": STUDENT, "z-to-big_xent": {0, 1}}
    for seed in (0, 1):
        folder = tmp_path / "task" / f"seed{seed}"
        for name, right in {**rights, "a-to-big_conf": STUDENT | {8 + seed}}.items():
            predictions(folder / name / "predictions.jsonl", right)
        for name, size in (("small", 10**6), ("big", 2 * 10**7)):
            write(folder / f"ceiling_{name}" / "run.json", [{"metrics": {"parameters": size}}])

    report, printed = evaluate_folder(tmp_path / "task")
    xent, conf = report["students"][:2]
    assert conf["name"] == "conf" and conf["over_xent"] == pytest.approx(0.1)
    # +1 on one example in ten of each seed, another one in the other seed; the seeds' means do
    # not differ
    assert 0 < conf["over_xent_se"] < (0.1 * 0.9 / 200) ** 0.5
    assert conf["over_xent_seeds"] == 2 and "over_xent" not in xent

    table = []
    for line in printed.split("Scaling, student: xent")[1].splitlines():
        if line.startswith("|") and "--" not in line:
            table.append([cell.split(" ±")[0].strip() for cell in line.split("|")[1:-1]])
    assert table == [
        ["", "small (1M)", "big (20M)"],
        ["students of a (0.500)", "0.600", "0.700"],
        ["students of z (0.100)", "", "0.200"],
        ["strong ceiling", "0.800", "0.900"]]
    assert is_png(tmp_path / "task" / "scaling.png")


def test_a_supervisor_above_the_ceiling_leaves_no_gap(tmp_path):
    _, printed = evaluate(tmp_path, weak=CEILING, ceiling=WEAK, student=STUDENT)
    assert "| no gap" in printed and "nothing to recover" in printed


def test_warnings_say_what_means_nothing(tmp_path):
    """Half of each class: a supervisor no better than chance, a student that always says 1."""
    p1_of = {"weak": [0.9, 0.9, 0.2, 0.2] * 20, "ceiling": [0.1, 0.9] * 40, "one": [0.8] * 80,
             "good": [0.1, 0.9] * 38 + [0.9, 0.1] * 2}
    files = {}
    for name, p1s in p1_of.items():
        lines = [{"id": f"e{i}", "label": i % 2, "probs": [1 - p, p]} for i, p in enumerate(p1s)]
        files[name] = write(tmp_path / f"{name}.jsonl", lines)
    students = [files["one"], files["good"]]
    _, printed = compare(files["weak"], files["ceiling"], students, tmp_path / "out")
    warnings = [line for line in printed.splitlines() if line.startswith("- Warning")]
    assert len(warnings) == 2
    assert "not clearly better than always giving the most frequent class (0.500)" in warnings[0]
    collapsed = "student one gives nearly one class only (100% class 1, in 1 of 1 seeds)"
    assert collapsed in warnings[1]


def test_where_training_could_stop(tmp_path):
    # step, test accuracy, held-out loss
    points = [[(1, 0.6, 0.5), (2, 0.9, 0.4), (3, 0.7, 0.3)],
              [(1, 0.5, 0.2), (2, 0.6, 0.4), (3, 0.8, 0.5)]]
    files = []
    for seed, of_seed in enumerate(points):
        file = predictions(tmp_path / str(seed) / "predictions.jsonl", STUDENT)
        keys = ("step", "accuracy", "held_out_loss")
        write(file.with_name("curve.jsonl"), [dict(zip(keys, point)) for point in of_seed])
        files.append(file)

    curve = report.overfitting(files, 10)["curve"]
    assert curve["accuracy"] == pytest.approx([0.55, 0.75, 0.75])
    assert curve["last"] == {"steps": [3, 3], "accuracy": pytest.approx(0.75)}
    assert curve["held_out"] == {"steps": [3, 1], "accuracy": pytest.approx(0.6)}
    assert curve["oracle"] == {"steps": [2, 3], "accuracy": pytest.approx(0.85)}
