"""JSON Lines in and out, each line checked, and the one line that says what is wrong with them.

    rows = records.read_jsonl("test.jsonl", "id", "text|choices", "label")
    records.write_jsonl("predictions.jsonl", records.with_probs(rows, probs, "id", "label"))

Imports the standard library only.
"""

import hashlib
import json
import math
import os
import re
import sys
import time
from pathlib import Path

# torchrun numbers its processes. The first one writes, and speaks for all.
FIRST = os.environ.get("RANK", "0") == "0"


def refuse(message):
    """Ends the stage with one line on stderr and exit status 1."""
    if not FIRST:
        time.sleep(3)  # by when the first process has said it, and torchrun has ended this one
    raise SystemExit(f"{Path(sys.argv[0]).name}: {message}")


def warn(message):
    """One line on stderr; the stage goes on."""
    if FIRST:
        print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)


SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: it cannot be written in UTF-8


def is_text(value):
    return isinstance(value, str) and value.strip() != "" and not SURROGATE.search(value)


def is_id(value):
    return type(value) in (str, int) and value != "" and not SURROGATE.search(str(value))


def are_choices(value):
    return isinstance(value, list) and len(value) >= 2 and all(map(is_text, value))


def is_label(value):
    return type(value) is int and value >= 0


def are_probs(value):
    if not (isinstance(value, list) and len(value) >= 2):
        return False
    numbers = all(type(p) in (int, float) and 0 <= p <= 1 for p in value)
    return numbers and abs(sum(value) - 1) < 1e-3


CHECKS = {  # key: (what it must be, for the message; the check)
    "id": ("a text or a whole number, in UTF-8", is_id),
    "group": ("a text or a whole number, in UTF-8", is_id),
    "text": ("a text that is not empty, in UTF-8", is_text),
    "choices": ("two or more texts that are not empty", are_choices),
    "label": ("a class: 0, 1 or another whole number", is_label),
    "probs": ("probabilities of two or more classes that sum to 1", are_probs),
}


def read_jsonl(path, *keys, classes=None):
    """The lines of a JSON Lines file as dicts, each checked as `lines` does. Ids must differ.

    classes  how many the labels may be of, where that is known: 0 to classes - 1
    """
    rows, first_line = [], {}
    for number, row in numbered(path, *keys):
        if classes and row.get("label", 0) >= classes:
            refuse(f"{path}:{number}: label {row['label']} is none of the {classes} classes that "
                   f"are trained, 0 to {classes - 1}")
        name = row.get("id", number)
        before = first_line.setdefault(name, number)
        if before != number:
            refuse(f"{path}:{number}: id {name} stands on line {before} already; ids must differ")
        rows.append(row)
    return rows


def lines(path, *keys):
    """The lines of a JSON Lines file as dicts, one by one, checked to hold the keys.

    A key may be "probs|label": one of the two. Ids are made texts. Where a line is wrong, the stage
    ends with one line that names file, line and remedy.
    """
    return (row for _, row in numbered(path, *keys))


def numbered(path, *keys):
    """(line number, row) of each line of a JSON Lines file; see `lines`."""
    names = {name for key in keys for name in key.split("|")}
    counted = [key for key in ("choices", "probs") if key in names]
    first = {}  # {"choices" or "probs": (how many the first such line has, its number)}
    empty = True
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.isspace():
                    continue
                empty = False
                row = _row(line, f"{path}:{number}", keys)
                where = f"{path}:{number}"
                for key in counted:
                    if key in row:
                        _as_many(where, key, row, first, number)
                if {*counted} <= row.keys() and len({len(row[key]) for key in counted}) > 1:
                    refuse(f"{where}: {len(row['probs'])} probs of {len(row['choices'])} choices")
                yield number, row
    except OSError as error:
        refuse(f"cannot read {path}: {error.strerror}")
    if empty:
        refuse(f"{path}: the file is empty")


def _as_many(where, key, row, first, number):
    """Refuses a line of another number of choices or probs than the first one, or whose label is
    beyond that number."""
    many = len(row[key])
    before, line = first.setdefault(key, (many, number))
    if many != before:
        refuse(f"{where}: {many} {key}, where line {line} has {before}; "
               "all lines must have as many")
    label = row.get("label", 0)
    if type(label) is int and label >= many:
        refuse(f"{where}: label {label} beside {many} {key}; 0 to {many - 1} are there")


def _row(line, where, keys):
    """A line as a dict, checked to hold the keys. where: file and number, for messages"""
    def unique(pairs):
        return _unique(where, pairs)

    try:
        row = json.loads(line, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        refuse(f"{where}: not a line of JSON in UTF-8 ({error})")
    if not isinstance(row, dict):
        refuse(f"{where}: a JSON object is needed, with {', '.join(keys)}")

    for key in keys:
        found = next((name for name in key.split("|") if name in row), None)
        if not found:
            refuse(f"{where}: {key.replace('|', ' or ')} is missing; "
                   f"the line has {', '.join(row) or 'nothing'}")
        if key == "text|choices" and "text" in row and "choices" in row:
            refuse(f"{where}: text and choices exclude each other")
        check(where, found, row[found])
        if found == "probs":
            row["probs"] = normalised(row["probs"])

    if keys and row.get("group") is not None:
        check(where, "group", row["group"])
    if row.get("id") is not None:
        row["id"] = str(row["id"])
    return row


def _unique(where, pairs):
    """A dict of the pairs. Refuses a key that is there twice: which is meant cannot be known."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [key for key, _ in pairs]
        twice = sorted(key for key in row if names.count(key) > 1)
        refuse(f"{where}: {json.dumps(twice[0])} is there twice; a key may stand once in an object")
    return row


def check(where, key, value):
    """Refuses a value that the key cannot have."""
    wanted, is_right = CHECKS[key]
    if not is_right(value):
        refuse(f"{where}: {key} must be {wanted}, not {json.dumps(value, default=str)[:80]}")


def normalised(probs):
    """Probabilities that sum to 1. Those that do already keep their bits."""
    total = sum(probs)
    return probs if abs(total - 1) < 1e-9 else [p / total for p in probs]


def read_labels(path):
    """Rows to train on: all with soft labels, or all with ground truth."""
    rows = read_jsonl(path, "id", "text|choices", "probs|label")
    if len({"probs" in row for row in rows}) > 1:
        refuse(f"{path}: some lines have probs and some have not; "
               "soft labels and ground truth do not mix")
    return rows


def read_supervisor(path, test, test_rows, classes):
    """{id: probs} of the supervisor's predictions on the test file."""
    probs = {row["id"]: row["probs"] for row in read_jsonl(path, "id", "probs")}
    known = len(next(iter(probs.values())))
    if known != classes:
        refuse(f"{path} has probs of {known} classes, the student learns {classes}")
    if probs.keys() != {row["id"] for row in test_rows}:
        refuse(f"{path} does not hold the ids of {test}: "
               "the supervisor's predictions on this very file are needed")
    return probs


def read_task(path):
    """task.json, or an empty task where no path is given."""
    def unique(pairs):
        return _unique(path, pairs)

    try:
        given = Path(path).read_text(encoding="utf-8") if path else "{}"
        task = json.loads(given, object_pairs_hook=unique)
        prompt, words = task.get("prompt", "{text}"), task.get("label_words", ["0", "1"])
        is_right = all(map(is_text, (prompt, *words))) and "{text}" in prompt
        if not (is_right and isinstance(words, list) and len(words) == len({*words}) >= 2):
            refuse(f'{path}: "prompt" must hold {{text}}, '
                   '"label_words" must be different texts, one a class')
        return task
    except (OSError, ValueError, AttributeError, TypeError) as error:
        refuse(f"{path}: not a task.json ({error})")


def uniform(*key):
    """A number in [0, 1) that depends on the key alone."""
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def write_jsonl(path, rows):
    """Writes dicts as JSON Lines, one by one: rows may be a generator."""
    with open(path if FIRST else os.devnull, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def with_probs(rows, probs, *keys):
    """Lines to write: the rows' keys and their class probabilities (N, K), to six decimals."""
    found = []
    for row, of_row in zip(rows, probs):
        rounded = [round(float(p), 6) for p in of_row]
        if any(map(math.isnan, rounded)):
            refuse("the model's predictions are not numbers: its training has diverged; "
                   "a smaller --lr may help")
        line = {key: row[key] for key in keys if key in row}
        if of_row[0] not in of_row[1:]:  # a tie stays one
            rounded[0] = max(0.0, round(1 - sum(rounded[1:]), 6))
        found.append({**line, "probs": rounded})
    return found


def predicted(probs):
    """Share of each class in a prediction: all to the likeliest one, evenly where classes tie.

    A tie thus counts half right and half wrong. metrics.predicted is the same rule.
    """
    highest = [p == max(probs) for p in probs]
    return [one / sum(highest) for one in highest]


def likeliest(probs):
    """The class of a prediction; of a tie the first."""
    return probs.index(max(probs))


def same(probs, other):
    """1 where two predictions are of the same class, 0 where not, 0.5 where one of them ties."""
    return sum(a * b for a, b in zip(predicted(probs), predicted(other)))


def accuracy(rows):
    """Accuracy of predictions, {"label", "probs"} each, with its standard error."""
    p = sum(predicted(row["probs"])[row["label"]] for row in rows) / len(rows)
    return {"accuracy": p, "accuracy_se": (p * (1 - p) / len(rows)) ** 0.5}


def accuracy_text(metrics):
    return "test accuracy {accuracy:.3f} ± {accuracy_se:.3f} (standard error)".format(**metrics)


def agreement(rows, supervisor):
    """Share of predictions that are of the supervisor's class. supervisor: {id: probs}"""
    agreeing = [same(row["probs"], supervisor[row["id"]]) for row in rows]
    return sum(agreeing) / len(agreeing)
