"""JSON Lines in and out, each line checked, and the one line that says what is wrong with them. Imports the standard library only.

    rows = records.read_jsonl("test.jsonl", "id", "text|choices", "label")
    records.write_jsonl("predictions.jsonl", records.with_probs(rows, probs, "id", "label"))
"""

import json
import os
import re
import sys
import time
from pathlib import Path

FIRST = os.environ.get("RANK", "0") == "0"  # torchrun numbers its processes; the first one writes and speaks for all


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

CHECKS = {  # key: (what it must be, for the message; the check)
    "id": ("a text or a whole number, in UTF-8",
           lambda v: type(v) in (str, int) and v != "" and not SURROGATE.search(str(v))),
    "text": ("a text that is not empty, in UTF-8",
             lambda v: isinstance(v, str) and v.strip() != "" and not SURROGATE.search(v)),
    "choices": ("two texts that are not empty", lambda v: isinstance(v, list) and len(v) == 2 and all(map(CHECKS["text"][1], v))),
    "label": ("0 or 1", lambda v: type(v) is int and v in (0, 1)),
    "probs": ("two probabilities that sum to 1", lambda v: isinstance(v, list) and len(v) == 2
              and all(type(p) in (int, float) and 0 <= p <= 1 for p in v) and abs(sum(v) - 1) < 1e-3),
}


def read_jsonl(path, *keys):
    """The lines of a JSON Lines file as dicts, each checked as `lines` does. Ids must differ."""
    rows, seen = [], {}
    for number, row in numbered(path, *keys):
        if seen.setdefault(row.get("id", number), number) != number:
            refuse(f"{path}:{number}: id {row['id']} stands on line {seen[row['id']]} already; ids must differ")
        rows.append(row)
    return rows


def lines(path, *keys):
    """The lines of a JSON Lines file as dicts, one by one, checked to hold the keys ("probs|label": one of the two).

    Ids are made texts. Ends the stage with one line that names file, line and remedy where it is wrong.
    """
    return (row for _, row in numbered(path, *keys))


def numbered(path, *keys):
    """(line number, row) of each line of a JSON Lines file; see `lines`."""
    empty = True
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.isspace():
                    empty = False
                    yield number, _row(line, f"{path}:{number}", keys)
    except OSError as error:
        refuse(f"cannot read {path}: {error.strerror}")
    if empty:
        refuse(f"{path}: the file is empty")


def _row(line, where, keys):
    try:
        row = json.loads(line, object_pairs_hook=lambda pairs: _unique(where, pairs))
    except (ValueError, RecursionError) as error:
        refuse(f"{where}: not a line of JSON in UTF-8 ({error})")
    if not isinstance(row, dict):
        refuse(f"{where}: a JSON object is needed, with {', '.join(keys)}")
    for key in keys:
        found = next((k for k in key.split("|") if k in row), None)
        if not found:
            refuse(f"{where}: {key.replace('|', ' or ')} is missing; the line has {', '.join(row) or 'nothing'}")
        if key == "text|choices" and "text" in row and "choices" in row:
            refuse(f"{where}: text and choices exclude each other")
        check(where, found, row[found])
        if found == "probs":
            row["probs"] = normalised(row["probs"])
    return {**row, "id": str(row["id"])} if row.get("id") is not None else row


def _unique(where, pairs):
    """A dict of the pairs. Refuses a key that is there twice: which is meant cannot be known."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [key for key, _ in pairs]
        twice = sorted(key for key in row if names.count(key) > 1)
        refuse(f"{where}: {json.dumps(twice[0])} is there twice; a key may stand once in an object")
    return row


def check(where, key, value):
    if not CHECKS[key][1](value):
        refuse(f"{where}: {key} must be {CHECKS[key][0]}, not {json.dumps(value, default=str)[:80]}")


def normalised(probs):
    """Probabilities that sum to 1. Those that do already keep their bits."""
    total = sum(probs)
    return probs if abs(total - 1) < 1e-9 else [p / total for p in probs]


def one_form(path, forms):
    """Whether rows are choices, of {whether a row is one, for all rows}."""
    if len(forms) > 1:
        refuse(f"{path}: some lines have choices where others have a text; the two forms do not mix")
    return forms == {True}


def both_classes(path, rows):
    """Refuses ground truth that is all of one class: nothing can be learned from it. Soft labels may lean to one side."""
    if len(labels := {row.get("label") for row in rows if "probs" not in row}) == 1:
        refuse(f"{path}: all labels are {labels.pop()}; examples of both classes are needed")


def texts(path, rows, like=None):
    """What a model reads of each row: its text, or its two choices; in the form of others it has read."""
    one_form(path, {"choices" in row for row in rows} | {isinstance(text, list) for text in like or []})
    return [row["choices"] if "choices" in row else row["text"] for row in rows]


def write_jsonl(path, rows):
    """Writes dicts as JSON Lines, one by one: rows may be a generator."""
    with open(path if FIRST else os.devnull, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def with_probs(rows, probs, *keys):
    """Lines to write: the rows' keys and their class probabilities, probs (N, 2), to six decimals."""
    p1s = [round(float(p[1]), 6) for p in probs]
    if any(p1 != p1 for p1 in p1s):
        refuse("the model's predictions are not numbers: its training has diverged; a smaller --lr may help")
    return [{**{key: row[key] for key in keys if key in row}, "probs": [round(1 - p1, 6), p1]} for row, p1 in zip(rows, p1s)]


def predicted(probs):
    """Share of each class in a prediction: all to the likeliest one, evenly where classes tie.

    A tie thus counts half right and half wrong. metrics.predicted is the same rule.
    """
    likeliest = [p == max(probs) for p in probs]
    return [one / sum(likeliest) for one in likeliest]


def same(probs, other):
    """1 where two predictions are of the same class, 0 where not, 0.5 where one of them ties."""
    return sum(a * b for a, b in zip(predicted(probs), predicted(other)))


def accuracy(rows):
    """Accuracy of predictions, {"label", "probs"} each, with its standard error."""
    p = sum(predicted(row["probs"])[row["label"]] for row in rows) / len(rows)
    return {"accuracy": p, "accuracy_se": (p * (1 - p) / len(rows)) ** 0.5}


def read_task(path):
    """task.json, or an empty task where no path is given."""
    try:
        given = Path(path).read_text(encoding="utf-8") if path else "{}"
        task = json.loads(given, object_pairs_hook=lambda pairs: _unique(path, pairs))
        prompt, words = task.get("prompt", "{text}"), task.get("label_words", ["0", "1"])
        texts = all(CHECKS["text"][1](text) for text in (prompt, *words))
        if not (texts and "{text}" in prompt and len(words) == len({*words}) == 2):
            refuse(f'{path}: "prompt" must hold {{text}}, "label_words" must be two different texts')
        return task
    except (OSError, ValueError, AttributeError, TypeError) as error:
        refuse(f"{path}: not a task.json ({error})")
