"""A labelled dataset -> weak_train.jsonl, transfer.jsonl, test.jsonl, task.json: disjoint, balanced, the same everywhere.

    python prepare_data.py --list                                        # the public tasks of tasks.py
    python prepare_data.py sciq --out=data/sciq --max_train=1000
    python prepare_data.py demo/films.jsonl --out=data/films
    python prepare_data.py reviews.csv --text=body --label=stars --group=author --out=data/reviews

TASK is one of the public tasks; a .jsonl, .csv, .tsv or .parquet file, or a folder of them; or a dataset of the hub, OWNER/NAME.
Beside your file may stand a task.json: {"label_words": [" no", " yes"], "prompt": "{text}\\nIs it so?"}. The weak
supervisor learns from weak_train; it labels transfer, from which student and ceiling learn; all are tested on test.
"""

import collections
import difflib
import hashlib
import json
import os
import re
from pathlib import Path

import readers
import records
import stage
import tasks
from readers import same, uniform


def main(
    task="",          # a public task, a file or folder, or OWNER/NAME of the hub
    out="",           # folder to write, such as data/sciq
    text="text",      # your own data: the column of the text,
    choices="",       # or the two columns of which one is right or preferred, COLUMN,COLUMN (a jsonl may hold "choices": [a, b])
    label="label",    # the column of the class, or of which choice it is: two different values
    group="",         # column that rows of one group share: they stay on one side
    config="",        # a dataset of the hub: its configuration
    max_train=10000,  # at most so many examples in weak_train, and as many in transfer
    max_test=10000,   # at most so many test examples
    seed=0,           # of the split; a smaller sample is always part of a larger one with the same seed
    list=False,       # print the public tasks
):
    given = locals().copy()
    if list:
        return print_tasks()
    if not task or not out:
        stage.refuse("a task and --out are needed; --list shows the public tasks, --help all flags")
    pair = [column for column in choices.split(",") if column]
    if pair and len({*pair}) != 2:
        stage.refuse(f"--choices={choices}: two different columns are needed")
    local = task not in tasks.TASKS and (os.path.exists(task) or Path(task).suffix in readers.FORMATS)
    beside = Path(task, "task.json") if os.path.isdir(task) else Path(task).with_name("task.json")
    beside = str(beside) if local and beside.is_file() else ""  # may stand beside a file of one's own
    place = Path(out).resolve()
    if local and (place == Path(task).resolve().parent or Path(task).resolve() in (place, *place.parents)):
        stage.refuse(f"--out={out} holds {task} itself or lies in it, which must not be written over; give another folder")
    run = stage.start({**given, "beside": beside}, inputs=["task", "beside"] if local else [], code=[__file__, "readers.py", "tasks.py"])
    if not run:
        return
    if task in tasks.TASKS:
        about = {"name": task, **tasks.TASKS[task]}
        train, test = ([*readers.read_public(about, which, seed)] for which in (0, 1))
    elif local or "/" in task:
        about = {"name": Path(task).stem, "source": task if not local else Path(task).name, **records.read_task(beside)}
        splits = [readers.read_local(task), []] if local else readers.read_hub(task, config or None, label, seed)
        train, test = readers.own_rows(splits, text, pair, label, group, about, strict=local)
    else:
        near = difflib.get_close_matches(task, tasks.TASKS, 1)
        stage.refuse(f"unknown task {task}; " + (f"did you mean {near[0]}? " if near else "")
                     + "--list shows the public tasks; or give a file, a folder or OWNER/NAME of the hub")
    if about.get("phrases"):
        attach_phrases(train)
    read = len(train) + len(test)
    train, test = by_group(train, test)
    groups = collections.Counter(row["group"] for row in train + test)
    print(f"{read} rows, {groups.total()} of use; those that share a text or --group stay together: {len(groups)} groups, "
          f"the largest of {max(groups.values(), default=0)}")
    splits = {"weak_train": [], "transfer": [], "test": test}
    places = [name for name in splits if not splits[name]]  # a file that has no test split of its own gives a third
    for row in train:  # a number drawn for its group decides where a row goes: all of a group stay together
        splits[places[int(uniform(seed, row["group"]) * len(places))]].append(row)
    splits = {name: sample(one_per_question(rows, seed), max_test if name == "test" else max_train, seed) for name, rows in splits.items()}
    for name, rows in splits.items():
        if not rows:
            stage.refuse(f"{task}: nothing is left for {name}; more rows of both classes are needed, or more groups, which stay together")

    counts = {name: len(rows) for name, rows in splits.items()}
    facts = {key: about[key] for key in ("name", "source", "licence", "label_words") if key in about}
    facts = json.dumps({**facts, "counts": counts, "seed": seed}, indent=1) + "\n"
    stage.finish(run, counts, {**{f"{name}.jsonl": rows for name, rows in splits.items()}, "task.json": facts})
    print(", ".join(f"{count} {name}" for name, count in counts.items()), "examples, half of each class ->", out)


def print_tasks():
    print(f"{'task':22}{'domain':14}{'train':>10}{'test':>9}  licence")
    for name, about in tasks.TASKS.items():
        print(f"{name:22}{about['domain']:14}{about['sizes'][0]:10,}{about['sizes'][1]:9,}  {about['licence']}")


def alike(text):
    """The text without case, punctuation and layout: what texts of one group share. All are kept, on one side."""
    return re.sub(r"\W+", " ", text.lower()).strip() or same(text)


def content(row):
    return row["text"] if "text" in row else "\n".join(sorted(row["choices"]))


def attach_phrases(rows):
    """Gives phrases that are part of a longer text a key of that text."""
    found = {alike(row["keys"][0]): row for row in rows}
    for text in sorted(found, key=len, reverse=True):
        if len(found[text]["keys"]) == 1:  # else its own parts are parts of what it is a part of
            words = text.split()
            for i in range(len(words)):
                for j in range(i + 1, len(words) + 1):
                    part = found.get(" ".join(words[i:j]))
                    if part and part is not found[text] and len(part["keys"]) == 1:
                        part["keys"].append(text)


def by_group(train, test):
    """Gives each row its group and id: rows that share a key, in one step or many, are one group. Drops repeated texts, texts with
    both labels, and train rows of a group that occurs in the test split."""
    parent = {}

    def root(key):
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    labels = {}
    for row in train + test:
        row["keys"] = sorted({alike(key) for key in row["keys"] if key.strip()}) or [same(content(row))]
        for key in row["keys"]:
            low, high = sorted((root(row["keys"][0]), root(key)))
            parent[high] = low  # the least key names the group, whatever the order of the rows
        labels.setdefault(same(content(row)), set()).add(same(row["choices"][row["label"]]) if "choices" in row else row["label"])
    seen = {text for text, found in labels.items() if len(found) > 1}
    for rows in (test, train):
        kept = []
        for row in rows:
            row["group"] = root(row.pop("keys")[0])
            if same(content(row)) not in seen:
                seen.add(same(content(row)))
                own_id = row.get("id")
                kept.append({**row, "id": hashlib.sha256(content(row).encode()).hexdigest()[:12] if own_id is None else str(own_id)})
        rows[:] = kept
    held_out = {row["group"] for row in test}
    return [row for row in train if row["group"] not in held_out], test


def one_per_question(rows, seed):
    """Of rows about one question one is kept, of the class that is drawn for it if there is such a row."""
    if not any("question" in row for row in rows):
        return rows
    kept = {}
    for row in sorted(rows, key=lambda row: uniform(seed, "question", content(row))):
        about = row["question"]
        wanted = int(uniform(seed, "wanted", about) >= 0.5)
        if about not in kept or (kept[about]["label"] != wanted and row["label"] == wanted):
            kept[about] = row
    return [row for row in rows if kept[row["question"]] is row]


def sample(rows, most, seed):
    """At most that many rows, half of each class within each stratum, in an order that depends on the seed and the texts alone."""
    rows = sorted(rows, key=lambda row: uniform(seed, "order", content(row)))
    strata = {}
    for row in rows:  # {stratum: {class: {kind: rows}}}
        strata.setdefault(row.get("stratum"), ({}, {}))[row["label"]].setdefault(row.get("kind"), []).append(row)
    pairs = []
    for classes in strata.values():  # the kinds of a class take turns; strata are mixed in proportion to their size
        found = list(zip(*([row for turn in zip(*kinds.values()) for row in turn] for kinds in classes)))
        pairs += [((k + 0.5) / len(found), pair) for k, pair in enumerate(found)]
    pairs.sort(key=lambda numbered: numbered[0])
    chosen = {row["id"] for _, pair in pairs[:most // 2] for row in pair}
    rows = [row for row in rows if row["id"] in chosen]
    shared = collections.Counter(row.get("group") for row in rows)
    return [{key: row[key] for key in ("id", "text", "choices", "label") if key in row}
            | ({"group": hashlib.sha256(row["group"].encode()).hexdigest()[:12]} if row.get("group") and shared[row["group"]] > 1 else {})
            for row in rows]  # the group is for who cuts a split again


if __name__ == "__main__":
    stage.cli(main)
