"""What every stage does around its work: check its flags, read and write JSON Lines, and know when it is done.

Imports the standard library and fire only, so that a stage that is up to date says so without loading a model.

    def main(train, out, seed=0):
        run = stage.start(locals(), inputs=["train"], code=[__file__, "classifier.py"])
        if not run:
            return  # up to date
        ...
        with stage.finish(run, accuracy=0.9) as folder:
            stage.write_jsonl(folder / "predictions.jsonl", rows)

    if __name__ == "__main__":
        stage.cli(main)
"""

import ast
import contextlib
import difflib
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import fire
from fire.decorators import SetParseFns

HERE = Path(__file__).resolve().parent


def refuse(message):
    """Ends the stage with one line on stderr and exit status 1."""
    raise SystemExit(f"{Path(sys.argv[0]).name}: {message}")


# ---------------------------------------------------------------------------------------------------------------- flags

def cli(main):
    """Runs main with the command line's flags: known ones only, each of its default's type. --help shows its signature."""
    flags = inspect.signature(main).parameters
    if {"--help", "-h"} & set(sys.argv[1:]):
        signature = inspect.getsource(main).split("):\n")[0].replace("def main(", "").strip("\n")
        print(f"{sys.modules[main.__module__].__doc__.strip()}\n\nFlags, with their defaults:\n\n{signature}")
        return
    given, words = set(), iter(sys.argv[1:])
    for word in words:
        name = word[2:].split("=")[0].replace("-", "_") if word.startswith("--") else None
        if name in flags:
            given.add(name)
            if "=" not in word and not isinstance(flags[name].default, bool):
                next(words, None)
        elif name is None and not given:
            given.add(next(iter(flags)))  # the first flag may stand without its name
        else:
            near = difflib.get_close_matches(str(name), flags, 1, 0)
            refuse(f"unknown flag {word.split('=')[0]}" + (f"; did you mean --{near[0]}?" if name and near else ""))
    for name, flag in flags.items():
        if flag.default is flag.empty and name not in given:
            refuse(f"--{name} is missing; --help shows all flags")
    fire.Fire(SetParseFns(**{name: _parser(name, flag.default) for name, flag in flags.items()})(main))


def _parser(name, default):
    """Reads one flag as the type of its default; text where it has none."""
    kind = str if default is inspect.Parameter.empty else type(default)

    def parse(text):
        try:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
            refuse(f"--{name}={text}: {wanted} is needed")

    return parse


# ----------------------------------------------------------------------------------------------------------- JSON Lines

CHECKS = {  # key: (what it must be, for the message; the check)
    "id": ("a text or a whole number", lambda v: isinstance(v, (str, int)) and not isinstance(v, bool) and v != ""),
    "text": ("a text that is not empty", lambda v: isinstance(v, str) and v.strip() != ""),
    "label": ("0 or 1", lambda v: type(v) is int and v in (0, 1)),
    "probs": ("two probabilities that sum to 1", lambda v: isinstance(v, list) and len(v) == 2
              and all(type(p) in (int, float) and 0 <= p <= 1 for p in v) and abs(sum(v) - 1) < 1e-3),
}


def read_jsonl(path, *keys):
    """The lines of a JSON Lines file as dicts, each checked to hold the keys ("probs|label": one of the two).

    Ids are made texts and must differ. Ends the stage with one line that names file, line and remedy where it is wrong.
    """
    rows, seen = [], {}
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        refuse(f"cannot read {path}: {error.strerror}")
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            refuse(f"{where}: not a line of JSON in UTF-8 ({error})")
        if not isinstance(row, dict):
            refuse(f"{where}: a JSON object is needed, with {', '.join(keys)}")
        for key in keys:
            found = [k for k in key.split("|") if k in row]
            if not found:
                refuse(f"{where}: {key.replace('|', ' or ')} is missing; the line has {', '.join(row) or 'nothing'}")
            if not CHECKS[found[0]][1](row[found[0]]):
                refuse(f"{where}: {found[0]} must be {CHECKS[found[0]][0]}, not {json.dumps(row[found[0]])[:80]}")
        if "id" in row:
            row["id"] = str(row["id"])
            if row["id"] in seen:
                refuse(f"{where}: id {row['id']} stands on line {seen[row['id']]} already; ids must differ")
            seen[row["id"]] = number
        rows.append(row)
    if not rows:
        refuse(f"{path}: the file is empty")
    return rows


def write_jsonl(path, rows):
    """Writes dicts as JSON Lines, atomically."""
    _write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def predictions(rows, probs):
    """The lines of predictions.jsonl. rows: of the test file; probs: their (N, 2) class probabilities."""
    return [{"id": row["id"], "label": row["label"], "probs": soft(p)} for row, p in zip(rows, probs)]


def soft(p):
    """A pair of probabilities as it is written: six decimals, summing to 1."""
    p1 = round(float(p[1]), 6)
    return [round(1 - p1, 6), p1]


def accuracy(rows):
    """Accuracy of predictions against their labels, with its standard error, as written in run.json."""
    p = sum((row["probs"][1] > row["probs"][0]) == row["label"] for row in rows) / len(rows)
    return {"accuracy": p, "accuracy_se": (p * (1 - p) / len(rows)) ** 0.5}


def read_task(path):
    """task.json, or an empty task where no path is given."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError) as error:
        refuse(f"{path}: not a task.json ({error})")


def _write(path, text):
    partial = Path(f"{path}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


# ----------------------------------------------------------------------------------------------------------- up to date

def start(args, inputs, code, loss=None):
    """Begins a run, or returns None, having said so, where the folder args["out"] holds this very run already.

    args    main's arguments: locals() on its first line
    inputs  those of them that may name a file or folder to read: then its content counts, not its name
    code    files whose code decides the result; comments, blank lines and docstrings do not count
    loss    name of the loss used: of losses.py only that function counts, with what it calls
    """
    found = [name for name in inputs if os.path.exists(args[name])]
    run = {"stage": Path(code[0]).stem,
           "args": {name: value for name, value in args.items() if name not in found},
           "inputs": {name: {"path": args[name], "sha256": fingerprint(args[name])} for name in found},
           "code": hashlib.sha256("".join(_code(ast.parse((HERE / file).read_text())) for file in code).encode()).hexdigest()}
    if loss:
        run["loss_source"] = loss_source(loss)
    folder = Path(args["out"])
    try:
        done = json.loads((folder / "run.json").read_text())
        same = (_identity(done) == _identity(json.loads(json.dumps(run)))
                and all((folder / name).exists() for name in done["outputs"]))
    except (OSError, ValueError, KeyError):
        same = False
    if same:
        print(f"up to date: {folder}")
        return None
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "datasets", "numpy")}
    return {**run, "versions": {"python": platform.python_version(), **versions}, "machine": platform.platform(),
            "started": time.time()}


@contextlib.contextmanager
def finish(run, **metrics):
    """The folder to write the results into, in a with block; run.json follows, last and atomically.

    From the moment the block is entered the folder is not up to date, so a crash inside it is never taken for a result.
    """
    folder = Path(run["args"]["out"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").unlink(missing_ok=True)
    yield folder
    run["metrics"] = metrics
    run["seconds"] = round(time.time() - run.pop("started"), 1)
    run["outputs"] = sorted(path.name for path in folder.iterdir())
    _write(folder / "run.json", json.dumps(run, indent=1) + "\n")
    if re.fullmatch(r"seed\d+", folder.parent.name):
        with open(folder.parent.parent / "history.jsonl", "a") as history:
            history.write(json.dumps(run) + "\n")


def _identity(run):
    """What must be equal for two runs to be the same."""
    return ({name: value for name, value in run["args"].items() if name != "out"},
            {name: given["sha256"] for name, given in run["inputs"].items()}, run["code"], run.get("loss_source"))


def fingerprint(path):
    """sha256 of a file, or of all files in a folder."""
    digest = hashlib.sha256()
    for file in sorted(Path(path).rglob("*")) if os.path.isdir(path) else [Path(path)]:
        if file.is_file():
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest() + file.name.encode())
    return digest.hexdigest()


def parse_loss(spec):
    """"conf:alpha=0.75,warmup=0.1" -> "conf", {"alpha": 0.75, "warmup": 0.1}; checked against losses.py."""
    name, _, rest = spec.partition(":")
    code = ast.parse(loss_source(name)).body[0]  # the loss itself, if it is an ordinary function
    known = [arg.arg for arg in code.args.args[3:]] if isinstance(code, ast.FunctionDef) else None
    parameters = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        try:
            parameters[key] = json.loads(value.lower())
        except ValueError:
            refuse(f"--loss={spec}: {part} should read like alpha=0.75")
        if known is not None and key not in known:
            refuse(f"--loss={spec}: {name} has no parameter {key}; it has {', '.join(known) or 'none'}")
    return name, parameters


def _code(tree):
    """Source without comments, docstrings and layout."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def loss_source(name):
    """The code of LOSSES[name] in losses.py and of everything there that it uses. Does not import torch."""
    tree = ast.parse((HERE / "losses.py").read_text())
    top = {}  # name: the statement at the top level of losses.py that binds it
    for node in tree.body:
        targets = getattr(node, "targets", []) or getattr(node, "names", []) or [node]
        for target in targets:
            top[getattr(target, "id", None) or getattr(target, "asname", None) or getattr(target, "name", None)] = node
    table = top["LOSSES"].value
    losses = {key.value: value for key, value in zip(table.keys, table.values)}
    if name not in losses:
        near = difflib.get_close_matches(name, losses, 1)
        refuse(f"unknown loss {name}; losses.py has {', '.join(losses)}" + (f"; did you mean {near[0]}?" if near else ""))
    todo, used = [losses[name]], []
    while todo:
        node = todo.pop()
        used += [] if isinstance(node, ast.Name) else [node]
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        todo += [top[n] for n in sorted(names & top.keys()) if top[n] not in used + todo]
    return "\n\n".join(_code(node) for node in used)


# ------------------------------------------------------------------------------------------------------------------ hub

def connect(name):
    """Before a model or dataset is fetched by name, asks the hub once whether it is there; goes offline if it is not.

    Without this a machine with no internet waits for minutes, even for what lies in the cache. Must be called before
    transformers or datasets are imported. Nothing to do for a local path.
    """
    if os.path.exists(name) or os.environ.get("HF_HUB_OFFLINE"):
        return
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    answered = threading.Event()

    def ask():
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(urllib.request.Request(hub, method="HEAD"), timeout=5)
            except urllib.error.HTTPError:
                pass  # an answer, if not a friendly one
            answered.set()

    asking = threading.Thread(target=ask, daemon=True)  # a thread, since looking up a name knows no time limit
    asking.start()
    asking.join(6)
    if not answered.is_set():
        os.environ["HF_HUB_OFFLINE"] = "1"


@contextlib.contextmanager
def fetching(name):
    """Around the loading of a model or dataset: a failure becomes one line that says what could not be had."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        if os.environ.get("HF_HUB_OFFLINE") and not os.path.exists(name):
            reason = "the hub cannot be reached and it is not in the local cache"
            reason += ". Give a local folder, run once where there is internet, or try the demo: bash run_all.sh"
        refuse(f"cannot load {name}: {reason}")
