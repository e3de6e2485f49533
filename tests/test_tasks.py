"""prepare_data on rows in the schema of each of the 24 public tasks, served as the hub does."""

import collections
import json
import os
import subprocess
import sys

import datasets
import pytest
from conftest import ROOT, disjoint, inside, read, read_splits
from loopback import Hub
from task_rows import make

from w2s import readers, tasks

CHOICES = ("anthropic_hh", "ethics_utilitarianism", "piqa")


# --------------------------------------------------------------------------------- a hub of its own

def parquet_path(about, which):
    """Where a split lies: in the repository, or in the parquet copy of one that needs a script."""
    split = about[which]
    if about["revision"]:
        return f"{about['folder'] or 'default'}/{split}/0000.parquet"
    return f"{about['config'] or 'data'}/{split}-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Every task's repository as it is laid out, with a card that names its configurations."""
    folder = tmp_path_factory.mktemp("hub")
    cards = collections.defaultdict(list)
    for name, about in tasks.TASKS.items():
        repository = folder / "datasets" / about["hub"]
        files = []
        for seed, (which, n) in enumerate({"train": 400, "test": 200}.items()):
            path = parquet_path(about, which)
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            rows = datasets.Dataset.from_list(make(name, n, seed))
            rows.to_parquet(repository / path)
            files.append({"split": about[which], "path": path})
        if not about["revision"]:
            config = about["config"] or "default"
            cards[repository].append({"config_name": config, "data_files": files})

    for repository, configs in cards.items():
        card = json.dumps({"configs": configs})
        (repository / "README.md").write_text(f"---\n{card}\n---\n")
    return folder


PREPARE = """
import sys
import prepare_data
from w2s import tasks

out = sys.argv[1]
for task in tasks.TASKS:
    prepare_data.main(task, f"{out}/{task}", max_train=60)
prepare_data.main("aps/super_glue", f"{out}/own", text="sentence1", label="label", group="word",
                  config="wic")
prepare_data.main("google/boolq", f"{out}/named", text="question", label="answer")
"""


@pytest.fixture(scope="module")
def prepared(hub, tmp_path_factory):
    """A folder with one of every task; all in one process, as its imports take seconds."""
    out = tmp_path_factory.mktemp("prepared")
    with Hub(hub) as served:
        home = {"HF_ENDPOINT": served.url, "HF_HUB_OFFLINE": "", "HF_HOME": str(out / "cache")}
        done = subprocess.run([sys.executable, "-c", PREPARE, out], cwd=ROOT, capture_output=True,
                              text=True, env={**os.environ, **home})
    assert done.returncode == 0, done.stderr
    assert "has 400 rows, where 11,679 were expected" in done.stderr
    assert "answer: False is class 0, True is class 1" in done.stdout
    return out


# ------------------------------------------------------------------------------------- every task

@pytest.mark.parametrize("name", tasks.TASKS)
def test_each_task_is_prepared_from_the_hub(prepared, name):
    keys = ("id", "choices" if name in CHOICES else "text", "label")
    ids = []
    for rows in read_splits(prepared / name).values():
        assert len(rows) >= 10 and 2 * sum(row["label"] for row in rows) == len(rows)
        for row in rows:
            row.pop("group", None)
            assert tuple(row) == keys
            ids.append(row["id"])
    assert len(set(ids)) == len(ids)

    about = json.loads((prepared / name / "task.json").read_text())
    assert about["licence"] == tasks.TASKS[name]["licence"] and len(about["label_words"]) == 2


def test_any_dataset_of_the_hub_by_its_columns(prepared):
    train, test = make("wic", 400, 0), make("wic", 200, 1)
    word = {row["sentence1"]: row["word"] for row in train + test}
    parts = read_splits(prepared / "own")
    sides = []
    for part in parts.values():
        sides.append({word[row["text"]] for row in part})
    assert disjoint(sides)
    assert {row["text"] for row in parts["test"]} <= {row["sentence1"] for row in test}
    assert read(prepared / "named" / "test.jsonl")


def beginning(row):
    """Eight words of what rows of a group have in common."""
    text = row.get("text") or row["choices"][0]
    text = text.removeprefix("Human: ").removeprefix("Goal: ").removeprefix("M: ")
    return " ".join(text.split()[:8])


@pytest.mark.parametrize("name", [
    "cosmos_qa", "dream", "multirc", "mc_taco", "piqa", "anthropic_hh", "social_i_qa"])
def test_what_rows_share_stays_on_one_side(prepared, name):
    parts = read_splits(prepared / name).values()
    assert disjoint([set(map(beginning, part)) for part in parts])


@pytest.mark.parametrize("name, change, complaint", [
    ("social_i_qa", {"label": "0"}, "row 0: label should be one of '1', '2', '3', not '0'"),
    ("sciq", {"support": None}, "column support was expected and is not there"),
    ("openbookqa", {"answerKey": "F"}, "row 0 is not as expected"),
    ("boolq", {"answer": "yes"}, "answer should be one of False, True, not 'yes'"),
])
def test_another_schema_is_one_line(name, change, complaint, monkeypatch):
    """change  what another value stands in; None is for a column that is not there"""
    rows = make(name, 30)
    for row in rows:
        for column, value in change.items():
            row[column] = value
            if value is None:
                del row[column]

    def load(*_, **__):
        return datasets.Dataset.from_list(rows)

    monkeypatch.setattr(readers, "load", load)
    with pytest.raises(SystemExit, match=complaint):
        list(readers.read_public({"name": name, **tasks.TASKS[name]}, 0, 0))


def test_the_list_shows_every_task():
    _, printed, _ = inside("prepare_data.py", "--list")
    assert all(f"\n{name} " in printed for name in tasks.TASKS)
    assert "CC-BY-NC-3.0" in printed
    line = next(line for line in printed.splitlines() if line.startswith("ethics_virtue"))
    assert line.split()[2:6] == ["28,245", "2,020", "4,975", "682"]  # rows, and examples of them


# ----------------------------------------------------------------------------------- the whole line

def without(rows, key):
    for row in rows:
        del row[key]
    return rows


def test_choices_and_groups_go_through_the_whole_line(prepared, tiny, tmp_path):
    data, seed = prepared / "anthropic_hh", tmp_path / "results" / "seed0"
    about = [f"--test={data}/test.jsonl", f"--task={data}/task.json",
             "--epochs=1", "--batch_size=16"]
    inside("train_weak.py", tiny["bert"], f"--train={data}/weak_train.jsonl",
           f"--out={seed}/weak_a", *about)
    inside("label_weak.py", f"{seed}/weak_a/model", f"--data={data}/transfer.jsonl",
           f"--out={seed}/labels_a")
    inside("train_strong.py", tiny["llama"], f"--labels={data}/transfer.jsonl",
           f"--out={seed}/ceiling_b", *about)
    inside("train_strong.py", tiny["llama"], f"--labels={seed}/labels_a/labels.jsonl",
           f"--out={seed}/a-to-b_conf", "--loss=conf", *about)
    inside("evaluate_pgr.py", seed.parent)

    # labels are the transfer rows with probabilities in place of the ground truth
    labels = read(seed / "labels_a" / "labels.jsonl")
    assert all("choices" in row for row in labels) and any("group" in row for row in labels)
    assert without(labels, "probs") == without(read(data / "transfer.jsonl"), "label")

    report = json.loads((seed.parent / "report.json").read_text())
    assert [student["name"] for student in report["students"]] == ["conf"]
    assert report["examples"] == len(read(data / "test.jsonl"))
