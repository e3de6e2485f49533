"""Which code decides a result: a rerun waits for what an edit changed and for nothing else. Reads sources, imports nothing.

    python -m w2s.source conf:alpha=0.75         # refuses what losses.py does not have, before anything is trained
    code_of("train_weak.py", "w2s/classifier.py")    # their code without comments, docstrings and layout
    loss_source("conf")                          # of losses.py that loss, with what it calls
"""

import ast
import difflib
import functools
import json
import sys
from pathlib import Path

from w2s.records import refuse

HERE = Path(__file__).resolve().parent.parent
FOUND = {file: file.read_text() for file in [*HERE.glob("*.py"), *HERE.glob("w2s/*.py")]}  # as this process found them, just before it loads them


def check_loaded():
    """Refuses where a file was edited after this process had loaded it: the old code would run, and the new would be recorded."""
    for file, found in FOUND.items():
        now = file.read_text()
        name = file.stem if file.parent == HERE else f"w2s.{file.stem}"
        if name not in sys.modules:
            FOUND[file] = now
        elif now != found and _code(file.name, now) != _code(file.name, found):
            refuse(f"{file.name} was edited after this process had loaded it; start it again (in a notebook: restart the kernel)")


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
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def parse_loss(spec):
    """"conf:alpha=0.75,warmup=0.1" -> "conf", {"alpha": 0.75, "warmup": 0.1}; checked against losses.py."""
    name, _, rest = spec.partition(":")
    loss = ast.parse(loss_source(name)).body[0]  # the loss itself, if it is an ordinary function
    known = [arg.arg for arg in loss.args.args[3:] + loss.args.kwonlyargs] if isinstance(loss, ast.FunctionDef) else None
    if known is not None and not loss.args.vararg and len(loss.args.args) - len(loss.args.defaults) < 3:
        refuse(f"losses.py: {name} must take logits, weak_probs, step_frac and then its own parameters")
    parameters = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        try:
            parameters[key] = json.loads(value.lower())
        except ValueError:
            parameters[key] = None
        if type(parameters[key]) not in (int, float, bool):
            refuse(f"--loss={spec}: {part} should read like alpha=0.75")
        if known is not None and key not in known:
            refuse(f"--loss={spec}: {name} has no parameter {key}; it has {', '.join(known) or 'none'}")
    return name, parameters


def loss_source(name):
    """The code of LOSSES[name] in losses.py and of everything there that it uses. Does not import torch."""
    top = _statements(_parse("losses.py", (HERE / "losses.py").read_text()))
    table = getattr(top.get("LOSSES", [None])[-1], "value", None)
    if not isinstance(table, ast.Dict) or not all(isinstance(key, ast.Constant) for key in table.keys):
        refuse('losses.py: LOSSES must be a plain dict, LOSSES = {"xent": xent, ...}')
    losses = {key.value: value for key, value in zip(table.keys, table.values)}
    if name not in losses:
        near = difflib.get_close_matches(name, losses, 1)
        hint = f'. It defines {name}: add "{name}": {name} to LOSSES' if name in top else f"; did you mean {near[0]}?" if near else ""
        refuse(f"unknown loss {name}; losses.py has {', '.join(losses)}{hint}")
    todo, used = [losses[name]], []
    while todo:
        node = todo.pop()
        used += [] if isinstance(node, ast.Name) else [node]
        for called in sorted({n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & top.keys()):
            todo += [statement for statement in top[called] if statement not in used + todo]
    return "\n\n".join(code(node) for node in used)


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


if __name__ == "__main__":
    for spec in sys.argv[1:]:
        parse_loss(spec)
