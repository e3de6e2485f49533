"""The splits: disjoint, balanced, grouped, the same every time; and one's own data in any form."""

import collections
import csv
import hashlib
import itertools
import json

import datasets
import pyarrow.parquet
import pytest
from conftest import disjoint, inside, read, read_splits, rows, write

import prepare_data
from w2s import readers


def prepare(task, out, *flags, ok=True):
    """The splits; where it is refused (ok=False), (exit status, stdout, stderr)."""
    output = inside("prepare_data.py", task, f"--out={out}", *flags, ok=ok)
    return read_splits(out) if ok else output


def members(parts):
    """The rows of all three files."""
    return [*itertools.chain.from_iterable(parts.values())]


def sizes(parts):
    return {name: len(part) for name, part in parts.items()}


def stay_together(parts, group_of):
    """Whether every group, group_of[text], is on one side."""
    sides = []
    for part in parts.values():
        sides.append({group_of[row["text"]] for row in part})
    return disjoint(sides)


def own(tmp_path, kind, made):
    """The rows as a file of that kind, or as a folder of two."""
    if kind == "folder":
        folder = tmp_path / "own"
        folder.mkdir()
        own(folder, "csv", made[:100])
        own(folder, "jsonl", made[100:])
        return folder

    path = tmp_path / f"own.{kind}"
    if kind == "jsonl":
        return write(path, made)
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(made), path)
        return path
    form = {}
    if kind == "tsv":
        form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None}
    with open(path, "w", newline="") as stream:
        table = csv.DictWriter(stream, made[0], **form)
        table.writeheader()
        table.writerows(made)
    return path


def serve(monkeypatch, **splits):
    """Puts a dataset with these splits in place of the hub."""
    served = {name: datasets.Dataset.from_list(made) for name, made in splits.items()}

    def load(*_):
        return served

    monkeypatch.setattr(readers, "load", load)


# -------------------------------------------------------------------------------------- the splits

def test_disjoint_and_balanced(tmp_path):
    parts = prepare(write(tmp_path / "mine.jsonl", rows(300)), tmp_path / "data")
    texts = [row["text"] for row in members(parts)]
    ids = [row["id"] for row in members(parts)]
    assert len(set(texts)) == len(texts) == len(set(ids)) > 240

    for part in parts.values():
        assert 2 * sum(row["label"] for row in part) == len(part) > 60
        assert {tuple(row) for row in part} == {("id", "text", "label")}
    labels = [row["label"] for row in parts["test"]]
    assert labels != sorted(labels)  # in no order that gives the class away
    task = json.loads((tmp_path / "data" / "task.json").read_text())
    assert task["counts"] == sizes(parts)


def test_a_smaller_sample_is_part_of_a_larger_one_whatever_the_order_of_the_file(tmp_path):
    made = rows(300)
    large = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "large")
    small = prepare(write(tmp_path / "mine.jsonl", made[::-1]), tmp_path / "small",
                    "--max_train=20", "--max_test=10")
    assert sizes(small) == {"weak_train": 20, "transfer": 20, "test": 10}
    for name, part in small.items():
        assert {row["id"] for row in part} < {row["id"] for row in large[name]}

    other = prepare(tmp_path / "mine.jsonl", tmp_path / "other", "--seed=1")
    assert {row["id"] for row in other["test"]} != {row["id"] for row in large["test"]}


def test_same_text_counts_once_and_a_variant_of_it_stays_on_its_side(tmp_path):
    made, again, variants = rows(200), rows(200), rows(200)
    for row in again:
        row["text"] = row["text"].replace(" ", "  ") + " "
    for row in variants:
        row["text"] = row["text"].upper() + "?"
    parts = prepare(write(tmp_path / "mine.jsonl", made + again + variants), tmp_path / "data")
    texts = [" ".join(row["text"].split()) for row in members(parts)]
    assert len(set(texts)) == len(texts) > 300
    plain = {row["text"]: row["text"].lower().strip("!?") for row in members(parts)}
    assert stay_together(parts, plain)


def test_texts_that_differ_in_a_sign_are_two_texts(tmp_path):
    made = []
    for i in range(1, 60):
        made.append({"text": f"{i}+{i}={2 * i}", "label": 1})
        made.append({"text": f"{i}-{i}={2 * i}", "label": 0})
    parts = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data")
    assert len(members(parts)) == len(made)


def test_a_text_with_both_labels_is_refused(tmp_path):
    made = rows(60)
    made[40] = {"text": made[7]["text"], "label": 1 - made[7]["label"]}
    data = write(tmp_path / "mine.jsonl", made)
    status, _, error = prepare(data, tmp_path / "data", ok=False)
    assert status != 0 and error.count("\n") == 1
    assert "mine.jsonl:8 and " in error.replace(f"{tmp_path}/", "")


def test_prompt_and_label_words_of_a_task_json_beside_the_file(tmp_path):
    write(tmp_path / "mine.jsonl", rows(60))
    about = {"prompt": "Review: {text}\nSentiment:", "label_words": [" bad", " good"]}
    (tmp_path / "task.json").write_text(json.dumps(about))
    for row in prepare(tmp_path / "mine.jsonl", tmp_path / "data")["test"]:
        assert row["text"].startswith("Review: ") and row["text"].endswith("\nSentiment:")
    task = json.loads((tmp_path / "data" / "task.json").read_text())
    assert task["label_words"] == [" bad", " good"] and task["name"] == "mine"


def test_another_way_to_name_the_same_file_is_up_to_date(tmp_path):
    write(tmp_path / "mine.jsonl", rows(60))
    prepare(tmp_path / "mine.jsonl", tmp_path / "data")
    same_file = f"{tmp_path}/data/../mine.jsonl"
    assert "up to date" in inside("prepare_data.py", same_file, f"--out={tmp_path}/data")[1]


def test_never_writes_over_its_input(tmp_path):
    data = write(tmp_path / "test.jsonl", rows(60))
    status, _, error = prepare(data, tmp_path, ok=False)
    assert status != 0 and "must not be written over" in error and len(read(data)) == 60
    with pytest.raises(SystemExit, match="must not be written over"):
        prepare_data.main(str(tmp_path), str(tmp_path / "a" / "b"))


@pytest.mark.parametrize("task", [
    '[]', '{"prompt": "Review:"}', '{"label_words": ["a", "a"]}', '{"label_words": 1}', '{'])
def test_bad_task_json_is_refused(tmp_path, task):
    write(tmp_path / "mine.jsonl", rows(20))
    (tmp_path / "task.json").write_text(task)
    status, _, error = prepare(tmp_path / "mine.jsonl", tmp_path / "data", ok=False)
    assert status != 0 and "task.json" in error and error.count("\n") == 1


# ---------------------------------------------------------------------------------- one's own data

@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "parquet", "folder"])
def test_your_own_data_in_any_form_gives_the_same_splits(tmp_path, kind, capsys):
    made = []
    for i, row in enumerate(rows(200)):
        verdict = "good" if row["label"] else "bad"
        body = row["text"] + ', "quoted"'
        made.append({"body": body, "verdict": verdict, "author": f"a{i // 5}"})
    prepare_data.main(str(own(tmp_path, kind, made)), str(tmp_path / "data"),
                      text="body", label="verdict", group="author")
    assert "verdict: 'bad' is class 0, 'good' is class 1" in capsys.readouterr().out

    parts = read_splits(tmp_path / "data")
    assert stay_together(parts, {row["body"]: row["author"] for row in made})
    verdict = {row["body"]: row["verdict"] for row in made}
    for row in members(parts):
        assert row["label"] == (verdict[row["text"]] == "good")
    content = (tmp_path / "data" / "test.jsonl").read_bytes()
    assert hashlib.sha256(content).hexdigest()[:8] == "b26270b4"  # the same of every form


def test_a_label_that_names_the_right_choice(tmp_path, capsys):
    made = []
    for i, row in enumerate(rows(120)):
        winner = ("new", "base")[i % 2]
        made.append({"new": f"{row['text']} {i}", "base": row["text"], "winner": winner})
    prepare_data.main(str(own(tmp_path, "csv", made)), str(tmp_path / "data"),
                      choices="new,base", label="winner")
    assert "winner: 'new' is class 0, 'base' is class 1" in capsys.readouterr().out
    right = {row["new"]: row[row["winner"]] for row in made}
    for row in read(tmp_path / "data" / "test.jsonl"):
        assert row["choices"][row["label"]] == right[row["choices"][0]]


def test_an_empty_cell_is_no_group(tmp_path):
    made = [{**row, "author": ""} for row in rows(200)]
    prepare_data.main(str(own(tmp_path, "csv", made)), str(tmp_path / "data"), group="author")
    assert all(len(part) > 40 for part in read_splits(tmp_path / "data").values())


def test_an_author_0_is_a_group_and_an_id_that_is_missing_is_none(tmp_path):
    made = [{**row, "author": i // 20, "id": None} for i, row in enumerate(rows(200))]
    parts = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data", "--group=author")
    assert stay_together(parts, {row["text"]: row["author"] for row in made})

    made = [{"id": f"r{i}" if i > 1 else "", **row} for i, row in enumerate(rows(60))]
    parts = prepare(own(tmp_path, "csv", made), tmp_path / "other")
    assert all(row["id"] for row in parts["test"])


def test_a_label_that_is_not_a_number_is_missing(tmp_path):
    made = [{"text": "a", "label": 1}, {"text": "b", "label": float("nan")}]
    data = write(tmp_path / "mine.jsonl", made)
    with pytest.raises(SystemExit, match="mine.jsonl:2: label is missing"):
        prepare_data.main(str(data), str(tmp_path / "data"))


def test_rows_of_the_hub_that_cannot_be_read_are_left_out(tmp_path, monkeypatch):
    made = []
    for i in range(90):
        choices = [f"a {i}", f"b {i}"] if i % 9 else None
        made.append({"choices": choices, "label": i % 2, "list": [i]})
    serve(monkeypatch, train=made)
    prepare_data.main("OWNER/NAME", str(tmp_path / "data"))
    assert 40 < len(members(read_splits(tmp_path / "data"))) <= 80

    serve(monkeypatch, train=[{"text": row["list"], "label": row["label"]} for row in made])
    with pytest.raises(SystemExit, match="no row has anything to read in text"):
        prepare_data.main("OWNER/NAME", str(tmp_path / "none"))


def test_choices_of_your_own(tmp_path):
    """As two columns, or as a list: the same splits."""
    made, again = [], []
    for row in rows(120):
        one, other = row["text"], f"{row['text']} or not"
        made.append({"a": one, "b": other, "better": "ab"[row["label"]]})
        again.append({"choices": [one, other], "label": row["label"]})
    prepare_data.main(str(own(tmp_path, "csv", made)), str(tmp_path / "one"),
                      choices="a,b", label="better")
    prepare_data.main(str(own(tmp_path, "jsonl", again)), str(tmp_path / "two"))
    parts = read_splits(tmp_path / "one")
    assert parts == read_splits(tmp_path / "two")
    assert all(len(row["choices"]) == 2 for row in parts["test"])


@pytest.mark.parametrize("change, flags, complaint", [
    ({"label": "maybe"}, {}, "own.csv: nothing of each class is left for "),
    ({"text": " "}, {}, "own.csv:4: text must be a text that is not empty"),
    ({}, {"text": "body"}, "own.csv:2: body is missing; the row has text, label. --text, --label"),
    ({}, {"group": "author"}, "own.csv:2: author is missing"),
    ({}, {"choices": "a,b"}, "own.csv:2: a is missing"),
    ({"text": "a, b"}, {"bare": True}, "own.csv:4: more cells than the header names"),
])
def test_what_is_wrong_with_a_table_is_one_line(tmp_path, change, flags, complaint):
    made = rows(20)
    made[2] |= change
    path = own(tmp_path, "csv", made)
    flags = dict(flags)
    if flags.pop("bare", False):  # without the quotes around it
        path.write_text(path.read_text().replace('"', ""))
    with pytest.raises(SystemExit) as refused:
        prepare_data.main(str(path), str(tmp_path / "data"), **flags)
    assert complaint in str(refused.value) and "\n" not in str(refused.value)


def test_rows_that_share_a_group_say_so_and_others_do_not(tmp_path):
    made = []
    for i in range(120):
        who = f"author {i // 4}" if i < 60 else f"alone {i}"
        made.append({"text": f"text {i}", "label": i % 2, "who": who})
    author = {row["text"]: row["who"] for row in made}
    parts = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data", "--group=who")

    for part in parts.values():
        said = collections.defaultdict(list)
        for row in part:
            said[author[row["text"]]].append(row.get("group"))
        shared = [groups for groups in said.values() if len(groups) > 1]
        alone = [groups for groups in said.values() if len(groups) == 1]
        assert shared
        assert all(groups == [None] for groups in alone)
        assert all(len(set(groups)) == 1 and groups[0] for groups in shared)
        assert len({groups[0] for groups in shared}) == len(shared)  # no two have the same name
