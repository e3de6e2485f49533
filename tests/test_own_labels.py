"""The labels of one's own data: which class a value is, in every format; and which is none."""

import json
import random

import datasets
import pytest
from conftest import read_splits, rows, write
from test_own_data import FORMS, given, labels_of, refusal
from test_prepare_data import own, prepare, serve

import prepare_data
from w2s import readers


def truth(n):
    """{text: class} of so many rows."""
    return {row["text"]: row["label"] for row in rows(n)}


@pytest.mark.parametrize("false, true", [
    ([0], [1.0]), ([0], [True]), ([False], [1]), ([0, 0.0, False], [1]), ([0], [1] * 9 + [1.0]),
    (["0", " 0.0", "false", -0.0, 0], ["1", "1.0 ", "True", "1e0", True]),
    ([-1], [1]), ([9], ["10"]),
    ([12345678901234567890], [12345678901234567891]), ([7], ["abc"]), ([" bad"], ["good ", "good"]),
])
def test_labels_compare_by_value(tmp_path, false, true):
    draw = random.Random(0)
    made = rows(120)
    for row in made:
        row["label"] = draw.choice((false, true)[row["label"]])
    prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data")
    assert labels_of(tmp_path / "data").items() <= truth(120).items()


@pytest.mark.parametrize("words", [[" Bad", " good"], [" good", " Bad"], [" no", " yes"]])
def test_labels_that_are_the_label_words_are_classes_in_their_order(tmp_path, words):
    made = [{**row, "label": ("bad", "good")[row["label"]]} for row in rows(120)]
    (tmp_path / "task.json").write_text(json.dumps({"label_words": words}))
    prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data")
    swapped = words == [" good", " Bad"]
    expected = {text: label ^ swapped for text, label in truth(120).items()}
    assert labels_of(tmp_path / "data").items() <= expected.items()


def test_labels_that_differ_in_case_alone_are_not_taken_for_one_word(tmp_path):
    made = [{**row, "label": ("bad", "good", "Good")[i % 3]} for i, row in enumerate(rows(120))]
    (tmp_path / "task.json").write_text(json.dumps({"label_words": [" bad", " good"]}))
    message = refusal(write(tmp_path / "mine.jsonl", made), tmp_path / "data")
    assert 'its task.json has 2 "label_words"; 3 are needed' in message


@pytest.mark.parametrize("false, true", [
    (5, 10), (0, 1.0), (False, True), (0.5, 1.0), ("a 1", "a 2")])
def test_the_same_label_is_the_same_class_in_every_form(tmp_path, false, true, monkeypatch):
    kind = type(true)  # a column of a parquet file is of one type
    typed = rows(120)
    for row in typed:
        row["label"] = kind((false, true)[row["label"]])
    found = []
    for form in FORMS:
        (tmp_path / form).mkdir()
        task = given(tmp_path / form, form, typed, monkeypatch)
        prepare_data.main(task, str(tmp_path / form / "data"))
        found.append(labels_of(tmp_path / form / "data"))
    assert all(labels == found[0] for labels in found)
    assert found[0].items() <= truth(120).items()


def test_what_is_a_value_and_what_is_missing():
    same = [1, 1.0, True, "1", " 1 ", "1.0", "true", "TRUE", "+1", "1e0", "01"]
    assert {readers.value_of(cell) for cell in same} == {1}
    missing = [None, float("nan"), "", " ", "\t", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL",
               "None", "<NA>", "#N/A", "#NA", "-nan"]
    assert {readers.value_of(cell) for cell in missing} == {None}
    texts = ["no", "1_0", "inf", "1,5", "1e9999999999999999999", "sNaN", "0x1", "none of these"]
    assert [readers.value_of(cell) for cell in texts] == texts
    assert str(readers.value_of("100")) == str(readers.value_of(1e2))  # of which groups are named


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("cell", [None, float("nan"), "", " ", "NA", "nan", "None", "<NA>"])
def test_a_missing_label_is_refused(tmp_path, form, cell):
    made = rows(20)
    if form == "parquet":  # whose columns are of one type
        kind = float if isinstance(cell, float) else str
        for row in made:
            row["label"] = kind(row["label"])
    made[2]["label"] = cell
    message = refusal(own(tmp_path, form, made), tmp_path / "data")
    place = {"jsonl": ":3", "parquet": ", row 2"}.get(form, ":4")
    assert f"own.{form}{place}: label is missing" in message and "leave it out" in message


def test_rows_of_the_hub_without_a_label_are_left_out_and_counted(tmp_path, monkeypatch, capsys):
    made = rows(200)
    for i, row in enumerate(made):
        row["label"] = str(row["label"])
        if i % 10 == 0:
            row["label"] = None if i % 4 == 0 else "NA"
    prepare_data.main(given(tmp_path, "hub", made, monkeypatch), str(tmp_path / "data"))
    printed = capsys.readouterr().out
    assert "OWNER/NAME: 20 rows have no label and are left out\n" in printed
    assert "180 rows, " in printed
    assert labels_of(tmp_path / "data").items() <= truth(200).items()


@pytest.mark.parametrize("declared", [True, False])
def test_minus_one_of_declared_classes_of_the_hub_is_no_label(
        tmp_path, monkeypatch, capsys, declared):
    made = [{**row, "label": -1 if i % 5 == 0 else i % 2} for i, row in enumerate(rows(120))]
    serve(monkeypatch, train=made)
    if declared:
        splits, classes = readers.load(), datasets.ClassLabel(names=["no", "yes"])
        splits["train"] = splits["train"].cast_column("label", classes)
    prepare_data.main("OWNER/NAME", str(tmp_path / "data"))
    printed = capsys.readouterr().out
    assert ("24 rows have no label and are left out" in printed) == declared
    assert {*labels_of(tmp_path / "data").values()} == ({0, 1} if declared else {0, 1, 2})


@pytest.mark.parametrize("coding, used", [
    ((-1, 1), True), ((-1, -1), False), ((None, None), False)])
def test_a_test_split_of_the_hub_is_used_where_it_has_labels(tmp_path, monkeypatch, coding, used):
    train = [{"text": row["text"], "label": (-1, 1)[row["label"]]} for row in rows(200)]
    test = [{"text": f"test {row['text']}", "label": coding[row["label"]]} for row in rows(60)]
    serve(monkeypatch, train=train, test=test)
    prepare_data.main("OWNER/NAME", str(tmp_path / "data"))
    texts = [row["text"] for row in read_splits(tmp_path / "data")["test"]]
    assert all(text.startswith("test ") == used for text in texts)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_label_may_name_a_column_that_looks_like_a_number(tmp_path, form):
    made = [{"1": row["text"], "0": f"not {row['text']}", "label": str(i % 2)}
            for i, row in enumerate(rows(120))]
    prepare_data.main(str(own(tmp_path, form, made)), str(tmp_path / "data"), choices="1,0")
    winner = {row["1"]: row[row["label"]] for row in made}
    for row in read_splits(tmp_path / "data")["test"]:
        assert row["choices"][row["label"]] == winner[row["choices"][0]]
