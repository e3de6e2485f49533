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

import collections
import difflib
import hashlib
import json
import math
import os
import re
from pathlib import Path

from w2s import readers, records, stage, tasks
from w2s.readers import same, uniform


def main(
    task="",          # a public task, a file or folder, or OWNER/NAME of the hub
    out="",           # folder to write, such as data/sciq
    text="text",      # your own data: the column of the text,
    choices="",       # or the two columns of which one is right or preferred, COLUMN,COLUMN
                      # (a jsonl may hold "choices": [a, b])
    label="label",    # the column of the class, or of which choice it is: two different values
    group="",         # column that rows of one group share: they stay on one side
    config="",        # a dataset of the hub: its configuration
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
    pair = [column for column in choices.split(",") if column]
    if pair and len({*pair}) != 2:
        stage.refuse(f"--choices={choices}: two different columns are needed")

    # a file of one's own, or a folder of them, with a task.json beside or in it
    public = task in tasks.TASKS
    local = not public and (os.path.exists(task) or Path(task).suffix in readers.FORMATS)
    beside = Path(task, "task.json") if os.path.isdir(task) else Path(task).with_name("task.json")
    beside = str(beside) if local and beside.is_file() else ""
    place, read = Path(out).resolve(), Path(task).resolve()
    if local and (place == read.parent or read in (place, *place.parents)):
        stage.refuse(f"--out={out} holds {task} itself or lies in it, which must not be written "
                     "over; give another folder")
    run = stage.start({**given, "beside": beside}, inputs=["task", "beside"] if local else [],
                      code=[__file__, "w2s/readers.py", "w2s/tasks.py"])
    if not run:
        return

    if public:
        about = {"name": task, **tasks.TASKS[task]}
        train = [*readers.read_public(about, 0, seed)]
        test = [*readers.read_public(about, 1, seed)]
    elif local or "/" in task:
        about = {"name": Path(task).stem, "source": Path(task).name if local else task,
                 **records.read_task(beside)}
        if local:
            splits = [readers.read_local(task), []]
        else:
            splits = readers.read_hub(task, config or None, label, seed)
        train, test = readers.own_rows(splits, text, pair, label, group, about, strict=local)
    else:
        near = difflib.get_close_matches(task, tasks.TASKS, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        stage.refuse(f"unknown task {task}; {meant}--list shows the public tasks; "
                     "or give a file, a folder or OWNER/NAME of the hub")
    if about.get("phrases"):
        attach_phrases(train)
    splits = split(train, test, max_train, max_test, seed)
    for name, rows in splits.items():
        if not rows:
            stage.refuse(f"{task}: nothing is left for {name}; more rows of both classes are "
                         "needed, or more groups, which stay together")

    counts = {name: len(rows) for name, rows in splits.items()}
    named = ("name", "source", "licence", "label_words")
    facts = {key: about[key] for key in named if key in about} | {"counts": counts, "seed": seed}
    outputs = {f"{name}.jsonl": rows for name, rows in splits.items()}
    stage.finish(run, counts, {**outputs, "task.json": json.dumps(facts, indent=1) + "\n"})
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{listed} examples, half of each class -> {out}")


def print_tasks():
    """Prints the public tasks: rows there, and examples that come out where they are far fewer."""
    print(f"{'task':22}{'domain':13}{'train':>9}{'usable':>8}{'test':>8}{'usable':>8}  licence")
    for name, about in tasks.TASKS.items():
        train, test = [f"{size:,}" for size in about["sizes"]]
        usable = [f"{size:,}" for size in about["usable"] or ()] or ["", ""]
        print(f"{name:22}{about['domain']:13}{train:>9}{usable[0]:>8}{test:>8}{usable[1]:>8}"
              f"  {about['licence']}")


def alike(text):
    """The text without case, punctuation and layout: what texts of one group share."""
    return re.sub(r"\W+", " ", text.lower()).strip() or same(text)


def content(row):
    return row["text"] if "text" in row else "\n".join(sorted(row["choices"]))


def truth(row):
    return same(row["choices"][row["label"]]) if "choices" in row else row["label"]


def attach_phrases(rows):
    """Gives phrases that are part of a longer text a key of that text."""
    found = {alike(row["keys"][0]): row for row in rows}
    for text in sorted(found, key=len, reverse=True):
        if len(found[text]["keys"]) > 1:
            continue  # a part itself: its parts are parts of what it is a part of
        words = text.split()
        for i in range(len(words)):
            for j in range(i + 1, len(words) + 1):
                part = found.get(" ".join(words[i:j]))
                if part and part is not found[text] and len(part["keys"]) == 1:
                    part["keys"].append(text)


def split(train, test, max_train, max_test, seed):
    """{name: rows} of the three files. Train rows go by their group, all of one to one side."""
    read = len(train) + len(test)
    train, test = by_group(train, test)
    groups = collections.Counter(row["group"] for row in train + test)
    print(f"{read} rows, {groups.total()} of use; those that share a text or --group stay "
          f"together: {len(groups)} groups, the largest of {max(groups.values(), default=0)}")
    splits = {"weak_train": [], "transfer": [], "test": test}
    # a dataset that has no test split of its own gives a third of its rows
    places = [name for name in splits if not splits[name]]
    for row in train:
        splits[places[int(uniform(seed, row["group"]) * len(places))]].append(row)
    for name, rows in splits.items():
        most = max_test if name == "test" else max_train
        splits[name] = sample(one_per_question(rows, seed), most, seed)
    return splits


def by_group(train, test):
    """Gives each row its group and id: rows that share a key, in one step or many, are one group.

    Drops repeated texts, texts with both labels, and train rows of a group of the test split.
    """
    parent = {}

    def root(key):
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    truths = collections.defaultdict(set)
    for row in train + test:
        keys = {alike(key) for key in row["keys"] if key.strip()}
        row["keys"] = sorted(keys) or [same(content(row))]
        for key in row["keys"]:
            low, high = sorted((root(row["keys"][0]), root(key)))
            parent[high] = low  # the least key names the group, whatever the order of the rows
        truths[same(content(row))].add(truth(row))
    seen = {text for text, found in truths.items() if len(found) > 1}
    for rows in (test, train):
        kept = []
        for row in rows:
            row["group"] = root(row.pop("keys")[0])
            if same(content(row)) not in seen:
                seen.add(same(content(row)))
                if row.get("id") is None:
                    row["id"] = hashlib.sha256(content(row).encode()).hexdigest()[:12]
                kept.append(row)
        rows[:] = kept
    held_out = {row["group"] for row in test}
    return [row for row in train if row["group"] not in held_out], test


def one_per_question(rows, seed):
    """Keeps one of the rows about a question, of the class that is drawn for it if there is one.

    Of several of a class one is drawn, the likelier the more often its stratum is true elsewhere:
    of wrong traits one that other texts show. What is never true could not be balanced.
    """
    if not any("question" in row for row in rows):
        return rows
    counts = collections.Counter((row.get("stratum"), row["label"]) for row in rows)

    def wait(row):
        """The least of waiting times at different rates is a weighted draw."""
        rate = 1
        if "stratum" in row:
            odds = counts[row["stratum"], 1] / max(counts[row["stratum"], 0], 1)
            rate = odds**2 or 1e-9  # squared it leaves the most examples of ethics_virtue
        return -math.log(1 - uniform(seed, "question", content(row))) / rate

    kept = {}
    for row in sorted(rows, key=wait):
        question = row["question"]
        wanted = int(uniform(seed, "wanted", question) >= 0.5)
        if question not in kept or (kept[question]["label"] != wanted and row["label"] == wanted):
            kept[question] = row
    return [row for row in rows if kept[row["question"]] is row]


def sample(rows, most, seed):
    """Chooses at most that many rows, half of each class within each stratum.

    Which, and in what order, depends on the seed and the texts alone.
    """
    classes = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in sorted(rows, key=lambda row: uniform(seed, "order", content(row))):
        classes[row.get("stratum"), row["label"]][row.get("kind")].append(row)
    pairs = []
    for stratum in dict.fromkeys(stratum for stratum, _ in classes):
        false, true = [take_turns(classes[stratum, label].values()) for label in (0, 1)]
        found = [*zip(false, true)]
        # strata are mixed in proportion to their size
        pairs += [((k + 0.5) / len(found), pair) for k, pair in enumerate(found)]
    pairs.sort(key=lambda placed: placed[0])
    chosen = [row for _, pair in pairs[:most // 2] for row in pair]

    # a place of its own: in the order by which rows are chosen the rarer class reaches further down
    chosen.sort(key=lambda row: uniform(seed, "place", content(row)))
    shared = collections.Counter(row.get("group") for row in chosen)
    written = []
    for row in chosen:
        line = {key: row[key] for key in ("id", "text", "choices", "label") if key in row}
        if row.get("group") and shared[row["group"]] > 1:  # for who cuts a split again
            line["group"] = hashlib.sha256(row["group"].encode()).hexdigest()[:12]
        written.append(line)
    return written


def take_turns(kinds):
    """One row of each kind after the other, until one of them has no more."""
    return [row for turn in zip(*kinds) for row in turn]


if __name__ == "__main__":
    stage.cli(main)
