"""Kills the whole line at random moments, starts it again each time, and compares what it ends with to a line that was never killed.

    python tests/kill.py 50        # 50 kills (SIGKILL to the process group), then two lines at once; some ten minutes on two cores
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
from conftest import ROOT, make_model, reviews

folder = Path(tempfile.mkdtemp())
models = [make_model(family, folder / f"tiny-{family}") for family in ("bert", "llama")]
data = reviews(folder)


def start(name):
    """The line, in a process group of its own."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
                   "DATA": str(folder / name / "data"), "RESULTS": str(folder / name / "results")}
    return subprocess.Popen(["bash", ROOT / "run_all.sh", *models, data, "--epochs=4", "--batch_size=8", "--save_minutes=0"], env=environment,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def ended(name):
    """{file: content} of all that a line leaves, but for dates; refuses what is half-written."""
    files = {path.relative_to(folder / name): path for path in (folder / name).rglob("*") if path.is_file()}
    left = [str(path) for path in files if path.name.startswith(("partial", "state-", ".lock"))]
    assert not left, left
    return {path: file.read_bytes() for path, file in files.items() if path.name not in ("run.json", "history.jsonl")}


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
    line, moment = start(f"killed{lines}"), draw.uniform(0, seconds / 2)
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
print(f"{kills} kills, {lines + 1} lines came to their end: all files as if never killed", flush=True)

two = [start("two"), start("two")]
waited = sum("waiting for process" in whole(line) for line in two)
assert ended("two") == expected
trained = [json.loads(line)["args"]["out"] for line in next((folder / "two").rglob("history.jsonl")).read_text().splitlines()]
assert len(trained) == len(set(trained)) and waited
print(f"two at once: {len(trained)} runs, each once; all files as of one alone", flush=True)
