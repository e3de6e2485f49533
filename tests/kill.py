"""Kills the whole line at random moments, starts it again each time, and compares what it ends with
to a line that was never killed.

    python tests/kill.py 50   # 50 kills (SIGKILL to the process group), then two lines at once

Takes some ten minutes on two cores.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]
from conftest import ROOT, make_model, read, reviews

folder = Path(tempfile.mkdtemp())
models = [make_model(family, folder / f"tiny-{family}") for family in ("bert", "llama")]
data = reviews(folder)


def start(name):
    """The line, in a process group of its own."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "DATA": str(folder / name / "data"),
        "RESULTS": str(folder / name / "results"),
    }
    flags = ["--epochs=4", "--batch_size=8", "--save_minutes=0"]
    return subprocess.Popen(
        ["bash", ROOT / "run_all.sh", *models, data, *flags], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def ended(name):
    """{file: content} of all that a line leaves, but for dates; refuses what is half-written."""
    files = [path for path in (folder / name).rglob("*") if path.is_file()]
    left = [path for path in files if path.name.startswith(("partial", "state-", ".lock"))]
    assert not left, left

    dated = ("run.json", "history.jsonl")
    files = [path for path in files if path.name not in dated]
    return {path.relative_to(folder / name): path.read_bytes() for path in files}


def whole(line):
    error = line.communicate()[1].decode()
    assert line.returncode == 0, error
    return error


began = time.time()
whole(start("never"))
seconds = time.time() - began
expected = ended("never")
print(f"a line takes {seconds:.0f} s and leaves {len(expected)} files", flush=True)

draw, lines, kills = random.Random(0), 0, 0
while kills < int(sys.argv[1]):
    line = start(f"killed{lines}")
    moment = draw.uniform(0, seconds / 2)
    try:
        line.wait(moment)
        whole(line)
        assert ended(f"killed{lines}") == expected
        lines += 1
        print("this line came to its end; on with another one", flush=True)
    except subprocess.TimeoutExpired:
        os.killpg(line.pid, signal.SIGKILL)
        line.wait()
        kills += 1
        there = sorted((folder / f"killed{lines}").rglob("run.json"))
        print(f"kill {kills} after {moment:.1f} s, {len(there)} stages done", flush=True)
whole(start(f"killed{lines}"))
assert ended(f"killed{lines}") == expected
print(f"{kills} kills, {lines + 1} lines came to their end: as if never killed", flush=True)

two = [start("two"), start("two")]
waited = sum("waiting for process" in whole(line) for line in two)
assert ended("two") == expected
history = read(next((folder / "two").rglob("history.jsonl")))
trained = [run["args"]["out"] for run in history]
assert len(trained) == len(set(trained)) and waited
print(f"two at once: {len(trained)} runs, each once; all files as of one alone", flush=True)
