"""What a model reads of rows, and what it is to learn of them: texts or choices, and K classes.

    texts = inputs.texts("transfer.jsonl", rows)           # N texts, or N lists of K choices
    targets = torch.tensor(inputs.soft_labels(rows, K))    # (N, K)
    train_rows, held_rows = inputs.hold_out("transfer.jsonl", rows)

Imports the standard library only.
"""

import collections
import hashlib

from w2s.records import read_task, refuse, warn


def form(row):
    """How many choices a row has; of a text 0."""
    return len(row["choices"]) if "choices" in row else 0


def one_form(path, forms):
    """How many choices rows have, of {that of each row}; of texts 0."""
    if len(forms) > 1 and 0 in forms:
        refuse(f"{path}: some lines have choices where others have a text; "
               "the two forms do not mix")
    if len(forms) > 1:
        few, many = min(forms), max(forms)
        refuse(f"{path}: {few} choices on some lines, and {many} on others or in another file; "
               "all must have as many")
    return max(forms, default=0)


def classes(path, rows):
    """How many classes there are: choices; probs; or labels of ground truth up to the highest.

    Refuses ground truth that lacks one: it cannot be learned. (Of choices one place of the right
    one may be missing, where it is not always the same.) Soft labels may lean to one side.
    """
    first = rows[0]
    known = first.get("choices") or first.get("probs")
    number = len(known) if known else max(2, 1 + max(row["label"] for row in rows))
    labels = {row["label"] for row in rows if "probs" not in row}
    lacking = next((which for which in range(number) if which not in labels), None)
    if labels and lacking is not None and (len(labels) == 1 or not form(first)):
        highest = next(row for row in rows if row.get("label") == number - 1 or len(labels) == 1)
        refuse(f"{path}: id {highest['id']} has label {highest['label']}, none has label {lacking};"
               f" examples of all classes, 0 to {number - 1}, are needed")
    return number


def texts(path, rows, like=()):
    """What a model reads of each row: its text, or its choices; in the form of others it read.

    like  texts that it is trained on, of which none should be among these
    """
    forms = {form(row) for row in rows}
    forms |= {len(text) if isinstance(text, list) else 0 for text in like}
    one_form(path, forms)
    found = [row["choices"] if "choices" in row else row["text"] for row in rows]
    known = {*map(str, found)} & {*map(str, like)}
    if known:
        warn(f"{path}: {len(known)} of its {len(rows)} texts are trained on too; "
             "how right a model is on these says little")
    return found


def soft_labels(rows, classes):
    """[p0, p1, ...] of each row; of ground truth, certain."""
    return [row.get("probs") or one_hot(row["label"], classes) for row in rows]


def one_hot(label, classes):
    return [float(label == which) for which in range(classes)]


def hold_out(path, rows):
    """Rows to train on, and a tenth of them that is held out, whole groups of them.

    A hash of id, or group, chooses: the same examples for student and ceiling, whatever the order
    of their files. Groups larger than a tenth come last.
    """
    groups = [str(row["id"] if row.get("group") is None else row["group"]) for row in rows]
    sizes = collections.Counter(groups)
    tenth = max(1, len(rows) // 10)

    def place(group):
        return sizes[group] > tenth, hashlib.sha256(group.encode()).digest()

    last = sorted(map(place, groups))[tenth - 1]
    train_rows, held_rows = [], []
    for row, group in zip(rows, groups):
        if place(group) <= last:
            held_rows.append(row)
        else:
            train_rows.append(row)

    if 2 * len(held_rows) > len(train_rows):
        refuse(f"{path}: --evals would hold {len(held_rows)} of {len(rows)} labels out, "
               "whole groups of them; there are too few")
    return train_rows, held_rows


def label_words(path, classes, choices):
    """What task.json calls the classes; None where it does not say. Of choices, of whatever number,
    it has two words: what makes a choice the wrong one, and the right one.
    """
    words = read_task(path).get("label_words")
    needed = 2 if choices else classes
    if words and len(words) != needed:
        refuse(f'{path}: {len(words)} "label_words", where {needed} are needed')
    return words
