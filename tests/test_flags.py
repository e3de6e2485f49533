"""The command line: of stages, and of run_all.sh and analyses.sh."""

import gc
import inspect
import os
import subprocess
import sys

import pytest
from conftest import ROOT, command, inside

import train_strong
import train_weak
from w2s import hub, stage

TRAIN = ["train_strong.py", "--model=m", "--labels=l", "--test=t", "--out=o"]


@pytest.mark.parametrize("flags, complaint", [
    (TRAIN + ["--epoch=2"], "unknown flag --epoch; did you mean --epochs?"),
    (TRAIN + ["--lr=fast"], "--lr=fast: a number is needed"),
    (TRAIN + ["spare"], "unknown flag spare"),
    (TRAIN[:-1], "--out is missing"),
    (TRAIN[:1] + ["m", *TRAIN[2:], "--lr"], "--lr has no value; write --lr=VALUE"),
    (["prepare_data.py", "d.csv", "--text", "--epochs=3"],
     "--text has no value; write --text=VALUE"),
    (["prepare_data.py", "d.csv", "--out", "--text=x"],
     "--out has no value; write --out=VALUE"),
    (["prepare_data.py", "d.csv", "--nose"], "unknown flag --nose; did you mean --seed?"),
    (["prepare_data.py", "d.csv", "--noout"], "unknown flag --noout; did you mean --out?"),
    (["prepare_data.py", "d.csv", "--", "--out=o"], "unknown flag --"),
    (TRAIN + ["--linear_probe", "maybe"], "unknown flag maybe"),
    (TRAIN + ["--save_minutes=nan"], "--save_minutes=nan: 0 or more is needed"),
    (["run_all.sh", "a", "b", "c", "--seed=1"], "before bash stand SEEDS=, LOSSES="),
    (TRAIN + ["--loss=conf:alpha=0.5,alpha=0.9"], "alpha is there twice"),
    (["run_all.sh", "a", "b", "c", "--losses=mine"], "before bash stand SEEDS=, LOSSES="),
    (["run_all.sh", "a", "b"], "three names are needed"),
    (["run_all.sh", "a", "b", "x/.."], "gives the results no name"),
    (["analyses.sh", "a", "b", "c"], "unknown analysis a; there are probe, prompt"),
    (["analyses.sh", "probe,prmpt", "a", "b", "c"], "unknown analysis prmpt; there are probe"),
    (["analyses.sh", "chain", "a", "b", "c"], "a chain is WEAK,MIDDLE STRONG TASK"),
    (["label_weak.py", "--model=1e3", "--data=d", "--out=o"],
     "cannot read d: No such file or directory"),
])
def test_bad_flags_are_refused_before_any_work(flags, complaint):
    run = command if flags[0].endswith(".sh") else inside
    status, _, error = run(*flags, ok=False)
    assert status != 0 and complaint in error and error.count("\n") == 1


@pytest.mark.parametrize("script, name, flag", [
    (["run_all.sh"], "STRONG_FLAGS", "--loss=product"),
    (["run_all.sh"], "STRONG_FLAGS", "--loss product"),
    (["run_all.sh"], "WEAK_FLAGS", "--model=other"),
    (["analyses.sh", "prompt"], "PROMPT_FLAGS", "--shots=3"),
    (["analyses.sh", "generative"], "GENERATIVE_FLAGS", "--seed=7"),
])
def test_no_flag_of_one_kind_of_stage_names_another_run(script, name, flag):
    """Its results would be called what they are not."""
    status, printed, error = command(*script, "a", "b", "c", ok=False, **{name: flag})
    flag_name = flag.replace("=", " ").split()[0]
    assert status and not printed and f"{flag_name} is set for each stage" in error


@pytest.mark.parametrize("words", [["run_all.sh"], ["analyses.sh", "probe"]])
def test_a_slip_in_LOSSES_is_found_before_any_work(words):
    status, printed, error = command(*words, "a", "b", "c", ok=False, LOSSES="xent cnof")
    assert status and not printed
    assert error.startswith(f"{words[0]}: unknown loss cnof; losses.py has xent, conf")


@pytest.mark.parametrize("words", [["run_all.sh"], ["analyses.sh"], ["analyses.sh", "probe"]])
def test_help_of_a_script_is_its_head(words):
    status, printed, error = command(*words, "--help")
    assert printed.startswith("The whole experiment" if words == ["run_all.sh"] else "What comes")
    assert "WEAK_FLAGS" in printed or "PROBE_FLAGS" in printed
    assert "set -e" not in printed and not error


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
    _, _, error = command("run_all.sh", "a", "b", "c", ok=False, SEEDS=seeds)
    assert f'SEEDS="{seeds}": whole numbers are needed' in error


def test_help_shows_every_flag_with_its_comment():
    _, printed, _ = inside("train_strong.py", "--help")
    assert "python train_strong.py --model=gpt2-xl" in printed
    assert "lr=5e-5," in printed and "# peak learning rate" in printed


def test_flags_that_supervisor_and_student_share_have_one_default():
    weak = inspect.signature(train_weak.main).parameters
    strong = inspect.signature(train_strong.main).parameters
    assert set(weak) - set(strong) == {"train", "part", "examples"}
    for name in set(weak) & set(strong):
        assert weak[name].default == strong[name].default


@pytest.mark.parametrize("command", [
    "prepare_data.py --list | true",
    "train_strong.py --help | true",
    "train_strong.py --help | head -1",
])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_reads_the_output_may_stop_reading(command, unbuffered):
    done = subprocess.run(f"{sys.executable} {ROOT}/{command}", shell=True, capture_output=True,
                          text=True, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert done.stderr == ""


def test_garbage_is_collected_from_when_the_model_is_there(monkeypatch):
    seen = []

    def main(model="m"):
        seen.append(gc.isenabled())
        with hub.fetching(model):
            pass
        seen.append(gc.isenabled())

    monkeypatch.setattr(sys, "argv", ["stage.py"])
    stage.cli(main)
    gc.unfreeze()
    assert seen == [False, True]
