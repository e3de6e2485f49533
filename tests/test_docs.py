"""README.md, RESULTS.md and SPEED.md keep their word: the commands in them run, on tiny models and
data of the names they use; the files they name are there; and the pictures they show are made by
the command above them."""

import concurrent.futures
import re
import runpy
import shutil
import sys
from pathlib import Path

import datasets
import pytest
import torch
from conftest import ROOT, edit, inside, project, read, recorded, rows, write
from task_rows import make

import benchmark
import losses
from w2s import figures, probe, readers, stage, tasks, trends

TEXTS = {name: (ROOT / name).read_text() for name in ("README.md", "RESULTS.md", "SPEED.md")}
PARTS = re.compile(
    r"```(bash|python)\n(.*?)```"    # code
    r"|`((?:python|bash) [^`]+)`"    # commands in a line
    r"|!\[[^]]*\]\(([^)]+)\)",      # pictures
    re.DOTALL)

# of what is long only the beginning
TINY = (
    ('SEEDS="0 1 2( 3 4)?"', "SEEDS=0"),
    (r"range\(3\)", "range(1)"),
    ("for task in (sciq|boolq) .*?;", r"for task in \1;"),
    ("for weak in gpt2 .*;", "for weak in gpt2;"),
)


def world(folder, tiny):
    """The folder of a user who has everything that the documents name, but small."""
    project(folder)
    shutil.copy(ROOT / "requirements.txt", folder)
    shutil.copytree(ROOT / "demo", folder / "demo")
    films = read(folder / "demo" / "films.jsonl")
    write(folder / "demo" / "films.jsonl", films[::30])
    edit(folder / "demo" / "ladder.sh", '"30 76" "120 19"', '"20 2" "30 1"')
    edit(folder / "demo" / "ladder.sh", "--max_train=600", "--max_train=40")
    edit(folder / "demo" / "methods.sh", "budget 120 19", "budget 40 1")
    edit(folder / "demo" / "methods.sh", "budget 60 38", "budget 20 1")

    # models
    for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"):
        shutil.copytree(tiny["llama"], folder / name)  # reads more tokens than the tiny GPT-2
    cache = folder / ".cache" / "weak-to-strong"
    shutil.copytree(tiny["bert"], cache / "all-MiniLM-L6-v2")
    for name in ("SmolLM2-135M", "gemma-3-270m"):
        shutil.copytree(tiny["llama"], cache / name)

    # data
    for name in ("mine.jsonl", "data.jsonl"):
        write(folder / name, rows(90))
    lines = ["body,verdict,author"]
    for i, row in enumerate(rows(90)):
        lines.append(f"{row['text']},{'good' if row['label'] else 'bad'},writer {i // 2}")
    (folder / "reviews.csv").write_text("\n".join(lines))

    # predictions
    made = []
    for i in range(30):
        made.append({"id": i, "label": i % 2, "probs": [0.4, 0.6] if i % 3 else [0.6, 0.4]})
    for name in "ABCD":
        write(folder / f"{name}.jsonl", made)


def load(name, config, split=None, **which):
    """In place of the hub (test_hub.py and test_tasks.py go to a real one): made-up rows in the
    dataset's columns."""
    if name == "OWNER/NAME":
        made = []
        for i in range(90):
            made.append({"answer_a": f"yes {i}", "answer_b": f"no {i}", "better": i % 2})
        return {"train": datasets.Dataset.from_list(made)}

    task = next(task for task, about in tasks.TASKS.items() if about["hub"] == name)
    is_test = split != tasks.TASKS[task]["train"]
    return datasets.Dataset.from_list(make(task, 60, int(is_test)))


@pytest.fixture(scope="module")
def pictures(tiny, tmp_path_factory):
    """Everything in the documents, in order, done in one process; {(document, picture): the
    pictures that the code above it makes}."""
    folder = tmp_path_factory.mktemp("docs") / "project"
    world(folder, tiny)
    cache = folder / ".cache" / "weak-to-strong"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(readers, "load", load)
        patch.setattr(stage, "CACHE", cache)
        patch.setattr(probe, "CACHE", cache / "features")
        patch.setattr(figures, "save", draw_nothing)
        patch.setattr(trends, "save", draw_nothing)
        patch.setattr(benchmark, "SMOLLM", cache / "SmolLM2-135M")
        patch.setattr(benchmark, "starts", no_starts)
        patch.setattr(benchmark, "product", a_speed)
        patch.setattr(benchmark, "AT_LEAST", 0.0)
        patch.setattr(concurrent.futures, "ProcessPoolExecutor", one_thread)
        return perform_documents(folder)


def no_starts(scratch):
    """In place of benchmark.starts, which starts a stage many times."""
    return {}


def a_speed(dtype):
    """In place of benchmark.product, which measures."""
    return 1e11


def draw_nothing(figure, path, caption):
    """In place of figures.save, which takes time."""
    path.write_text("")


def one_thread(*_):
    """In place of processes, which would know nothing of what is patched here."""
    return concurrent.futures.ThreadPoolExecutor(1)


def perform_documents(folder):
    home = {"HOME": str(folder), "XDG_CACHE_HOME": ""}
    found, made = {}, set()
    for document, text in TEXTS.items():
        for language, code, command, picture in PARTS.findall(text):
            for long, short in TINY:
                code = re.sub(long, short, code)
            if picture:
                found[document, picture] = made
            elif language == "python":
                perform_python(code)
            else:
                made = perform(recorded(folder, "-ec", code or command, **home))
    return found


def perform_python(code):
    names = dict(vars(losses))
    exec(code, names)
    if "mine" in names:
        loss = names["mine"](torch.zeros(4, 2), torch.full((4, 2), 0.5), 0.0, eps=0.2)
        assert loss == pytest.approx(0.6931, abs=1e-4)


def perform(commands):
    """Runs commands in this process; returns the pictures that the reports among them have."""
    # of the reports of a folder the last one will do
    reports = {}
    for i, argv in enumerate(commands):
        if argv[1].endswith("evaluate_pgr.py"):
            reports[argv[-1]] = i

    made = set()
    for i, (program, *argv) in enumerate(commands):
        if program == "torchrun":
            argv = argv[2:]
        script, *words = argv
        if program == "pip":
            assert words[-1:] == ["requirements.txt"]
        elif script == "demo/benchmark.py":
            inside(script, "--rounds=1", "--probes=false")
        elif script == "-m":
            pass  # the tests
        elif not (ROOT / Path(script).name).exists():  # in demo/
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", argv)
                runpy.run_path(script, run_name="__main__")
        elif reports.get(argv[-1], i) == i:
            inside(*argv)
            out = Path(argv[-1].split("=")[-1])
            made |= {path.name for path in out.glob("*.png")}
    return made


def test_commands_run_and_pictures_come_of_the_command_above_them(pictures):
    there = {f"demo/{file.name}" for file in (ROOT / "demo").glob("*.png")}
    assert {picture for _, picture in pictures} == there
    for (_, picture), made in pictures.items():
        assert picture.removeprefix("demo/") in made


@pytest.mark.parametrize("document", TEXTS)
def test_files_are_there(document):
    links = r"\]\((?!http)([^)]+)\)"
    files = r"`([\w/.-]+\.(?:py|sh|txt))`"
    named = re.findall(f"{links}|{files}", TEXTS[document])
    assert named
    for link, file in named:
        assert (ROOT / (link or file)).exists(), link or file
