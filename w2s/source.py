"""Which code decides a result: a rerun waits for what an edit changed and for nothing else.

Reads sources, imports nothing of them.

    python -m w2s.source conf:alpha=0.75             # refuses what losses.py does not have
    code_of("train_weak.py", "w2s/classifier.py")    # without comments, docstrings and layout
    loss_source("conf")                              # of losses.py that loss, with what it calls
"""

import ast
import builtins
import difflib
import functools
import json
import sys
from pathlib import Path

from w2s.records import refuse

HERE = Path(__file__).resolve().parent.parent

# what decides what a model makes of texts
MODEL = ["w2s/training.py", "w2s/state.py", "w2s/classifier.py", "w2s/forward.py",
         "w2s/checkpoint.py", "w2s/precision.py", "w2s/head.py", "w2s/names.py", "w2s/records.py",
         "w2s/inputs.py"]

# the sources as this process found them, just before it loads them
FOUND = {file: file.read_text() for file in [*HERE.glob("*.py"), *HERE.glob("w2s/*.py")]}


def model_code(stage, linear_probe, lora=0):
    """Files whose code decides what a model that a stage trains makes of texts."""
    files = [stage, "w2s/second_test.py", *MODEL]
    if linear_probe:
        files.append("w2s/probe.py")
    if lora:
        files.append("w2s/lora.py")
    return files


# ------------------------------------------------------------------------------------- whole files

def check_loaded():
    """Refuses where a file was edited after this process had loaded it, as in a notebook: the old
    code would run, and the new would be recorded."""
    for file, found in FOUND.items():
        now = file.read_text()
        if now == found:
            continue

        module = file.stem if file.parent == HERE else f"w2s.{file.stem}"
        if module not in sys.modules:
            FOUND[file] = now
        elif _code(file.name, now) != _code(file.name, found):
            refuse(f"{file.name} was edited after this process had loaded it; "
                   "start it again (in a notebook: restart the kernel)")


def code_of(*files):
    """The code of whole files, without comments, docstrings and layout."""
    return "".join(_code(file, (HERE / file).read_text()) for file in files)


@functools.cache  # for who trains many students in one process
def _code(file, text):
    return code(_parse(file, text))


def _parse(file, text):
    try:
        return ast.parse(text)
    except SyntaxError as error:
        refuse(f"{file}:{error.lineno}: {error.msg}")


def code(tree):
    """The code of a syntax tree, without docstrings."""
    for node in ast.walk(tree):
        documented = isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
        if documented and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


# ---------------------------------------------------------------------------------------- one loss

def parse_loss(spec):
    """"conf:alpha=0.75,warmup=0.1" -> "conf", {"alpha": 0.75, "warmup": 0.1}, checked against
    losses.py."""
    name, _, rest = spec.partition(":")
    known = _own_parameters(name)
    parameters = {}
    for part in filter(None, rest.split(",")):
        key, _, text = part.partition("=")
        try:
            value = json.loads(text.lower())
        except ValueError:
            value = None
        if type(value) not in (int, float, bool):
            refuse(f"--loss={spec}: {part} should read like alpha=0.75")
        if known is not None and key not in known:
            there = ", ".join(known) or "none"
            refuse(f"--loss={spec}: {name} has no parameter {key}; it has {there}")
        if key in parameters:
            refuse(f"--loss={spec}: {key} is there twice")
        parameters[key] = value
    return name, parameters


def _own_parameters(name):
    """What a loss takes after logits, weak_probs and step_frac; None if it is no plain function."""
    loss = ast.parse(loss_source(name)).body[0]
    if not isinstance(loss, ast.FunctionDef):
        return None

    given = len(loss.args.args) - len(loss.args.defaults)
    if given < 3 and not loss.args.vararg:
        refuse(f"losses.py: {name} must take logits, weak_probs, step_frac "
               "and then its own parameters")
    return [arg.arg for arg in loss.args.args[3:] + loss.args.kwonlyargs]


def loss_source(name):
    """The code of LOSSES[name] in losses.py and of everything there that it uses."""
    top = _statements(_parse("losses.py", (HERE / "losses.py").read_text()))
    losses = _table(top)
    if name not in losses:
        near = difflib.get_close_matches(name, losses, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        if name in top:
            hint = f'. It defines {name}: add "{name}": {name} to LOSSES'
        refuse(f"unknown loss {name}; losses.py has {', '.join(losses)}{hint}")

    todo, used = [losses[name]], []
    while todo:
        node = todo.pop()
        if not isinstance(node, ast.Name):
            used.append(node)
        for called in sorted(_names(node) & top.keys()):
            todo += [statement for statement in top[called] if statement not in used + todo]
    for node in used:
        _refuse_undefined(node, top.keys())
    return "\n\n".join(code(node) for node in used)


def _table(top):
    """{name: its expression} of the dict LOSSES"""
    table = getattr(top.get("LOSSES", [None])[-1], "value", None)
    plain = isinstance(table, ast.Dict) and all(isinstance(k, ast.Constant) for k in table.keys)
    if not plain:
        refuse('losses.py: LOSSES must be a plain dict, LOSSES = {"xent": xent, ...}')
    above = {name for name, nodes in top.items() if nodes[0].lineno < table.lineno}
    _refuse_undefined(table, above, " above LOSSES")
    return {key.value: value for key, value in zip(table.keys, table.values)}


def _refuse_undefined(node, known, where=""):
    """Refuses a name that nothing defines: else training would come upon it after minutes."""
    bound = {*known, *dir(builtins)}
    for part in ast.walk(node):
        if isinstance(part, ast.alias):
            bound.add((part.asname or part.name).split(".")[0])
        elif isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            bound.add(part.id)
        else:  # def, class, except; arguments
            bound |= {getattr(part, "name", None), getattr(part, "arg", None)}
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id not in bound and "*" not in known:
            refuse(f"losses.py:{part.lineno}: {part.id} is not defined{where}")


def _statements(tree):
    """{name: the statements at the top level of a module that bind it}"""
    top = {}
    for node in tree.body:
        if hasattr(node, "name"):  # def, class
            bound = [node.name]
        elif hasattr(node, "names"):  # import
            bound = [alias.asname or alias.name.split(".")[0] for alias in node.names]
        else:
            bound = _changed(node)
        for name in bound:
            top.setdefault(name, []).append(node)
    return top


def _changed(node):
    """The names that a statement binds, or whose values it may change: S["a"] = 1, S.update()."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return set().union(*map(_names, targets))
    defined = (ast.FunctionDef, ast.ClassDef)
    inner = {part.name for part in ast.walk(node) if isinstance(part, defined)}
    return inner | _names(node)


def _names(tree):
    """The names that occur in a tree."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


if __name__ == "__main__":
    _, sys.argv[0], *specs = sys.argv  # in whose name it refuses
    for spec in specs:
        parse_loss(spec)
