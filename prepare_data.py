"""A labelled dataset -> weak_train, transfer, test .jsonl and task.json: disjoint and balanced.

    python prepare_data.py --list                                   # the public tasks of tasks.py
    python prepare_data.py sciq --out=data/sciq --max_train=1000
    python prepare_data.py demo/films.jsonl --out=data/films
    python prepare_data.py reviews.csv --text=body --label=stars --group=author --out=data/reviews

TASK is one of the public tasks; a .jsonl, .csv, .tsv or .parquet file, or a folder of them; or a
dataset of the hub, OWNER/NAME. Beside your file may stand a task.json:

    {"label_words": [" no", " yes"], "prompt": "{text}\\nIs it so?"}

The weak supervisor learns from weak_train; it labels transfer, from which student and ceiling
learn; all are tested on test. The splits are the same on every machine.
"""

import difflib
import json
import os
from pathlib import Path

from w2s import own_data, readers, records, splits, stage, tasks


def main(
    task="",          # a public task, a file or folder, or OWNER/NAME of the hub
    out="",           # folder to write, such as data/sciq
    text="text",      # your own data: the column of the text,
    choices="",       # or the columns of which one is right or preferred, COLUMN,COLUMN,...
                      # (a jsonl may hold "choices": [a, b])
    label="label",    # the column of the class, or of which choice it is
    group="",         # column that rows of one group share: they stay on one side; of a file
                      # with a column named group that one
    config="",        # a dataset of the hub: its configuration
    form="binary",    # a public task that asks for one of several answers: is the one shown right?
                      # choices: all of them, of which one is right
    max_train=10000,  # at most so many examples in weak_train, and as many in transfer
    max_test=10000,   # at most so many test examples
    seed=0,           # of the split; a smaller sample is part of a larger one with the same seed
    list=False,       # print the public tasks
):
    given = locals().copy()
    if list:
        return print_tasks()
    if not task or not out:
        stage.refuse("a task and --out are needed; --list shows the public tasks, --help all flags")
    columns = [column for column in choices.split(",") if column]
    if columns and len({*columns}) < max(2, len(columns)):
        stage.refuse(f"--choices={choices}: two different columns or more are needed")

    # a file of one's own, or a folder of them, may have a task.json beside or in it
    is_public = task in tasks.TASKS
    if is_public and (choices or group or config):
        stage.refuse(f"--choices, --group and --config are of your own data, {task} is public")
    if not is_public and form != "binary":
        stage.refuse("--form is of public tasks; your own data says by --choices what is asked")
    is_file = not is_public and (os.path.exists(task) or Path(task).suffix in readers.FORMATS)
    beside = ""
    if is_file:
        own_data.refuse_overwriting(task, out)
        folder = Path(task) if os.path.isdir(task) else Path(task).parent
        beside = str(folder / "task.json") if (folder / "task.json").is_file() else ""
    run = stage.start({**given, "beside": beside}, inputs=["task", "beside"] if is_file else [],
                      code=[__file__, "w2s/records.py", "w2s/readers.py", "w2s/own_data.py",
                            "w2s/tasks.py", "w2s/questions.py", "w2s/splits.py"])
    if not run:
        return

    # the rows; only data of the hub has a test split of its own
    if is_public:
        about = {"name": task, **tasks.TASKS[task]}
        train, test = [[*readers.read_public(about, which, seed, form)] for which in (0, 1)]
    elif is_file or "/" in task:
        source = Path(task).name if is_file else task
        about = {"name": Path(task).stem, "source": source, **records.read_task(beside)}
        if is_file:
            tables = [readers.read_local(task), []]
        else:
            tables = readers.read_hub(task, config or None, label, seed)
        train, test = own_data.own_rows(tables, text, columns, label, group, about, strict=is_file)
    else:
        refuse_unknown(task)
    if about.get("phrases"):
        splits.attach_phrases(train)

    parts = splits.split(train, test, max_train, max_test, seed, task)
    counts = {name: len(rows) for name, rows in parts.items()}
    classes = splits.number_of_classes(parts["test"])
    known = [key for key in ("name", "source", "licence", "label_words") if key in about]
    facts = {key: about[key] for key in known} | {"counts": counts, "seed": seed}
    outputs = {f"{name}.jsonl": rows for name, rows in parts.items()}
    stage.finish(run, counts, {**outputs, "task.json": json.dumps(facts, indent=1) + "\n"})
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    share = "half" if classes == 2 else f"1 in {classes}"
    print(f"{listed} examples, {share} of each class -> {out}")


def refuse_unknown(task):
    near = difflib.get_close_matches(task, tasks.TASKS, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    stage.refuse(f"unknown task {task}; {meant}--list shows the public tasks; "
                 "or give a file, a folder or OWNER/NAME of the hub")


def print_tasks():
    """Prints the public tasks: rows there, and examples that come out where they are far fewer."""
    print(f"{'task':22}{'domain':13}{'train':>9}{'usable':>8}{'test':>8}{'usable':>8}  licence")
    for name, about in tasks.TASKS.items():
        train, test = [f"{size:,}" for size in about["sizes"]]
        usable = [f"{size:,}" for size in about["usable"] or ()] or ["", ""]
        print(f"{name:22}{about['domain']:13}{train:>9}{usable[0]:>8}{test:>8}{usable[1]:>8}"
              f"  {about['licence']}")


if __name__ == "__main__":
    stage.cli(main)
