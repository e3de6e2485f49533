"""What every stage does around its work: check its flags, and know when it is done. (records.py reads and writes for it.)

Imports the standard library only, so that a stage that is up to date says so without loading a model.

    run = stage.start(locals(), inputs=["train"], code=[__file__, "w2s/classifier.py"])  # first line of main
    if not run:
        return  # up to date
    ...
    stage.finish(run, {"accuracy": 0.9}, {"predictions.jsonl": rows})
"""

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
import time
from pathlib import Path

from w2s import lock, source
from w2s.records import FIRST, refuse, warn, write_jsonl

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weak-to-strong"  # the demo's models, probes' features
HOW = ("out", "microbatch", "checkpointing", "fsdp", "save_minutes", "save_model")  # arguments on which no result depends
LEAST = {"batch_size": 1, "max_tokens": 1, "block": 2, "shots": 0, "calibrate": 0, "epochs": 0, "evals": 0, "microbatch": 0, "save_minutes": 0,
         "max_train": 2, "max_test": 2}  # an example of each class
TRUTH = {"true": True, "1": True, "false": False, "0": False}
WRITTEN = ("model", "predictions.jsonl", "labels.jsonl", "curve.jsonl", "run.json")  # what stages that train and label write


# ---------------------------------------------------------------------------------------------------------------- flags

def cli(main):
    """Runs main with the command line's flags: known ones only, each of its default's type. --help shows its signature."""
    if not FIRST:
        sys.stdout = open(os.devnull, "w")
    try:
        if {"--help", "-h"} & set(sys.argv[1:]):
            print_help(main)
        else:
            main(**_flags(main))
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        refuse(f"{error.name} is not installed; pip install -r requirements.txt has what this project needs")
    except BrokenPipeError:  # of who reads the output, `| head` say: nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        refuse(f"{error.filename or 'a file'}: {error.strerror or error}; what was done before is kept, run it again")
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        refuse("the GPU's memory does not suffice; try --checkpointing, --fsdp on several GPUs, or --microbatch=1 with it")


def print_help(main):
    """The stage's docstring, and main's signature with its comments."""
    signature = inspect.getsource(main).split("):\n")[0].replace("def main(", "").strip("\n")
    print(f"{sys.modules[main.__module__].__doc__.strip()}\n\nFlags, with their defaults:\n\n{signature}")


def _flags(main):
    """{flag: value} of the command line: --flag=value, --flag value, or --flag alone for true."""
    flags = inspect.signature(main).parameters
    given, words = {}, sys.argv[1:]
    while words:
        word = words.pop(0)
        name, equals, text = word.partition("=")
        name = name[2:].replace("-", "_") if name.startswith("--") else None

        # the first flag may stand without its name
        if name is None and not given:
            name, equals, text = next(iter(flags)), "=", word
        if name not in flags:
            near = difflib.get_close_matches(name, flags, 1, 0) if name else []
            refuse(f"unknown flag {word.split('=')[0]}" + "".join(f"; did you mean --{flag}?" for flag in near))

        # a value may be the next word, but another flag is none
        default = flags[name].default
        if not equals and isinstance(default, bool):
            follows = words and words[0].lower() in TRUTH
            text = words.pop(0) if follows else "true"
        elif not equals:
            if not words or words[0].startswith("--"):
                refuse(f"--{name} has no value; write --{name}=VALUE")
            text = words.pop(0)
        given[name] = _value(name, default, text)
    for name, flag in flags.items():
        if flag.default is flag.empty and name not in given:
            refuse(f"--{name} is missing; --help shows all flags")
    return given


def _value(name, default, text):
    """A flag's value, of the type of its default; text where it has none."""
    try:
        if isinstance(default, bool):
            return TRUTH[text.lower()]
        return type(default)(text) if isinstance(default, (int, float)) else text
    except (KeyError, ValueError):
        wanted = {bool: "true or false is", int: "a whole number is", float: "a number is"}[type(default)]
        refuse(f"--{name}={text}: {wanted} needed")


# ----------------------------------------------------------------------------------------------------------- up to date

def start(args, inputs, code, loss=None):
    """Begins a run, or returns None, having said so, where the folder args["out"] holds this very run already.

    args    main's arguments: locals() on its first line
    inputs  those of them that may name a file or folder to read: then its content counts, not its name
    code    files whose code decides the result; comments, blank lines and docstrings do not count
    loss    the loss used: of losses.py only that function counts, with what it calls
    """
    for name in LEAST.keys() & args.keys():
        if not args[name] >= LEAST[name]:  # nan is not, either
            refuse(f"--{name}={args[name]}: {LEAST[name]} or more is needed")
    if not 0 < args.get("lr", 1) < float("inf"):
        refuse(f"--lr={args['lr']}: a number above 0 is needed")
    if not args["out"]:
        refuse("--out is empty: a folder is needed")
    source.check_loaded()
    lock.give()  # what a stage before it in this process was refused or stopped over
    itself, folder = Path(code[0]).stem, Path(args["out"])
    done = _done(folder)
    if done and done["stage"] != itself:
        refuse(f"--out={folder} holds what {done['stage']}.py wrote; give another folder")
    found = [name for name in inputs if os.path.exists(args[name])]
    for name in found:
        if Path(args[name]).is_fifo():
            refuse(f"--{name}={args[name]}: a file is needed, not a pipe, for its content decides what is up to date")
        given = Path(args[name]).resolve()
        if {given, *given.parents} & {folder.resolve() / file for file in WRITTEN}:
            refuse(f"--{name}={args[name]} would be replaced by what is written into --out={folder}; give another folder")
    others = {name: value for name, value in args.items() if name not in found} | {"out": str(folder)}
    others = json.dumps(others, default=lambda v: v.item() if hasattr(v, "item") else str(v))  # of numpy, or a path
    run = {"stage": itself, "args": json.loads(others),  # as they will be read again
           "inputs": {name: fingerprint(args[name], done.get("inputs", {}).get(name)) for name in found},
           "code": hashlib.sha256(source.code_of(*code).encode()).hexdigest()}
    if loss:
        run["loss_source"] = source.loss_source(source.parse_loss(loss)[0])
    run["comparable"] = comparable(run)

    def is_done():
        done = _done(folder)
        wanted = {*done.get("outputs", []), *["model"] * args.get("save_model", False)}
        return done and _identity(done) == _identity(run) and all((folder / name).exists() for name in wanted)

    if not is_done():
        try:
            lock.take(folder) if FIRST else lock.follow(folder, is_done)
        except OSError as error:
            refuse(f"cannot write into {folder}: {error.strerror}; another --out is needed")
    if is_done():  # perhaps only now, by whom we waited for
        lock.give(folder)
        print(f"up to date: {folder}")
        return None
    versions = {"python": platform.python_version()}
    for package in importlib.metadata.distributions():
        if package.name in ("torch", "transformers", "datasets", "numpy"):
            versions[package.name] = package.version
    return {**run, "versions": versions, "machine": platform.platform(),
            "processes": int(os.environ.get("WORLD_SIZE", 1)), "started": time.time()}


def finish(run, metrics, outputs):
    """Writes a run's outputs into its folder, then run.json, last and atomically.

    outputs  {file name: rows (for JSON Lines), a text, or a function that writes to the path it is given}

    Outputs come into being beside those of an earlier run, which go only when all are there: nothing of it is taken for a
    result of this one, and a crash on the way loses nothing. Of several processes the first writes; the others take part
    where rows are still to be computed or a model is spread over them.
    """
    folder = Path(run["args"]["out"])
    folder.mkdir(parents=True, exist_ok=True)
    if FIRST:
        _remove(*(folder / f"partial.{name}" for name in {*WRITTEN, *outputs}))  # from a crash
    partial = {name: folder / f"partial.{name}" for name in outputs}
    for name, content in outputs.items():
        if callable(content):
            try:
                content(partial[name])
            except Exception as error:  # safetensors has an error of its own for a full disk
                if not isinstance(error, OSError) and "os error" not in str(error):
                    raise
                refuse(f"cannot write {partial[name]} ({error}); what was there before is kept. Make room and run it again")
        elif isinstance(content, str):
            partial[name].write_text(content, encoding="utf-8")
        else:
            write_jsonl(partial[name], content)
    if not FIRST:
        return
    for name, given in run["inputs"].items():
        if fingerprint(given["path"], given)["sha256"] != given["sha256"]:
            refuse(f"{given['path']} was changed while this run worked on it; run it again")
    run |= {"metrics": metrics, "seconds": round(time.time() - run.pop("started"), 1), "outputs": list(outputs)}
    (folder / "partial.run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    _remove(*(folder / name for name in ["run.json", *_done(folder).get("outputs", []), *outputs]))
    for name in [*outputs, "run.json"]:
        os.replace(folder / f"partial.{name}", folder / name)
    _remove(*folder.glob("state-*.pt"))
    if re.fullmatch(r"seed\d+", folder.parent.name):
        with open(folder.parent.parent / "history.jsonl", "a") as history:
            history.write(json.dumps(run) + "\n")
    lock.give(folder)


@contextlib.contextmanager
def watched(rows):
    """Around the training on rows: the code in run.json is what was loaded, and where it diverges, one line says on which of them."""
    from w2s.training import Diverged  # where something is trained it is loaded by now

    source.check_loaded()
    try:
        yield
    except Diverged as error:
        ids = ", ".join(str(rows[i]["id"]) for i in error.batch)
        refuse(f"training has diverged: {error}. A smaller --lr may help, or the loss is wrong on one of the examples {ids}")


def _remove(*paths):
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def state(run):
    """Where the state of a run in training is kept until it is finished; another for every run that is another."""
    return Path(run["args"]["out"]) / f"state-{hashlib.sha256(repr(_identity(run)).encode()).hexdigest()[:16]}.pt"


def read_run(folder):
    """run.json of a folder; empty where there is none, for files may come from elsewhere."""
    try:
        run = json.loads((folder / "run.json").read_text())
        return run if isinstance(run, dict) else {}
    except (OSError, ValueError):
        return {}


def _done(folder):
    """run.json of a finished run of ours, or empty."""
    run = read_run(folder)
    return run if {"stage", "args", "inputs", "code", "outputs"} <= run.keys() else {}


def _identity(run):
    """What must be equal for two runs to be the same."""
    settings = {name: value for name, value in run["args"].items() if name not in HOW}
    contents = {name: given["sha256"] for name, given in run["inputs"].items()}
    return settings, contents, run["code"], run.get("loss_source")


def comparable(run):
    """A digest of settings, code, test and task: the same in all runs that may be compared.

    Seed, loss and labels are none of it, for these are what is compared; nor is a model that is
    a folder, for another stage may have made it for this seed. See w2s/pairs.py.
    """
    varied = {*HOW, "seed", "loss", "labels", "weak"}
    settings = {name: value for name, value in run["args"].items() if name not in varied}
    tested = {name: run["inputs"].get(name, {}).get("sha256") for name in ("test", "task")}
    content = json.dumps([settings, tested, run.get("code")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def fingerprint(path, known=None):
    """{"path", "sha256", "stat"} of a file, or of all files in a folder.

    known  an earlier one, which still holds where path, sizes and dates are the same: large models
           are not read again
    """
    paths = [Path(path)] if os.path.isfile(path) else Path(path).rglob("*")
    stat = []
    for file in sorted(paths):
        if file.is_file():
            stat.append([str(file), file.stat().st_size, file.stat().st_mtime_ns])
    if known and known["path"] == str(path) and known.get("stat") == stat:
        return known
    return {"path": str(path), "sha256": _digest(*map(tuple, stat)), "stat": stat}


@functools.cache  # for who trains many students in one process
def _digest(*stat):
    digest = hashlib.sha256()
    for file, _, _ in stat:
        with open(file, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest() + Path(file).name.encode())
    return digest.hexdigest()
