"""Where rows come from: a public task of tasks.py, a dataset of the hub, your own files.

    read_public(about, 0, seed)     # formatted rows, as splits.py takes them
    read_hub(name, ...)             # [(where, row)] of each split, for own_data.py
    read_local(path)                # [(where, row)]

Formatted rows are all of one form,

    {"text": str or "choices": [str, ...], "label": 0 to K-1, "keys": [what a group shares, ...]}

and a row that is not as it should be ends the stage with one line that says where it is, what was
expected and what came.
"""

import csv
import decimal
from pathlib import Path

from w2s import hub, records, stage

MOST_ROWS = 250_000  # of a larger dataset, so many are drawn and read

# texts that stand for a missing cell, as pandas reads them
MISSING = {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
           "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
# exact: large ids differ in their last digits
EXACT = decimal.Context(decimal.MAX_PREC, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)


def without_layout(text):
    """What two equal texts share. Only one of them is kept."""
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

def read_public(about, which, seed, form="binary"):
    """Yields formatted rows of the training (0) or test (1) split of a public task.

    form  "binary", or "choices" where a row has several answers

    Another schema than expected ends the stage.
    """
    split = about[("train", "test")[which]]
    where = f"{about['hub']}, split {split}"
    data = load(about["hub"], about["config"], split=split, revision=about["revision"],
                data_dir=about["folder"])

    # is it still the dataset that the task was written for?
    missing = sorted(set(about["columns"]) - set(data.column_names))
    if missing:
        stage.refuse(f"{where}: column {', '.join(missing)} was expected and is not there; "
                     f"there is {', '.join(data.column_names)}")
    expected = about["sizes"][which]
    if len(data) != expected:
        stage.warn(f"{where} has {len(data):,} rows, where {expected:,} were expected: "
                   "is it still the same dataset?")

    def draw(key):
        return records.uniform(seed, about["name"], key)

    for number, row in numbered(data.select_columns(about["columns"]), seed):
        try:
            refuse_label(f"{where}, row {number}", row, about["labels"])
            made = about["format"](row, draw, form)
            if made and form == "choices" and "choices" not in made:
                stage.refuse(f"--form=choices: of a row of {about['name']} there are no choices")
            if made:
                yield {**made, "label": int(made["label"])}
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            stage.refuse(f"{where}, row {number} is not as expected "
                         f"({type(error).__name__}: {error}): {str(row)[:200]}")


def refuse_label(where, row, labels):
    """Refuses a row whose label is none of those of labels, (column, allowed values) or None."""
    if not labels:
        return
    column, allowed = labels
    if row[column] not in allowed:
        listed = ", ".join(map(repr, sorted(allowed, key=str)))
        stage.refuse(f"{where}: {column} should be one of {listed}, not {row[column]!r}")


def numbered(data, seed):
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
    train = hub_rows(data, name, "train", label, seed)
    for split in ("test", "validation"):
        rows = hub_rows(data, name, split, label, seed) if split in data else []
        values = {value_of(row.get(label)) for _, row in rows}
        if values - {None, -1}:  # -1 everywhere: labels are left out
            return [train, rows]
    return [train, []]


def hub_rows(data, name, split, label, seed):
    """[(where, row)] of one split. Of a column that datasets declares as classes -1 is no label."""
    has_classes = hasattr(data[split].features.get(label), "names")
    rows = []
    for number, row in numbered(data[split], seed):
        row.pop("id", None)  # ids may begin anew in each split
        if has_classes and row[label] == -1:
            row[label] = None
        rows.append((f"{name}, {split}, row {number}", row))
    return rows


def load(name, config, **which):
    """The library's own load_dataset, without its progress bars."""
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
                if not cells:
                    continue  # a blank line
                if len(cells) != len(header):
                    refuse_width(where, cells, header, tabs)
                if tabs and any(map(looks_quoted, cells)):
                    quoted.append(where)
                if any(holds_rows(cell, len(header)) for cell in cells):
                    stage.warn(f"{where}: a quoted cell holds lines that look like rows of their "
                               "own; is a quotation mark in it not doubled?")
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


def holds_rows(cell, width):
    """Whether each whole line inside a cell of a .csv has as many separators as a row has."""
    inside = cell.splitlines()[1:-1]
    return len(inside) > 0 and all(line.count(",") == width - 1 for line in inside)


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
