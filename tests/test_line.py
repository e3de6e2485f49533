"""The whole line through run_all.sh, on tiny models."""

import inspect
import json
import re
from pathlib import Path

import pytest
from conftest import ROOT, command, inside, line_inside, read, recorded, reviews, rows, write
from test_stage import edit, project

import train_strong
import train_weak

TRAINING = ["--epochs=8", "--batch_size=8", "--lr=5e-3"]


@pytest.fixture(scope="module")
def line(tiny, tmp_path_factory):
    """A project, its data and results after one run, inside this process: BERT supervises Llama."""
    folder = tmp_path_factory.mktemp("line")
    here = project(folder / "project")
    data = reviews(folder)

    def run(losses="xent conf conf:alpha=0", **environment):
        return command(here / "run_all.sh", tiny["bert"], tiny["llama"], data, *TRAINING, LOSSES=losses,
                       DATA=str(folder / "data"), RESULTS=str(folder / "results"), **environment)[1]

    first = line_inside(folder, tiny["bert"], tiny["llama"], data, *TRAINING, LOSSES="xent conf conf:alpha=0", DATA=str(folder / "data"),
                        RESULTS=str(folder / "results"))
    run.printed = "\n".join(f"== stage -> {name}\n{said}" for name, said in first)
    run.here, run.seed, run.data = here, folder / "results" / "reviews" / "seed0", folder / "data" / "reviews"
    return run


def test_every_stage_leaves_what_the_next_one_needs(line):
    names = {path.name for path in line.seed.iterdir()}
    assert names == {"weak_tiny-bert", "labels_tiny-bert", "ceiling_tiny-llama"} | {
        f"tiny-bert-to-tiny-llama_{loss}" for loss in ("xent", "conf", "conf:alpha=0")}
    test = read(line.data / "test.jsonl")
    for name in names - {"labels_tiny-bert"}:
        lines = read(line.seed / name / "predictions.jsonl")
        assert [(row["id"], row["label"]) for row in lines] == [(row["id"], row["label"]) for row in test]
        run = json.loads((line.seed / name / "run.json").read_text())
        assert set(run["args"]) | set(run["inputs"]) == set(inspect.signature({"weak": train_weak}.get(name[:4], train_strong).main).parameters)
        right = sum((row["probs"][1] > 0.5) == row["label"] for row in lines) / len(lines)
        assert run["metrics"]["accuracy"] == pytest.approx(right) and run["versions"]["torch"] and "loss_source" in run
        examples = len(read(line.data / ("weak_train.jsonl" if "weak_" in name else "transfer.jsonl")))
        assert len(read(line.seed / name / "curve.jsonl")) == 8 * -(-examples // 8)  # 8 epochs of batches of 8
    report = json.loads((line.seed.parent / "report.json").read_text())
    assert report["weak"]["accuracy"] > 0.8 and len(report["students"]) == 3
    assert len(read(line.seed.parent / "history.jsonl")) == 6
    assert (line.seed.parent / "report.md").read_text().strip() in line.printed


def test_the_student_sees_no_ground_truth(line):
    labels = read(line.seed / "labels_tiny-bert" / "labels.jsonl")
    assert {tuple(row) for row in labels} == {("id", "text", "probs")}
    transfer = read(line.data / "transfer.jsonl")
    assert [(row["id"], row["text"]) for row in labels] == [(row["id"], row["text"]) for row in transfer]
    run = json.loads((line.seed / "tiny-bert-to-tiny-llama_conf" / "run.json").read_text())
    assert Path(run["inputs"]["labels"]["path"]).name == "labels.jsonl"


def test_labels_of_more_lines_than_pass_through_memory_at_once(line, tmp_path):
    data = write(tmp_path / "many.jsonl", [{"id": i, "text": row["text"]} for i, row in enumerate(rows(100) * 11)])
    inside("label_weak.py", f"--model={line.seed}/weak_tiny-bert/model", f"--data={data}", f"--out={tmp_path}/out")
    labels = read(tmp_path / "out" / "labels.jsonl")
    assert [row["id"] for row in labels] == [str(i) for i in range(1100)]
    assert [row["probs"] for row in labels[1000:]] == [pytest.approx(row["probs"], abs=2e-6) for row in labels[:100]]


def test_conf_without_alpha_is_the_student_of_xent_to_the_bit(line):
    found = [(line.seed / f"tiny-bert-to-tiny-llama_{loss}" / "predictions.jsonl").read_bytes()
             for loss in ("xent", "conf:alpha=0", "conf")]
    assert found[0] == found[1] != found[2]


def test_same_seed_same_bits_and_the_ceiling_is_xent_on_ground_truth(line, tiny, tmp_path):
    def train(labels, out):
        inside("train_strong.py", f"--model={tiny['llama']}", f"--labels={labels}", f"--test={line.data}/test.jsonl",
               f"--task={line.data}/task.json", *TRAINING, f"--out={tmp_path / out}", "--save_model")
        return (tmp_path / out / "predictions.jsonl").read_bytes()

    again = train(line.data / "transfer.jsonl", "again")
    assert again == (line.seed / "ceiling_tiny-llama" / "predictions.jsonl").read_bytes()
    # soft labels that happen to be the truth
    truth = [{"id": row["id"], "text": row["text"], "probs": [1 - row["label"], row["label"]]}
             for row in read(line.data / "transfer.jsonl")]
    assert train(write(tmp_path / "truth.jsonl", truth), "truth") == again
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("truth", "again")]
    assert weights[0] == weights[1]


def test_a_rerun_does_only_what_an_edit_changed(line):
    ran = lambda printed: re.findall(r"== \S+ -> \S+?([^/\s]+)\n(?!up to date)", printed)
    assert len(ran(line.printed)) == 8
    edit(line.here / "losses.py", "    a = alpha *", "    # a remark\n    a = alpha *")
    edit(line.here / "w2s" / "classifier.py", "import os\n", "import os  # a remark\n\n")
    assert ran(line()) == []
    edit(line.here / "losses.py", "a * harden", "0.3 * a * harden")
    assert line("xent").count("was trained with its loss as it was in losses.py before the last edit") == 2  # conf, conf:alpha=0
    assert ran(line("xent conf")) == ["tiny-bert-to-tiny-llama_conf", "reviews"]


def test_several_processes_label_alike(line, tmp_path):
    """LAUNCH starts the stages that hold a model; nothing but the labels is to be made again, so they alone get two processes."""
    launch = tmp_path / "launch"
    launch.write_text('#!/bin/sh\ncase $1 in *label_weak.py) exec torchrun --standalone --nproc-per-node 2 "$@" ;; *) exec python "$@" ;; esac\n')
    launch.chmod(0o755)
    labels = line.seed / "labels_tiny-bert" / "labels.jsonl"
    before = read(labels)
    labels.unlink()
    printed = line("xent", LAUNCH=str(launch))
    assert printed.count("up to date") >= 3 and printed.count("examples labelled") == 1
    after = read(labels)
    assert json.loads((labels.parent / "run.json").read_text())["processes"] == 2
    assert [(row["id"], row["text"]) for row in after] == [(row["id"], row["text"]) for row in before]
    assert [row["probs"] for row in after] == [pytest.approx(row["probs"], abs=2e-6) for row in before]


def test_flags_and_seeds_go_where_they_should(tmp_path):
    commands = recorded(tmp_path, ROOT / "run_all.sh", "a", "b", "task", "--lr=1", "--epochs=9", SEEDS="3 4", WEAK_FLAGS="--lr=2",
                        STRONG_FLAGS="--lr=3")
    found = []
    for _, script, *flags in commands[1:-1]:  # between prepare_data.py and evaluate_pgr.py
        seed, name = Path(flags[-1]).parts[-2:]  # of --out
        rates = [flag for flag in flags if flag.startswith("--lr=")]
        found.append((seed, name, rates[-1:], "--epochs=9" in flags))  # the last one counts
    assert found == [(seed, *expected) for seed in ("seed3", "seed4") for expected in (
        ("weak_a", ["--lr=2"], True), ("labels_a", [], False), ("ceiling_b", ["--lr=3"], True), ("a-to-b_xent", ["--lr=3"], True),
        ("a-to-b_conf", ["--lr=3"], True))]


def test_a_failing_stage_stops_the_line_with_its_message(line, tmp_path):
    nowhere = tmp_path / "nowhere"
    status, printed, error = command(line.here / "run_all.sh", nowhere, nowhere, tmp_path / "none.jsonl", ok=False,
                                     RESULTS=str(tmp_path), DATA=str(tmp_path))
    assert status != 0 and "none.jsonl: No such file" in error and error.count("\n") == 1 and "train_weak" not in printed
