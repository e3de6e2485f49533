"""Training that stops on its way: by a crash, after which it goes on to the same bits; where the
loss is no number; and at the step that is kept."""

import pytest
import torch
from conftest import inside, rows, write

import losses
import train_strong
from losses import xent
from w2s import stage, training

# forty examples for a linear layer
INPUTS = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.eye(2)[[0, 1] * 20]
LENGTHS = torch.ones(40, dtype=torch.long)


def test_one_process_goes_on_after_a_crash_with_the_same_bits(tiny, tmp_path, monkeypatch):
    data = write(tmp_path / "data.jsonl", [{"id": i, **row} for i, row in enumerate(rows(40))])

    def train(name, ok=True):
        files = [f"--train={data}", f"--test={data}", f"--out={tmp_path / name}"]
        flags = ["--batch_size=4", "--save_minutes=0"]
        inside("train_weak.py", f"--model={tiny['bert']}", *files, *flags, ok=ok)

    def crash(logits, targets, step_frac):
        if step_frac >= 0.5:
            raise SystemExit("crash")
        return xent(logits, targets, step_frac)

    train("whole")
    with monkeypatch.context() as patch:
        patch.setitem(losses.LOSSES, "xent", crash)
        train("crashed", ok=False)
    state, = (tmp_path / "crashed").glob("state-*.pt")
    assert len(torch.load(state, weights_only=True)["curve"]) == 10
    assert not (tmp_path / "crashed" / "run.json").exists()
    train("crashed")
    for name in ("model/model.safetensors", "predictions.jsonl", "curve.jsonl"):
        assert (tmp_path / "crashed" / name).read_bytes() == (
            tmp_path / "whole" / name
        ).read_bytes()
    assert {path.name for path in (tmp_path / "crashed").iterdir()} == {
        "model",
        "predictions.jsonl",
        "curve.jsonl",
        "run.json",
    }


def test_a_parameter_that_gets_no_gradient_is_no_hindrance_to_going_on(tmp_path):
    def run(loss, state):
        torch.manual_seed(0)
        net = torch.nn.Linear(3, 2)
        net.unused = torch.nn.Parameter(torch.zeros(2))
        recipe = {"epochs": 4, "batch_size": 8, "lr": 0.1, "state": state, "save_minutes": 0.0}

        def forward(batch):
            return net(INPUTS[batch])

        training.train(net, forward, LENGTHS, TARGETS, loss, **recipe)
        return net.weight

    def crash(logits, targets, step_frac):
        if step_frac > 0.5:
            raise KeyboardInterrupt
        return xent(logits, targets, step_frac)

    with pytest.raises(KeyboardInterrupt):
        run(crash, tmp_path / "state.pt")
    assert torch.equal(run(xent, tmp_path / "state.pt"), run(xent, tmp_path / "other.pt"))


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_step_that_is_kept_and_going_on_to_it(tmp_path, keep):
    """The held-out loss is made up: best at the second of four evaluations.

    Training is stopped after the third one and started again.
    """
    def run(name, evals=4, crash=False):
        torch.manual_seed(0)
        net, seen = torch.nn.Linear(3, 2), {}

        def evaluate(step):
            if crash and step > 15:
                raise KeyboardInterrupt
            seen[step] = net.weight.detach().clone()
            net.eval()
            return {"held_out_loss": abs(step - 9)}

        def forward(batch):
            return net(INPUTS[batch])

        curve = training.train(
            net, forward, LENGTHS, TARGETS, xent, epochs=4, batch_size=8, lr=0.1,
            state=tmp_path / name, save_minutes=0.0,
            evals=evals, evaluate=evaluate, keep=keep if evals else "last")
        return net, curve, seen

    net, curve, seen = run("whole")
    steps = [point["step"] for point in curve if "held_out_loss" in point]
    assert steps == [5, 10, 15, 20] == list(seen)
    assert training.best_step(curve) == 10
    assert torch.equal(net.weight, seen[{"last": 20, "best": 10}[keep]]) and net.training
    assert torch.equal(seen[20], run("plain", evals=0)[0].weight)  # to evaluate changes nothing
    with pytest.raises(KeyboardInterrupt):
        run("crashed", crash=True)
    again, curve, seen = run("crashed")
    assert torch.equal(again.weight, net.weight) and list(seen) == [20] and len(curve) == 20


def nan_loss(logits):
    return logits.sum() * float("nan")


def nan_gradient(logits):
    """A loss of 0, where the root has no gradient."""
    return (logits - logits.detach()).abs().sqrt().sum()


@pytest.mark.parametrize("broken", [nan_loss, nan_gradient])
def test_a_loss_that_is_no_number_stops_training_there(tmp_path, broken):
    """A loss of nan; or a finite one whose gradient is none."""
    def run(state, loss):
        torch.manual_seed(0)
        net, seen = torch.nn.Linear(3, 2), []

        def forward(batch):
            seen.append(batch.tolist())
            return net(INPUTS[batch])

        try:
            training.train(
                net, forward, LENGTHS, TARGETS, loss, epochs=2, batch_size=8, lr=0.1, state=state
            )
        except training.Diverged as error:
            assert "step 7 of 10" in str(error) and error.batch == seen[-1]
        return net.weight

    def from_step_7(logits, targets, step_frac):
        return broken(logits) if step_frac >= 0.6 else xent(logits, targets, step_frac)

    stopped = run(tmp_path / "state.pt", from_step_7)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert stopped.isfinite().all()
    assert torch.equal(state["weights"]["weight"], stopped)
    assert len(state["curve"]) == 6
    # from there on, with the loss mended
    assert torch.equal(run(tmp_path / "state.pt", xent), run(tmp_path / "other.pt", xent))


def test_the_examples_on_which_training_diverged_are_named(tiny, tmp_path, monkeypatch):
    made = [{"id": f"r{i}", **row} for i, row in enumerate(rows(20))]
    data = str(write(tmp_path / "data.jsonl", made))

    def broken(logits, targets, step_frac):
        return logits.sum() / 0 * 0

    monkeypatch.setitem(losses.LOSSES, "xent", broken)
    said = (r"training has diverged: loss nan.* at step 1 of 5\. "
            r"A smaller --lr .* examples r\d+, r\d+, r\d+, r\d+$")
    model, out = str(tiny["gpt2"]), str(tmp_path / "out")
    with pytest.raises(SystemExit, match=said):
        train_strong.main(model, data, data, out, batch_size=4, epochs=1)
    assert not (tmp_path / "out" / "run.json").exists()


def test_every_run_has_a_state_of_its_own(tmp_path):
    def start(file, **arguments):
        return stage.start({"out": str(tmp_path), **arguments}, [], [file])

    runs = [
        start("w2s/stage.py", lr=1.0),
        start("w2s/stage.py", lr=2.0),
        start("w2s/training.py", lr=1.0),
        start("w2s/stage.py", lr=1.0, microbatch=4),
    ]
    first, *others = map(stage.state, runs)
    assert [other == first for other in others] == [False, False, True]
