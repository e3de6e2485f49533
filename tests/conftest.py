"""Tiny models and data, made on the spot: nothing is downloaded. Stages run by their command line,
in a process or `inside` this one."""

import contextlib
import gc
import importlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

OUTSIDE = dict(os.environ)
os.environ.pop("HF_ENDPOINT", None)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same tests everywhere; test_gpu.py sees a GPU
os.environ["W2S_BF16"] = "0"  # results are compared to float32's rounding

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from w2s import stage

torch.set_num_threads(1)
transformers.logging.disable_progress_bar()
ROOT = Path(__file__).resolve().parent.parent
GOOD, BAD = ("fine", "moving", "funny", "bright"), ("dull", "flat", "noisy", "grim")
FILLERS = "the film is a story of two men and one long road at night with songs".split()


def rows(n, seed=0):
    """n different made-up reviews, half of each class, told apart by one word. A tenth of them
    also end in "!"."""
    draw = random.Random(seed)
    made = {}
    while len(made) < n:
        label = len(made) % 2
        words = draw.choices(FILLERS, k=draw.randint(3, 12))
        words.append(draw.choice(GOOD if label else BAD))
        draw.shuffle(words)
        made.setdefault(" ".join(words) + "!" * (draw.random() < 0.1), label)
    return [{"text": text, "label": label} for text, label in made.items()]


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def reviews(folder):
    """A file of 300 made-up reviews, with its task.json beside it."""
    task = {"prompt": "{text}\nSentiment:", "label_words": [" negative", " positive"]}
    (folder / "task.json").write_text(json.dumps(task))
    return write(folder / "reviews.jsonl", rows(300))


def read(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def read_splits(folder):
    """{name: rows} of the three files of prepare_data.py."""
    names = ("weak_train", "transfer", "test")
    return {name: read(folder / f"{name}.jsonl") for name in names}


def disjoint(sets):
    """Whether none of them is empty and no two share a member."""
    return all(sets) and len(set().union(*sets)) == sum(map(len, sets))


def make_tokenizer(family, folder):
    """A byte-level tokenizer that knows the reviews' words; returns its size."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    end = "\nSentiment: negative positive no yes Question Answer:"
    corpus = [row["text"] + end for row in rows(200)]

    # GPT-2's token 0 is "!" and its pad token is its end-of-text token; keep both so
    special = ["!", "<|endoftext|>"]
    names = {"eos_token": "<|endoftext|>"}
    if family == "bert":
        special += ["[PAD]", "[CLS]", "[SEP]"]
        names |= {"pad_token": "[PAD]", "cls_token": "[CLS]"}

    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    whole = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    whole.save_pretrained(folder)
    return tokenizer.get_vocab_size()


def make_model(family, folder):
    """A model of two layers, with its tokenizer."""
    size = {"vocab_size": make_tokenizer(family, folder), "eos_token_id": 1, "bos_token_id": 1}
    torch.manual_seed(1)
    if family == "gpt2":
        config = transformers.GPT2Config(
            n_embd=32, n_layer=2, n_head=2, n_positions=64, **size)
        model = transformers.AutoModelForCausalLM.from_config(config)
    elif family == "llama":
        config = transformers.LlamaConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=128,
            tie_word_embeddings=False,  # its output embeddings are not its input embeddings
            **size)
        model = transformers.AutoModelForCausalLM.from_config(config)
    else:
        config = transformers.BertConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=64, pad_token_id=2, **size)
        model = transformers.BertModel(config)
    model.save_pretrained(folder)
    return folder


# files that take longest
LONG = ("test_docs", "test_training", "test_hub", "test_tasks", "test_line", "test_analyses",
        "test_made_labels", "test_supervisors")


def pytest_collection_modifyitems(items):
    """Files that take longest come first, so that no core is idle at the end."""
    def place(item):
        return [*LONG, item.path.stem].index(item.path.stem)

    items.sort(key=place)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """{family: model folder}"""
    folder = tmp_path_factory.mktemp("models")
    families = ("gpt2", "llama", "bert")
    return {family: make_model(family, folder / f"tiny-{family}") for family in families}


def command(script, *words, ok=True, **environment):
    """Runs a script of the project with its flags; returns (exit status, stdout, stderr)."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # run_all.sh calls python
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **environment}
    program = "bash" if str(script).endswith(".sh") else sys.executable
    argv = [program, str(ROOT / script), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    if ok:
        assert done.returncode == 0, done.stderr
    return done.returncode, done.stdout, done.stderr


def inside(script, *words, ok=True):
    """As `command`, but in this process, where torch and the like are imported already."""
    printed, error = io.StringIO(), ""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", [script, *map(str, words)])
        try:
            stage.cli(importlib.import_module(Path(script).stem).main)
        except SystemExit as end:
            error = f"{end}\n"
    # as at the end of a process
    stage.lock.release()
    gc.unfreeze()
    gc.enable()
    assert not (ok and error), error
    return int(bool(error)), printed.getvalue(), error


def recorded(folder, *words, **environment):
    """The commands that a bash command gives: `python`, and what else runs programs, are scripts
    that write down how they were called, no more."""
    bin = folder / "bin"
    bin.mkdir(exist_ok=True)
    for name in ("python", "pip", "torchrun"):
        (bin / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" "" >> {folder}/commands\n')
        (bin / name).chmod(0o755)
    (folder / "commands").write_text("")

    environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}", **environment}
    subprocess.run(["bash", *map(str, words)],
                   check=True, capture_output=True, cwd=folder, env=environment)
    commands = (folder / "commands").read_text().strip("\n").split("\n\n")
    commands = [command.split("\n") for command in commands]
    return [command for command in commands if "w2s.source" not in command]  # it checks LOSSES


def line_inside(folder, *words, script="run_all.sh", **environment):
    """[(name of the folder it writes, what it prints), ...] of the commands that run_all.sh gives,
    each run `inside`."""
    ran = []
    for _, script, *flags in recorded(folder, ROOT / script, *words, **environment):
        _, printed, _ = inside(script, *flags)
        ran.append((Path(flags[-1]).name, printed))
    return ran


def project(folder):
    """A copy of the project whose files a test may edit."""
    folder.mkdir()
    for file in [*ROOT.glob("*.py"), *ROOT.glob("*.sh")]:
        shutil.copy(file, folder)
    shutil.copytree(ROOT / "w2s", folder / "w2s", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


CODE = ["w2s/stage.py"]


def start(out, **args):
    """Begins a run of a stage that is made up, without inputs."""
    return stage.start({"out": str(out), **args}, [], CODE)
