"""The training step: one process, microbatches and several processes (gloo) give the same weights,
crashes or none. What one process does after a crash: test_resume.py."""

import os
import re
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from conftest import edit, project, read, rows, write

from losses import xent
from w2s import classifier, training

MIX = '''
def mix(logits, weak_probs, step_frac):
    """Every example's loss depends on the whole batch. Where a test says so, it ends half way."""
    import os, signal
    if os.environ.get("CRASH") and step_frac >= 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("STEPS"):
        print(step_frac, file=open(os.environ["STEPS"], "a"))
    spread = (logits.softmax(1)[:, 1].std() - weak_probs[:, 1].std()) ** 2
    neighbours = (logits[:, 0].roll(1) * logits[:, 1]).mean()
    return cross_entropy(logits, weak_probs) + 10 * spread + 0.1 * neighbours


LOSSES = {"mix": mix, '''
DRIVER = '''
import atexit, gc, glob, os, sys

@atexit.register  # the first, so the last to run
def last():
    threads = [open(thread).read().strip() for thread in glob.glob("/proc/self/task/*/comm")]
    sys.stderr.write(f"threads at the end: {threads}\\n")

import train_strong
model, data, *runs = sys.argv[1:]
for run in runs:
    out, loss, *words = run.split()
    flags = {"epochs": 2, "batch_size": 13, "lr": 3e-3, "save_model": True}
    for word in words:
        name, value = word.split("=")
        flags[name] = {"True": True, "best": "best"}.get(value) or int(value)
    train_strong.main(model, data, data, out, loss, **flags)
gc.freeze()  # as flags.cli does
'''
LOSSES = ("xent", "conf", "mix")


@pytest.fixture(scope="module")
def runs(tiny, tmp_path_factory):
    """Trains a student for every loss and way of computing, 45 examples in batches of 11 or 12.

    Returns the folder where each stands as way_loss.
    """
    folder = tmp_path_factory.mktemp("training")
    here = project(folder / "project")
    edit(here / "losses.py", "LOSSES = {", MIX)
    (here / "driver.py").write_text(DRIVER)
    p1s = torch.rand(45, generator=torch.Generator().manual_seed(0)).tolist()
    made = [{"id": f"r{i}", **row} for i, row in enumerate(rows(45))]
    labelled = [{**row, "probs": [1 - p1, p1]} for row, p1 in zip(made, p1s)]
    data = write(folder / "labels.jsonl", labelled)

    def drive(*outs, processes=1, ok=True, **environment):
        command = [sys.executable]
        if processes == 2:
            command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        command += [str(here / "driver.py"), tiny["llama"], data, *outs]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert (done.returncode == 0) == ok, done.stderr
        return done

    def each(way, flags=""):
        return [f"{folder}/{way}_{loss} {loss} {flags}" for loss in LOSSES]

    drive(*each("one"), *each("micro4", "microbatch=4"), f"{folder}/check xent checkpointing=True",
          f"{folder}/one_best mix evals=4 keep=best")
    best = "fsdp=True microbatch=4 evals=4 keep=best"
    crashed = f"{folder}/crashed mix {best} save_minutes=0"
    drive(crashed, processes=2, ok=False, CRASH="1")
    done = drive(
        *each("two"),
        *each("two_micro4", "microbatch=4"),
        *each("fsdp", "fsdp=True microbatch=4"),
        f"{folder}/fsdp_best mix {best}",
        crashed,
        processes=2,
        STEPS=f"{folder}/steps",
    )
    (folder / "stderr").write_text(done.stderr)
    return folder


def weights(folder):
    return safetensors.torch.load_file(folder / "model" / "model.safetensors")


@pytest.mark.parametrize(
    "way, loss",
    [
        *((way, loss) for way in ("micro4", "two", "two_micro4", "fsdp") for loss in LOSSES),
        ("fsdp", "best"),
    ],
)
def test_same_weights_however_the_batch_is_computed(runs, way, loss):
    expected, found = weights(runs / f"one_{loss}"), weights(runs / f"{way}_{loss}")
    assert expected.keys() == found.keys()
    for name in expected:
        # Adam moved them by some 1e-2
        assert torch.allclose(found[name], expected[name], rtol=0, atol=2e-5), name
    expected, found = (read(runs / f"{name}_{loss}" / "predictions.jsonl") for name in ("one", way))
    ids = [f"r{i}" for i in range(45)]
    assert [row["id"] for row in found] == [row["id"] for row in expected] == ids
    for ours, theirs in zip(found, expected):
        assert ours["probs"] == pytest.approx(theirs["probs"], abs=1e-5)


def test_losses_differ(runs):
    found = [weights(runs / f"one_{loss}")["score.weight"] for loss in LOSSES]
    assert all((found[i] - found[j]).abs().max() > 1e-4 for i, j in ((0, 1), (0, 2), (1, 2)))


def test_several_processes_go_on_after_a_crash_with_the_same_bits(runs):
    for name in ("model/model.safetensors", "predictions.jsonl", "curve.jsonl"):
        assert (runs / "crashed" / name).read_bytes() == (runs / "fsdp_best" / name).read_bytes()
    assert not list((runs / "crashed").glob("*state*"))
    steps = [float(line) for line in (runs / "steps").read_text().split()]
    # in both processes: the crashed run went on from half way
    assert steps.count(0.0) == 8
    assert steps.count(0.5) == 10


def test_no_thread_outlives_python(runs):
    # one of gloo's that still holds a tensor then aborts its process, now and then
    ends = re.findall("threads at the end: .*", (runs / "stderr").read_text())
    assert len(ends) == 2
    assert "gloo" not in "".join(ends)


def test_checkpointing_changes_nothing_but_memory(runs, tiny):
    expected, found = weights(runs / "one_xent"), weights(runs / "check")
    assert all(torch.equal(found[name], expected[name]) for name in expected)

    def kept(checkpointing):
        """Bytes that the forward pass keeps for the backward pass."""
        model, tokenizer = classifier.load(tiny["llama"], [" negative", " positive"])
        kept = {}

        def keep(tensor):
            storage = tensor.untyped_storage()
            # held, so that no address comes twice
            kept[storage.data_ptr()] = storage.nbytes(), tensor
            return tensor

        def as_it_is(tensor):
            return tensor

        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(keep, as_it_is):
            texts, targets = [row["text"] for row in rows(32)], torch.eye(2)[[0, 1] * 16]
            classifier.finetune(model, tokenizer, texts, targets, xent, checkpointing, epochs=1)
        return sum(size for address, (size, _) in kept.items() if address not in own)

    assert kept(True) < 0.5 * kept(False)


def test_out_of_memory_halves_the_microbatch_and_says_so(tiny, capsys):
    """No GPU here: the error of one that holds five examples at a time, three with their graph."""
    texts, targets = [row["text"] for row in rows(30)], torch.eye(2)[[0, 1] * 15]
    found = {}
    for limited in (False, True):
        model, tokenizer = classifier.load(tiny["llama"], [" negative", " positive"])
        ids = classifier.encode(tokenizer, texts)

        def forward(batch):
            if limited and len(batch) > (3 if torch.is_grad_enabled() else 5):
                raise torch.OutOfMemoryError("CUDA out of memory")
            return classifier.forward(model, [ids[i] for i in batch], tokenizer.pad_token_id)

        lengths = torch.tensor([len(i) for i in ids])
        training.train(model, forward, lengths, targets, xent, batch_size=15, lr=3e-3)
        found[limited] = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.allclose(found[True], found[False], rtol=0, atol=5e-6)
    said = re.findall(r"going on with --microbatch=(\d+)", capsys.readouterr().err)
    assert said == ["8", "4", "2"]  # once each, though there are four steps

    def nine_at_once(size):
        return forward(torch.arange(9))

    with pytest.raises(torch.OutOfMemoryError):
        training.halve_on_oom(nine_at_once, 1, model)


class WithoutDeterminism(torch.autograd.Function):
    """The identity; torch has no deterministic implementation of put_, on a CPU neither."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, slopes):
        return torch.zeros_like(slopes).put_(torch.arange(slopes.numel()), slopes)


@pytest.fixture
def as_on_a_gpu():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("microbatch", [0, 2])
def test_what_has_no_deterministic_implementation_is_trained_and_said(as_on_a_gpu, microbatch):
    def trained(identity):
        torch.manual_seed(0)
        net, inputs = torch.nn.Linear(3, 2), torch.randn(16, 3)

        def forward(batch):
            return identity(net(inputs[batch]))

        training.train(net, forward, torch.ones(16), torch.eye(2)[[0, 1] * 8], xent,
                       batch_size=4, lr=0.1, microbatch=microbatch)
        return net.weight

    with pytest.warns(UserWarning, match="put_ does not have a deterministic implementation"):
        found = trained(WithoutDeterminism.apply)
    assert torch.equal(found, trained(torch.clone))


def test_microbatches_of_all_processes_are_the_batch(monkeypatch):
    monkeypatch.setattr(training, "WORLD", 3)
    for n in (1, 2, 3, 7, 32):
        for size in (1, 2, 5, 32):
            found = []
            for rank in range(3):
                monkeypatch.setattr(training, "RANK", rank)
                found.append(training.my_microbatches(n, size))
            assert sorted(torch.cat(sum(map(list, found), [])).tolist()) == list(range(n))
            assert len({len(cut) for cut in found}) == 1
            assert max(len(piece) for cut in found for piece in cut) <= size


def loss_a_row(logits, targets, step_frac):
    return logits.sum(1)


def nothing(logits, targets, step_frac):
    return None


def a_number(logits, targets, step_frac):
    return 0.5


def no_gradient(logits, targets, step_frac):
    return logits.sum().detach()


@pytest.mark.parametrize("loss", [loss_a_row, nothing, a_number, no_gradient])
def test_a_loss_that_gives_no_scalar_with_gradient_is_named(loss):
    net = torch.nn.Linear(3, 2)

    def forward(batch):
        return net(torch.ones(len(batch), 3))

    targets = torch.eye(2)[[0, 1] * 4]
    with pytest.raises(TypeError, match="a scalar tensor with a gradient is needed: is .mean"):
        training.train(net, forward, torch.ones(8), targets, loss)


@pytest.mark.parametrize("lengths, unit", [([1, 3], " tokens"), ([1, 1], " examples")])
def test_the_bar_counts_what_it_says(monkeypatch, lengths, unit):
    def fail(total, what, unit, done):
        pytest.fail(unit)

    monkeypatch.setattr(training, "progress", fail)
    with pytest.raises(pytest.fail.Exception, match=f"^{unit}$"):
        training.train(torch.nn.Linear(2, 2), None, torch.tensor(lengths), torch.eye(2), xent)
