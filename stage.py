"""What every stage does around its work: check its flags, read and write JSON Lines, and know when it is done.

Imports the standard library and fire only, so that a stage that is up to date says so without loading a model.

    run = stage.start(locals(), inputs=["train"], code=[__file__, "classifier.py"])  # first line of main
    if not run:
        return  # up to date
    ...
    stage.finish(run, {"accuracy": 0.9}, {"predictions.jsonl": rows})
"""

import ast
import contextlib
import difflib
import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import re
import shutil
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
        if name is None and not given:
            name = next(iter(flags))  # the first flag may stand without its name
        elif name not in flags:
            near = difflib.get_close_matches(name or "", flags, 1, 0) if name else []
            refuse(f"unknown flag {word.split('=')[0]}" + "".join(f"; did you mean --{flag}?" for flag in near))
        elif "=" not in word and not isinstance(flags[name].default, bool):
            next(words, None)
        given.add(name)
    for name, flag in flags.items():
        if flag.default is flag.empty and name not in given:
            refuse(f"--{name} is missing; --help shows all flags")
    fire.Fire(SetParseFns(**{name: functools.partial(_value, name, flag.default) for name, flag in flags.items()})(main))


def _value(name, default, text):
    """A flag's value, of the type of its default; text where it has none."""
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return type(default)(text) if isinstance(default, (int, float)) else text
    except (KeyError, ValueError):
        wanted = {bool: "true or false is", int: "a whole number is", float: "a number is"}[type(default)]
        refuse(f"--{name}={text}: {wanted} needed")


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
        lines = Path(path).read_bytes().rstrip().splitlines()
    except OSError as error:
        refuse(f"cannot read {path}: {error.strerror}")
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            refuse(f"{where}: not a line of JSON in UTF-8 ({error})")
        if not isinstance(row, dict):
            refuse(f"{where}: a JSON object is needed, with {', '.join(keys)}")
        for key in keys:
            found = next((k for k in key.split("|") if k in row), None)
            if not found:
                refuse(f"{where}: {key.replace('|', ' or ')} is missing; the line has {', '.join(row) or 'nothing'}")
            if not CHECKS[found][1](row[found]):
                refuse(f"{where}: {found} must be {CHECKS[found][0]}, not {json.dumps(row[found])[:80]}")
        if "id" in row:
            row["id"] = str(row["id"])
            if seen.setdefault(row["id"], number) != number:
                refuse(f"{where}: id {row['id']} stands on line {seen[row['id']]} already; ids must differ")
        rows.append(row)
    return rows or refuse(f"{path}: the file is empty")


def write_jsonl(path, rows):
    """Writes dicts as JSON Lines, atomically."""
    _write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def with_probs(rows, probs, *keys):
    """Lines to write: the rows' keys and their class probabilities, probs (N, 2), to six decimals."""
    p1s = [round(float(p[1]), 6) for p in probs]
    if any(p1 != p1 for p1 in p1s):
        refuse("the model's predictions are not numbers: its training has diverged; a smaller --lr may help")
    return [{**{key: row[key] for key in keys}, "probs": [round(1 - p1, 6), p1]} for row, p1 in zip(rows, p1s)]


def accuracy(rows):
    """Accuracy of predictions, {"label", "probs"} each, with its standard error."""
    p = sum((row["probs"][1] > row["probs"][0]) == row["label"] for row in rows) / len(rows)
    return {"accuracy": p, "accuracy_se": (p * (1 - p) / len(rows)) ** 0.5}


def read_task(path):
    """task.json, or an empty task where no path is given."""
    try:
        task = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
        words = task.get("label_words", ["0", "1"])
        if "{text}" not in task.get("prompt", "{text}") or len({*words}) != 2 or not all(isinstance(w, str) for w in words):
            refuse(f'{path}: "prompt" must hold {{text}}, "label_words" must be two different texts')
        return task
    except (OSError, ValueError, AttributeError, TypeError) as error:
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
    loss    the loss used: of losses.py only that function counts, with what it calls
    """
    folder = Path(args["out"])
    done = _done(folder)
    found = [name for name in inputs if os.path.exists(args[name])]
    run = {"stage": Path(code[0]).stem,
           "args": {name: value for name, value in args.items() if name not in found},
           "inputs": {name: fingerprint(args[name], done.get("inputs", {}).get(name)) for name in found},
           "code": hashlib.sha256("".join(_code(ast.parse((HERE / file).read_text())) for file in code).encode()).hexdigest()}
    if loss:
        run["loss_source"] = loss_source(parse_loss(loss)[0])
    if done and _identity(done) == _identity(run) and all((folder / name).exists() for name in done["outputs"]):
        print(f"up to date: {folder}")
        return None
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "datasets", "numpy")}
    return {**run, "versions": {"python": platform.python_version(), **versions}, "machine": platform.platform(),
            "started": time.time()}


def finish(run, metrics, outputs):
    """Writes a run's outputs into its folder, then run.json, last and atomically.

    outputs  {file name: rows (for JSON Lines), a text, or a function that writes to the path it is given}

    What an earlier run left goes first, so nothing of it is taken for a result of this one.
    """
    folder = Path(run["args"]["out"])
    folder.mkdir(parents=True, exist_ok=True)
    for name in _done(folder).get("outputs", []):
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink(missing_ok=True)
    (folder / "run.json").unlink(missing_ok=True)
    for name, content in outputs.items():
        if callable(content):
            content(folder / name)
        elif isinstance(content, str):
            _write(folder / name, content)
        else:
            write_jsonl(folder / name, content)
    seconds = round(time.time() - run.pop("started"), 1)
    run |= {"metrics": metrics, "seconds": seconds, "outputs": list(outputs)}
    _write(folder / "run.json", json.dumps(run, indent=1) + "\n")
    if re.fullmatch(r"seed\d+", folder.parent.name):
        with open(folder.parent.parent / "history.jsonl", "a") as history:
            history.write(json.dumps(run) + "\n")


def _done(folder):
    """run.json of a folder; empty where there is none that can be read."""
    try:
        return json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        return {}


def _identity(run):
    """What must be equal for two runs to be the same."""
    return ({name: value for name, value in run["args"].items() if name != "out"},
            {name: given["sha256"] for name, given in run["inputs"].items()}, run["code"], run.get("loss_source"))


def fingerprint(path, known=None):
    """{"path", "sha256", "stat"} of a file, or of all files in a folder.

    known  an earlier one: its sha256 still holds where path, sizes and dates are the same, so large models are not read again
    """
    files = sorted(file for file in ([Path(path)] if os.path.isfile(path) else Path(path).rglob("*")) if file.is_file())
    stat = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    if known and known["path"] == str(path) and known.get("stat") == stat:
        return known
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest() + file.name.encode())
    return {"path": str(path), "sha256": digest.hexdigest(), "stat": stat}


def parse_loss(spec):
    """"conf:alpha=0.75,warmup=0.1" -> "conf", {"alpha": 0.75, "warmup": 0.1}; checked against losses.py."""
    name, _, rest = spec.partition(":")
    code = ast.parse(loss_source(name)).body[0]  # the loss itself, if it is an ordinary function
    known = [arg.arg for arg in code.args.args[3:] + code.args.kwonlyargs] if isinstance(code, ast.FunctionDef) else None
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
    try:
        tree = ast.parse((HERE / "losses.py").read_text())
    except SyntaxError as error:
        refuse(f"losses.py:{error.lineno}: {error.msg}")
    top = _statements(tree)
    table = getattr(top.get("LOSSES", [None])[-1], "value", None)
    if not isinstance(table, ast.Dict):
        refuse('losses.py: LOSSES must be a plain dict, LOSSES = {"xent": xent, ...}')
    losses = {key.value: value for key, value in zip(table.keys, table.values)}
    if name not in losses:
        near = difflib.get_close_matches(name, losses, 1)
        refuse(f"unknown loss {name}; losses.py has {', '.join(losses)}" + (f"; did you mean {near[0]}?" if near else ""))
    todo, used = [losses[name]], []
    while todo:
        node = todo.pop()
        used += [] if isinstance(node, ast.Name) else [node]
        for called in sorted({n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & top.keys()):
            todo += [statement for statement in top[called] if statement not in used + todo]
    return "\n\n".join(_code(node) for node in used)


def _statements(tree):
    """{name: the statements at the top level of a module that bind it}"""
    top = {}
    for node in tree.body:
        if hasattr(node, "name"):  # def, class
            bound = [node.name]
        elif hasattr(node, "names"):  # import
            bound = [alias.asname or alias.name.split(".")[0] for alias in node.names]
        else:
            bound = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        for name in bound:
            top.setdefault(name, []).append(node)
    return top


# ------------------------------------------------------------------------------------------------------------------ hub

def connect(name):
    """Before a model or dataset is fetched by name, asks the hub once whether it is there; goes offline if it is not.

    Without this a machine with no internet waits for minutes, even for what lies in the cache. Must be called before
    transformers or datasets are imported. Nothing to do for a local path.
    """
    if os.path.exists(name) or _offline():
        return
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    answered = threading.Event()

    def ask():
        with contextlib.suppress(Exception):
            try:
                urllib.request.urlopen(urllib.request.Request(hub, method="HEAD"), timeout=4)
            except urllib.error.HTTPError:
                pass  # an answer, if not a friendly one
            answered.set()

    asking = threading.Thread(target=ask, daemon=True)  # a thread, since looking up a name knows no time limit
    asking.start()
    asking.join(5)
    if not answered.is_set():
        os.environ["HF_HUB_OFFLINE"] = "1"


def _offline():
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


@contextlib.contextmanager
def fetching(name):
    """Around the loading of a model or dataset: a failure becomes one line that says what could not be had."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        if _offline() and isinstance(error, OSError) and not os.path.exists(name):
            reason = ("the hub cannot be reached and it is not in the local cache. Give a local folder, run once where there is "
                      "internet, or try the demo: bash run_all.sh")
        refuse(f"cannot load {name}: {reason}")
