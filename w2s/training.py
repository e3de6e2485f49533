"""One training step, exact on a laptop and on a cluster: the loss sees the whole batch, however it is computed.

    model, x = model.to(DEVICE), x.to(DEVICE)
    curve = train(model, lambda batch: model(x[batch]), torch.ones(N), targets, loss)    # x: (N, ...)

A batch may be cut into microbatches and spread over processes (torchrun; `shard` for a model that does not fit on one GPU):
the gradient is that of the whole batch on one device. This file knows nothing of texts or of any model, and needs torch
and tqdm alone. On a GPU its import makes torch deterministic, and lets it use tf32.
"""

import atexit
import contextlib
import itertools
import math
import os
import sys
import time

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # huge pages on a CPU: training is 6% faster

import torch
import torch.distributed as dist
from tqdm import tqdm

RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))  # torchrun sets them
DEVICE = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")
if DEVICE.type == "cuda":
    if DEVICE.index >= torch.cuda.device_count():
        raise SystemExit(f"{torch.cuda.device_count()} GPUs for more processes: start as many as there are GPUs")
    torch.cuda.set_device(DEVICE)
    BF16 = torch.cuda.is_bf16_supported(including_emulation=False)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("high")  # tf32 for what autocast leaves in float32
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
else:  # without these instructions bf16 products are emulated, several times slower than float32
    BF16 = any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
BF16 = BF16 and os.environ.get("W2S_BF16") != "0"  # the tests compare float32
if WORLD > 1 and not dist.is_initialized():
    dist.init_process_group()  # NCCL between GPUs, gloo between CPUs
    atexit.register(dist.destroy_process_group)  # else its threads may abort a process that has done all its work
    dist.all_reduce(torch.zeros(1, device=DEVICE))  # connects now, before training takes the memory


def batches(lengths, size, generator=None):
    """Cuts N examples into ceil(N / size) batches of near-equal size and similar length: a list of index tensors.

    With a generator the examples are shuffled first and sorted by length within pools of 16 batches only (up in one, down
    in the next, so that their ends meet), and the order of the batches is random: every epoch differs, little is padded.
    """
    order = torch.randperm(len(lengths), generator=generator) if generator else torch.arange(len(lengths))
    pools = order.split(16 * size) if generator else [order]
    order = torch.cat([pool[lengths[pool].argsort(stable=True, descending=i % 2 == 1)] for i, pool in enumerate(pools)])
    cut = order.tensor_split(math.ceil(len(order) / size))
    return [cut[i] for i in torch.randperm(len(cut), generator=generator)] if generator else list(cut)


def train(model, forward, lengths, targets, loss, epochs=2, batch_size=32, lr=5e-5, seed=0, microbatch=0,
          state=None, save_minutes=10.0, evals=0, evaluate=None, keep="last"):
    """AdamW, with the learning rate of `schedule`, clipping at norm 1.

    model         on DEVICE, without dropout or batch norm: pieces of a batch may be computed one by one, and twice
    forward       index tensor (b,), on the CPU -> the model's logits (b, 2), float32, for those examples
    lengths       (N,) tensor, tokens: a batch has examples of similar length, and the progress bar counts them; if all are 1, examples
    targets       (N, 2) soft labels; one-hot for ground truth
    loss          loss(logits (B, 2), targets (B, 2), step_frac) -> scalar, of the whole batch; step_frac: how far training has come
    seed          of the order of the examples
    microbatch    examples that a process computes at a time, 0 for all; changes memory and speed, not the result
    state         file for the state of training, saved every save_minutes and gone on from if it is there: one for each run
    evaluate      called with the step at `evals` points, evenly spread, the last at the end of training -> a dict for the curve
    keep          "last": the model ends as its last step left it; "best": as the point of the lowest "held_out_loss" did

    Raises Diverged where the loss is no number any more, with the model and the state file as the step before left them.
    Returns the curve, a dict a step: {"step", "loss", "lr"} and what evaluate gave. Same seed on the same machine, same bits
    (on a CPU), however often resumed.
    """
    size = min(microbatch or batch_size, math.ceil(batch_size / WORLD))
    steps = epochs * math.ceil(len(lengths) / batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    curve, best = load_state(state, model, optimizer) if state and agreed(os.path.exists(state)) else ([], {})
    points = {round(steps * (i + 1) / evals) for i in range(evals)}
    saved = time.monotonic()
    generator = torch.Generator().manual_seed(seed)
    model.train()
    order = itertools.chain.from_iterable(batches(lengths, batch_size, generator) for _ in range(epochs))
    bar = progress(epochs * int(lengths.sum()), "train", " tokens" if lengths.max() > 1 else " examples")
    for step, batch in enumerate(order):
        tokens = int(lengths[batch].sum())
        if step < len(curve):
            bar.initial = bar.n = bar.n + tokens  # done before: no part of the rate
            continue
        value, size = gradients(model, forward, batch, targets, loss, step / steps, size)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # of a model that is spread over processes
        if not (math.isfinite(value) and norm.isfinite()):
            if state:
                save_state(state, model, optimizer, curve, best)
            raise Diverged(f"loss {value}, norm of its gradient {float(norm)}, at step {step + 1} of {steps}", batch)
        optimizer.param_groups[0]["lr"] = lr * schedule(step, steps)
        optimizer.step()
        optimizer.zero_grad()
        curve.append({"step": step + 1, "loss": value, "lr": optimizer.param_groups[0]["lr"]})
        if step + 1 in points:
            curve[-1] |= evaluate(step + 1)
            model.train()
            if keep == "best" and kept(curve, keep) == step + 1:
                best = {name: value.clone() for name, value in full_state(model)[0].items()}
        bar.set_postfix_str(f"step {step + 1}/{steps}, loss {value:.4f}, lr {curve[-1]['lr']:.1e}", False)
        bar.update(tokens)
        if state and agreed(time.monotonic() - saved >= 60 * save_minutes):
            save_state(state, model, optimizer, curve, best)
            saved = time.monotonic()
    bar.close()
    if keep == "best":
        restore(model, best)
    return curve


def schedule(step, steps):
    """Share of the peak learning rate at a step, from 0 on: linear warm-up over a quarter of the steps, then linear decay."""
    warmup = max(1, steps // 4)  # long, since Adam's first steps are of full size however small the gradient
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup + 1))


class Diverged(ArithmeticError):
    """The loss or its gradient is no number any more; `batch` are the examples on which it happened."""

    def __init__(self, message, batch):
        super().__init__(message)
        self.batch = batch.tolist()


def kept(curve, keep):
    """The step whose model is kept: of those evaluated the one with the lowest held-out loss, or the last one of all."""
    evaluated = [point for point in curve if "held_out_loss" in point]
    return min(evaluated, key=lambda point: point["held_out_loss"])["step"] if keep == "best" else len(curve)


def gradients(model, forward, batch, targets, loss, step_frac, size):
    """Gives model the gradient of the loss over the whole batch, computed in pieces of `size` on all processes.

    Where a process has several pieces it computes their logits without a graph, differentiates the loss with respect to
    the logits of the whole batch, and computes the pieces again to push their slices of that gradient back (gradient
    caching, Gao et al. 2021, arXiv 2101.06983). Returns the loss, and the size that fitted in memory.
    """
    logits = torch.zeros(len(batch), 2, device=DEVICE)

    def compute(piece):
        return forward(taking_part(batch, piece))[:len(piece)]

    def first_pass(size):
        cut = pieces(len(batch), size)
        with torch.set_grad_enabled(len(cut) == 1):
            outputs = [compute(piece) for piece in cut]
        for piece, output in zip(cut, outputs):
            logits[piece] = output.detach()
        return outputs if len(cut) == 1 else []

    def second_pass(size):
        model.zero_grad()
        for piece in pieces(len(batch), size):
            output = graph.pop() if graph else compute(piece)
            output.backward(slopes[piece])

    graph, size = fitting(first_pass, size, model)
    if WORLD > 1:
        dist.all_reduce(logits)
    value = loss(logits.requires_grad_(), targets[batch].to(DEVICE), step_frac)
    if not (isinstance(value, torch.Tensor) and value.shape == () and value.requires_grad):
        raise TypeError(f"the loss gave {getattr(value, 'shape', value)}, not a scalar with gradient: is .mean() missing, or return?")
    slopes, = torch.autograd.grad(value, logits)  # (B, 2)
    value = value.item()  # here, where a GPU has the backward pass still to come, it need not run dry for it
    _, size = fitting(second_pass, size, model)
    if WORLD > 1 and not is_sharded(model):
        # Not DistributedDataParallel, which sums during the backward pass: a process could not take that again by itself.
        for sum_ in [dist.all_reduce(p.grad, async_op=True) for p in model.parameters() if p.grad is not None]:
            sum_.wait()
    return value, size


def pieces(n, size):
    """This process's share of a batch of n, cut into pieces of at most `size`, in every process as many: index tensors."""
    return torch.arange(n)[RANK::WORLD].tensor_split(math.ceil(math.ceil(n / WORLD) / size))


def taking_part(batch, piece):
    """The examples of a piece. In place of none the first of the batch: with --fsdp every process must take part."""
    return batch[piece] if len(piece) else batch[:1]


def fitting(work, size, model):
    """work(size), with size halved until the GPU's memory suffices. Returns what work did, and the size."""
    while True:
        try:
            return work(size), size
        except torch.OutOfMemoryError:
            if size == 1 or is_sharded(model):
                raise
        size = math.ceil(size / 2)
        torch.cuda.empty_cache()
        tqdm.write(f"out of memory: going on with --microbatch={size}, which gives the same result", file=sys.stderr)


def agreed(yes):
    """The first process's answer, in all of them."""
    answer = torch.tensor(int(yes))
    if WORLD > 1:
        dist.broadcast(answer, 0)
    return bool(answer)


def full_state(model, *optimizers):
    """Weights and optimizer state as in a single process, for the first process to write."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    return get_state_dict(model, optimizers, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


@torch.no_grad()
def restore(model, weights):
    """Gives all processes, or a model spread over them, the weights that the first process holds."""
    for name, own in model.state_dict().items():
        value = weights[name].to(DEVICE) if RANK == 0 else torch.empty(own.shape, dtype=own.dtype, device=DEVICE)
        if WORLD > 1:
            dist.broadcast(value, 0)
        own.copy_(like(model, value, own))


def like(model, value, parameter):
    """A copy of a tensor, spread over the processes as a parameter is."""
    if is_sharded(model) and value.dim():
        return dist.tensor.distribute_tensor(value.to(DEVICE), parameter.device_mesh, parameter.placements)
    return value.clone()


def save_state(path, model, optimizer, curve, best):
    """Writes the state of training, atomically. Where it cannot be written training goes on without."""
    weights, moments = full_state(model, optimizer)
    if RANK == 0:
        try:
            torch.save({"weights": weights, "moments": moments, "curve": curve, "best": best, "random": torch.get_rng_state()},
                       f"{path}.partial")
            os.replace(f"{path}.partial", path)
        except (OSError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                os.remove(f"{path}.partial")
            tqdm.write(f"the state of training could not be saved, it goes on without ({error})", file=sys.stderr)


@torch.no_grad()
def load_state(path, model, optimizer):
    """Takes up the state of training; returns the curve so far and the best weights. Each process reads its part, a tensor at a time."""
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    for name, own in model.state_dict().items():
        own.copy_(like(model, state["weights"][name], own))
    moments, parameters = state["moments"], dict(model.named_parameters())
    optimizer.load_state_dict({
        "state": {i: {key: like(model, value, parameter) for key, value in moments["state"][name].items()}
                  for i, (name, parameter) in enumerate(parameters.items()) if name in moments["state"]},
        "param_groups": [{**moments["param_groups"][0], "params": list(range(len(parameters)))}]})
    torch.set_rng_state(state["random"].clone())
    return state["curve"], {name: value.clone() for name, value in state["best"].items() if RANK == 0}


def shard(model):
    """Spreads weights, gradients and optimizer state over the processes, layer by layer (PyTorch's fully_shard)."""
    from torch.distributed.fsdp import fully_shard

    layers = [layer for stack in model.modules() if isinstance(stack, torch.nn.ModuleList) for layer in stack]
    for module in [*reversed(layers), *model.children()]:  # the inner ones first; not the model, as forward calls its parts
        if next(module.parameters(), None) is not None:
            fully_shard(module)
            module.set_gradient_divide_factor(1.0)  # gradients are summed: the loss is that of the whole batch
            module.set_force_sum_reduction_for_comms(True)
    return model


def is_sharded(model):
    """Whether `shard` was here: fully_shard gives a module this method."""
    return any(hasattr(module, "reshard") for module in model.children())


def progress(total, what, unit=" tokens"):
    """A bar that counts tokens, or what unit says; in a log file it speaks up twice a minute."""
    every = 0.5 if sys.stderr.isatty() else 30
    return tqdm(total=total, desc=what, unit=unit, unit_scale=True, mininterval=every, maxinterval=every, delay=1,
                disable=RANK > 0 or not what,
                bar_format="{desc}: {percentage:3.0f}%{postfix}, {rate_fmt}, {remaining} left")
