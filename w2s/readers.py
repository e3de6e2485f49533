"""Where rows come from: a public task of tasks.py, a dataset of the hub, your own files.

All end as rows of one form,

    {"text": str or "choices": [str, str], "label": 0 or 1, "keys": [what a group shares, ...]}

and a row that is not as it should be ends the stage with one line that says where it is, what was
expected and what came.
"""

import csv
import decimal
import hashlib
from pathlib import Path

from w2s import hub, records, stage

MOST_ROWS = 250_000  # of a larger dataset, so many are drawn and read

# texts that stand for a missing cell, as pandas reads them
MISSING = {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
           "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
# exact: large ids differ in their last digits
EXACT = decimal.Context(decimal.MAX_PREC, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)


def uniform(*key):
    """A number in [0, 1) that depends on the key alone."""
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def same(text):
    """The text without layout: what two equal texts share. Only one of them is kept."""
    return " ".join(text.split())


def value_of(cell):
    """What a cell says, whatever format it comes from: None where it is missing, a number, a text.

    1, 1.0, true, "1" and " 1.0 " are one number.
    """
    text = str(cell).strip()
    if text in MISSING:
        return None
    text = {"true": "1", "false": "0"}.get(text.lower(), text)
    try:
        number = EXACT.normalize(decimal.Decimal(text))  # of 1.0 and 1e0, 1
    except decimal.DecimalException:
        return text
    if not number.is_finite() or "_" in text:
        return text
    return number or decimal.Decimal(0)  # there is a -0


# ------------------------------------------------------------------------------- the dataset hub

def read_public(about, which, seed):
    """Yields formatted rows of the training (0) or test (1) split of a public task.

    Another schema than expected ends the stage.
    """
    split = about[("train", "test")[which]]
    where = f"{about['hub']}, split {split}"
    data = load(about["hub"], about["config"], split=split, revision=about["revision"],
                data_dir=about["folder"])
    if missing := set(about["columns"]) - set(data.column_names):
        stage.refuse(f"{where}: column {', '.join(sorted(missing))} was expected and is not there; "
                     f"there is {', '.join(data.column_names)}")
    expected = about["sizes"][which]
    if len(data) != expected:
        stage.warn(f"{where} has {len(data):,} rows, where {expected:,} were expected: "
                   "is it still the same dataset?")
    column, allowed = about["labels"] or (None, ())
    draw = lambda key: uniform(seed, about["name"], key)
    for number, row in drawn(data.select_columns(about["columns"]), seed):
        try:
            if column and row[column] not in allowed:
                listed = ", ".join(map(repr, sorted(allowed, key=str)))
                stage.refuse(f"{where}, row {number}: {column} should be one of {listed}, "
                             f"not {row[column]!r}")
            if made := about["format"](row, draw):
                yield {**made, "label": int(made["label"])}
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            stage.refuse(f"{where}, row {number} is not as expected "
                         f"({type(error).__name__}: {error}): {str(row)[:200]}")


def drawn(data, seed):
    """(number, row) of a dataset, or of MOST_ROWS rows of a larger one."""
    numbers = range(len(data))
    if len(data) > MOST_ROWS:
        import numpy

        numbers = numpy.random.default_rng(seed).permutation(len(data))[:MOST_ROWS]
        numbers = numpy.sort(numbers)
        data = data.select(numbers)
    return zip(numbers, data.to_list())  # row by row would take three times as long


def read_hub(name, config, label, seed):
    """[train, test] of a dataset of the hub, each [(where, row)]; no test rows without labels."""
    data = load(name, config)
    if "train" not in data:
        stage.refuse(f"{name} has no split named train; it has {', '.join(data)}")
    train = hub_rows(data, name, "train", seed)
    for split in ("test", "validation"):
        rows = hub_rows(data, name, split, seed) if split in data else []
        values = {value_of(row.get(label)) for _, row in rows}
        if values - {None, -1}:  # -1 everywhere is how the hub leaves labels out
            return [train, rows]
    return [train, []]


def hub_rows(data, name, split, seed):
    rows = []
    for number, row in drawn(data[split], seed):
        row.pop("id", None)  # ids may begin anew in each split
        rows.append((f"{name}, {split}, row {number}", row))
    return rows


def load(name, config, **which):
    hub.go_offline_if_unreachable(name)
    import datasets

    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    with hub.fetching(name):
        return datasets.load_dataset(name, config, **which)


# -------------------------------------------------------------------------------- your own files

def read_table(path):
    """[(where, row)] of a .csv, or of a .tsv, which knows no quotes, with a header line."""
    csv.field_size_limit(2**31 - 1)
    tabs = Path(path).suffix == ".tsv"
    form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {"strict": True}
    rows, quoted = [], []
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, **form)
            header = next(reader, [])
            refuse_twice(path, [name for name in header if name])
            for cells in reader:
                where = f"{path}:{reader.line_num}"
                if cells and len(cells) != len(header):
                    refuse_width(where, cells, header, tabs)
                if tabs and any(map(looks_quoted, cells)):
                    quoted.append(where)
                if cells:  # else the line is blank
                    rows.append((where, dict(zip(header, cells))))
    except OSError as error:
        stage.refuse(f"cannot read {path}: {error.strerror}")
    except (ValueError, csv.Error) as error:
        stage.refuse(f"{path}, after row {len(rows)}: not a table in UTF-8 with a header line "
                     f"({error})")
    if quoted:
        stage.warn(f"{quoted[0]}: a cell looks quoted as in CSV, as in {len(quoted)} rows in all; "
                   "in a .tsv quotes are part of the text; if they are not, write it as .csv")
    return rows


def looks_quoted(cell):
    return len(cell) > 2 and cell[0] == cell[-1] == '"' and '""' in cell[1:-1]


def refuse_width(where, cells, header, tabs):
    """Refuses a row of more or fewer cells than the header names."""
    more = "more" if len(cells) > len(header) else "fewer"
    remedy = "a text that holds the separator must stand in quotes"
    if tabs:
        remedy = "a text of a .tsv can hold neither a tab nor a line break"
        if any(cell.startswith('"') or cell.endswith('"') for cell in cells):
            remedy += ", quoted or not; write such texts as .csv or .jsonl"
    stage.refuse(f"{where}: {more} cells than the header names, {len(cells)} for {len(header)}; "
                 + remedy)


def refuse_twice(path, names):
    """Refuses a table that names a column twice: which of the two is meant cannot be known."""
    twice = sorted(name for name in {*names} if names.count(name) > 1)
    if twice:
        stage.refuse(f"{path}: column {', '.join(map(repr, twice))} is there twice; "
                     "give each a name of its own")


def read_parquet(path):
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        stage.refuse(f"{path}: not a parquet file ({str(error).splitlines()[0]})")
    refuse_twice(path, file.schema_arrow.names)
    try:
        rows = file.read().to_pylist()
    except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as error:
        stage.refuse(f"{path}: its rows cannot be read ({str(error).splitlines()[0]})")
    return [(f"{path}, row {number}", row) for number, row in enumerate(rows)]


def read_jsonl(path):
    return [(f"{path}:{number}", row) for number, row in records.numbered(path)]


FORMATS = {".jsonl": read_jsonl, ".csv": read_table, ".tsv": read_table, ".parquet": read_parquet}


def read_local(path):
    """[(where, row)] of a file, or of all files in a folder."""
    files = sorted(Path(path).rglob("*")) if Path(path).is_dir() else [Path(path)]
    known = [file for file in files if file.suffix in FORMATS and not file.is_dir()]
    if not known:
        stage.refuse(f"{path}: {', '.join(FORMATS)} files can be read; make it one of these")
    rows = []
    for file in known:
        rows += FORMATS[file.suffix](file)
    return rows


# ------------------------------------------------------------------------ rows of either of them

def own_rows(splits, text, choices, label, group, about, strict):
    """Brings rows, [(where, row)] a split, into the form of a formatter's; two labels become 0, 1.

    strict  rows without a text or a label, and texts with both labels, end the stage; else, where
            nobody can mend them, they are left out
    """
    source = about["source"]
    if not splits[0]:
        stage.refuse(f"{source} has no rows")
    first = splits[0][0][1]
    pairs = bool(choices) or (text not in first and "choices" in first)
    kind = "choices" if pairs else "text"
    columns = choices or ["choices" if pairs else text]
    prompt = about.get("prompt", "{text}")

    labels, ids, texts, left_out = {}, {}, {}, 0
    made = []
    for rows in splits:
        made.append([])
        for where, row in rows:
            refuse_absent(where, row, [label, *columns, *([group] if group else [])])
            its_label = single(where, label, row[label])
            shown = [row[column] for column in columns] if choices else row[columns[0]]
            if its_label is None and strict:
                stage.refuse(f"{where}: {label} is missing, it is {row[label]!r}; "
                             "give the row a label or leave it out")
            if not strict and (its_label is None or not records.CHECKS[kind][1](shown)):
                left_out += its_label is None
                continue
            records.check(where, kind, shown)
            labels.setdefault(its_label, row[label])
            refuse_third(where, label, labels)

            parts = [part.strip() for part in (shown if pairs else [shown])]
            rendered = [prompt.replace("{text}", part) for part in parts]
            read = same("\n".join(rendered))
            other, other_label = texts.setdefault(read, (where, its_label))
            if strict and other_label != its_label:
                stage.refuse(f"{other} and {where} are the same text with different labels; "
                             "leave one of them out")

            its_group = single(where, group, row[group]) if group else None
            keys = parts if its_group is None else [*parts, f"{group} {its_group}"]
            made[-1].append({"id": own_id(where, row, ids), "label": its_label, "keys": keys,
                             kind: rendered if pairs else rendered[0]})
    if left_out:
        print(f"{source}: {left_out} rows have no {label} and are left out")
    if not any(made):
        stage.refuse(f"{source}: no row has anything to read in {', '.join(columns)}, and a "
                     f"{label}; --text, --choices and --label name columns")
    classes = two_classes(source, label, labels, choices)
    for row in [row for rows in made for row in rows]:
        row["label"] = classes.index(row["label"])
    return made


def refuse_absent(where, row, columns):
    for column in columns:
        if column not in row:
            there = same(", ".join(row)) or "nothing"
            stage.refuse(f"{where}: {column} is missing; the row has {there}. "
                         "--text, --label, --choices and --group name columns")


def refuse_third(where, label, labels):
    if len(labels) > 2:
        one, two, three = map(repr, labels.values())
        stage.refuse(f"{where}: {label} is {three}, a third value beside {one} and {two}; two "
                     "classes are needed: leave the rows of the others out, or merge classes in a "
                     "column of their own")


def single(where, column, cell):
    """The value of a cell, which may be no list or the like."""
    if isinstance(cell, (list, dict)):
        stage.refuse(f"{where}: {column} must be a single value, not {str(cell)[:80]}")
    value = value_of(cell)
    if isinstance(value, str) and records.SURROGATE.search(value):
        stage.refuse(f"{where}: {column} must be a value in UTF-8, not {value!r}")
    return value


def own_id(where, row, ids):
    """The row's id as a text, or None where it has none. Ids must differ."""
    found = row.get("id")
    if value_of(found) is None:
        return None
    if isinstance(found, float) and found.is_integer():
        found = int(found)  # a column in which ids are missing reads as floats
    found = str(found)
    records.check(where, "id", found)
    if ids.setdefault(found, where) != where:
        stage.refuse(f"{where}: id {found} stands at {ids[found]} already; ids must differ")
    return found


def two_classes(source, label, labels, choices):
    """[value of class 0, of class 1], said where they are other than 0 and 1."""
    if len(labels) < 2:
        stage.refuse(f"{source}: {label} is {next(iter(labels.values()))!r} everywhere; "
                     "two classes are needed")
    classes = sorted(labels, key=lambda value: (isinstance(value, str), value))  # numbers first
    columns = [value_of(column) for column in choices]
    if {*columns} == {*labels}:
        classes = columns  # a label that names the column of the right choice
    as_given = [labels[value] for value in classes]
    if [repr(cell) for cell in as_given] != ["0", "1"]:
        print(f"{label}: {as_given[0]!r} is class 0, {as_given[1]!r} is class 1")
    return classes
