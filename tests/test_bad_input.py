"""Bad input: one line that says what, where and what to do, exit status not 0, no traceback, and
earlier results untouched."""

import json
import os
import resource
import shutil

import pytest
from conftest import inside, rows, write
from spoiled import MODELS


TASK = {"label_words": [" negative", " positive"]}
THREE = {"label_words": [" no", " yes", " yes"]}


@pytest.fixture(scope="module")
def world(tiny, tmp_path_factory):
    """Good files of every kind, and models that are broken each in its own way."""
    folder = tmp_path_factory.mktemp("world")
    made = [{"id": f"r{i}", **row} for i, row in enumerate(rows(40))]
    write(folder / "train.jsonl", made)
    write(folder / "test.jsonl", made[:20])

    labels = [{"id": row["id"], "text": row["text"], "probs": [0.2, 0.8]} for row in made]
    write(folder / "labels.jsonl", labels)
    write(folder / "one-group.jsonl", [{**row, "group": "a"} for row in labels])

    weak = [{"id": row["id"], "label": row["label"], "probs": [0.2, 0.8]} for row in made[:20]]
    write(folder / "weak3.jsonl", [{**row, "probs": [0.1, 0.8, 0.1]} for row in weak])
    write(folder / "weak.jsonl", weak)
    write(folder / "other-label.jsonl", [weak[0], weak[1] | {"label": 0}, *weak[2:]])

    # of three classes
    of_three = [{**row, "label": i % 3} for i, row in enumerate(made)]
    write(folder / "train3.jsonl", of_three)
    write(folder / "test3.jsonl", of_three[:20])
    write(folder / "labels3.jsonl", [{**row, "probs": [0.2, 0.5, 0.3]} for row in labels])
    choices = [{"id": i, "choices": ["a", "b", "c"], "label": i % 3} for i in range(9)]
    write(folder / "choices3.jsonl", choices)
    two = [{**row, "choices": ["a", "b"], "label": 1} for row in choices]
    write(folder / "choices2.jsonl", two)

    (folder / "task.json").write_text(json.dumps(TASK))
    (folder / "three.json").write_text(json.dumps(THREE))
    (folder / "no-list.json").write_text('{"label_words": {" positive": 1, " negative": 0}}')
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    for name, spoil in MODELS.items():
        shutil.copytree(tiny["gpt2"], folder / name)
        spoil(folder / name)
    return folder


def spell(flags, world, out):
    return [f"--{flag}={value}".format(w=world, out=out) for flag, value in flags.items()]


def refused(world, out, name, flags):
    """The line with which a command ends; with it no file has changed, and none is new."""
    before = {path: path.stat().st_mtime_ns for path in world.rglob("*")}
    status, _, message = inside(f"{name}.py", *spell(flags, world, out), ok=False)
    assert status != 0 and message.startswith(f"{name}.py: ") and len(message) < 700
    assert message.count("\n") == 1 and "Traceback" not in message
    assert {path: path.stat().st_mtime_ns for path in world.rglob("*")} == before
    assert not out.exists()
    return message


MODEL, DATA, TEST = "{w}/empty", "{w}/train.jsonl", "{w}/test.jsonl"
LABELS, PREDICTIONS = "{w}/labels.jsonl", "{w}/weak.jsonl"
GOOD = {
    "train_weak": {"model": MODEL, "train": DATA, "test": TEST, "out": "{out}"},
    "train_strong": {"model": MODEL, "labels": LABELS, "test": TEST, "out": "{out}"},
    "label_weak": {"model": MODEL, "data": DATA, "out": "{out}"},
    "train_generative": {"model": MODEL, "data": DATA, "out": "{out}"},
    "prompt_strong": {"model": MODEL, "labels": LABELS, "test": TEST, "task": "{w}/task.json",
                      "out": "{out}"},
    "evaluate_pgr": {"weak": PREDICTIONS, "ceiling": PREDICTIONS, "students": PREDICTIONS,
                     "out": "{out}"},
    "prepare_data": {"task": DATA, "out": "{out}"},
}

@pytest.mark.parametrize("name, flags, complaint", [
    # files
    ("train_weak", {"train": "{w}/none.jsonl"}, "cannot read {w}/none.jsonl: No such file"),
    ("train_weak", {"train": "{w}/empty"}, "cannot read {w}/empty: Is a directory"),
    ("train_weak", {"test": "{w}/test.jsonl/x"}, "cannot read {w}/test.jsonl/x: Not a directory"),
    ("train_weak", {"train": "/dev/null"}, "/dev/null: the file is empty"),
    ("train_weak", {"task": "{w}/train.jsonl"}, "not a task.json"),
    ("train_weak", {"task": "{w}/none.json"}, "{w}/none.json: not a task.json"),
    ("train_weak", {"task": "{w}/three.json"}, "must be different texts, one a class"),
    ("train_weak", {"task": "{w}/no-list.json"}, "must be different texts, one a class"),
    ("train_weak", {"train": "{w}/pipe"}, "a file is needed, not a pipe"),
    # more than two classes
    ("train_weak", {"train": "{w}/train3.jsonl", "task": "{w}/task.json"},
     'task.json: 2 "label_words", where 3 are needed'),
    ("train_weak", {"test": "{w}/test3.jsonl"},
     "test3.jsonl:3: label 2 is none of the 2 classes that are trained, 0 to 1"),
    ("train_strong", {"test": "{w}/test3.jsonl"}, "test3.jsonl:3: label 2 is none of the 2"),
    ("train_strong", {"labels": "{w}/labels3.jsonl", "weak": PREDICTIONS, "evals": 2},
     "weak.jsonl has probs of 2 classes, the student learns 3"),
    ("train_weak", {"train": "{w}/choices3.jsonl", "test": "{w}/choices2.jsonl"},
     "2 choices on some lines, and 3 on others or in another file"),
    ("prompt_strong", {"labels": "{w}/labels3.jsonl"}, '2 "label_words", where 3 are needed'),
    ("train_strong", {"weak": "{w}/labels.jsonl", "evals": 2}, "does not hold the ids of"),
    ("train_strong", {"labels": "{w}/one-group.jsonl", "evals": 2},
     "would hold 40 of 40 labels out"),
    ("label_weak", {"data": "{w}/none.jsonl"}, "cannot read {w}/none.jsonl"),
    ("train_generative", {"data": "{w}/weak.jsonl"}, "weak.jsonl:1: text or choices is missing"),
    ("prompt_strong", {"task": "{w}/train.jsonl"}, "not a task.json"),
    ("evaluate_pgr", {"weak": "{w}/none.jsonl"}, "cannot read {w}/none.jsonl"),
    ("evaluate_pgr", {"weak": "{w}/other-label.jsonl"}, "disagree about the label of r1"),
    ("evaluate_pgr", {"students": "{w}/weak3.jsonl"},
     "weak3.jsonl has probs of 3 classes, {w}/weak.jsonl of 2: they cannot be compared"),
    ("evaluate_pgr", {"students": ""},
     "give a results folder, or --weak, --ceiling, --students and --out"),
    ("evaluate_pgr", {"results": "{w}/empty", "weak": "", "ceiling": "", "students": ""},
     "no student found with its weak supervisor and ceiling"),
    ("evaluate_pgr", {"results": "{w}/empty"}, "a results folder or single files, not both"),
    ("prepare_data", {"task": "scic"}, "unknown task scic; did you mean sciq?"),
    ("prepare_data", {"task": "{w}/none.csv"}, "none.csv"),
    # models
    ("train_weak", {}, "cannot load {w}/empty"),
    ("train_weak", {"model": "{w}/none"}, "cannot load {w}/none"),
    ("train_weak", {"model": "{w}/train.jsonl"}, "cannot load {w}/train.jsonl"),
    ("train_weak", {"model": "{w}/no-tokenizer"}, "cannot load {w}/no-tokenizer"),
    ("train_weak", {"model": "{w}/no-weights"}, "cannot load {w}/no-weights"),
    ("train_weak", {"model": "{w}/no-config"}, "cannot load {w}/no-config"),
    ("train_weak", {"model": "{w}/cut"}, "cannot load {w}/cut"),
    ("train_weak", {"model": "{w}/garbled"}, "cannot load {w}/garbled"),
    ("train_weak", {"model": "{w}/pickled"}, "cannot load {w}/pickled"),
    ("train_weak", {"model": "{w}/code"}, "cannot load {w}/code"),
    ("train_weak", {"model": "{w}/images"}, "cannot load {w}/images"),
    ("train_weak", {"model": "{w}/vocabulary"}, "the tokenizer has ids up to"),
    ("train_weak", {"model": "{w}/no-padding"}, "no token to pad with"),
    ("label_weak", {"model": "{w}/no-weights"}, "cannot load {w}/no-weights"),
    ("train_generative", {"model": "{w}/images"}, "cannot load {w}/images"),
    ("prompt_strong", {"model": "{w}/garbled"}, "cannot load {w}/garbled"),
    # flags
    ("train_weak", {"epochs": "two"}, "--epochs=two: a whole number is needed"),
    ("train_weak", {"epochs": "1.5"}, "--epochs=1.5: a whole number is needed"),
    ("train_weak", {"epochs": "-1"}, "--epochs=-1: 0 or more is needed"),
    ("train_weak", {"lr": "0"}, "--lr=0.0: a number above 0 is needed"),
    ("train_weak", {"lr": "nan"}, "--lr=nan: a number above 0 is needed"),
    ("train_weak", {"lr": "-1e-4"}, "a number above 0 is needed"),
    ("train_weak", {"seed": "x"}, "--seed=x: a whole number is needed"),
    ("train_weak", {"seed": "99999999999999999999"}, "a whole number from 0 on is needed, below"),
    ("train_weak", {"max_tokens": "0"}, "--max_tokens=0: 1 or more is needed"),
    ("train_weak", {"batch_size": "-3"}, "--batch_size=-3: 1 or more is needed"),
    ("train_weak", {"microbatch": "-1"}, "--microbatch=-1: 0 or more is needed"),
    ("train_weak", {"head": "keep"}, "--head=keep: auto, words or random is needed"),
    ("train_weak", {"head": "hydra"}, "--head=hydra: auto, words or random is needed"),
    ("train_weak", {"nonsense": "1"}, "unknown flag --nonsense"),
    ("train_weak", {"linear_probe": "maybe"}, "--linear_probe=maybe: true or false is needed"),
    ("train_strong", {"loss": "crossentropy"},
     "unknown loss crossentropy; losses.py has xent, conf, bootstrap, "),
    ("train_strong", {"loss": "conf:temperature=2"},
     "conf has no parameter temperature; it has alpha, warmup"),
    ("train_strong", {"loss": "conf:alpha=high"}, "alpha=high should read like alpha=0.75"),
    ("train_strong", {"loss": ""}, "unknown loss"),
    ("train_strong", {"keep": "worst"}, "--keep=worst: last or best is needed"),
    ("train_strong", {"keep": "best"}, "--keep=best: last or best is needed, best with --evals"),
    ("train_strong", {"fsdp": "true"}, "--fsdp spreads a model over several processes"),
    ("train_generative", {"block": "1"}, "--block=1: 2 or more is needed"),
    ("prepare_data", {"choices": "text,text"},
     "--choices=text,text: two different columns or more are needed"),
    ("prepare_data", {"max_train": "-5"}, "--max_train=-5: 2 or more is needed"),
    ("prepare_data", {"form": "choices"},
     "--form is of public tasks; your own data says by --choices what is asked"),
    ("prepare_data", {"task": "sciq", "group": "text"},
     "--choices, --group and --config are of your own data, sciq is public"),
    # places
    ("train_weak", {"out": "{w}/train.jsonl"},
     "cannot write into {w}/train.jsonl: File exists; another --out is needed"),
    ("train_weak", {"out": "{w}/train.jsonl/x"},
     "cannot write into {w}/train.jsonl/x: Not a directory"),
    ("train_weak", {"out": "/proc/x"}, "cannot write into /proc/x"),
    ("train_strong", {"out": "{w}"},
     "--labels={w}/labels.jsonl would be replaced by what is written into --out={w}"),
    ("evaluate_pgr", {"out": "/proc/x"}, "cannot write into /proc/x"),
    ("prepare_data", {"out": "{w}/train.jsonl"}, "must not be written over"),
])
def test_a_flag_a_file_or_a_model(world, tiny, tmp_path, name, flags, complaint):
    good = GOOD[name]
    if {"head", "fsdp"} & flags.keys():
        good = good | {"model": tiny["gpt2"]}
    message = refused(world, tmp_path / "out", name, good | flags)
    assert complaint.format(w=world) in message


def test_a_full_disk(world, tiny, tmp_path, capfd):
    """In place of a full disk: no file may grow beyond 30 kB, which the model does."""
    out = tmp_path / "out"
    write(out / "run.json", [{"earlier": "run"}])
    test = write(tmp_path / "test.jsonl", [{"id": "a", "text": "b", "label": 1}])
    flags = GOOD["train_weak"] | {"model": tiny["gpt2"], "save_minutes": 0, "test": test}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        _, _, error = inside("train_weak.py", *spell(flags, world, out), ok=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert "partial.model" in error and "File too large" in error
    assert "Make room and run it again" in error and error.count("\n") == 1
    for notice in capfd.readouterr().err.splitlines():
        unsaved = "the state of training could not be saved, it goes on without" in notice
        assert unsaved or "train:" in notice or not notice.strip(), notice
    assert (out / "run.json").read_text() == '{"earlier": "run"}\n'


def test_texts_that_are_trained_and_tested_on_are_said(world, tiny, tmp_path, capsys):
    flags = GOOD["train_weak"] | {"model": tiny["gpt2"], "epochs": 0}
    inside("train_weak.py", *spell(flags, world, tmp_path / "out"))
    said = capsys.readouterr().err
    assert "test.jsonl: 20 of its 20 texts are trained on too" in said and said.count("\n") == 1
