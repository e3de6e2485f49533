"""A second test file, --test2, of another distribution: the same trained model, asked once more.

It plays no part in training. What the models make of it stands in predictions2.jsonl beside their
predictions.jsonl, and evaluate_pgr.py holds them against each other there too.
"""

from w2s import inputs, records

FILE = "predictions2.jsonl"


def read(path, like, classes):
    """(rows, texts) of the second test file, in the form and of the classes of what is trained on;
    two empty lists where there is none."""
    if not path:
        return [], []
    rows = records.read_jsonl(path, "id", "text|choices", "label", classes=classes)
    return rows, inputs.texts(path, rows, like=like)


def outputs(second, predict):
    """{file name: rows} to write. second: from `read`; predict: texts -> (N, K) probabilities"""
    rows, texts = second
    return {FILE: records.with_probs(rows, predict(texts), "id", "label")} if rows else {}
