"""Models and data by their hub names, through the hub's real clients and a stand-in for its
server."""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, command, read, recorded, rows, write
from loopback import Hub, commit
from safetensors.torch import load_file, save_file
from test_supervisor_names import flags_of


def sciq(n, start):
    """Made-up rows in the columns of allenai/sciq."""
    made = []
    for i in range(start, start + n):
        made.append({
            "question": f"What is number {i}?",
            "distractor3": f"w{i}",
            "distractor1": f"x{i}",
            "distractor2": f"y{i}",
            "correct_answer": f"right{i}",
            "support": f"Passage {i}." if i % 2 else "",
        })
    return made


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
    models = tmp_path / "hub" / "models" / "openai-community"
    for name in ("gpt2", "gpt2-xl"):
        shutil.copytree(tiny["gpt2"], models / name)
    for split, made in {"train": sciq(120, 0), "test": sciq(40, 500)}.items():
        write(tmp_path / "hub" / "datasets" / "allenai" / "sciq" / f"{split}.jsonl", made)

    words = "gpt2", "gpt2-xl", "sciq", "--epochs=1"
    environment = {
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "",
        "DATA": str(tmp_path / "data"),
        "RESULTS": str(tmp_path / "results"),
        "LOSSES": "xent",
        "OMP_NUM_THREADS": "1",
    }

    # the hub's address is read where its clients are imported: in a process of its own
    argv = [sys.executable, "-c", LINE, ROOT, ROOT / "tests", tmp_path, *words]
    with Hub(tmp_path / "hub") as hub:
        environment["HF_ENDPOINT"] = hub.url
        done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | environment)
        assert done.returncode == 0, done.stderr
    asked = "\n".join(hub.asked)
    assert "openai-community/gpt2-xl" in asked and "allenai/sciq" in asked
    assert "gpt2 supervises gpt2-xl" in done.stdout

    # the official test split
    test = read(tmp_path / "data" / "sciq" / "test.jsonl")
    shown = {int(row["text"].split("?")[0].split()[-1]) for row in test}
    assert shown and shown <= set(range(500, 540))

    # The hub is gone: what is done is up to date, and what lies in the cache is enough for another
    assert command("run_all.sh", *words, **environment)[1].count("up to date") == 6
    data = tmp_path / "data" / "sciq"
    command("train_weak.py", "--model=gpt2", f"--train={data}/weak_train.jsonl",
            f"--test={data}/test.jsonl", f"--out={tmp_path}/o", **environment)


@pytest.mark.parametrize("answer", ["refused", "never"])
def test_an_unreachable_hub_is_one_line(tmp_path, answer):
    made = [{"id": str(i), "text": "a", "label": i} for i in (0, 1)]
    data = write(tmp_path / "d.jsonl", made)
    test = write(tmp_path / "t.jsonl", [{**row, "text": "b"} for row in made])
    if answer == "refused":
        name, words = "allenai/sciq", ["prepare_data.py", "sciq"]
    else:
        name = "gpt2"
        words = ["train_weak.py", "--model=gpt2", f"--train={data}", f"--test={test}"]

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answer == "never":  # connections are accepted; without this they are refused
            server.listen()
        status, _, error = command(
            *words, f"--out={tmp_path / 'out'}", ok=False, HF_HUB_OFFLINE="", HF_HOME=str(tmp_path),
            HF_ENDPOINT=f"http://127.0.0.1:{server.getsockname()[1]}")
    assert status != 0 and error.count("\n") == 1
    assert f"cannot load {name}: the hub cannot be reached" in error
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
# at once, since the clients wait for seconds before they ask again
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(*pool.map(load, sys.argv[2:]), sep="\\n")
"""


def test_faults_of_the_hub_are_one_line_and_a_rerun_goes_on(tiny, tmp_path):
    faults = ("reset", "cut", "garbled", "401", "403", "404", "429", "503")
    names = [f"ill/{fault}" for fault in faults]
    for fault in set(faults) - {"404"}:
        shutil.copytree(tiny["gpt2"], tmp_path / "hub" / "models" / "ill" / fault)

    def load(url):
        """{name: what was said}"""
        environment = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "", "HF_HOME": str(tmp_path / "cache"),
                       "OMP_NUM_THREADS": "1"}
        argv = [sys.executable, "-c", FAULTS, ROOT, *names]
        done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | environment)
        assert done.returncode == 0, done.stderr
        return dict(line.split(": ", 1) for line in done.stdout.splitlines())

    with Hub(tmp_path / "hub") as hub:
        found = load(hub.url)
        assert sorted(found) == sorted(names), found
        for name, said in found.items():
            assert said.startswith(f"-c: cannot load {name}: ") and len(said) < 600, found

        hub.well.update(faults)
        found = load(hub.url)
        assert [name for name in names if found[name] != "loaded"] == ["ill/404"], found


REVISIONS = """
import os
import sys
import transformers  # while it may still go to the hub
of_hub = {name: os.environ[name] for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE")}
sys.path[:0] = sys.argv[1:3]
from conftest import inside

os.environ.update(of_hub)
for name in sys.argv[4:]:
    try:
        inside("train_weak.py", f"--model={name}", f"--train={sys.argv[3]}", "--epochs=0",
               f"--test={sys.argv[3]}", f"--out={name.replace('/', '-')}")
    except AssertionError as error:
        print(*str(error).splitlines()[:1])
"""


def test_revisions_of_a_model_are_loaded_and_recorded(tiny, tmp_path):
    models = tmp_path / "hub" / "models" / "ns"
    weights = {}
    for revision in ("", "@step1", "@refs-pr-1"):
        shutil.copytree(tiny["llama"], models / f"m{revision}")
        tensors = load_file(models / f"m{revision}" / "model.safetensors")
        tensors["model.norm.weight"] += len(revision)
        save_file(tensors, models / f"m{revision}" / "model.safetensors", {"format": "pt"})
        weights[revision.replace("-", "/")] = tensors["model.norm.weight"]

    data = write(tmp_path / "d.jsonl", [{"id": str(i), **row} for i, row in enumerate(rows(20))])
    names = [f"ns/m{revision}" for revision in weights]
    argv = [sys.executable, "-c", REVISIONS, ROOT, ROOT / "tests", data, *names, "ns/m@", "ns/m@no"]
    with Hub(tmp_path / "hub") as hub:
        environment = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "", "OMP_NUM_THREADS": "1",
                       "HF_HOME": str(tmp_path / "cache")}
        done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path,
                              env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    for revision, norm in weights.items():
        folder = tmp_path / f"ns/m{revision}".replace("/", "-")
        saved = load_file(folder / "model" / "model.safetensors")
        assert torch.equal(saved["model.norm.weight"], norm)
        found = json.loads((folder / "run.json").read_text())
        assert found["args"]["model"] == f"ns/m{revision}"
        sha = commit(revision[1:].replace("/", "-") or "main")
        assert found["versions"][f"ns/m{revision}"] == sha

    without, unknown = done.stdout.splitlines()
    assert "cannot load ns/m@: after the @ a branch, a tag or a commit is needed" in without
    assert "cannot load ns/m@no: " in unknown and "no is not a valid git identifier" in unknown


def test_results_of_a_revision_have_a_readable_name(tmp_path):
    words = "ns/m@refs/pr/1+ns/m@step1", "b@v2", "task"
    commands = recorded(tmp_path, ROOT / "run_all.sh", *words, LOSSES="xent")
    names = [flags["out"] for flags in flags_of(commands, "train_weak.py")]
    seed = "results/task/seed0"
    assert names == [f"{seed}/weak_m@refs-pr-1", f"{seed}/weak_m@step1"]
    student = flags_of(commands, "train_strong.py")[-1]
    assert student["out"] == f"{seed}/m@refs-pr-1+m@step1-to-b@v2_xent"
    assert student["model"] == "b@v2"
