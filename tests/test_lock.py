"""Runs into one folder at once."""

import errno
import fcntl
import os
import platform
import subprocess
import sys

import pytest
from conftest import ROOT, start

from w2s import stage

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
    argv = [sys.executable, "-c", HELD, ROOT, folder, str(lr)]
    pipe, environment = subprocess.PIPE, {**os.environ, **environment}
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def test_of_several_at_once_one_works_and_the_others_wait_for_it(tmp_path):
    first = held(tmp_path / "run")
    assert first.stdout.readline() == f"works {first.pid}\n"
    others = [held(tmp_path / "run") for _ in range(3)]
    for other in others:
        said = other.stderr.readline()
        assert f"waiting for process {first.pid} on {platform.node()}, which works in" in said
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
    assert (tmp_path / "new" / ".lock").exists()
    assert held(tmp_path / "new").communicate()[0].startswith("works")
    first.communicate()
    third.communicate()


def test_a_stage_that_was_stopped_holds_nobody_up(tmp_path):
    """In a notebook, or a sweep that goes on after a refusal."""
    start(tmp_path / "stopped")
    assert (tmp_path / "stopped" / ".lock").exists()
    stage.finish(start(tmp_path / "next"), {}, {})
    assert not (tmp_path / "stopped").exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_worked_on(tmp_path, monkeypatch, capsys, code):
    def no_locks(*_):
        raise OSError(code, "no locks here")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    stage.finish(start(tmp_path / "run"), {}, {"a.txt": "a"})
    said = capsys.readouterr().err
    assert "cannot be locked (no locks here): start no second run into it" in said
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"a.txt", "run.json"}


def test_the_processes_of_a_launch_work_together(tmp_path):
    launch = {"MASTER_PORT": "1", "TORCHELASTIC_RUN_ID": "a"}
    second = held(tmp_path / "run", RANK="1", **launch)  # waits for its first process
    first = held(tmp_path / "run", RANK="0", **launch)
    for process in (first, second):
        assert process.stdout.readline().startswith("works")
    first.communicate()
    second.communicate()
    for rank in "01":
        printed, _ = held(tmp_path / "run", RANK=rank, **launch).communicate()
        assert printed.startswith("up to date")
