"""A line of a file that is no good: the message names the file, the line and what is wrong with it.
(Flags, files and models: test_bad_input.py, which this builds on.)"""

import pytest
from test_bad_input import GOOD, refused, world

# a good line of the file that a flag of these names
LINE = {
    "train_weak": '{"id": "a", "text": "b", "label": 1}',
    "train_strong": '{"id": "a", "text": "b", "probs": [0.5, 0.5]}',
    "evaluate_pgr": '{"id": "r0", "label": 0, "probs": [0.5, 0.5]}',
}
FILE = {"train_weak": "train", "train_strong": "labels", "evaluate_pgr": "weak"}


@pytest.mark.parametrize("name, second, complaint", [
    ("train_weak", b'{"id": "x", "text": "t", "label": 1', ":2: not a line of JSON in UTF-8"),
    ("train_weak", b"not json", ":2: not a line of JSON in UTF-8"),
    ("train_weak", b'{"id": "x", "text": "caf\xe9", "label": 1}',
     ":2: not a line of JSON in UTF-8"),
    ("train_weak", b"\x00\x01\x02", ":2: not a line of JSON in UTF-8"),
    ("train_weak", b"[" * 100_000, ":2: not a line of JSON in UTF-8"),
    ("train_weak", b'["x", "t", 1]', ":2: a JSON object is needed"),
    ("train_weak", b'"x"', ":2: a JSON object is needed"),
    ("train_weak", b"null", ":2: a JSON object is needed"),
    ("train_weak", b"{}", ":2: id is missing; the line has nothing"),
    ("train_weak", b'{"id": "x", "label": 1}',
     ":2: text or choices is missing; the line has id, label"),
    ("train_weak", b'{"id": "x", "text": "t"}', ":2: label is missing"),
    ("train_weak", b'{"text": "t", "label": 1}', ":2: id is missing"),
    ("train_weak", b'{"id": null, "text": "t", "label": 1}',
     ":2: id must be a text or a whole number, in UTF-8, not null"),
    ("train_weak", b'{"id": true, "text": "t", "label": 1}', ":2: id must be"),
    ("train_weak", b'{"id": "", "text": "t", "label": 1}', ":2: id must be"),
    ("train_weak", b'{"id": "\\udcb2", "text": "t", "label": 1}',
     ":2: id must be a text or a whole number, in UTF-8"),
    ("train_weak", b'{"id": "x", "text": "t", "label": 1, "label": 0}',
     ':2: "label" is there twice'),
    ("train_weak", b'{"id": "x", "text": "", "label": 1}',
     ":2: text must be a text that is not empty"),
    ("train_weak", b'{"id": "x", "text": " \\n", "label": 1}',
     ":2: text must be a text that is not empty"),
    ("train_weak", b'{"id": "x", "text": 5, "label": 1}', ":2: text must be a text"),
    ("train_weak", b'{"id": "x", "text": "\\ud800", "label": 1}', ":2: text must be a text"),
    ("train_weak", b'{"id": "x", "text": "t", "label": 3}',
     ": id x has label 3, none has label 0; examples of all classes, 0 to 3, are needed"),
    ("train_weak", b'{"id": "x", "text": "t", "label": 1000000000000}',
     ": id x has label 1000000000000, none has label 0"),
    ("train_weak", b'{"id": "x", "text": "t", "label": -1}', ":2: label must be a class"),
    ("train_weak", b'{"id": "x", "text": "t", "label": "1"}',
     ':2: label must be a class: 0, 1 or another whole number, not "1"'),
    ("train_weak", b'{"id": "x", "text": "t", "label": true}',
     ":2: label must be a class"),
    ("train_weak", b'{"id": "x", "text": "t", "label": 0.5}', ":2: label must be a class"),
    ("train_weak", b'{"id": "x", "text": "t", "label": null}',
     ":2: label must be a class"),
    ("train_weak", b'{"id": "x", "text": "t", "label": 1, "group": "\\udcb2"}',
     ":2: group must be a text or a whole number, in UTF-8"),
    ("train_weak", b'{"id": "a", "text": "t", "label": 1}', ":2: id a stands on line 1 already"),
    ("train_weak", b'{"id": "x", "choices": ["t", "u"], "label": 1}',
     "some lines have choices where others have a text"),
    ("train_weak", b'{"id": "x", "text": "t", "choices": ["t", "u"], "label": 1}',
     ":2: text and choices exclude each other"),
    ("train_weak", b'{"id": "x", "choices": ["t"], "label": 1}',
     ":2: choices must be two or more texts"),
    ("train_weak", b'{"id": "x", "choices": ["t", ""], "label": 1}',
     ":2: choices must be two or more texts"),
    ("train_weak", b'{"id": "x", "choices": ["t", "u", "v"], "label": 3}',
     ":2: label 3 beside 3 choices; 0 to 2 are there"),
    ("train_weak", b'{"id": "x", "text": "t", "label": 1}',
     ": id a has label 1, none has label 0; examples of all classes, 0 to 1, are needed"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": [-0.1, 1.1]}',
     ":2: probs must be probabilities of two or more classes that sum to 1"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": [0.9, 0.9]}', ":2: probs must be"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": [0.2, 0.7]}', ":2: probs must be"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": [NaN, NaN]}', ":2: probs must be"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": [-Infinity, Infinity]}',
     ":2: probs must be"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": [0.2, 0.3, 0.5]}',
     ":2: 3 probs, where line 1 has 2; all lines must have as many"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": [1]}', ":2: probs must be"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": ["0.5", "0.5"]}', ":2: probs must be"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": 0.5}', ":2: probs must be"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": [true, false]}', ":2: probs must be"),
    ("train_strong", b'{"id": "x", "text": "t", "probs": null}', ":2: probs must be"),
    ("train_strong", b'{"id": "x", "choices": ["a", "b", "c"], "probs": [0.2, 0.8]}',
     ":2: 2 probs of 3 choices"),
    ("train_strong", b'{"id": "x", "text": "t", "label": 1}',
     "soft labels and ground truth do not mix"),
    ("evaluate_pgr", b'{"id": "r1", "label": 1}', ":2: probs is missing"),
    ("evaluate_pgr", b'{"id": "r1", "label": 1, "probs": [0.1, 0.8]}', ":2: probs must be"),
    ("evaluate_pgr", b'{"id": "other", "label": 1, "probs": [0.1, 0.9]}',
     "do not hold the same ids"),
])
def test_a_line(world, tmp_path, name, second, complaint):
    path = tmp_path / "file.jsonl"
    path.write_bytes(LINE[name].encode() + b"\n" + second + b"\n")
    message = refused(world, tmp_path / "out", name, GOOD[name] | {FILE[name]: path})
    assert complaint in message and "file.jsonl" in message
