"""prepare_data on rows in the exact schema of each of the 24 public tasks, served as the hub does."""

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

from w2s import readers, splits, tasks

CHOICES = {"anthropic_hh", "ethics_utilitarianism", "piqa"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Every task's repository as it is laid out: a card that names configurations, or the parquet copy of one that needs a script."""
    folder = tmp_path_factory.mktemp("hub")
    cards = collections.defaultdict(list)
    for name, about in tasks.TASKS.items():
        repository = folder / "datasets" / about["hub"]
        files = []
        for seed, which in enumerate(("train", "test")):
            path = f"{about['config'] or 'data'}/{about[which]}-00000-of-00001.parquet"
            if about["revision"]:
                path = f"{about['folder'] or 'default'}/{about[which]}/0000.parquet"
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            datasets.Dataset.from_list(make(name, 400 - 200 * seed, seed)).to_parquet(repository / path)
            files.append({"split": about[which], "path": path})
        if not about["revision"]:
            cards[repository].append({"config_name": about["config"] or "default", "data_files": files})
    for repository, configs in cards.items():
        (repository / "README.md").write_text(f"---\n{json.dumps({'configs': configs})}\n---\n")
    return folder


PREPARE = """
import sys
import prepare_data
from w2s import tasks
out = sys.argv[1]
for task in tasks.TASKS:
    prepare_data.main(task, f"{out}/{task}", max_train=60)
prepare_data.main("aps/super_glue", f"{out}/own", text="sentence1", label="label", group="word", config="wic")
prepare_data.main("google/boolq", f"{out}/named", text="question", label="answer")
"""


@pytest.fixture(scope="module")
def prepared(hub, tmp_path_factory):
    """A folder with one of every task; all in one process, as its imports take seconds."""
    out = tmp_path_factory.mktemp("prepared")
    with Hub(hub) as served:
        done = subprocess.run([sys.executable, "-c", PREPARE, out], cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, "HF_ENDPOINT": served.url, "HF_HUB_OFFLINE": "", "HF_HOME": str(out / "cache")})
    assert done.returncode == 0, done.stderr
    assert "has 400 rows, where 11,679 were expected" in done.stderr
    assert "answer: False is class 0, True is class 1" in done.stdout
    return out


@pytest.mark.parametrize("name", tasks.TASKS)
def test_each_task_is_prepared_from_the_hub(prepared, name):
    splits = read_splits(prepared / name)
    for rows in splits.values():
        assert len(rows) >= 10 and 2 * sum(row["label"] for row in rows) == len(rows)
        assert {tuple(key for key in row if key != "group") for row in rows} == {("id", "choices" if name in CHOICES else "text", "label")}
    about = json.loads((prepared / name / "task.json").read_text())
    assert about["licence"] == tasks.TASKS[name]["licence"] and len(about["label_words"]) == 2
    ids = [row["id"] for rows in splits.values() for row in rows]
    assert len(set(ids)) == len(ids)


def test_any_dataset_of_the_hub_by_its_columns(prepared):
    words = {row["sentence1"]: row["word"] for row in make("wic", 400, 0) + make("wic", 200, 1)}
    splits = read_splits(prepared / "own")
    assert disjoint([{words[row["text"]] for row in part} for part in splits.values()])
    assert {row["text"] for row in splits["test"]} <= {row["sentence1"] for row in make("wic", 200, 1)}
    assert read(prepared / "named" / "test.jsonl")


@pytest.mark.parametrize("name", ["cosmos_qa", "dream", "multirc", "mc_taco", "piqa", "anthropic_hh", "social_i_qa"])
def test_what_rows_share_stays_on_one_side(prepared, name):
    begins = []
    for part in read_splits(prepared / name).values():
        texts = [row.get("text") or row["choices"][0] for row in part]
        begins.append({" ".join(text.removeprefix("Human: ").removeprefix("Goal: ").removeprefix("M: ").split()[:8]) for text in texts})
    assert disjoint(begins)


@pytest.mark.parametrize("name, change, complaint", [
    ("social_i_qa", lambda row: {**row, "label": "0"}, "row 0: label should be one of '1', '2', '3', not '0'"),
    ("sciq", lambda row: {key: value for key, value in row.items() if key != "support"}, "column support was expected and is not there"),
    ("openbookqa", lambda row: {**row, "answerKey": "F"}, "row 0 is not as expected"),
    ("boolq", lambda row: {**row, "answer": "yes"}, "answer should be one of False, True, not 'yes'"),
])
def test_another_schema_is_one_line(name, change, complaint, monkeypatch):
    rows = [change(row) for row in make(name, 30)]
    monkeypatch.setattr(readers, "load", lambda *_, **__: datasets.Dataset.from_list(rows))
    with pytest.raises(SystemExit, match=complaint):
        list(readers.read_public({"name": name, **tasks.TASKS[name]}, 0, 0))


def test_the_list_shows_every_task():
    _, printed, _ = inside("prepare_data.py", "--list")
    assert all(f"\n{name} " in printed for name in tasks.TASKS) and "CC-BY-NC-3.0" in printed
    line = next(line for line in printed.splitlines() if line.startswith("ethics_virtue"))
    assert line.split()[2:6] == ["28,245", "2,020", "4,975", "682"]  # rows, and examples of them


def test_kinds_take_equal_parts_and_strata_are_balanced_at_every_size():
    rows = [{"text": f"{label}{kind}{i}", "id": f"{label}{kind}{i}", "label": label, "kind": kind}
            for label, kind, n in ((1, "entailed", 90), (0, "neutral", 80), (0, "contradicted", 40)) for i in range(n)]
    for most, expected in ((1000, (40, 40, 80)), (40, (10, 10, 20))):
        found = collections.Counter(row["id"].strip("0123456789") for row in splits.sample(rows, most, 0))
        assert (found["neutral"], found["contradicted"], found["entailed"]) == expected
    rows = [{"text": f"{label}{stratum}{i}", "id": f"{label}.{stratum}.{i}", "label": label, "stratum": stratum}
            for label, stratum, n in ((0, "a", 50), (1, "a", 9), (0, "b", 20), (1, "b", 40)) for i in range(n)]
    for most, size in ((1000, 58), (20, 20)):
        found = collections.Counter(row["id"].rsplit(".", 1)[0] for row in splits.sample(rows, most, 0))
        assert sum(found.values()) == size and all(found[f"0.{s}"] == found[f"1.{s}"] for s in "ab")


def test_of_several_rows_about_one_question_one_is_kept():
    rows = [{"text": f"{q} {i}", "question": f"q{q}", "label": int(i == 0)} for q in range(400) for i in range(5)]
    kept = splits.one_per_question(rows, 0)
    assert len(kept) == 400 and 160 < sum(row["label"] for row in kept) < 240  # a fifth of the rows are right, half of those kept


def test_phrases_of_a_sentence_stay_with_it():
    rows = [{"text": text, "keys": [text]} for text in ("a warm and funny film", "warm and funny", "funny", "a dull film", "dull")]
    splits.attach_phrases(rows)
    kept, _ = splits.by_group([{**row, "label": 0} for row in rows], [])
    assert [row["group"] for row in kept] == [kept[0]["group"]] * 3 + [kept[3]["group"]] * 2 and kept[0]["group"] != kept[3]["group"]


def test_choices_and_groups_go_through_the_whole_line(prepared, tiny, tmp_path):
    data, seed = prepared / "anthropic_hh", tmp_path / "results" / "seed0"
    about = [f"--test={data}/test.jsonl", f"--task={data}/task.json", "--epochs=1", "--batch_size=16"]
    inside("train_weak.py", tiny["bert"], f"--train={data}/weak_train.jsonl", f"--out={seed}/weak_a", *about)
    inside("label_weak.py", f"{seed}/weak_a/model", f"--data={data}/transfer.jsonl", f"--out={seed}/labels_a")
    inside("train_strong.py", tiny["llama"], f"--labels={data}/transfer.jsonl", f"--out={seed}/ceiling_b", *about)
    inside("train_strong.py", tiny["llama"], f"--labels={seed}/labels_a/labels.jsonl", f"--out={seed}/a-to-b_conf", "--loss=conf", *about)
    inside("evaluate_pgr.py", seed.parent)
    transfer, labels = read(data / "transfer.jsonl"), read(seed / "labels_a" / "labels.jsonl")
    drop = lambda row, key: {name: value for name, value in row.items() if name != key}
    assert [drop(row, "probs") for row in labels] == [drop(row, "label") for row in transfer]
    assert all("choices" in row for row in labels) and any("group" in row for row in labels)
    report = json.loads((seed.parent / "report.json").read_text())
    assert [student["name"] for student in report["students"]] == ["conf"] and report["examples"] == len(read(data / "test.jsonl"))
