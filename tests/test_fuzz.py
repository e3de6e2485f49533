"""Fuzzed: any bytes give data, or one line of complaint; any predictions a report whose numbers
are in their ranges."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import evaluate_pgr
import prepare_data
from w2s import figures, metrics, pairs, records, report, stage, tables

FUZZ = settings(derandomize=True, deadline=None, database=None)


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_json(value):
    return json.dumps(value).encode()


@contextlib.contextmanager
def quiet_folder():
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        yield Path(folder)


def refused(error, name, out):
    """Whether an error is one line that names the file, and nothing was written."""
    stage.lock.release()  # as at the end of a process
    return name in str(error) and len(str(error).splitlines()) == 1 and not out.exists()


# --------------------------------------------------------------------------------------- any line

# Of each kind of input some is good: else only the complaints are tested.
BYTES = st.binary(max_size=200)
KEYS = st.sampled_from(["id", "text", "label", "probs", "choices", "x"])
SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)


def nested(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5)


VALUES = st.recursive(SCALARS, nested, max_leaves=9)
ROWS = st.fixed_dictionaries({
    "id": st.integers() | st.text(max_size=3),
    "text": st.text(max_size=9),
    "label": st.integers(0, 1),
})
GOOD_LINE = b'{"id": "a", "text": "b", "label": 1, "probs": [0.5, 0.5]}\n'


@settings(FUZZ, max_examples=300)
@given(BYTES | (VALUES | ROWS).map(as_json))
def test_any_line_is_data_or_one_line_of_complaint(line):
    keys = ("id", "text|choices", "probs|label")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.jsonl"
        for before in (b"", GOOD_LINE):
            path.write_bytes(before + line)
            try:
                found = records.read_jsonl(path, *keys)
            except SystemExit as error:
                assert str(path) in str(error) and "\n" not in str(error).replace("\\n", "")
            else:
                assert found
                for row in found:
                    assert isinstance(row["id"], str) and ("text" in row) != ("choices" in row)

                # what was read can be written, and is the same again
                records.write_jsonl(path, found)
                assert records.read_jsonl(path, *keys) == found


# -------------------------------------------------------------------------------------- any table

CELLS = st.text(max_size=6) | st.sampled_from([
    "text,label", "text\tlabel", "0", "1", '"', ",", "\t", "good film", "bad film"])


def table(cells):
    return ("text,label\n" + "\n".join(cells)).encode("utf-8", "ignore")


TABLES = st.lists(CELLS, max_size=20).map(table)
REVIEWS = st.lists(st.fixed_dictionaries({"text": CELLS, "label": CELLS}), max_size=9).map(jsonl)
GOOD_REVIEW = st.fixed_dictionaries({
    "text": st.from_regex(r"\w{1,6}", fullmatch=True),
    "label": st.sampled_from(["good", "bad"]),
})
GOOD_REVIEWS = st.lists(GOOD_REVIEW, min_size=20, max_size=40, unique_by=lambda row: row["text"])
KINDS = st.sampled_from([".jsonl", ".csv", ".tsv", ".parquet"])
FILES = (st.tuples(KINDS, BYTES | TABLES | REVIEWS)
         | st.tuples(st.just(".jsonl"), GOOD_REVIEWS.map(jsonl)))


@settings(FUZZ, max_examples=60)
@given(FILES)
def test_any_table_is_data_or_one_line_of_complaint(file):
    kind, content = file
    with quiet_folder() as folder:
        path, out = folder / f"mine{kind}", folder / "out"
        path.write_bytes(content)
        try:
            prepare_data.main(str(path), str(out))
        except SystemExit as error:
            assert refused(error, "mine", out)
        else:
            assert records.read_jsonl(out / "test.jsonl", "id", "text", "label")


# -------------------------------------------------------------------------------- any predictions

PREDICTION = st.fixed_dictionaries({
    "id": st.integers(0, 99),
    "label": st.integers(0, 1),
    "probs": st.sampled_from([[0, 1], [0.5, 0.5], [0.25, 0.75]]),
})
PREDICTIONS = st.lists(PREDICTION, max_size=5) | st.lists(VALUES, max_size=5)


def draw_nothing(reports, path):
    path.write_text("")


@settings(FUZZ, max_examples=40)
@given(BYTES | PREDICTIONS.map(jsonl))
def test_any_prediction_file_gives_a_report_or_one_line_of_complaint(content):
    with quiet_folder() as folder, pytest.MonkeyPatch.context() as patch:
        for name in ("accuracy", "imitation", "confidence"):
            patch.setattr(figures, name, draw_nothing)  # a picture takes half a second
        path, out = folder / "p.jsonl", folder / "out"
        path.write_bytes(content)
        try:
            evaluate_pgr.main(weak=str(path), ceiling=str(path), students=str(path), out=str(out))
        except SystemExit as error:
            assert refused(error, str(path), out)
        else:
            made = json.loads((out / "report.json").read_text())
            assert made["students"][0]["pgr"] is None


PROBABILITY = st.floats(0, 1)
EXAMPLE = st.tuples(st.integers(0, 1), PROBABILITY, PROBABILITY, PROBABILITY)


@settings(FUZZ, max_examples=60)
@given(st.lists(EXAMPLE, min_size=1, max_size=30), st.integers(1, 3))
def test_a_report_of_any_predictions_has_numbers_in_their_ranges(examples, seeds):
    # a weak, a ceiling and a student file of every seed
    label, *columns = map(np.array, zip(*examples))
    truth = metrics.one_hot(label, 2)
    files, probs = [], {}
    for seed in range(seeds):
        names = [f"{role}{seed}" for role in ("w", "c", "s")]
        files.append(pairs.Run(*names))
        for name, column in zip(names, columns):
            p1 = np.roll(column, seed)
            probs[name] = np.stack([1 - p1, p1], 1)
    found = report.pair_report("w", "c", {"xent": files, "conf": files[:1]}, truth, probs)

    text = json.dumps(found)  # NaN and Infinity are no JSON
    assert "NaN" not in text and "Infinity" not in text
    assert "nan" not in tables.of_pair(found)
    for m in (found["weak"], found["ceiling"], *found["students"]):
        assert 0 <= m["accuracy"] <= 1 and m["accuracy_se"] >= 0
        assert m["auc"] is None or 0 <= m["auc"] <= 1
        assert 0 <= m["ece"] <= 1 and 0 <= m["brier"] <= 1 and 0.5 <= m["confidence"] <= 1
        assert sum(point["share"] for point in m["reliability"]) < 1.000001
    for m in found["students"]:
        assert m["pgr"] is None or m["pgr_low"] <= m["pgr"] <= m["pgr_high"]
