"""Fuzzed: any bytes give data, or one line of complaint; any predictions a report whose numbers are in their ranges."""

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
from w2s import figures
import prepare_data
from w2s import pairs, records, report, stage, tables

FUZZ = settings(derandomize=True, deadline=None, database=None)


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


# Of each kind of input some is good: else only the complaints are tested.
BYTES = st.binary(max_size=200)
KEYS = st.sampled_from(["id", "text", "label", "probs", "choices", "x"])
VALUES = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=9)
ROWS = st.fixed_dictionaries({"id": st.integers() | st.text(max_size=3), "text": st.text(max_size=9), "label": st.integers(0, 1)})


@settings(FUZZ, max_examples=300)
@given(BYTES | (VALUES | ROWS).map(lambda value: json.dumps(value).encode()))
def test_any_line_is_data_or_one_line_of_complaint(line):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.jsonl"
        for before in (b"", b'{"id": "a", "text": "b", "label": 1, "probs": [0.5, 0.5]}\n'):
            path.write_bytes(before + line)
            try:
                found = records.read_jsonl(path, "id", "text|choices", "probs|label")
            except SystemExit as error:
                assert str(path) in str(error) and "\n" not in str(error).replace("\\n", "")
            else:
                assert found and all(isinstance(row["id"], str) and ("text" in row) != ("choices" in row) for row in found)
                records.write_jsonl(path, found)  # what was read can be written, and is the same again
                assert records.read_jsonl(path, "id", "text|choices", "probs|label") == found


CELLS = st.text(max_size=6) | st.sampled_from(["text,label", "text\tlabel", "0", "1", '"', ",", "\t", "good film", "bad film"])
TABLES = st.lists(CELLS, max_size=20).map(lambda cells: ("text,label\n" + "\n".join(cells)).encode("utf-8", "ignore"))
REVIEWS = st.lists(st.fixed_dictionaries({"text": CELLS, "label": CELLS}), max_size=9).map(jsonl)
GOOD = st.lists(st.fixed_dictionaries({"text": st.from_regex(r"\w{1,6}", fullmatch=True), "label": st.sampled_from(["good", "bad"])}),
                min_size=20, max_size=40, unique_by=lambda row: row["text"])
FILES = st.tuples(st.sampled_from([".jsonl", ".csv", ".tsv", ".parquet"]), BYTES | TABLES | REVIEWS) | GOOD.map(lambda rows: (".jsonl", jsonl(rows)))


@settings(FUZZ, max_examples=60)
@given(FILES)
def test_any_table_is_data_or_one_line_of_complaint(file):
    kind, content = file
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / f"mine{kind}"
        path.write_bytes(content)
        try:
            prepare_data.main(str(path), str(Path(folder) / "out"))
        except SystemExit as error:
            stage.lock.release()
            assert "mine" in str(error) and len(str(error).splitlines()) == 1 and not (Path(folder) / "out").exists()
        else:
            assert records.read_jsonl(Path(folder) / "out" / "test.jsonl", "id", "text", "label")


PREDICTIONS = st.lists(st.fixed_dictionaries({
    "id": st.integers(0, 99), "label": st.integers(0, 1), "probs": st.sampled_from([[0, 1], [0.5, 0.5], [0.25, 0.75]])}), max_size=5)


@settings(FUZZ, max_examples=40)
@given(BYTES | (PREDICTIONS | st.lists(VALUES, max_size=5)).map(jsonl))
def test_any_prediction_file_gives_a_report_or_one_line_of_complaint(content):
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), pytest.MonkeyPatch.context() as patch:
        for name in ("accuracy", "imitation", "confidence"):
            patch.setattr(figures, name, lambda reports, path: path.write_text(""))  # half a second each
        path = Path(folder) / "p.jsonl"
        path.write_bytes(content)
        try:
            evaluate_pgr.main(weak=str(path), ceiling=str(path), students=str(path), out=str(Path(folder) / "out"))
        except SystemExit as error:
            stage.lock.release()
            assert str(path) in str(error) and len(str(error).splitlines()) == 1 and not (Path(folder) / "out").exists()
        else:
            assert json.loads((Path(folder) / "out" / "report.json").read_text())["students"][0]["pgr"] is None


PROBABILITY = st.floats(0, 1)


@settings(FUZZ, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), PROBABILITY, PROBABILITY, PROBABILITY), min_size=1, max_size=30), st.integers(1, 3))
def test_a_report_of_any_predictions_has_numbers_in_their_ranges(examples, seeds):
    label = np.array([example[0] for example in examples])
    files = [pairs.Run(*(f"{role}{seed}" for role in "wcs")) for seed in range(seeds)]
    p1 = {name: np.roll([example[1 + i] for example in examples], seed) for seed, run in enumerate(files) for i, name in enumerate(run[:3])}
    found = report.pair_report("w", "c", {"xent": files, "conf": files[:1]}, label, p1)
    text = json.dumps(found)  # NaN and Infinity are no JSON
    assert "NaN" not in text and "Infinity" not in text and "nan" not in tables.of_pair(found)
    for m in (found["weak"], found["ceiling"], *found["students"]):
        assert 0 <= m["accuracy"] <= 1 and 0 <= m["ece"] <= 1 and 0 <= m["brier"] <= 1 and 0.5 <= m["confidence"] <= 1
        assert m["accuracy_se"] >= 0 and sum(point["share"] for point in m["reliability"]) < 1.000001
    for m in found["students"]:
        assert m["pgr"] is None or m["pgr_low"] <= m["pgr"] <= m["pgr_high"]
