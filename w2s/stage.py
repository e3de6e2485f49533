"""What every stage does around its work, above all: know when it is done.

Imports nothing slow, so that a stage that is up to date says so without loading a model.

    run = stage.start(locals(), inputs=["train"], code=[__file__, "w2s/classifier.py"])
    if run:  # else it is up to date
        stage.finish(run, {"accuracy": 0.9}, {"predictions.jsonl": rows})
"""

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import time
from pathlib import Path

from w2s import lock, source, versions
from w2s.flags import cli, refuse_values  # stages call cli, refuse, warn as stage.cli ...
from w2s.records import FIRST, refuse, warn, write_jsonl

# the demo's models and the probes' features
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weak-to-strong"

# arguments on which no result depends
HOW = ("out", "microbatch", "checkpointing", "fsdp", "save_minutes", "save_model")

# what stages that train and label write
WRITTEN = ("model", "predictions.jsonl", "predictions2.jsonl", "labels.jsonl", "curve.jsonl",
           "run.json")


def start(args, inputs, code, loss=None):
    """Begins a run, or returns None, having said so, where args["out"] holds this very run already.

    args    main's arguments: locals() on its first line
    inputs  those of them that may name a file or folder to read: then its content counts
    code    files whose code decides the result; comments, blank lines and docstrings do not count
    loss    the loss used: of losses.py only that function counts, with what it calls
    """
    refuse_values(args)
    source.check_loaded()
    lock.release()  # what a stage before it in this process was refused or stopped over

    stage, folder = Path(code[0]).stem, Path(args["out"])
    done = _done(folder)
    if done and done["stage"] != stage:
        refuse(f"--out={folder} holds what {done['stage']}.py wrote; give another folder")
    found = [name for name in inputs if os.path.exists(args[name])]
    for name in found:
        refuse_input(name, args[name], folder)

    # what is to be run: all that decides its result, as it will be read again
    run = {"stage": stage, "args": {}, "inputs": {}}
    for name, value in args.items():
        if name not in found:
            run["args"][name] = plain(value)
    run["args"]["out"] = str(folder)
    known = inputs_beside(folder)
    for name in found:
        run["inputs"][name] = fingerprint(args[name], *known)
    run["code"] = hashlib.sha256(source.code_of(*code).encode()).hexdigest()
    if loss:
        run["loss_source"] = source.loss_source(source.parse_loss(loss)[0])

    def is_done():
        done = _done(folder)
        if not done or _identity(done) != _identity(run):
            return False
        if args.get("save_model") and "model" not in done["outputs"]:
            return False
        # what was deleted, emptied or cut since then is made again
        return all(bytes_of(folder / name) == size for name, size in done["outputs"].items())

    # one run at a time in a folder; whoever waited may find that all is done
    if not is_done():
        try:
            if FIRST:
                lock.acquire(folder)
            else:
                lock.wait_for_first(folder, is_done)
        except OSError as error:
            refuse(f"cannot write into {folder}: {error.strerror}; another --out is needed")
    if is_done():
        lock.release(folder)
        print(f"up to date: {folder}")
        return None

    run["versions"] = versions.of_libraries()
    run["machine"], run["started"] = platform.platform(), time.time()
    run["processes"] = int(os.environ.get("WORLD_SIZE", 1))
    return run


def refuse_input(name, path, folder):
    """Refuses an input that has no lasting content, or that the run itself would replace."""
    if Path(path).is_fifo():
        refuse(f"--{name}={path}: a file is needed, not a pipe, for its content decides what is "
               "up to date")
    given = Path(path).resolve()
    if any(given.is_relative_to(folder.resolve() / written) for written in WRITTEN):
        refuse(f"--{name}={path} would be replaced by what is written into --out={folder}; "
               "give another folder")


def plain(value):
    """An argument as JSON holds it: of numpy's numbers their value, of a path its text."""
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)


def finish(run, metrics, outputs):
    """Writes a run's outputs into its folder, then run.json, last and atomically.

    outputs  {file name: rows (for JSON Lines), a text, or a function that writes to a path}

    Outputs come into being beside those of an earlier run, which go only when all are there: a
    crash on the way loses nothing. Of several processes the first writes; the others take part
    where rows are still to be computed or a model is spread over them.
    """
    folder = Path(run["args"]["out"])
    folder.mkdir(parents=True, exist_ok=True)
    # what a crash may have left
    if FIRST:
        _remove(*(folder / f"partial.{name}" for name in {*WRITTEN, *outputs}))
    for name, content in outputs.items():
        _write(folder / f"partial.{name}", content)
    if not FIRST:
        return

    for given in run["inputs"].values():
        if fingerprint(given["path"], given)["sha256"] != given["sha256"]:
            refuse(f"{given['path']} was changed while this run worked on it; run it again")

    run["versions"] |= versions.of_models(run["args"])
    run["metrics"] = metrics
    run["seconds"] = round(time.time() - run.pop("started"), 1)
    run["outputs"] = {name: bytes_of(folder / f"partial.{name}") for name in outputs}
    (folder / "partial.run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")

    # run.json goes first and comes last: without it, what a crash leaves here is no result
    earlier = _done(folder).get("outputs", [])
    _remove(folder / "run.json")
    _remove(*(folder / name for name in [*earlier, *outputs]))
    for name in [*outputs, "run.json"]:
        os.replace(folder / f"partial.{name}", folder / name)
    _remove(*folder.glob("state-*.pt"))

    if re.fullmatch(r"seed\d+", folder.parent.name):
        with open(folder.parent.parent / "history.jsonl", "a") as history:
            history.write(json.dumps(run) + "\n")
    lock.release(folder)


def bytes_of(path):
    """The size of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in files_of(path))


def files_of(path):
    paths = [Path(path)] if os.path.isfile(path) else Path(path).rglob("*")
    return sorted(file for file in paths if file.is_file())


def _write(path, content):
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
        return
    if not callable(content):
        write_jsonl(path, content)
        return

    try:
        content(path)
    except Exception as error:  # safetensors has an error of its own for a full disk
        if not isinstance(error, OSError) and "os error" not in str(error):
            raise
        refuse(f"cannot write {path} ({error}); what was there before is kept. "
               "Make room and run it again")


def _remove(*paths):
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def explain_divergence(rows):
    """Around the training on rows: where it diverges, one line says on which of them. Before it
    starts, all code is loaded, and must be the code that run.json will tell of."""
    from w2s.training import Diverged, WrongLoss  # where something is trained it is loaded by now

    source.check_loaded()
    try:
        yield
    except Diverged as error:
        ids = ", ".join(str(rows[i]["id"]) for i in error.batch)
        refuse(f"training has diverged: {error}. A smaller --lr may help, "
               f"or the loss is wrong on one of the examples {ids}")
    except WrongLoss as error:
        refuse(f"{error} (losses.py)")


def state(run):
    """Where the state of a run in training is kept until it is finished; another for every run
    that is another."""
    identity = hashlib.sha256(repr(_identity(run)).encode()).hexdigest()
    return Path(run["args"]["out"]) / f"state-{identity[:16]}.pt"


def read_run(folder):
    """run.json of a folder; empty where there is none, for files may come from elsewhere."""
    try:
        run = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(run, dict) or not isinstance(run.get("inputs", {}), dict):
        return {}
    parts = [run.get(name, {}) for name in ("args", "metrics", "versions")]
    parts += run.get("inputs", {}).values()
    return run if all(isinstance(part, dict) for part in parts) else {}


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
    """{name: value} of settings, code, test and task: the same in all runs that may be compared.

    Seed, loss and labels are none of it, for these are what is compared; nor is a model that is
    a folder, for another stage may have made it for this seed. See w2s/pairs.py.
    """
    varied = {*HOW, "seed", "loss", "labels", "weak", "test2"}
    settings = {name: value for name, value in run["args"].items() if name not in varied}
    files = {name: run["inputs"][name]["sha256"] for name in ("test", "task")
             if name in run["inputs"]}
    return {**settings, **files, "code": run.get("code")}


def inputs_beside(folder):
    """The fingerprints of all inputs of the run in a folder, and of those in folders beside it."""
    runs = [read_run(file.parent) for file in folder.parent.glob("*/run.json")]
    return [given for run in runs for given in run.get("inputs", {}).values()]


def fingerprint(path, *known):
    """{"path", "sha256", "stat"} of a file, or of all files in a folder.

    known  earlier ones: one holds where path, sizes and dates are the same; no model is read twice
    """
    stat = []
    for file in files_of(path):
        stat.append([str(file), file.stat().st_size, file.stat().st_mtime_ns])
    for earlier in known:
        if earlier and (earlier.get("path"), earlier.get("stat")) == (str(path), stat):
            return earlier
    return {"path": str(path), "sha256": _digest(*map(tuple, stat)), "stat": stat}


@functools.cache  # for who trains many students in one process
def _digest(*stat):
    digest = hashlib.sha256()
    for file, _, _ in stat:
        with open(file, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest() + Path(file).name.encode())
    return digest.hexdigest()
