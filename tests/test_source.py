"""Which code counts: of the losses the one used, and never what was edited after it was loaded."""

import subprocess
import sys

import pytest
from conftest import ROOT, edit, project

from w2s import source, stage


def test_of_the_losses_only_the_one_used_and_what_it_calls_counts(tmp_path, monkeypatch):
    here = project(tmp_path / "project")
    losses = here / "losses.py"
    monkeypatch.setattr(source, "HERE", here)
    before = {name: source.loss_source(name) for name in ("xent", "conf", "bootstrap")}
    assert "def harden" in before["conf"] and "def harden" not in before["xent"]
    assert "def cross_entropy" in before["xent"]

    def changed():
        return [name for name in before if source.loss_source(name) != before[name]]

    # docstrings and remarks do not count
    edit(losses, '"""Plain finetuning', '"""Quite plain finetuning')
    edit(losses, "    a = alpha *", "    # how much\n\n    a = alpha *")
    assert changed() == []

    edit(losses, "margin.sort(descending=True)", "margin.sort(descending=True, stable=True)")
    assert changed() == ["conf"]
    edit(losses, "logits.log_softmax(1)", "logits.log_softmax(-1)")
    assert changed() == ["xent", "conf", "bootstrap"]

    # a lambda
    mine = '"mine": lambda *batch: conf(*batch, alpha=0.1)'
    edit(losses, '"xent": xent', f'"xent": xent, {mine}')
    assert "alpha=0.1" in source.loss_source("mine") and "def harden" in source.loss_source("mine")

    # a loss of one's own
    mean = "def mean(logits, weak_probs, eps=0.1):\n    pass\n\n\n"
    edit(losses, "LOSSES = {", f"{mean}LOSSES = {{")
    with pytest.raises(SystemExit, match='It defines mean: add "mean": mean to LOSSES'):
        source.loss_source("mean")
    edit(losses, '"xent": xent', '"mean": mean, "xent": xent')
    complaint = "mean must take logits, weak_probs, step_frac and then its own parameters"
    with pytest.raises(SystemExit, match=complaint):
        source.parse_loss("mean:eps=0.2")
    complaint = "conf:alpha=null: alpha=null should read like alpha=0.75"
    with pytest.raises(SystemExit, match=complaint):
        source.parse_loss("conf:alpha=null")

    # a name that is bound twice: both count
    edit(losses, "LOSSES = {", "xent = torch.no_grad()(xent)\nLOSSES = {")
    assert "def xent" in source.loss_source("xent") and "no_grad" in source.loss_source("xent")

    edit(losses, "LOSSES = {", "LOSSES = {**{}, ")
    with pytest.raises(SystemExit, match="LOSSES must be a plain dict"):
        source.loss_source("xent")


NOTEBOOK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from w2s import records, stage
def run():
    if begun := stage.start({"out": sys.argv[2]}, [], ["w2s/records.py", "w2s/metrics.py"]):
        from w2s import metrics
        stage.finish(begun, {}, {"a.txt": "a"})
def append(file, text):
    with open(Path(sys.argv[1], file), "a") as stream:
        stream.write(text)
run()
append("w2s/pairs.py", "X = 1")  # was not loaded
append("w2s/metrics.py", "# a remark")
run()
append("w2s/metrics.py", "\\nX = 1")
run()
"""


def test_code_edited_after_it_was_loaded_is_not_recorded_as_what_ran(tmp_path, monkeypatch):
    here, out = project(tmp_path / "project"), tmp_path / "out"
    argv = [sys.executable, "-c", NOTEBOOK, here, out]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.stdout == f"up to date: {out}\n" and done.returncode == 1
    assert done.stderr == ("-c: metrics.py was edited after this process had loaded it; "
                           "start it again (in a notebook: restart the kernel)\n")

    # edited while a stage loaded it
    monkeypatch.setitem(source.FOUND, ROOT / "w2s" / "training.py", "")
    with pytest.raises(SystemExit, match="training.py was edited"):
        with stage.explain_divergence([]):
            pass


@pytest.mark.parametrize("line, edited", [
    ('S["a"] = 0.1', 'S["a"] = 0.2'),
    ("S.update(a=0.1)", "S.update(a=0.2)"),
    ("cross_entropy.w = 0.1", "cross_entropy.w = 0.2"),
    ("torch.set_num_threads(1)", "torch.set_num_threads(2)"),
    ("if S:\n    def scale():\n        return 1", "if S:\n    def scale():\n        return 2"),
])
def test_a_statement_that_changes_what_a_loss_uses_counts(tmp_path, monkeypatch, line, edited):
    here = project(tmp_path / "project")
    monkeypatch.setattr(source, "HERE", here)
    losses = here / "losses.py"
    edit(losses, "def xent(", f'S = {{}}\nscale = 0\n{line}\n\n\ndef xent(')
    edit(losses, "    return cross_entropy(logits, weak_probs)\n",
         '    scale, S, torch\n    return cross_entropy(logits, weak_probs)\n')
    before = source.loss_source("xent")
    edit(losses, line, edited)
    assert source.loss_source("xent") != before


@pytest.mark.parametrize("old, new, message", [
    ('"xent": xent', '"xent": xnt', "xnt is not defined above LOSSES"),
    ('"xent": xent', '"xent": xent, "mine": mine', "mine is not defined above LOSSES"),
    ("return cross_entropy(logits, weak_probs)", "return cross_entrop(logits, weak_probs)",
     "cross_entrop is not defined"),
])
def test_a_slip_in_losses_is_found_before_anything_is_trained(tmp_path, monkeypatch, old, new,
                                                              message):
    here = project(tmp_path / "project")
    monkeypatch.setattr(source, "HERE", here)
    edit(here / "losses.py", old, new)
    with open(here / "losses.py", "a") as stream:
        stream.write("\n\ndef mine(logits, weak_probs, step_frac):\n    return logits.sum()\n")
    with pytest.raises(SystemExit, match=rf"losses.py:\d+: {message}"):
        source.loss_source("xent")
