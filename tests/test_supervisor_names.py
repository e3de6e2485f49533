"""Which supervisors run_all.sh trains, what they and their labels are called, who takes these."""

import pytest
from conftest import ROOT, command, recorded


def flags_of(commands, script):
    found = []
    for command in commands:
        if command[1].endswith(script):
            words = [word.removeprefix("--").partition("=") for word in command[2:]]
            found.append({name: value for name, _, value in words})
    return found


def test_several_of_one_model_have_seeds_and_names_of_their_own(tmp_path):
    commands = recorded(tmp_path, ROOT / "run_all.sh", "x/a", "b", "task", SEEDS="0 4",
                        SUPERVISORS="3", LOSSES="xent")
    weak = flags_of(commands, "train_weak.py")
    assert [flags["seed"] for flags in weak] == ["1000", "2000", "3000", "1004", "2004", "3004"]
    assert all(flags["model"] == "x/a" and "part" not in flags for flags in weak)
    seed = "results/task/seed4"
    assert [flags["out"] for flags in weak[3:]] == [f"{seed}/weak_a-run{i}" for i in (1, 2, 3)]

    labels = flags_of(commands, "label_weak.py")[1]
    assert labels["model"] == ",".join(f"{flags['out']}/model" for flags in weak[3:])
    assert labels["test"] == "data/task/test.jsonl" and labels["out"] == f"{seed}/labels_ax3"
    student = flags_of(commands, "train_strong.py")[-1]
    assert student["out"] == f"{seed}/ax3-to-b_xent"
    assert student["labels"] == f"{seed}/labels_ax3/labels.jsonl"
    assert student["weak"] == f"{seed}/labels_ax3/predictions.jsonl"


def test_parts_and_several_models(tmp_path):
    commands = recorded(tmp_path, ROOT / "run_all.sh", "a", "b", "task", SUPERVISORS="2", PARTS="1")
    weak = flags_of(commands, "train_weak.py")
    assert [flags["part"] for flags in weak] == ["1/2", "2/2"]
    assert [flags["out"].split("_")[-1] for flags in weak] == ["a-1of2", "a-2of2"]
    assert flags_of(commands, "label_weak.py")[0]["out"].endswith("labels_ax2parts")

    commands = recorded(tmp_path, ROOT / "run_all.sh", "x/a+y/c", "b", "task")
    weak = flags_of(commands, "train_weak.py")
    assert [(flags["model"], flags["seed"]) for flags in weak] == [("x/a", "0"), ("y/c", "0")]
    assert [flags["out"].split("/")[-1] for flags in weak] == ["weak_a", "weak_c"]
    assert flags_of(commands, "train_strong.py")[-1]["out"].endswith("a+c-to-b_conf")

    # a folder's own name may hold a plus
    (tmp_path / "p+q").mkdir()
    commands = recorded(tmp_path, ROOT / "run_all.sh", "p+q", "b", "task")
    assert [flags["model"] for flags in flags_of(commands, "train_weak.py")] == ["p+q"]


def test_analyses_take_their_labels_and_floor(tmp_path):
    commands = recorded(tmp_path, ROOT / "analyses.sh", "probe,prompt", "a", "b", "task",
                        SUPERVISORS="2", LOSSES="xent")
    labels = "results/task/seed0/labels_ax2"
    assert {flags["weak"] for flags in flags_of(commands, "train_strong.py")} == {
        f"{labels}/predictions.jsonl"}
    assert flags_of(commands, "prompt_strong.py")[0]["labels"] == f"{labels}/labels.jsonl"


@pytest.mark.parametrize("script, weak, environment, message", [
    ("run_all.sh", "a", {"SUPERVISORS": "0"}, "a whole number from 1 is needed"),
    ("run_all.sh", "a", {"SUPERVISORS": "two"}, "a whole number from 1 is needed"),
    ("run_all.sh", "a", {"PARTS": "1"}, "PARTS=1 needs several SUPERVISORS"),
    ("run_all.sh", "a", {"SUPERVISORS": "2", "PARTS": "yes"}, "0 or 1 is needed"),
    ("run_all.sh", "a", {"WEAK_FLAGS": "--part=1/3"}, "--part is set for each stage here"),
    ("run_all.sh", "a+c", {"SUPERVISORS": "2"}, "a+c are several already"),
    ("run_all.sh", "x/a+y/a", {}, "two of them are called alike"),
    ("analyses.sh", "a,c", {"SUPERVISORS": "2"}, "a chain starts from one supervisor"),
])
def test_what_cannot_be_is_refused_in_one_line(tmp_path, script, weak, environment, message):
    words = ["chain"] if script == "analyses.sh" else []
    status, printed, error = command(script, *words, weak, "b", tmp_path / "none.jsonl", ok=False,
                                     **environment)
    assert status == 1 and message in error and error.count("\n") == 1 and not printed
