"""filter_labels.py: which labels it keeps, and what is old of them."""

import json

import pytest
from conftest import inside, read, write
from test_controls import controls_of, sha, soft_labels
from test_evaluate_pgr import CEILING, STUDENT, WEAK, evaluate_folder
from test_pairs import finished, left_out


def filtered(labels, out, **flags):
    words = [f"--{name}={value}" for name, value in flags.items()]
    inside("filter_labels.py", f"--labels={labels}", *words, f"--out={out}")
    return read(out / "labels.jsonl")


def p1_labels(path, p1s, **more):
    lines = []
    for i, p1 in enumerate(p1s):
        line = {"id": f"e{i}", "text": f"text {i}", "probs": [round(1 - p1, 3), p1]}
        lines.append(line | {key: values[i] for key, values in more.items()})
    return write(path / "labels.jsonl", lines)


def test_the_most_confident_of_each_class_are_kept_in_their_order(tmp_path):
    labels = p1_labels(tmp_path, [0.9, 0.1, 0.6, 0.8, 0.3, 0.99, 0.45, 0.7])
    kept = filtered(labels, tmp_path / "a", by="confidence", keep=0.5)
    assert [row["id"] for row in kept] == ["e0", "e1", "e4", "e5"]
    assert [row for row in read(labels) if row in kept] == kept
    metrics = json.loads((tmp_path / "a" / "run.json").read_text())["metrics"]
    assert metrics == {"examples": 4, "of": 8, "lowest": 0.7, "class_counts": [2, 2]}

    # where a class has fewer, the other fills up
    kept = filtered(labels, tmp_path / "b", by="confidence", keep=0.75)
    assert [row["id"] for row in kept] == ["e0", "e1", "e3", "e4", "e5", "e6"]
    kept = filtered(labels, tmp_path / "c", by="confidence", keep=1)
    assert kept == read(labels)


@pytest.mark.parametrize("p1", [0.2, 0.8])
def test_labels_of_one_class_are_kept_as_they_come(tmp_path, p1):
    labels = p1_labels(tmp_path, [p1] * 6)
    assert len(filtered(labels, tmp_path / "out", keep=0.5)) == 3


def test_random_lines_are_as_many_of_each_class_and_the_seed_says_which(tmp_path):
    labels = soft_labels(tmp_path, n=60)  # 31 of class 0, a tie among them
    confident = filtered(labels, tmp_path / "a", by="confidence", keep=0.5)
    first = filtered(labels, tmp_path / "b", by="random", keep=0.5)
    assert first == filtered(labels, tmp_path / "c", by="random", keep=0.5)
    second = filtered(labels, tmp_path / "d", by="random", keep=0.5, seed=1)
    for kept in (confident, first, second):
        assert len(kept) == 30 and sum(row["probs"][1] > 0.5 for row in kept) == 15
        assert {tuple(row) for row in kept} == {("id", "text", "group", "probs")}
    assert first not in (second, confident)


def test_unanimity_counts_the_supervisors_on_the_labels_side(tmp_path):
    p1s = [0.9, 0.6, 0.6, 0.3, 0.2, 0.4]
    said = [[0.6, 0.7, 0.9], [0.9, 0.9, 0.1], [0.9, 0.4, 0.1], [0.1, 0.1, 0.6], [0.4, 0.3, 0.2],
            [0.9, 0.4, 0.9]]
    said = [[[1 - p1, p1] for p1 in of_line] for of_line in said]
    labels = p1_labels(tmp_path, p1s, supervisors=said)
    assert [row["id"] for row in filtered(labels, tmp_path / "a", by="unanimity", keep=0.34)] == [
        "e0", "e4"]
    kept = filtered(labels, tmp_path / "b", by="unanimity", keep=0.67)
    assert [row["id"] for row in kept] == ["e0", "e1", "e3", "e4"]
    assert all("supervisors" in row for row in kept)
    metrics = json.loads((tmp_path / "b" / "run.json").read_text())["metrics"]
    assert metrics["lowest"] == pytest.approx(2 / 3)


def test_what_supervisors_said_is_of_as_many_classes_as_the_label(tmp_path):
    labels = p1_labels(tmp_path, [0.9, 0.1], supervisors=[[[0.2, 0.3, 0.5]]] * 2)
    error = inside("filter_labels.py", f"--labels={labels}", "--by=unanimity", "--keep=1",
                   f"--out={tmp_path}/out", ok=False)[2]
    assert 'id e0 has "supervisors" of another number of classes' in error


def test_ties_are_drawn_by_lot(tmp_path):
    """Of equals not the first: a file may be sorted."""
    labels = p1_labels(tmp_path, [0.9, 0.1] * 50)
    kept = [int(row["id"][1:]) for row in filtered(labels, tmp_path / "a", keep=0.5)]
    assert kept == sorted(kept) and kept != list(range(50))


@pytest.mark.parametrize("flags, message", [
    ({"by": "luck"}, "confidence, unanimity, trust or random is needed"),
    ({"keep": 0}, "a share above 0"), ({"keep": 1.1}, "a share above 0"),
    ({"keep": "nan"}, "a share above 0"), ({"keep": 0.01}, "would leave 0 of 40 labels"),
    ({"by": "unanimity"}, 'id e0 has no "supervisors"'),
    ({"by": "trust"}, "--by=trust needs --model"),
    ({"by": "trust", "model": "a,b"}, "--by=trust needs --model"),
])
def test_what_cannot_be_is_refused_in_one_line(tmp_path, flags, message):
    labels = soft_labels(tmp_path)
    words = [f"--{name}={value}" for name, value in flags.items()]
    error = inside("filter_labels.py", f"--labels={labels}", *words, f"--out={tmp_path}/out",
                   ok=False)[2]
    assert message in error and error.count("\n") == 1


def test_ground_truth_is_no_label_to_filter(tmp_path):
    data = write(tmp_path / "data.jsonl", [{"id": i, "text": "t", "label": 1} for i in range(9)])
    error = inside("filter_labels.py", f"--labels={data}", f"--out={tmp_path}/out", ok=False)[2]
    assert "data.jsonl:1: probs is missing" in error


def test_a_filter_of_a_filter_of_labels_is_as_old_as_these(tmp_path):
    seed = tmp_path / "task" / "seed0"
    labels = soft_labels(seed / "labels_a")
    half = seed / "labels_a-confidence0.5"
    filtered(labels, half)
    controls_of(half / "labels.jsonl", seed / "labels_a-confidence0.5-shuffled")
    finished(seed / "weak_a", WEAK, 1)
    finished(seed / "ceiling_b", CEILING, 1)
    for made in ("", "-confidence0.5", "-confidence0.5-shuffled"):
        learned = sha(seed / f"labels_a{made}" / "labels.jsonl")
        finished(seed / f"a-to-b_xent{made}", STUDENT, 1, inputs={"labels": learned})
    report, printed = evaluate_folder(tmp_path / "task")
    assert not left_out(printed) and len(report["students"]) == 2

    soft_labels(seed / "labels_a", n=50)
    finished(seed / "a-to-b_xent", STUDENT, 2, inputs={"labels": sha(labels)})
    _, printed = evaluate_folder(tmp_path / "task")
    assert left_out(printed) == [f"seed0/a-to-b_xent-confidence0.5{control}"
                                 for control in ("", "-shuffled")]
