"""One's own data: a cell says the same in every format, and what cannot be known is refused."""

import pyarrow
import pyarrow.parquet
import pytest
from conftest import disjoint, read, read_splits, rows, write
from test_prepare_data import members, own, prepare, serve, stay_together

import prepare_data
from w2s import readers

FORMS = ["jsonl", "csv", "tsv", "parquet", "hub"]


def given(folder, form, made, monkeypatch):
    """What names the rows as a task: a file of that form, or a dataset of the hub."""
    if form != "hub":
        return str(own(folder, form, made))
    serve(monkeypatch, train=made)
    return "OWNER/NAME"


def labels_of(folder):
    """{text: class} of all three files."""
    return {row["text"]: row["label"] for row in members(read_splits(folder))}


def refusal(task, out, *flags):
    """The one line with which it is refused; nothing is written."""
    status, _, error = prepare(task, out, *flags, ok=False)
    assert status != 0 and not out.exists() and error.count("\n") == 1
    return error


# ---------------------------------------------------------------------------------- groups and ids

def test_groups_are_the_same_in_every_form(tmp_path, monkeypatch):
    authors = (1.0, 2.0, 30.5, None, 1e20)
    made = [{**row, "author": authors[i // 8 % 5]} for i, row in enumerate(rows(200))]
    found = []
    for form in FORMS:
        (tmp_path / form).mkdir()
        task = given(tmp_path / form, form, made, monkeypatch)
        prepare_data.main(task, str(tmp_path / form / "data"), group="author")
        found.append(read_splits(tmp_path / form / "data"))
    assert all(parts == found[0] for parts in found)

    author = {row["text"]: row["author"] for row in made if row["author"] is not None}
    sides = []
    for name, part in found[0].items():
        here = {author[row["text"]] for row in part if row["text"] in author}
        sides.append(here or {name})  # a side may have no author at all
    assert disjoint(sides)


def test_a_column_named_group_of_a_file_is_one(tmp_path):
    made = [{**row, "group": i // 20} for i, row in enumerate(rows(200))]
    parts = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "data")
    assert stay_together(parts, {row["text"]: row["group"] for row in made})


@pytest.mark.parametrize("column", ["id", "label", "author"])
def test_half_a_character_is_refused(tmp_path, column):
    made = []
    for i, row in enumerate(rows(20)):
        label = "ab"[row["label"]]
        made.append({"id": f"r{i}", "author": "a", "text": row["text"], "label": label})
    made[2][column] = "x\udcb2"
    message = refusal(write(tmp_path / "mine.jsonl", made), tmp_path / "data", "--group=author")
    assert f"mine.jsonl:3: {column} must be" in message and "UTF-8" in message


def test_an_id_that_is_missing_is_none(tmp_path):
    made = [{"id": float(i), **row} for i, row in enumerate(rows(60))]
    for row in made[0::6]:
        row["id"] = float("nan")
    for row in made[3::6]:
        row["id"] = None
    parts = prepare(own(tmp_path, "parquet", made), tmp_path / "data")
    found = [row["id"] for row in members(parts)]
    assert any(len(name) == 12 for name in found) and "nan" not in found
    given_ids = {str(i) for i in range(60) if i % 3}
    assert {name for name in found if len(name) < 12} <= given_ids


# ----------------------------------------------------------------------------------------- tables

@pytest.mark.parametrize("name, content, complaint", [
    ("mine.csv", "text,label,label\na,0,1\nb,1,0\n", "mine.csv: column 'label' is there twice"),
    ("mine.tsv", "text\tlabel\ttext\na\t0\tb\n", "mine.tsv: column 'text' is there twice"),
    ("mine.jsonl", '{"text": "a", "label": 0}\n{"text": "b", "label": 1, "label": 0}\n',
     'mine.jsonl:2: "label" is there twice'),
    ("mine.jsonl", '{"text": "a", "label": 0, "meta": {"x": 1, "x": 2}}\n',
     'mine.jsonl:1: "x" is there twice'),
    ("mine.csv", "text,label\na,0\nb\n", "mine.csv:3: fewer cells than the header names, 1 for 2"),
    ("mine.csv", "text,label\na,0\nb,1,2\n", "mine.csv:3: more cells than the header names, 3 for"),
    ("mine.tsv", "text\tlabel\na\t0\nb\n", "mine.tsv:3: fewer cells than the header names"),
    ("mine.tsv", 'text\tlabel\na\t0\n"b\tc"\t1\n', "mine.tsv:3: more cells than the header names, "
     "3 for 2; a text of a .tsv can hold neither a tab nor a line break, quoted or not"),
    ("mine.tsv", 'text\tlabel\na\t0\n"b\nc"\t1\n', "mine.tsv:3: fewer cells"),
])
def test_a_table_in_which_cells_cannot_be_told_apart(tmp_path, name, content, complaint):
    (tmp_path / name).write_text(content)
    assert complaint in refusal(tmp_path / name, tmp_path / "data")


def test_a_parquet_file_that_names_a_column_twice(tmp_path):
    columns = [pyarrow.array(["a", "b"]), pyarrow.array([0, 1]), pyarrow.array([1, 0])]
    table = pyarrow.Table.from_arrays(columns, names=["text", "label", "label"])
    pyarrow.parquet.write_table(table, tmp_path / "mine.parquet")
    message = refusal(tmp_path / "mine.parquet", tmp_path / "data")
    assert "mine.parquet: column 'label' is there twice" in message


def test_what_a_folder_is_called_is_no_column(tmp_path):
    (tmp_path / "label=1").mkdir()
    table = pyarrow.Table.from_pylist([{"text": "a"}, {"text": "b"}])
    pyarrow.parquet.write_table(table, tmp_path / "label=1" / "mine.parquet")
    assert "label is missing; the row has text" in refusal(tmp_path / "label=1", tmp_path / "data")


def test_a_tsv_has_no_quotes(tmp_path, capsys):
    """A quotation that opens in one text and closes two rows later."""
    made = rows(300)
    for row in [*made[0::23], *made[2::23]]:
        row["text"] = '"' + row["text"]
    parts = prepare(own(tmp_path, "tsv", made), tmp_path / "data")
    assert len(readers.read_table(tmp_path / "own.tsv")) == 300
    label_of = {row["text"]: row["label"] for row in made}
    assert labels_of(tmp_path / "data").items() <= label_of.items()
    assert len(members(parts)) > 250 and capsys.readouterr().err == ""


def test_a_tsv_whose_cells_look_quoted_says_so(tmp_path, capsys):
    made = rows(60)
    for row in (made[3], made[5]):
        row["text"] = f'"{row["text"]} ""so"""'
    prepare(own(tmp_path, "tsv", made), tmp_path / "data")
    warned = capsys.readouterr().err
    assert "own.tsv:5: a cell looks quoted as in CSV, as in 2 rows" in warned
    assert warned.count("\n") == 1


def test_a_task_json_in_which_a_key_stands_twice(tmp_path):
    write(tmp_path / "mine.jsonl", rows(20))
    (tmp_path / "task.json").write_text('{"prompt": "{text} a", "prompt": "{text} b"}')
    message = refusal(tmp_path / "mine.jsonl", tmp_path / "data")
    assert 'task.json: "prompt" is there twice' in message


# ------------------------------------------------------------------------------------------- order

def test_the_order_of_a_split_does_not_tell_the_label(tmp_path):
    made = [{"text": f"text {i}", "label": int(i % 5 == 0)} for i in range(4000)]
    large = prepare(write(tmp_path / "mine.jsonl", made), tmp_path / "large")
    small = prepare(tmp_path / "mine.jsonl", tmp_path / "small",
                    "--max_train=100", "--max_test=100")

    for name, part in large.items():
        # every quarter of a split is half of each class
        quarter = len(part) // 4
        for start in range(0, 4 * quarter, quarter):
            share = sum(row["label"] for row in part[start:start + quarter]) / quarter
            assert abs(share - 0.5) < 4 * 0.5 / quarter**0.5

        # a smaller split is a part of it, in the same order
        order = [row["id"] for row in part]
        places = [order.index(row["id"]) for row in small[name]]
        assert len(places) == 100 and places == sorted(places)


def test_a_label_names_a_column_of_choices_whatever_its_case(tmp_path):
    lines = [f"best {i},worst {i},{'ab'[i % 2]}" for i in range(60)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["B,A,better", *lines]))
    prepare_data.main(str(path), str(tmp_path / "data"), choices="B,A", label="better")
    for row in read(tmp_path / "data" / "test.jsonl"):
        number = int(row["choices"][0].split()[1])
        assert row["label"] == [1, 0][number % 2]  # "a" is column A, the second choice


def test_a_quotation_that_swallows_rows_is_said(tmp_path, capsys):
    lines = [f"text {i},{i % 2}" for i in range(60)]
    lines[10], lines[16] = '"text 10,0', 'text 16",0'
    (tmp_path / "mine.csv").write_text("\n".join(["text,label", *lines]))
    prepare_data.main(str(tmp_path / "mine.csv"), str(tmp_path / "data"))
    assert "mine.csv:18: a quoted cell holds lines that look like rows" in capsys.readouterr().err
