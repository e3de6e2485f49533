"""README.md and RESULTS.md keep their word: the commands in them run, on tiny models and data of the names they use; the files they
name are there; and the pictures they show are made by the command above them."""

import concurrent.futures
import re
import runpy
import shutil
import sys
from pathlib import Path

import datasets
import pytest
import torch
from conftest import ROOT, inside, read, recorded, rows, write
from task_rows import make

import benchmark
from w2s import figures
import losses
from w2s import probe, readers, stage, tasks

TEXTS = {name: (ROOT / name).read_text() for name in ("README.md", "RESULTS.md")}
PARTS = re.compile(r"```(bash|python)\n(.*?)```|`((?:python|bash) [^`]+)`|!\[[^]]*\]\(([^)]+)\)", re.DOTALL)  # code, commands in a line, pictures

TINY = (('SEEDS="0 1 2( 3 4)?"', "SEEDS=0"), (r"range\(3\)", "range(1)"), ("for weak in gpt2 .*;", "for weak in gpt2;"))  # of what is long


def world(folder, tiny):
    """The folder of a user who has everything that the documents name, but small."""
    shutil.copytree(ROOT / "demo", folder / "demo")
    films = read(folder / "demo" / "films.jsonl")
    write(folder / "demo" / "films.jsonl", films[::30])
    for file in [*ROOT.glob("*.sh"), *ROOT.glob("*.py"), ROOT / "requirements.txt"]:
        shutil.copy(file, folder)
    shutil.copytree(ROOT / "w2s", folder / "w2s")
    for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"):
        shutil.copytree(tiny["llama"], folder / name)  # reads more tokens than the tiny GPT-2
    for name, model in (("all-MiniLM-L6-v2", "bert"), ("SmolLM2-135M", "llama")):
        shutil.copytree(tiny[model], folder / ".cache" / "weak-to-strong" / name)
    for name in ("mine.jsonl", "data.jsonl"):
        write(folder / name, rows(90))
    for name in "ABCD":
        write(folder / f"{name}.jsonl", [{"id": i, "label": i % 2, "probs": [0.4, 0.6] if i % 3 else [0.6, 0.4]} for i in range(30)])
    lines = [f"{row['text']},{'good' if row['label'] else 'bad'},writer {i // 2}" for i, row in enumerate(rows(90))]
    (folder / "reviews.csv").write_text("\n".join(["body,verdict,author", *lines]))


def load(name, config, split=None, **which):
    """In place of the hub (test_hub.py and test_tasks.py go to a real one): made-up rows in the dataset's columns."""
    if name == "OWNER/NAME":
        return {"train": datasets.Dataset.from_list([{"answer_a": f"yes {i}", "answer_b": f"no {i}", "better": i % 2} for i in range(90)])}
    task = next(task for task, about in tasks.TASKS.items() if about["hub"] == name)
    return datasets.Dataset.from_list(make(task, 60, int(split != tasks.TASKS[task]["train"])))


@pytest.fixture(scope="module")
def pictures(tiny, tmp_path_factory):
    """Everything in the documents, in order, done in one process; {(document, picture): the pictures that the code above it makes}."""
    folder, found = tmp_path_factory.mktemp("docs"), {}
    world(folder, tiny)
    home = {"HOME": str(folder), "XDG_CACHE_HOME": ""}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(readers, "load", load)
        patch.setattr(stage, "CACHE", folder / ".cache" / "weak-to-strong")
        patch.setattr(probe, "CACHE", stage.CACHE / "features")
        patch.setattr(figures, "save", lambda figure, path, caption: path.write_text(""))  # to draw takes time
        patch.setattr(benchmark, "SMOLLM", stage.CACHE / "SmolLM2-135M")
        patch.setattr(benchmark, "starts", lambda scratch: {})
        patch.setattr(benchmark, "product", lambda dtype: 1e11)
        patch.setattr(concurrent.futures, "ProcessPoolExecutor", lambda *_: concurrent.futures.ThreadPoolExecutor(1))
        for document, text in TEXTS.items():
            for language, code, command, picture in PARTS.findall(text):
                if picture:
                    found[document, picture] = made
                    continue
                for long, tiny_setting in TINY:
                    code = re.sub(long, tiny_setting, code)
                if language == "python":
                    exec(code, names := dict(vars(losses)))
                    if "mine" in names:
                        assert names["mine"](torch.zeros(4, 2), torch.full((4, 2), 0.5), 0.0, eps=0.2) == pytest.approx(0.6931, abs=1e-4)
                else:
                    made = perform(recorded(folder, "-ec", code or command, **home))
    return found


def perform(commands):
    """Runs commands in this process; returns the pictures that the reports among them have."""
    reports = {argv[-1]: i for i, argv in enumerate(commands) if argv[1].endswith("evaluate_pgr.py")}  # of each folder the last one will do
    made = set()
    for i, (program, *argv) in enumerate(commands):
        if program == "torchrun":
            argv = argv[2:]
        script, *words = argv
        if program == "pip":
            assert words[-1:] == ["requirements.txt"]
        elif script == "demo/benchmark.py":
            inside(script, "--rounds=1", "--demo=false")
        elif script != "-m" and not (ROOT / Path(script).name).exists():  # in demo/
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", argv)
                runpy.run_path(script, run_name="__main__")
        elif script != "-m" and reports.get(argv[-1], i) == i:
            inside(*argv)
            made |= {path.name for path in Path(argv[-1].split("=")[-1]).glob("*.png")}
    return made


def test_commands_run_and_pictures_come_of_the_command_above_them(pictures):
    assert {picture for _, picture in pictures} == {f"demo/{file.name}" for file in (ROOT / "demo").glob("*.png")}
    for (_, picture), made in pictures.items():
        assert picture.removeprefix("demo/") in made


@pytest.mark.parametrize("document", TEXTS)
def test_files_are_there(document):
    named = re.findall(r"\]\((?!http)([^)]+)\)|`([\w/.-]+\.(?:py|sh|txt))`", TEXTS[document])
    assert named
    for link, file in named:
        assert (ROOT / (link or file)).exists(), link or file
