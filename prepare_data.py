"""A labelled dataset -> weak_train.jsonl, transfer.jsonl, test.jsonl, task.json: disjoint, balanced, the same everywhere.

    python prepare_data.py demo/films.jsonl --out=data/films
    python prepare_data.py sciq --out=data/sciq --max_train=1000

TASK is a hub task of the table below, or a .jsonl file of {"text": ..., "label": 0 or 1} ("id" too, if you have them).
Beside your file may stand a task.json: {"label_words": [" no", " yes"], "prompt": "{text}\\nIs it so?"}. The weak
supervisor learns from weak_train; it labels transfer, from which student and ceiling learn; all are tested on test.
"""

import hashlib
import json
import re
from pathlib import Path

import stage


def sciq(row):
    """One candidate answer a question, right or wrong by the hash of the question."""
    draw = uniform("sciq", row["question"])
    wrong = row[f"distractor{1 + int(draw * 6) % 3}"]
    candidate = wrong if draw < 0.5 else row["correct_answer"]
    return {"text": f"Question: {row['question']}\nAnswer: {candidate}\nIs the answer correct?", "label": int(draw >= 0.5),
            "keys": [row["question"], row["support"]]}


TASKS = {
    "sciq": dict(hub="allenai/sciq", train="train", test="test", format=sciq, label_words=[" no", " yes"],
                 columns=["question", "distractor1", "distractor2", "distractor3", "correct_answer", "support"],
                 source="Welbl et al. 2017, https://huggingface.co/datasets/allenai/sciq", licence="CC-BY-NC-3.0"),
}


def main(
    task,             # a hub task (sciq), or a .jsonl file
    out,              # folder to write, such as data/sciq
    max_train=10000,  # at most so many examples in weak_train, and as many in transfer
    max_test=10000,   # at most so many test examples
    seed=0,           # of the split; a smaller sample is always part of a larger one with the same seed
):
    local = task.endswith(".jsonl") or Path(task).exists()
    beside = str(Path(task).with_name("task.json")) if local else ""  # may stand beside a file of one's own
    beside = beside if Path(beside).is_file() else ""
    if local and Path(task).resolve().parent == Path(out).resolve():
        stage.refuse(f"--out={out} holds {task} itself, which must not be written over; give another folder")
    run = stage.start(locals(), inputs=["task", "beside"], code=[__file__])
    if not run:
        return
    if local:
        about = {"name": Path(task).stem, "source": Path(task).name, **stage.read_task(beside)}
        train, test = read_file(task, about.get("prompt", "{text}")), []
    elif task in TASKS:
        about = {"name": task, **TASKS[task]}
        train, test = read_hub(about, "train"), read_hub(about, "test")
    else:
        stage.refuse(f"unknown task {task}; there is {', '.join(TASKS)}, or give a .jsonl file")

    train, test = by_group(train, test)
    parts = [[], [], test]  # a number drawn for its group decides where a row goes: all of a group stay together
    cut = 2 if test else 3  # a file that has no test split of its own gives a third
    for row in train:
        parts[int(uniform(seed, row["group"]) * cut)].append(row)
    splits = {"weak_train": sample(parts[0], max_train, seed), "transfer": sample(parts[1], max_train, seed),
              "test": sample(parts[2], max_test, seed)}
    for name, rows in splits.items():
        if not rows:
            stage.refuse(f"{task}: nothing is left for {name}; more rows of both classes are needed")

    counts = {name: len(rows) for name, rows in splits.items()}
    facts = {key: about[key] for key in ("name", "source", "licence", "label_words") if key in about}
    facts = json.dumps({**facts, "counts": counts, "seed": seed}, indent=1) + "\n"
    stage.finish(run, counts, {**{f"{name}.jsonl": rows for name, rows in splits.items()}, "task.json": facts})
    print(", ".join(f"{count} {name}" for name, count in counts.items()), "examples, half of each class ->", out)


def uniform(*key):
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, key)).encode()).digest()[:6], "big") / 2**48


def same(text):
    """The text without layout: what two equal texts share. Only one of them is kept."""
    return " ".join(text.split())


def alike(text):
    """The text without case, punctuation and layout: what texts of one group share. All are kept, on one side."""
    return re.sub(r"\W+", " ", text.lower()).strip() or same(text)


def read_file(path, prompt):
    """Rows of a .jsonl file: id, text, label and the keys that rows of one group share."""
    rows, lines = [], {}
    for number, row in enumerate(stage.read_jsonl(path, "text", "label"), 1):
        other, label = lines.setdefault(same(row["text"]), (number, row["label"]))
        if label != row["label"]:
            stage.refuse(f"{path}:{other} and {path}:{number} are the same text with different labels; leave one of them out")
        rows.append({"id": row.get("id"), "text": prompt.replace("{text}", row["text"].strip()), "label": row["label"],
                     "keys": [row["text"]]})
    return rows


def read_hub(about, split):
    """Rows of a hub dataset's split, in the same form."""
    stage.connect(about["hub"])
    import datasets

    datasets.utils.logging.set_verbosity_error()
    with stage.fetching(about["hub"]):
        data = datasets.load_dataset(about["hub"], split=about[split])
    missing = set(about["columns"]) - set(data.column_names)
    if missing:
        stage.refuse(f"{about['hub']}: expected the columns {', '.join(about['columns'])}, found {', '.join(data.column_names)}")
    return [about["format"](row) for row in data]


def by_group(train, test):
    """Gives each row its group and id: rows that share a key, in one step or many, are one group. Drops repeated texts, and
    train rows of a group that occurs in the test split."""
    parent = {}

    def root(key):
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for row in train + test:
        row["keys"] = sorted({alike(key) for key in row["keys"] if key.strip()})
        for key in row["keys"]:
            low, high = sorted((root(row["keys"][0]), root(key)))
            parent[high] = low  # the least key names the group, whatever the order of the rows
    seen = set()
    for rows in (test, train):
        kept = []
        for row in rows:
            row["group"] = root(row.pop("keys")[0])
            if same(row["text"]) not in seen:
                seen.add(same(row["text"]))
                kept.append({**row, "id": str(row.get("id") or hashlib.sha256(row["text"].encode()).hexdigest()[:12])})
        rows[:] = kept
    held_out = {row["group"] for row in test}
    return [row for row in train if row["group"] not in held_out], test


def sample(rows, most, seed):
    """At most that many rows, half of each class, in an order that depends on the seed and the texts alone."""
    rows = sorted(rows, key=lambda row: uniform(seed, "order", row["text"]))
    classes = [[row for row in rows if row["label"] == label] for label in (0, 1)]
    half = min(most // 2, *map(len, classes))
    kept = {row["id"] for rows in classes for row in rows[:half]}
    return [{key: row[key] for key in ("id", "text", "label")} for row in rows if row["id"] in kept]


if __name__ == "__main__":
    stage.cli(main)
