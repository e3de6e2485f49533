"""Flags, and what makes a run up to date."""

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, command, inside, rows, write

from w2s import source, stage

TRAIN = ["train_strong.py", "--model=m", "--labels=l", "--test=t", "--out=o"]


@pytest.mark.parametrize("flags, complaint", [
    (TRAIN + ["--epoch=2"], "unknown flag --epoch; did you mean --epochs?"),
    (TRAIN + ["--lr=fast"], "--lr=fast: a number is needed"),
    (TRAIN + ["spare"], "unknown flag spare"),
    (TRAIN[:-1], "--out is missing"),
    (TRAIN[:1] + ["m", *TRAIN[2:], "--lr"], "--lr has no value; write --lr=VALUE"),
    (["prepare_data.py", "d.csv", "--text", "--epochs=3"], "--text has no value; write --text=VALUE"),
    (["prepare_data.py", "d.csv", "--out", "--text=x"], "--out has no value; write --out=VALUE"),
    (["prepare_data.py", "d.csv", "--nose"], "unknown flag --nose; did you mean --seed?"),
    (["prepare_data.py", "d.csv", "--noout"], "unknown flag --noout; did you mean --out?"),
    (["prepare_data.py", "d.csv", "--", "--out=o"], "unknown flag --"),
    (TRAIN + ["--linear_probe", "maybe"], "unknown flag maybe"),
    (TRAIN + ["--save_minutes=nan"], "--save_minutes=nan: 0 or more is needed"),
    (["run_all.sh", "a", "b", "c", "--seed=1"], "before bash stand SEEDS=, LOSSES="),
    (["run_all.sh", "a", "b", "c", "--losses=mine"], "before bash stand SEEDS=, LOSSES="),
    (["run_all.sh", "a", "b"], "three names are needed"),
    (["run_all.sh", "a", "b", "x/.."], "gives the results no name"),
    (["label_weak.py", "--model=1e3", "--data=d", "--out=o"], "cannot read d: No such file or directory"),
])
def test_bad_flags_are_refused_before_any_work(flags, complaint):
    status, _, error = (command if flags[0] == "run_all.sh" else inside)(*flags, ok=False)
    assert status != 0 and complaint in error and error.count("\n") == 1


def test_a_slip_in_LOSSES_is_found_before_any_work():
    status, printed, error = command("run_all.sh", "a", "b", "c", ok=False, LOSSES="xent cnof")
    assert status and not printed and "unknown loss cnof; losses.py has xent, conf" in error


@pytest.mark.parametrize("words, expected", [
    (["--probe"], True), (["--probe", "true"], True), (["--probe=1"], True),
    (["--probe", "false"], False), (["--probe", "0"], False), (["--probe=False"], False),
    ([], False), (["--probe", "--rate", "-1e-3"], True), (["--noprobe"], False),
])
def test_a_flag_of_yes_or_no_may_have_its_value_as_a_word(monkeypatch, words, expected):
    def main(name, probe=False, rate=0.5):
        found.append((name, probe, rate))

    found = []
    monkeypatch.setattr(sys, "argv", ["stage.py", "m", *words])
    stage.cli(main)
    assert found == [("m", expected, -1e-3 if "--rate" in words else 0.5)]


@pytest.mark.parametrize("seeds", ["0 01", "0,1"])
def test_a_seed_is_written_in_one_way(seeds):
    assert f'SEEDS="{seeds}": whole numbers are needed' in command("run_all.sh", "a", "b", "c", ok=False, SEEDS=seeds)[2]


def test_help_shows_every_flag_with_its_comment():
    _, printed, _ = inside("train_strong.py", "--help")
    assert "python train_strong.py --model=gpt2-xl" in printed and "lr=5e-5," in printed and "# peak learning rate" in printed


def project(folder):
    """A copy of the project whose files a test may edit."""
    folder.mkdir()
    for file in [*ROOT.glob("*.py"), ROOT / "run_all.sh"]:
        shutil.copy(file, folder)
    shutil.copytree(ROOT / "w2s", folder / "w2s", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_up_to_date_means_same_arguments_inputs_code_and_outputs(tmp_path, monkeypatch):
    here, data, out = project(tmp_path / "project"), write(tmp_path / "mine.jsonl", rows(60)), tmp_path / "data"
    monkeypatch.setattr(source, "HERE", here)
    fresh = lambda *flags: "up to date" not in inside("prepare_data.py", data, f"--out={out}", *flags)[1]
    assert fresh() and not fresh()
    assert fresh("--max_test=4") and fresh()  # an argument
    edit(here / "w2s" / "readers.py", "def uniform(*key):", "# a remark\n\n\ndef uniform(*key):")
    assert not fresh()
    edit(here / "w2s" / "readers.py", "2**48", "2**48 * 1")
    assert fresh() and not fresh()
    write(data, rows(62))
    assert fresh() and not fresh()
    write(data, rows(62))
    assert not fresh()  # the content of an input counts, not its date
    (out / "test.jsonl").unlink()
    assert fresh() and not fresh()
    (out / "run.json").write_text("{")
    assert fresh()


def test_a_crash_while_writing_is_not_taken_for_a_result(tmp_path):
    def crash(path):
        raise KeyboardInterrupt

    args = {"out": str(tmp_path / "seed0" / "run")}
    stage.finish(stage.start(args, [], ["w2s/stage.py"]), {"accuracy": 1.0}, {"a.txt": "first", "model": lambda path: path.mkdir()})
    assert stage.start(args, [], ["w2s/stage.py"]) is None
    with pytest.raises(KeyboardInterrupt):
        stage.finish(stage.start({**args, "lr": 1}, [], ["w2s/stage.py"]), {}, {"a.txt": "second", "b.txt": crash})
    assert stage.start({**args, "lr": 1}, [], ["w2s/stage.py"])  # not done
    assert stage.start(args, [], ["w2s/stage.py"]) is None and (tmp_path / "seed0" / "run" / "a.txt").read_text() == "first"  # nothing lost
    stage.finish(stage.start({**args, "lr": 1}, [], ["w2s/stage.py"]), {"accuracy": 0.5}, {"a.txt": "second"})
    assert sorted(path.name for path in (tmp_path / "seed0" / "run").iterdir()) == ["a.txt", "run.json"]
    history = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["metrics"] for line in history] == [{"accuracy": 1.0}, {"accuracy": 0.5}]


def test_of_the_losses_only_the_one_used_and_what_it_calls_counts(tmp_path, monkeypatch):
    here = project(tmp_path / "project")
    monkeypatch.setattr(source, "HERE", here)
    before = {name: source.loss_source(name) for name in ("xent", "conf", "bootstrap")}
    assert "def harden" in before["conf"] and "def harden" not in before["xent"] and "def cross_entropy" in before["xent"]
    changed = lambda: [name for name in before if source.loss_source(name) != before[name]]
    edit(here / "losses.py", '"""Plain finetuning', '"""Quite plain finetuning')
    edit(here / "losses.py", "    a = alpha *", "    # how much\n\n    a = alpha *")
    assert changed() == []
    edit(here / "losses.py", "margin.sort(descending=True)", "margin.sort(descending=True, stable=True)")
    assert changed() == ["conf"]
    edit(here / "losses.py", "logits.log_softmax(1)", "logits.log_softmax(-1)")
    assert changed() == ["xent", "conf", "bootstrap"]
    edit(here / "losses.py", '"xent": xent', '"xent": xent, "mine": lambda *batch: conf(*batch, alpha=0.1)')
    assert "alpha=0.1" in source.loss_source("mine") and "def harden" in source.loss_source("mine")
    edit(here / "losses.py", "LOSSES = {", "def mean(logits, weak_probs, eps=0.1):\n    pass\n\n\nLOSSES = {")
    with pytest.raises(SystemExit, match='It defines mean: add "mean": mean to LOSSES'):
        source.loss_source("mean")
    edit(here / "losses.py", '"xent": xent', '"mean": mean, "xent": xent')
    with pytest.raises(SystemExit, match="mean must take logits, weak_probs, step_frac and then its own parameters"):
        source.parse_loss("mean:eps=0.2")
    with pytest.raises(SystemExit, match="conf:alpha=null: alpha=null should read like alpha=0.75"):
        source.parse_loss("conf:alpha=null")
    edit(here / "losses.py", "LOSSES = {", "xent = torch.no_grad()(xent)\nLOSSES = {")
    assert "def xent" in source.loss_source("xent") and "no_grad" in source.loss_source("xent")  # bound twice: both count
    edit(here / "losses.py", "LOSSES = {", "LOSSES = {**{}, ")
    with pytest.raises(SystemExit, match="LOSSES must be a plain dict"):
        source.loss_source("xent")


NOTEBOOK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from w2s import records, stage
def run():
    if begun := stage.start({"out": sys.argv[2]}, [], ["w2s/records.py", "w2s/metrics.py"]):
        from w2s import metrics
        stage.finish(begun, {}, {"a.txt": "a"})
def append(file, text):
    with open(Path(sys.argv[1], file), "a") as stream:
        stream.write(text)
run()
append("w2s/pairs.py", "X = 1")  # was not loaded
append("w2s/metrics.py", "# a remark")
run()
append("w2s/metrics.py", "\\nX = 1")
run()
"""


def test_code_edited_after_it_was_loaded_is_not_recorded_as_what_ran(tmp_path, monkeypatch):
    here = project(tmp_path / "project")
    done = subprocess.run([sys.executable, "-c", NOTEBOOK, here, tmp_path / "out"], capture_output=True, text=True)
    assert done.stdout == f"up to date: {tmp_path}/out\n" and done.returncode == 1
    assert done.stderr == "-c: metrics.py was edited after this process had loaded it; start it again (in a notebook: restart the kernel)\n"
    monkeypatch.setitem(source.FOUND, ROOT / "w2s" / "training.py", "")  # edited while a stage loaded it
    with pytest.raises(SystemExit, match="training.py was edited"), stage.explain_divergence([]):
        pass


def test_model_folder_counts_by_content(tmp_path):
    write(tmp_path / "m" / "config.json", [{"a": 1}])
    first = stage.fingerprint(tmp_path / "m")
    shutil.copytree(tmp_path / "m", tmp_path / "n")
    assert stage.fingerprint(tmp_path / "n")["sha256"] == first["sha256"]
    write(tmp_path / "m" / "config.json", [{"a": 2}])
    assert stage.fingerprint(tmp_path / "m", first)["sha256"] != first["sha256"]
    assert stage.fingerprint(tmp_path / "n", {**first, "path": str(tmp_path / "n")})["sha256"] == first["sha256"]


HELD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from w2s import stage
run = stage.start({"out": sys.argv[2], "lr": float(sys.argv[3])}, [], ["w2s/stage.py"])
if run:
    print("works", os.getpid(), flush=True)
    sys.stdin.read()
    stage.finish(run, {}, {"who.txt": str(os.getpid())})
"""


def held(folder, lr=1, **environment):
    """A run in a process of its own that works until its stdin is closed, as communicate() does."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", HELD, ROOT, folder, str(lr)], stdin=pipe, stdout=pipe, stderr=pipe, text=True,
                            env={**os.environ, **environment})


def test_of_several_at_once_one_works_and_the_others_wait_for_it(tmp_path):
    first = held(tmp_path / "run")
    assert first.stdout.readline() == f"works {first.pid}\n"
    others = [held(tmp_path / "run") for _ in range(3)]
    assert all(f"waiting for process {first.pid} on " in other.stderr.readline() for other in others)
    first.communicate()
    for other in others:
        assert other.communicate()[0] == f"up to date: {tmp_path}/run\n" and other.returncode == 0
    assert (tmp_path / "run" / "who.txt").read_text() == str(first.pid)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"who.txt", "run.json"}


def test_another_run_of_the_same_folder_waits_too_and_then_works(tmp_path):
    first = held(tmp_path / "run")
    first.stdout.readline()
    second = held(tmp_path / "run", lr=2)
    assert "waiting for" in second.stderr.readline()
    first.communicate()
    assert second.communicate()[0] == f"works {second.pid}\n" and first.returncode == 0


def test_a_dead_owner_s_lock_is_taken_over(tmp_path):
    first = held(tmp_path / "run")
    first.stdout.readline()
    second = held(tmp_path / "run")
    assert "waiting for" in second.stderr.readline()
    first.kill()
    assert second.communicate()[0] == f"works {second.pid}\n"
    third = held(tmp_path / "new")
    third.stdout.readline()
    third.kill()
    assert (tmp_path / "new" / ".lock").exists() and held(tmp_path / "new").communicate()[0].startswith("works")
    first.communicate(), third.communicate()


def test_a_stage_that_was_stopped_holds_nobody_up(tmp_path):
    """In a notebook, or a sweep that goes on after a refusal."""
    stage.start({"out": str(tmp_path / "stopped")}, [], ["w2s/stage.py"])
    assert (tmp_path / "stopped" / ".lock").exists()
    stage.finish(stage.start({"out": str(tmp_path / "next")}, [], ["w2s/stage.py"]), {}, {})
    assert not (tmp_path / "stopped").exists()


def test_the_processes_of_a_launch_work_together(tmp_path):
    launch = {"MASTER_PORT": "1", "TORCHELASTIC_RUN_ID": "a"}
    second = held(tmp_path / "run", RANK="1", **launch)  # waits for its first process
    first = held(tmp_path / "run", RANK="0", **launch)
    assert [process.stdout.readline().split()[0] for process in (first, second)] == ["works", "works"]
    first.communicate(), second.communicate()
    assert [held(tmp_path / "run", RANK=rank, **launch).communicate()[0].split()[0] for rank in "01"] == ["up", "up"]


def test_an_input_that_changes_under_the_work_is_noticed(tmp_path):
    data = write(tmp_path / "data.jsonl", [{}])
    run = stage.start({"out": str(tmp_path / "out"), "data": str(data)}, ["data"], ["w2s/stage.py"])
    write(data, [{}, {}])
    with pytest.raises(SystemExit, match="data.jsonl was changed while this run worked on it"):
        stage.finish(run, {}, {"a.txt": "a"})
    assert not (tmp_path / "out" / "run.json").exists()


def test_an_error_of_one_s_own_loss_is_shown_as_it_is():
    with pytest.raises(ZeroDivisionError), stage.explain_divergence([]):
        1 / 0


def test_flags_that_supervisor_and_student_share_have_one_default():
    weak, strong = (inspect.signature(importlib.import_module(name).main).parameters for name in ("train_weak", "train_strong"))
    assert set(weak) - set(strong) == {"train"} and all(weak[name].default == strong[name].default for name in set(weak) - {"train"})


def test_a_stage_is_a_function_that_takes_a_path(tmp_path):
    run = stage.start({"out": tmp_path / "out"}, [], ["w2s/stage.py"])
    stage.finish(run, {}, {"a.txt": "a"})
    assert stage.start({"out": str(tmp_path / "out")}, [], ["w2s/stage.py"]) is None


def test_what_another_stage_wrote_is_not_written_over(tmp_path):
    stage.finish(stage.start({"out": str(tmp_path / "out")}, [], ["w2s/stage.py"]), {}, {"labels.jsonl": [{}]})
    (tmp_path / "state-dicts").mkdir()
    with pytest.raises(SystemExit, match="out holds what stage.py wrote; give another folder"):
        stage.start({"out": str(tmp_path / "out")}, [], ["w2s/records.py"])
    with pytest.raises(SystemExit, match="--out is empty"):
        stage.start({"out": ""}, [], ["w2s/stage.py"])
    stage.finish(stage.start({"out": str(tmp_path)}, [], ["w2s/stage.py"]), {}, {"a.txt": "a"})
    assert (tmp_path / "state-dicts").exists() and (tmp_path / "out" / "labels.jsonl").exists()
