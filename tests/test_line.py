"""The whole line through run_all.sh, on tiny models."""

import inspect
import json
import re
from pathlib import Path

import pytest
from conftest import (
    ROOT, command, edit, inside, line_inside, project, read, recorded, reviews, rows, write)

import train_strong
import train_weak

TRAINING = ["--epochs=8", "--batch_size=8", "--lr=5e-3"]


@pytest.fixture(scope="module")
def line(tiny, tmp_path_factory):
    """A project, its data and results after one run, inside this process: BERT supervises Llama."""
    folder = tmp_path_factory.mktemp("line")
    here = project(folder / "project")
    words = tiny["bert"], tiny["llama"], reviews(folder), *TRAINING
    places = {"DATA": str(folder / "data"), "RESULTS": str(folder / "results")}

    def run(losses="xent conf conf:alpha=0", **environment):
        return command(here / "run_all.sh", *words, LOSSES=losses, **places, **environment)[1]

    first = line_inside(folder, *words, LOSSES="xent conf conf:alpha=0", **places)
    run.printed = "\n".join(f"== stage -> {name}\n{said}" for name, said in first)
    run.here = here
    run.seed = folder / "results" / "reviews" / "seed0"
    run.data = folder / "data" / "reviews"
    return run


def test_every_stage_leaves_what_the_next_one_needs(line):
    names = {path.name for path in line.seed.iterdir()}
    students = {f"tiny-bert-to-tiny-llama_{loss}" for loss in ("xent", "conf", "conf:alpha=0")}
    assert names == {"weak_tiny-bert", "labels_tiny-bert", "ceiling_tiny-llama"} | students

    test = read(line.data / "test.jsonl")
    for name in names - {"labels_tiny-bert"}:
        is_weak = name.startswith("weak_")
        lines = read(line.seed / name / "predictions.jsonl")
        for ours, theirs in zip(lines, test, strict=True):
            assert (ours["id"], ours["label"]) == (theirs["id"], theirs["label"])

        run = json.loads((line.seed / name / "run.json").read_text())
        main = train_weak.main if is_weak else train_strong.main
        assert set(run["args"]) | set(run["inputs"]) == set(inspect.signature(main).parameters)
        right = sum((row["probs"][1] > 0.5) == row["label"] for row in lines) / len(lines)
        assert run["metrics"]["accuracy"] == pytest.approx(right)
        assert run["versions"]["torch"] and "loss_source" in run

        # 8 epochs of batches of 8
        examples = len(read(line.data / ("weak_train.jsonl" if is_weak else "transfer.jsonl")))
        assert len(read(line.seed / name / "curve.jsonl")) == 8 * -(-examples // 8)

    report = json.loads((line.seed.parent / "report.json").read_text())
    assert report["weak"]["accuracy"] > 0.8 and len(report["students"]) == 3
    assert len(read(line.seed.parent / "history.jsonl")) == 6
    assert (line.seed.parent / "report.md").read_text().strip() in line.printed


def test_the_student_sees_no_ground_truth(line):
    labels = read(line.seed / "labels_tiny-bert" / "labels.jsonl")
    assert {tuple(row) for row in labels} == {("id", "text", "probs")}
    for ours, theirs in zip(labels, read(line.data / "transfer.jsonl"), strict=True):
        assert (ours["id"], ours["text"]) == (theirs["id"], theirs["text"])
    run = json.loads((line.seed / "tiny-bert-to-tiny-llama_conf" / "run.json").read_text())
    assert Path(run["inputs"]["labels"]["path"]).name == "labels.jsonl"


def test_labels_of_more_lines_than_pass_through_memory_at_once(line, tmp_path):
    texts = [row["text"] for row in rows(100) * 11]
    made = [{"id": i, "text": text} for i, text in enumerate(texts)]
    data = write(tmp_path / "many.jsonl", made)
    inside("label_weak.py", f"--model={line.seed}/weak_tiny-bert/model", f"--data={data}",
           f"--out={tmp_path}/out")
    labels = read(tmp_path / "out" / "labels.jsonl")
    assert [row["id"] for row in labels] == [str(i) for i in range(1100)]
    for first, last in zip(labels[:100], labels[1000:], strict=True):
        assert last["probs"] == pytest.approx(first["probs"], abs=2e-6)


def test_conf_without_alpha_is_the_student_of_xent_to_the_bit(line):
    def predictions(loss):
        folder = line.seed / f"tiny-bert-to-tiny-llama_{loss}"
        return (folder / "predictions.jsonl").read_bytes()

    assert predictions("xent") == predictions("conf:alpha=0") != predictions("conf")


def test_same_seed_same_bits_and_the_ceiling_is_xent_on_ground_truth(line, tiny, tmp_path):
    def train(labels, out):
        inside("train_strong.py", f"--model={tiny['llama']}", f"--labels={labels}",
               f"--test={line.data}/test.jsonl", f"--task={line.data}/task.json", *TRAINING,
               f"--out={tmp_path / out}", "--save_model")
        return (tmp_path / out / "predictions.jsonl").read_bytes()

    again = train(line.data / "transfer.jsonl", "again")
    assert again == (line.seed / "ceiling_tiny-llama" / "predictions.jsonl").read_bytes()

    # soft labels that happen to be the truth
    truth = []
    for row in read(line.data / "transfer.jsonl"):
        probs = [1 - row["label"], row["label"]]
        truth.append({"id": row["id"], "text": row["text"], "probs": probs})
    assert train(write(tmp_path / "truth.jsonl", truth), "truth") == again
    weights = [tmp_path / name / "model" / "model.safetensors" for name in ("truth", "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_rerun_does_only_what_an_edit_changed(line):
    def ran(printed):
        return re.findall(r"== \S+ -> \S+?([^/\s]+)\n(?!up to date)", printed)

    assert len(ran(line.printed)) == 8

    # remarks
    edit(line.here / "losses.py", "    a = alpha *", "    # a remark\n    a = alpha *")
    edit(line.here / "w2s" / "classifier.py", "import sys\n", "import sys  # a remark\n\n")
    assert ran(line()) == []

    # a loss: the report says that conf and conf:alpha=0 are of the one before
    edit(line.here / "losses.py", "a * harden", "0.3 * a * harden")
    warning, = re.findall("of an earlier version of their loss in losses.py: (.*);", line("xent"))
    assert warning.count("tiny-bert-to-tiny-llama_conf") == 2
    assert ran(line("xent conf")) == ["tiny-bert-to-tiny-llama_conf", "reviews"]


TWO_LABEL = """#!/bin/sh
case $1 in
  *label_weak.py) exec torchrun --standalone --nproc-per-node 2 "$@" ;;
  *) exec python "$@" ;;
esac
"""


def test_several_processes_label_alike(line, tmp_path):
    """LAUNCH starts the stages that hold a model; nothing but the labels is to be made again, so
    they alone get two processes."""
    launch = tmp_path / "launch"
    launch.write_text(TWO_LABEL)
    launch.chmod(0o755)
    labels = line.seed / "labels_tiny-bert" / "labels.jsonl"
    before = read(labels)
    labels.unlink()

    printed = line("xent", LAUNCH=str(launch))
    assert printed.count("up to date") >= 3 and printed.count("examples labelled") == 1
    assert json.loads((labels.parent / "run.json").read_text())["processes"] == 2
    for ours, theirs in zip(read(labels), before, strict=True):
        assert (ours["id"], ours["text"]) == (theirs["id"], theirs["text"])
        assert ours["probs"] == pytest.approx(theirs["probs"], abs=2e-6)


def test_flags_and_seeds_go_where_they_should(tmp_path):
    commands = recorded(tmp_path, ROOT / "run_all.sh", "a", "b", "task", "--lr=1", "--epochs=9",
                        SEEDS="3 4", WEAK_FLAGS="--lr=2", STRONG_FLAGS="--lr=3")
    found = []
    for _, script, *flags in commands[1:-1]:  # between prepare_data.py and evaluate_pgr.py
        seed, name = Path(flags[-1]).parts[-2:]  # of --out
        rates = [flag for flag in flags if flag.startswith("--lr=")]
        found.append((seed, name, rates[-1:], "--epochs=9" in flags))  # the last one counts

    expected = [
        ("weak_a", ["--lr=2"], True),
        ("labels_a", [], False),
        ("ceiling_b", ["--lr=3"], True),
        ("a-to-b_xent", ["--lr=3"], True),
        ("a-to-b_conf", ["--lr=3"], True),
    ]
    third = [("seed3", *each) for each in expected]
    fourth = [("seed4", *each) for each in expected]
    assert found == third + fourth


def test_a_flag_may_be_written_with_hyphens_and_goes_to_the_same_stages(tmp_path):
    names = ROOT / "analyses.sh", "prompt", "a", "b", "task"
    hyphens = recorded(tmp_path, *names, "--max-tokens=64", "--lr=1e-3")
    assert hyphens == recorded(tmp_path, *names, "--max_tokens=64", "--lr=1e-3")
    assert "--max_tokens=64" in hyphens[0] and "--lr=1e-3" not in hyphens[0]  # it is not trained


def test_a_failing_stage_stops_the_line_with_its_message(line, tmp_path):
    nowhere = tmp_path / "nowhere"
    status, printed, error = command(
        line.here / "run_all.sh", nowhere, nowhere, tmp_path / "none.jsonl", ok=False,
        RESULTS=str(tmp_path), DATA=str(tmp_path))
    assert status != 0 and "none.jsonl: No such file" in error and error.count("\n") == 1
    assert "train_weak" not in printed


def test_the_precision_of_predicting_goes_to_what_labels_and_asks(tmp_path):
    names = "a", "b", "task", "--dtype=bf16"
    line = recorded(tmp_path, ROOT / "run_all.sh", *names, TRUTH="0.1")
    asked = recorded(tmp_path, ROOT / "analyses.sh", "prompt,own", *names)
    for _, script, *flags in line + asked:
        wants = Path(script).stem in ("label_weak", "prompt_strong")
        assert ("--dtype=bf16" in flags) == wants
