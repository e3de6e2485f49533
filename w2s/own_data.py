"""Your own data: rows as they were read, (where, row), -> rows as splits.py takes them.

    {"id": str or None, "text": str or "choices": [str, ...], "label": 0 to K-1, "keys": [str, ...]}

Flags name the columns. A cell says the same in every format, and what cannot be known is refused,
in one line that says where.
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from w2s import records, stage
from w2s.readers import value_of, without_layout

MOST_CLASSES = 100


class Form(NamedTuple):
    """What is read of a row, and how."""

    kind: str      # "text" or "choices"
    columns: list  # of the text; of all choices, or the one that holds a list of them
    label: str     # column of the class
    group: str     # column of the group, or ""
    prompt: str    # "{text}" in it becomes the text
    strict: bool   # rows without text or label are refused; else left out


@dataclasses.dataclass
class Found:
    """What the rows so far hold: one that contradicts them is refused."""

    labels: dict = dataclasses.field(default_factory=dict)  # {value: the cell it was first read of}
    texts: dict = dataclasses.field(default_factory=dict)   # {text: (where, label)}
    ids: dict = dataclasses.field(default_factory=dict)     # {id: where}
    unlabelled: int = 0                                     # rows left out as they have no label


def refuse_overwriting(task, out):
    """Refuses a folder to write that would take the place of what is read."""
    place, read = Path(out).resolve(), Path(task).resolve()
    if place == read.parent or read in (place, *place.parents):
        stage.refuse(f"--out={out} holds {task} itself or lies in it, which must not be written "
                     "over; give another folder")


def own_rows(splits, text, choices, label, group, about, strict):
    """Brings rows, [(where, row)] a split, into the form of a formatter's; labels become 0, 1, ...

    strict  rows without a text or a label, and texts with two labels, end the stage; else, where
            nobody can mend them, they are left out
    """
    source = about["source"]
    if not splits[0]:
        stage.refuse(f"{source} has no rows")

    # the columns: a text's, that of each choice, or one that holds a list of choices
    _, first = splits[0][0]
    are_choices = bool(choices) or (text not in first and "choices" in first)
    columns = choices or (["choices"] if are_choices else [text])
    kind = "choices" if are_choices else "text"
    if strict and "group" in first:
        group = group or "group"
    form = Form(kind, columns, label, group, about.get("prompt", "{text}"), strict)

    found = Found()
    made = [rows_of(split, form, found) for split in splits]
    if found.unlabelled:
        print(f"{source}: {found.unlabelled} rows have no {label} and are left out")
    if not any(made):
        stage.refuse(f"{source}: no row has anything to read in {', '.join(columns)}, and a "
                     f"{label}; --text, --choices and --label name columns")

    # which of the labels is which class is known only now
    number = len(next(row for rows in made for row in rows)["choices"]) if are_choices else 0
    words = about.get("label_words", [])
    classes = classes_of(source, label, found.labels, choices, number, words)
    needed = 2 if are_choices else len(classes)
    if words and len(words) != needed:
        stage.refuse(f'{source}: its task.json has {len(words)} "label_words"; {needed} are needed')
    for rows in made:
        for row in rows:
            row["label"] = classes.index(row["label"])
    return made


def rows_of(split, form, found):
    """The rows of a split, with the value of the label in place of its class."""
    needed = [form.label, *form.columns]
    if form.group:
        needed.append(form.group)

    made = []
    for where, row in split:
        refuse_absent(where, row, needed)
        label = single(where, form.label, row[form.label])
        shown = [row[column] for column in form.columns]
        if len(shown) == 1:
            shown = shown[0]

        # without a label, or anything to read
        if label is None and form.strict:
            stage.refuse(f"{where}: {form.label} is missing, it is {row[form.label]!r}; "
                         "give the row a label or leave it out")
        if label is None:
            found.unlabelled += 1
            continue
        is_readable = records.CHECKS[form.kind][1]
        if not form.strict and not is_readable(shown):
            continue
        records.check(where, form.kind, shown)

        found.labels.setdefault(label, row[form.label])
        refuse_too_many(where, form.label, found.labels)
        if form.kind == "choices":
            refuse_other_number(where, shown, made)
        texts = shown if form.kind == "choices" else [shown]
        texts = [text.strip() for text in texts]
        rendered = [form.prompt.replace("{text}", text) for text in texts]
        if form.strict:
            refuse_contradiction(where, rendered, label, found.texts)

        keys = [*texts]
        value = single(where, form.group, row[form.group]) if form.group else None
        if value is not None:
            keys.append(f"{form.group} {value}")
        content = rendered if form.kind == "choices" else rendered[0]
        name = own_id(where, row, found.ids)
        made.append({"id": name, "label": label, "keys": keys, form.kind: content})
    return made


def refuse_absent(where, row, columns):
    for column in columns:
        if column not in row:
            there = without_layout(", ".join(row)) or "nothing"
            stage.refuse(f"{where}: {column} is missing; the row has {there}. "
                         "--text, --label, --choices and --group name columns")


def refuse_too_many(where, column, labels):
    if len(labels) > MOST_CLASSES:
        stage.refuse(f"{where}: {column} has more than {MOST_CLASSES} different values up to here, "
                     "too many for classes; is it the column of the class?")


def refuse_other_number(where, choices, before):
    number = len(before[0]["choices"]) if before else len(choices)
    if len(choices) != number:
        stage.refuse(f"{where}: {len(choices)} choices, where the rows before have {number}; "
                     "all must have as many")


def refuse_contradiction(where, rendered, label, texts):
    """Refuses a text that stands somewhere else with the other label."""
    text = without_layout("\n".join(rendered))
    other, other_label = texts.setdefault(text, (where, label))
    if other_label != label:
        stage.refuse(f"{other} and {where} are the same text with different labels; "
                     "leave one of them out")


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


def classes_of(source, column, labels, choices, number, words):
    """[value of class 0, of class 1, ...], said where they are other than 0, 1, ...

    number  of choices, of which some may never be the right one; else 0
    words   what task.json calls the classes: where labels are these words, in their order
    """
    if len(labels) < 2:
        stage.refuse(f"{source}: {column} is {next(iter(labels.values()))!r} everywhere; "
                     "two classes or more are needed")

    def numbers_first(value):
        return isinstance(value, str), value

    classes = sorted(labels, key=numbers_first)
    # a label may name the column of the right choice
    by_name = {str(value).strip().lower(): value for value in labels}
    named = [str(value_of(choice)).lower() for choice in choices]
    as_words = [word.strip().lower() for word in words]
    told_apart = len(by_name) == len(labels)  # not "Yes" beside "yes"
    if told_apart and by_name.keys() <= {*named}:
        classes = [by_name.get(name, name) for name in named]
    elif told_apart and by_name.keys() == {*as_words}:
        classes = [by_name[word] for word in as_words]
    elif number and len(classes) != number:  # or its place, from 0 or from 1 on
        places = range(number) if 0 in labels else range(1, number + 1)
        if not labels.keys() <= {*places} or (0 not in labels and number not in labels):
            listed = ", ".join(map(repr, labels.values()))
            stage.refuse(f"{source}: {column} is {listed}; which of {number} choices each of "
                         "these means is not clear")
        classes = [*places]
    as_given = [labels.get(value, value) for value in classes]
    if [repr(cell) for cell in as_given] != [str(i) for i in range(len(classes))]:
        listed = ", ".join(f"{cell!r} is class {i}" for i, cell in enumerate(as_given))
        print(f"{column}: {listed}")
    return classes
