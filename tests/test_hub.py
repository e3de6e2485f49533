"""Models and data by their hub names, through the hub's real clients and a stand-in for its server."""

import os
import shutil
import socket
import subprocess
import sys

from conftest import ROOT, command, read, write
from loopback import Hub


def sciq(n, start):
    """Made-up rows in the columns of allenai/sciq."""
    return [{"question": f"What is number {i}?", "distractor3": f"w{i}", "distractor1": f"x{i}", "distractor2": f"y{i}",
             "correct_answer": f"right{i}", "support": f"Passage {i}." if i % 2 else ""} for i in range(start, start + n)]


LINE = """
import sys
import datasets, transformers  # while they may still go to the hub
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from conftest import line_inside

for name, said in line_inside(Path(sys.argv[3]), *sys.argv[4:]):
    print("==", name, said, sep="\\n")
"""


def test_gpt2_gpt2_xl_sciq_through_the_hub(tiny, tmp_path):
    for name in ("gpt2", "gpt2-xl"):
        shutil.copytree(tiny["gpt2"], tmp_path / "hub" / "models" / "openai-community" / name)
    for split, made in {"train": sciq(120, 0), "test": sciq(40, 500)}.items():
        write(tmp_path / "hub" / "datasets" / "allenai" / "sciq" / f"{split}.jsonl", made)
    places = dict(HF_HOME=str(tmp_path / "cache"), DATA=str(tmp_path / "data"), RESULTS=str(tmp_path / "results"), LOSSES="xent")
    words = "gpt2", "gpt2-xl", "sciq", "--epochs=1"
    with Hub(tmp_path / "hub") as hub:  # its address is read where its clients are imported: in a process of its own
        done = subprocess.run([sys.executable, "-c", LINE, ROOT, ROOT / "tests", tmp_path, *words], capture_output=True, text=True,
                              env={**os.environ, **places, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "", "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr
    assert any("openai-community/gpt2-xl" in asked for asked in hub.asked) and any("allenai/sciq" in asked for asked in hub.asked)
    assert "gpt2 supervises gpt2-xl" in done.stdout
    shown = {int(row["text"].split("?")[0].split()[-1]) for row in read(tmp_path / "data" / "sciq" / "test.jsonl")}
    assert shown and shown <= set(range(500, 540))  # the official test split
    # The hub is gone. What is done is up to date, and what lies in the cache is enough for another seed
    gone = {**places, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": ""}
    assert command("run_all.sh", *words, **gone)[1].count("up to date") == 6
    data = tmp_path / "data" / "sciq"
    command("train_weak.py", "--model=gpt2", f"--train={data}/weak_train.jsonl", f"--test={data}/test.jsonl", f"--out={tmp_path}/o", **gone)


def test_an_unreachable_hub_is_one_line(tmp_path):
    made = write(tmp_path / "d.jsonl", [{"id": str(i), "text": "a", "label": i} for i in (0, 1)])
    for silent, name, words in ((False, "allenai/sciq", ["prepare_data.py", "sciq"]),
                                (True, "gpt2", ["train_weak.py", "--model=gpt2", f"--train={made}", f"--test={made}"])):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            if silent:  # connections are accepted and never answered; without this they are refused
                server.listen()
            status, _, error = command(*words, f"--out={tmp_path / 'out'}", ok=False, HF_HUB_OFFLINE="", HF_HOME=str(tmp_path),
                                       HF_ENDPOINT=f"http://127.0.0.1:{server.getsockname()[1]}")
        assert status != 0 and error.count("\n") == 1 and f"cannot load {name}: the hub cannot be reached" in error
        assert "local folder" in error and "demo" in error and not (tmp_path / "out").exists()


FAULTS = """
import concurrent.futures, sys
sys.path.insert(0, sys.argv[1])
from w2s import classifier, hub

def load(name):
    try:
        with hub.fetching(name):
            classifier.load(name)
        return f"{name}: loaded"
    except SystemExit as error:
        return f"{name}: {error}"

load("ill/404")  # transformers imports what it needs at its first use
with concurrent.futures.ThreadPoolExecutor() as pool:  # the clients wait for seconds before they ask again
    print(*pool.map(load, sys.argv[2:]), sep="\\n")
"""


def test_faults_of_the_hub_are_one_line_and_a_rerun_goes_on(tiny, tmp_path):
    faults = ("reset", "cut", "garbled", "401", "403", "404", "429", "503")
    for fault in set(faults) - {"404"}:
        shutil.copytree(tiny["gpt2"], tmp_path / "hub" / "models" / "ill" / fault)
    with Hub(tmp_path / "hub") as hub:
        def load():
            done = subprocess.run([sys.executable, "-c", FAULTS, ROOT, *(f"ill/{fault}" for fault in faults)], capture_output=True, text=True,
                                  env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "", "HF_HOME": str(tmp_path / "cache"),
                                       "OMP_NUM_THREADS": "1"})
            assert done.returncode == 0, done.stderr
            return dict(line.split(": ", 1) for line in done.stdout.splitlines())

        found = load()
        assert found.keys() == {f"ill/{fault}" for fault in faults}, found
        assert all(said.startswith(f"-c: cannot load {name}: ") and len(said) < 600 for name, said in found.items()), found
        hub.well.update(faults)
        found = load()
        assert [name for name, said in found.items() if said != "loaded"] == ["ill/404"], found
