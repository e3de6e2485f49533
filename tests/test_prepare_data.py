"""The splits: disjoint, balanced, grouped, the same every time. Through the command line where it can be."""

import csv
import hashlib
import json

import datasets
import pyarrow.parquet
import pytest
from conftest import disjoint, inside, read, read_splits, rows, write

import prepare_data
from w2s import readers, splits

def prepare(task, out, *flags, ok=True):
    output = inside("prepare_data.py", task, f"--out={out}", *flags, ok=ok)
    return read_splits(out) if ok else output


def test_disjoint_and_balanced(tmp_path):
    splits = prepare(write(tmp_path / "mine.jsonl", rows(300)), tmp_path / "data")
    texts = [row["text"] for part in splits.values() for row in part]
    ids = [row["id"] for part in splits.values() for row in part]
    assert len(set(texts)) == len(texts) == len(set(ids)) > 240
    for part in splits.values():
        assert 2 * sum(row["label"] for row in part) == len(part) > 60
        assert {tuple(row) for row in part} == {("id", "text", "label")}
    labels = [row["label"] for row in splits["test"]]
    assert labels != sorted(labels)  # in no order that gives the class away
    assert json.loads((tmp_path / "data" / "task.json").read_text())["counts"] == {name: len(part) for name, part in splits.items()}


def test_a_smaller_sample_is_part_of_a_larger_one_whatever_the_order_of_the_file(tmp_path):
    made = rows(300)
    large = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "large")
    small = prepare(write(tmp_path / "mine.jsonl", made[::-1]), tmp_path / "small", "--max_train=20", "--max_test=10")
    assert {name: len(part) for name, part in small.items()} == {"weak_train": 20, "transfer": 20, "test": 10}
    for name, part in small.items():
        assert {row["id"] for row in part} < {row["id"] for row in large[name]}
    other = prepare(tmp_path / "mine.jsonl", tmp_path / "other", "--seed=1")
    assert {row["id"] for row in other["test"]} != {row["id"] for row in large["test"]}


def test_same_text_counts_once_and_a_variant_of_it_stays_on_its_side(tmp_path):
    made = rows(200)
    again = [{"text": row["text"].replace(" ", "  ") + " ", "label": row["label"]} for row in made]
    variants = [{"text": row["text"].upper() + "?", "label": row["label"]} for row in made]
    splits = prepare(write(tmp_path / "mine.jsonl", made + again + variants), tmp_path / "data")
    texts = [" ".join(row["text"].split()) for part in splits.values() for row in part]
    assert len(set(texts)) == len(texts) > 300
    assert disjoint([{row["text"].lower().strip("!?") for row in part} for part in splits.values()])


def test_texts_that_differ_in_a_sign_are_two_texts(tmp_path):
    made = [{"text": f"{i}{sign}{i}={2 * i}", "label": int(sign == "+")} for i in range(1, 60) for sign in "+-"]
    splits = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data")
    assert sum(map(len, splits.values())) == len(made)


def test_a_text_with_both_labels_is_refused(tmp_path):
    made = rows(60)
    made[40] = {"text": made[7]["text"], "label": 1 - made[7]["label"]}
    status, _, error = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data", ok=False)
    assert status != 0 and "mine.jsonl:8 and " in error.replace(f"{tmp_path}/", "") and error.count("\n") == 1


def test_prompt_and_label_words_of_a_task_json_beside_the_file(tmp_path):
    write(tmp_path / "mine.jsonl", rows(60))
    (tmp_path / "task.json").write_text(json.dumps({"prompt": "Review: {text}\nSentiment:", "label_words": [" bad", " good"]}))
    splits = prepare(tmp_path / "mine.jsonl", tmp_path / "data")
    assert all(row["text"].startswith("Review: ") and row["text"].endswith("\nSentiment:") for row in splits["test"])
    task = json.loads((tmp_path / "data" / "task.json").read_text())
    assert task["label_words"] == [" bad", " good"] and task["name"] == "mine"


def test_another_way_to_name_the_same_file_is_up_to_date(tmp_path):
    write(tmp_path / "mine.jsonl", rows(60))
    prepare(tmp_path / "mine.jsonl", tmp_path / "data")
    assert "up to date" in inside("prepare_data.py", f"{tmp_path}/data/../mine.jsonl", f"--out={tmp_path}/data")[1]


def test_never_writes_over_its_input(tmp_path):
    status, _, error = prepare(write(tmp_path / "test.jsonl", rows(60)), tmp_path, ok=False)
    assert status != 0 and "must not be written over" in error and len(read(tmp_path / "test.jsonl")) == 60
    with pytest.raises(SystemExit, match="must not be written over"):
        prepare_data.main(str(tmp_path), str(tmp_path / "a" / "b"))


@pytest.mark.parametrize("task", ['[]', '{"prompt": "Review:"}', '{"label_words": ["a", "a"]}', '{"label_words": 1}', '{'])
def test_bad_task_json_is_refused(tmp_path, task):
    write(tmp_path / "mine.jsonl", rows(20))
    (tmp_path / "task.json").write_text(task)
    status, _, error = prepare(tmp_path / "mine.jsonl", tmp_path / "data", ok=False)
    assert status != 0 and "task.json" in error and error.count("\n") == 1


def own(tmp_path, kind, made):
    """The rows as a file of that kind, or as a folder of two."""
    if kind == "folder":
        (tmp_path / "own").mkdir()
        own(tmp_path / "own", "csv", made[:100]), own(tmp_path / "own", "jsonl", made[100:])
        return tmp_path / "own"
    path = tmp_path / f"own.{kind}"
    if kind == "jsonl":
        return write(path, made)
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(made), path)
        return path
    with open(path, "w", newline="") as stream:
        form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None} if kind == "tsv" else {}
        table = csv.DictWriter(stream, made[0], **form)
        table.writeheader()
        table.writerows(made)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "parquet", "folder"])
def test_your_own_data_in_any_form_gives_the_same_splits(tmp_path, kind, capsys):
    made = [{"body": row["text"] + ', "quoted"', "verdict": "good" if row["label"] else "bad", "author": f"a{i // 5}"}
            for i, row in enumerate(rows(200))]
    prepare_data.main(str(own(tmp_path, kind, made)), str(tmp_path / "data"), text="body", label="verdict", group="author")
    assert "verdict: 'bad' is class 0, 'good' is class 1" in capsys.readouterr().out
    splits = read_splits(tmp_path / "data")
    author = {row["body"]: row["author"] for row in made}
    assert disjoint([{author[row["text"]] for row in part} for part in splits.values()])
    verdict = {row["body"]: row["verdict"] for row in made}
    assert all(row["label"] == (verdict[row["text"]] == "good") for part in splits.values() for row in part)
    assert hashlib.sha256((tmp_path / "data" / "test.jsonl").read_bytes()).hexdigest()[:8] == "b26270b4"  # the same of every form


def test_a_label_that_names_the_right_choice(tmp_path, capsys):
    made = [{"new": f"{row['text']} {i}", "base": row["text"], "winner": ("new", "base")[i % 2]} for i, row in enumerate(rows(120))]
    prepare_data.main(str(own(tmp_path, "csv", made)), str(tmp_path / "data"), choices="new,base", label="winner")
    assert "winner: 'new' is class 0, 'base' is class 1" in capsys.readouterr().out
    winner = {row["new"]: row[row["winner"]] for row in made}
    for row in read(tmp_path / "data" / "test.jsonl"):
        assert row["choices"][row["label"]] == winner[row["choices"][0]]


def test_an_empty_cell_is_no_group(tmp_path):
    made = [{**row, "author": ""} for row in rows(200)]
    prepare_data.main(str(own(tmp_path, "csv", made)), str(tmp_path / "data"), group="author")
    assert all(len(part) > 40 for part in read_splits(tmp_path / "data").values())


def test_an_author_0_is_a_group_and_an_id_that_is_missing_is_none(tmp_path):
    made = [{**row, "author": i // 20, "id": None} for i, row in enumerate(rows(200))]
    splits = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data", "--group=author")
    author = {row["text"]: row["author"] for row in made}
    assert disjoint([{author[row["text"]] for row in part} for part in splits.values()])
    own(tmp_path, "csv", [{"id": f"r{i}" if i > 1 else "", **row} for i, row in enumerate(rows(60))])
    assert all(row["id"] for row in prepare(tmp_path / "own.csv", tmp_path / "other")["test"])


def test_a_label_that_is_not_a_number_is_missing(tmp_path):
    data = write(tmp_path / "mine.jsonl", [{"text": "a", "label": 1}, {"text": "b", "label": float("nan")}])
    with pytest.raises(SystemExit, match="mine.jsonl:2: label is missing"):
        prepare_data.main(str(data), str(tmp_path / "data"))


def test_rows_of_the_hub_that_cannot_be_read_are_left_out(tmp_path, monkeypatch):
    made = [{"choices": [f"a {i}", f"b {i}"] if i % 9 else None, "label": i % 2, "list": [i]} for i in range(90)]
    monkeypatch.setattr(readers, "load", lambda *_: {"train": datasets.Dataset.from_list(made)})
    prepare_data.main("OWNER/NAME", str(tmp_path / "data"))
    assert 40 < sum(map(len, read_splits(tmp_path / "data").values())) <= 80
    made = [{"text": row["list"], "label": row["label"]} for row in made]
    with pytest.raises(SystemExit, match="no row has anything to read in text"):
        prepare_data.main("OWNER/NAME", str(tmp_path / "none"))


def test_choices_of_your_own(tmp_path):
    made = [{"a": row["text"], "b": f"{row['text']} or not", "better": "b" if row["label"] else "a"} for row in rows(120)]
    prepare_data.main(str(own(tmp_path, "csv", made)), str(tmp_path / "one"), choices="a,b", label="better")
    again = [{"choices": [row["a"], row["b"]], "label": int(row["better"] == "b")} for row in made]
    prepare_data.main(str(own(tmp_path, "jsonl", again)), str(tmp_path / "two"))
    splits = read_splits(tmp_path / "one")
    assert splits == read_splits(tmp_path / "two") and all(len(row["choices"]) == 2 for row in splits["test"])


@pytest.mark.parametrize("change, flags, complaint", [
    ({"label": "maybe"}, {}, "own.csv:4: label is 'maybe', a third value beside '0' and '1'; two classes are needed"),
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
    if flags.pop("bare", False):
        path.write_text(path.read_text().replace('"', ""))
    with pytest.raises(SystemExit) as refused:
        prepare_data.main(str(path), str(tmp_path / "data"), **flags)
    assert complaint in str(refused.value) and "\n" not in str(refused.value)


def test_pairs_that_contradict_each_other_are_left_out():
    pair = lambda label, *choices: {"choices": list(choices), "label": label, "keys": ["k"]}
    kept, _ = splits.by_group([pair(0, "a", "b"), pair(0, "b", "a"), pair(1, "c", "d"), pair(0, "d", "c")], [])
    assert [row["choices"] for row in kept] == [["c", "d"]]  # d is right in both of its rows
    kept, _ = splits.by_group([pair(0, "a  x", "b"), pair(0, "a x", "b")], [])
    assert len(kept) == 1  # they agree


def test_groups_are_joined_over_any_shared_key_and_kept_out_of_the_test_split():
    row = lambda text, *keys: {"text": text, "label": 0, "keys": [*keys]}
    train = [row("1", "a", "p"), row("2", "b", "p"), row("3", "b", "q"), row("4", "c", ""), row("5", "d", "t")]
    train, test = splits.by_group(train, [row("6", "e", "t")])
    groups = {r["text"]: r["group"] for r in train}
    assert groups["1"] == groups["2"] == groups["3"] != groups["4"]
    assert set(groups) == {"1", "2", "3", "4"} and len(test) == 1  # 5 shares its passage with a test row


def test_rows_that_share_a_group_say_so_and_others_do_not(tmp_path):
    lines = [{"text": f"text {i}", "label": i % 2, "who": f"author {i // 4}" if i < 60 else f"alone {i}"} for i in range(120)]
    for part in prepare(write(tmp_path / "mine.jsonl", lines), tmp_path / "data", "--group=who").values():
        groups = {}
        for row in part:
            number = int(row["text"].split()[1])
            groups.setdefault(number // 4 if number < 60 else f"alone {number}", []).append(row.get("group"))
        assert any(len(found) > 1 for found in groups.values())
        assert all(len(set(found)) == 1 and (found[0] is None) == (len(found) == 1) for found in groups.values())
        assert len({found[0] for found in groups.values() if found[0]}) == sum(len(found) > 1 for found in groups.values())
