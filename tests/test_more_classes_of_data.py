"""Data of one's own with more than two classes, or more than two choices."""

import json

import pytest
from conftest import inside, read, rows, write

WORDS = ("no", "maybe", "yes")


def prepare(path, out, *flags, ok=True):
    """(what is printed, the error, {name: rows})"""
    _, printed, error = inside("prepare_data.py", path, f"--out={out}", *flags, ok=ok)
    names = ("weak_train", "transfer", "test")
    return printed, error, {name: read(out / f"{name}.jsonl") for name in names} if ok else {}


def three(n=180, skip=()):
    """Reviews of three classes; of class 2 fewer."""
    made = []
    for i, row in enumerate(rows(n)):
        if i % 3 != 2 or i % 2:
            made.append({"text": row["text"], "verdict": WORDS[i % 3]})
    return made


def csv(path, made):
    lines = [",".join(made[0])] + [",".join(row.values()) for row in made]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_three_values_become_three_classes_as_many_of_each(tmp_path):
    path = csv(tmp_path / "own.csv", three())
    printed, _, parts = prepare(path, tmp_path / "out", "--label=verdict")
    assert "verdict: 'maybe' is class 0, 'no' is class 1, 'yes' is class 2" in printed
    assert "1 in 3 of each class" in printed
    verdict = {row["text"]: row["verdict"] for row in three()}
    for made in parts.values():
        labels = [row["label"] for row in made]
        assert len({labels.count(k) for k in range(3)}) == 1 and labels.count(2) >= 2
        for row in made:
            assert verdict[row["text"]] == ("maybe", "no", "yes")[row["label"]]


def test_a_smaller_sample_is_part_of_a_larger_one(tmp_path):
    path = csv(tmp_path / "own.csv", three())
    larger = prepare(path, tmp_path / "a", "--label=verdict", "--max_train=18")[2]
    smaller = prepare(path, tmp_path / "b", "--label=verdict", "--max_train=9")[2]
    for name in ("weak_train", "transfer"):
        ids = [{row["id"] for row in parts[name]} for parts in (larger, smaller)]
        assert len(ids[0]) == 18 and len(ids[1]) == 9 and ids[1] < ids[0]


@pytest.mark.parametrize("label", ["place", "from 1", "name"])
def test_four_choices_by_the_place_or_the_name_of_the_right_one(tmp_path, label):
    made, again = [], []
    for i, row in enumerate(rows(200)):
        right = i % 4
        four = [f"{row['text']} {k}" for k in range(4)]
        given = {"place": right, "from 1": right + 1, "name": "abcd"[right]}[label]
        again.append({"choices": four, "label": right})
        made.append({**dict(zip("abcd", four)), "best": given})
    flags = "--choices=a,b,c,d", "--label=best"
    parts = prepare(write(tmp_path / "one.jsonl", made), tmp_path / "one", *flags)[2]
    assert parts == prepare(write(tmp_path / "two.jsonl", again), tmp_path / "two")[2]
    assert all(len(row["choices"]) == 4 for row in parts["test"])
    for row in parts["test"]:
        assert row["choices"][row["label"]].endswith(str(row["label"]))


def choices(number=4, n=60):
    return [{"choices": [f"text {i} {k}" for k in range(number)], "label": i % number}
            for i in range(n)]


@pytest.mark.parametrize("made, task, complaint", [
    ([*choices()[:9], *choices(3)[9:]], {}, ":10: 3 choices, where the rows before have 4"),
    ([{**row, "label": 5 + row["label"] % 2} for row in choices(3)], {},
     "label is 5, 6; which of 3 choices each of these means is not clear"),
    ([{"text": f"t {i}", "label": i / 7} for i in range(300)], {},
     "label has more than 100 different values up to here"),
    ([{"text": f"t {i}", "label": i % 3} for i in range(60)], {"label_words": [" no", " yes"]},
     'its task.json has 2 "label_words"; 3 are needed'),
    (choices(), {"label_words": [" a", " b", " c", " d"]},
     'its task.json has 4 "label_words"; 2 are needed'),
    ([{"text": f"t {i}", "label": i % 2 + 2 * (i == 5)} for i in range(60)], {},
     "is left for "),
])
def test_what_is_wrong_is_one_line(tmp_path, made, task, complaint):
    path = write(tmp_path / "in" / "own.jsonl", made)
    (tmp_path / "in" / "task.json").write_text(json.dumps(task))
    error = prepare(path, tmp_path / "out", ok=False)[1]
    assert complaint in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_task_without_choices_has_no_native_form(tmp_path):
    error = prepare("cola", tmp_path / "out", "--form=chosen", ok=False)[1]
    assert "--form=chosen: binary or choices is needed" in error


def test_fewer_examples_than_classes_are_refused(tmp_path):
    path = csv(tmp_path / "own.csv", three())
    error = prepare(path, tmp_path / "out", "--label=verdict", "--max_train=2", ok=False)[1]
    assert "--max_train=2: 3 or more is needed, one of each class" in error
