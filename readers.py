"""Where rows come from: a public task of tasks.py, a dataset of the hub, your own files. All end as rows of one form,

    {"text": str or "choices": [str, str], "label": 0 or 1, "keys": [what rows of one group share, ...]}

and a row that is not as it should be ends the stage with one line that says where it is, what was expected and what came.
"""

import csv
import hashlib
from pathlib import Path

import hub
import records
import stage

MOST_ROWS = 250_000  # of a larger dataset, so many are drawn and read


def uniform(*key):
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, key)).encode()).digest()[:6], "big") / 2**48


def same(text):
    """The text without layout: what two equal texts share. Only one of them is kept."""
    return " ".join(text.split())


def read_public(about, which, seed):
    """Formatted rows of the training (0) or test (1) split of a public task. Another schema than expected ends the stage."""
    split = about[("train", "test")[which]]
    where = f"{about['hub']}, split {split}"
    data = load(about["hub"], about["config"], split=split, revision=about["revision"], data_dir=about["folder"])
    if missing := set(about["columns"]) - set(data.column_names):
        stage.refuse(f"{where}: column {', '.join(sorted(missing))} was expected and is not there; there is {', '.join(data.column_names)}")
    if len(data) != about["sizes"][which]:
        stage.warn(f"{where} has {len(data):,} rows, where {about['sizes'][which]:,} were expected: is it still the same dataset?")
    column, allowed = about["labels"] or (None, ())
    for number, row in drawn(data.select_columns(about["columns"]), seed):
        try:
            if column and row[column] not in allowed:
                stage.refuse(f"{where}, row {number}: {column} should be one of {', '.join(map(repr, sorted(allowed, key=str)))}, "
                             f"not {row[column]!r}")
            if made := about["format"](row, lambda key: uniform(seed, about["name"], key)):
                yield {**made, "label": int(made["label"])}
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            stage.refuse(f"{where}, row {number} is not as expected ({type(error).__name__}: {error}): {str(row)[:200]}")


def drawn(data, seed):
    """(number, row) of a dataset, or of MOST_ROWS rows of a larger one."""
    numbers = range(len(data))
    if len(data) > MOST_ROWS:
        import numpy

        numbers = numpy.sort(numpy.random.default_rng(seed).permutation(len(data))[:MOST_ROWS])
        data = data.select(numbers)
    return zip(numbers, data.to_list())  # row by row would take three times as long


def read_hub(name, config, label, seed):
    """[train, test] of a dataset of the hub, each [(where, row)]; no test rows if it has none with labels."""
    data = load(name, config)
    if "train" not in data:
        stage.refuse(f"{name} has no split named train; it has {', '.join(data)}")
    tests = [split for split in ("test", "validation") if len(data.get(split, [])) and data[split][0].get(label) not in (-1, "", None)]
    found = [[(f"{name}, {split}, row {number}", {key: value for key, value in row.items() if key != "id"})  # ids may begin anew in each split
              for number, row in drawn(data[split], seed)] for split in ["train", *tests[:1]]]
    return found if tests else [*found, []]


def load(name, config, **which):
    hub.connect(name)
    import datasets

    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    with hub.fetching(name):
        return datasets.load_dataset(name, config, **which)


def read_table(path):
    """[(where, row)] of a .csv or .tsv file with a header line."""
    csv.field_size_limit(2**31 - 1)
    rows = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, delimiter="\t" if str(path).endswith(".tsv") else ",", strict=True)
            for row in reader:
                rows.append((f"{path}:{reader.line_num}", row))
                if None in row:
                    stage.refuse(f"{path}:{reader.line_num}: more cells than the header names; "
                                 "a text that holds the separator must stand in quotes")
    except OSError as error:
        stage.refuse(f"cannot read {path}: {error.strerror}")
    except (ValueError, csv.Error) as error:
        stage.refuse(f"{path}, after row {len(rows)}: not a table in UTF-8 with a header line ({error})")
    return rows


def read_parquet(path):
    import pyarrow.parquet

    try:
        return [(f"{path}, row {number}", row) for number, row in enumerate(pyarrow.parquet.read_table(path).to_pylist())]
    except (OSError, ValueError) as error:
        stage.refuse(f"{path}: not a parquet file ({str(error).splitlines()[0]})")


def read_jsonl(path):
    return [(f"{path}:{number}", row) for number, row in records.numbered(path)]


FORMATS = {".jsonl": read_jsonl, ".csv": read_table, ".tsv": read_table, ".parquet": read_parquet}


def read_local(path):
    """[(where, row)] of a file, or of all files in a folder."""
    files = sorted(Path(path).rglob("*")) if Path(path).is_dir() else [Path(path)]
    known = [file for file in files if file.suffix in FORMATS and not file.is_dir()]
    if not known:
        stage.refuse(f"{path}: {', '.join(FORMATS)} files can be read; make it one of these")
    return [row for file in known for row in FORMATS[file.suffix](file)]


def own_rows(splits, text, choices, label, group, about, strict):
    """Rows of one's own data, [(where, row)] a split, in the form that a formatter gives; two labels of any type become 0 and 1.

    strict  rows without a text, and texts with both labels, end the stage; else, where nobody can mend them, they are left out
    """
    prompt = about.get("prompt", "{text}")
    if not splits[0]:
        stage.refuse(f"{about['source']} has no rows")
    first = splits[0][0][1]
    pairs = bool(choices) or (text not in first and "choices" in first)
    kind = "choices" if pairs else "text"
    columns = [label, *(choices or ["choices" if pairs else text]), *([group] if group else [])]
    values, ids, texts, made = {}, {}, {}, []
    for rows in splits:
        made.append([])
        for where, row in rows:
            for column in columns:
                if column not in row or strict and (row[column] is None or row[column] != row[column]):  # a missing number may read nan
                    has = ", ".join(str(key) for key in row if key is not None) or "nothing"
                    stage.refuse(f"{where}: {column} is missing; the row has {has}. --text, --label, --choices and --group name columns")
            content = [row[column] for column in choices] if choices else row["choices"] if pairs else row[text]
            if not strict and not records.CHECKS[kind][1](content):
                continue
            records.check(where, kind, content)
            parts = content if pairs else [content]
            try:
                values[row[label]] = True
            except TypeError:
                stage.refuse(f"{where}: {label} must be a single value, not {str(row[label])[:80]}")
            if len(values) > 2:
                first, second, third = values
                stage.refuse(f"{where}: {label} is {third!r}, a third value beside {first!r} and {second!r}; two classes are needed: "
                             "leave the rows of the others out, or merge classes in a column of their own")
            own_id = None if row.get("id") == "" else row.get("id")
            if own_id is not None and ids.setdefault(str(own_id), where) != where:
                stage.refuse(f"{where}: id {own_id} stands at {ids[str(own_id)]} already; ids must differ")
            shown = [prompt.replace("{text}", part.strip()) for part in parts]
            other, its_label = texts.setdefault(same("\n".join(shown)), (where, row[label]))
            if strict and its_label != row[label]:
                stage.refuse(f"{other} and {where} are the same text with different labels; leave one of them out")
            its_group = [f"{group} {row[group]}"] if group and row[group] is not None and str(row[group]).strip() else []
            made[-1].append({"id": own_id, kind: shown if pairs else shown[0], "label": row[label], "keys": [*parts, *its_group]})
    if not any(made):
        stage.refuse(f"{about['source']}: no row has anything to read in {', '.join(choices) or columns[1]}; --text or --choices names columns")
    if len(values) < 2:
        stage.refuse(f"{about['source']}: {label} is {next(iter(values))!r} everywhere; two classes are needed")
    classes = sorted(values, key=lambda value: (str(type(value)), value))
    if set(choices) == set(values):
        classes = choices  # a label that names the column of the right choice
    if classes != [0, 1] or bool in map(type, classes):
        print(f"{label}: " + ", ".join(f"{value!r} is class {number}" for number, value in enumerate(classes)))
    for rows in made:
        for row in rows:
            row["label"] = classes.index(row["label"])
    return made
