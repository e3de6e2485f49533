"""One training step, exact on a laptop and on a cluster: the loss sees the whole batch.

    model, x = model.to(DEVICE), x.to(DEVICE)                                # x: (N, ...)
    curve = train(model, lambda batch: model(x[batch]), torch.ones(N), targets, loss)

A batch may be cut into microbatches and spread over processes (torchrun): the gradient stays that
of the whole. Needs torch, tqdm and w2s/state.py; on a GPU its import makes torch deterministic,
with tf32.
"""

import atexit
import math
import os
import sys
import time

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # huge pages on a CPU: training is 6% faster
import torch
import torch.distributed as dist
from tqdm import tqdm

from w2s.state import RANK, WORLD, broadcast_bool, full_state, is_sharded, load_state, save_state
from w2s.state import set_weights

if torch.cuda.is_available():
    DEVICE = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    if DEVICE.index >= (gpus := torch.cuda.device_count()):
        raise SystemExit(f"{gpus} GPUs for more processes: start as many as there are GPUs")
    torch.cuda.set_device(DEVICE)
    BF16 = torch.cuda.is_bf16_supported(including_emulation=False)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("high")  # tf32 for what autocast leaves in float32
    torch.use_deterministic_algorithms(True)  # warn_only=True leaves attention random
    torch.utils.deterministic.fill_uninitialized_memory = False
else:
    # elsewhere bf16 products are slower than float32: emulated, or, on Intel without AMX, halved
    DEVICE, has = torch.device("cpu"), torch.cpu.get_capabilities()
    x86 = "amx_bf16" if "Intel" in has.get("cpu_name", "") else "avx512_bf16"
    BF16 = bool(has.get(x86) or has.get("bf16"))
BF16 = BF16 and os.environ.get("W2S_BF16") != "0"  # the tests compare float32
if WORLD > 1 and not dist.is_initialized():
    import torch.distributed.nn  # before there is a group, which its functions would hold on to
    dist.init_process_group()  # NCCL between GPUs, gloo between CPUs
    # ends gloo's threads, which may abort a process at its end, if nothing holds on to the group
    atexit.register(dist.destroy_process_group)
    dist.all_reduce(torch.zeros(1, device=DEVICE))  # connects now, before training takes the memory


def train(model, forward, lengths, targets, loss, epochs=2, batch_size=32, lr=5e-5, seed=0,
          microbatch=0, state=None, save_minutes=10.0, evals=0, evaluate=None, keep="last"):
    """Trains model in place: AdamW, the learning rate of `schedule`, gradients clipped at norm 1.

    model       on DEVICE, without dropout or batch norm: parts of a batch may be computed twice
    forward     index tensor (b,), on the CPU -> logits (b, K), float32, of those examples
    lengths     (N,) tensor, tokens: similar ones share a batch; the progress bar counts them
    targets     (N, K) soft labels; one-hot for ground truth
    loss        of the whole batch: logits (B, K), targets (B, K), share of training done -> scalar
    microbatch  examples that a process computes at a time, 0 for all; the result is the same
    state       file of this run's state: saved every save_minutes, gone on from if it is there
    evaluate    step -> a dict for the curve: called at `evals` steps, evenly spread, and the last
    keep        "last": the weights of the last step; "best": of the lowest "held_out_loss"

    Raises Diverged where the loss is no number, with model and state file as the step before left
    them. Returns the curve, a dict a step: {"step", "loss", "lr"} and what evaluate gave. Same seed
    and machine, same bits, however often resumed.
    """
    size = min(microbatch or batch_size, math.ceil(batch_size / WORLD))
    steps = epochs * math.ceil(len(lengths) / batch_size)
    eval_steps = {round(steps * (i + 1) / evals) for i in range(evals)}
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    batches = list(shuffled_batches(lengths, batch_size, epochs, seed))
    model.train()

    # Go on from where an earlier process stopped.
    curve, best = [], {}
    if state and broadcast_bool(os.path.exists(state)):
        curve, best = load_state(state, model, optimizer)
    done = sum(int(lengths[batch].sum()) for batch in batches[:len(curve)])
    saved = time.monotonic()
    unit = " tokens" if lengths.max() > 1 else " examples"
    bar = progress(epochs * int(lengths.sum()), "train", unit, done)
    for step, batch in list(enumerate(batches))[len(curve):]:
        # The gradient of the whole batch, clipped.
        value, size = gradients(model, forward, batch, targets, loss, step / steps, size)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if hasattr(norm, "full_tensor"):  # of a model that is spread over processes
            norm = norm.full_tensor()

        # Stop before the weights are spoilt: a caller with a mended loss may go on from here.
        if not (math.isfinite(value) and norm.isfinite()):
            if state:
                save_state(state, model, optimizer, curve, best)
            raise Diverged(f"loss {value:.4g}, norm of its gradient {float(norm):.4g}, at step "
                           f"{step + 1} of {steps}", batch)

        # The step.
        optimizer.param_groups[0]["lr"] = rate = lr * schedule(step, steps)
        optimizer.step()
        optimizer.zero_grad()
        curve.append({"step": step + 1, "loss": value, "lr": rate})

        # Evaluate, and remember the best weights so far.
        if step + 1 in eval_steps:
            curve[-1] |= evaluate(step + 1)
            model.train()
            if keep == "best" and best_step(curve) == step + 1:
                best = {name: weight.clone() for name, weight in full_state(model)[0].items()}

        # Say so, and save.
        bar.set_postfix_str(f"step {step + 1}/{steps}, loss {value:.4f}, lr {rate:.1e}", False)
        bar.update(int(lengths[batch].sum()))
        if state and broadcast_bool(time.monotonic() - saved >= 60 * save_minutes):
            save_state(state, model, optimizer, curve, best)
            saved = time.monotonic()
    bar.close()
    if keep == "best":
        set_weights(model, best)
    return curve


def gradients(model, forward, batch, targets, loss, step_frac, size):
    """Gives model the gradient of the loss over the whole batch; all processes share the work.

    A process computes `size` examples at a time: its share of the batch in one ordinary pass; or
    microbatches, each twice, since the loss needs all logits at once and memory cannot hold all
    graphs (gradient caching: Gao et al. 2021, arXiv 2101.06983). Returns the loss and fitting size.
    """
    def compute(microbatch):
        some = batch[microbatch] if len(microbatch) else batch[:1]  # with --fsdp all must take part
        return forward(some)[:len(microbatch)]  # (b, K)

    # First pass: the logits of the whole batch, gathered from all processes.
    def first_pass(size):
        microbatches = my_microbatches(len(batch), size)
        with torch.set_grad_enabled(len(microbatches) == 1):
            return microbatches, [compute(microbatch) for microbatch in microbatches]

    (microbatches, outputs), size = halve_on_oom(first_pass, size, model)
    logits = torch.zeros(len(batch), outputs[0].shape[1], device=DEVICE)
    logits[torch.cat(microbatches)] = torch.cat([output.detach() for output in outputs])
    if WORLD > 1:
        dist.all_reduce(logits)

    # The loss of the whole batch, and its gradient with respect to these logits.
    value = loss(logits.requires_grad_(), targets[batch].to(DEVICE), step_frac)
    if getattr(value, "shape", None) != () or not value.requires_grad:
        raise WrongLoss(f"the loss gave {getattr(value, 'shape', value)}; a scalar tensor with a "
                        "gradient is needed: is .mean() missing, or return, or is it detached?")
    slopes, = torch.autograd.grad(value, logits)  # (B, K)
    value = value.item()  # here, where a GPU has the backward pass to come, it need not run dry

    # Second pass: each microbatch pushes its slice of this gradient back.
    def second_pass(size):
        model.zero_grad()
        if len(microbatches) == 1 and outputs:
            outputs.pop().backward(slopes[microbatches[0]])  # ordinary: the graph is still there
            return
        for microbatch in my_microbatches(len(batch), size):
            compute(microbatch).backward(slopes[microbatch])

    _, size = halve_on_oom(second_pass, size, model)

    # The sum over all processes. Not by DistributedDataParallel, whose backward pass waits for the
    # others: a process that is out of memory could not go back and try again by itself.
    if WORLD > 1 and not is_sharded(model):
        grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
        for sum_ in [dist.all_reduce(grad, async_op=True) for grad in grads]:
            sum_.wait()
    return value, size


def schedule(step, steps):
    """Share of the peak learning rate at a step, from 0 on: linear warm-up, then linear decay."""
    warmup = max(1, steps // 4)  # long: Adam's first steps are of full size, whatever the gradient
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup + 1))


def best_step(curve):
    """Of the steps that were evaluated the one with the lowest held-out loss."""
    evaluated = [point for point in curve if "held_out_loss" in point]
    return min(evaluated, key=lambda point: point["held_out_loss"])["step"]


class WrongLoss(TypeError):
    """What a loss gave is no scalar tensor with a gradient."""


class Diverged(ArithmeticError):
    """The loss or its gradient is no number any more; `batch` are the examples where it was so."""
    def __init__(self, message, batch):
        super().__init__(message)
        self.batch = batch.tolist()


def shuffled_batches(lengths, size, epochs, seed):
    """Index tensors: batches of near-equal size and similar length, others in every epoch."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(lengths), generator=generator)
        # sorted within pools of 16 batches: up in one, down in the next, so that their ends meet
        pools = []
        for i, pool in enumerate(order.split(16 * size)):
            by_length = lengths[pool].argsort(stable=True, descending=i % 2 == 1)
            pools.append(pool[by_length])
        batches = torch.cat(pools).tensor_split(math.ceil(len(order) / size))
        for i in torch.randperm(len(batches), generator=generator):
            yield batches[i]


def my_microbatches(n, size):
    """This process's part of a batch of n, cut to at most `size`: as many cuts in every process."""
    return torch.arange(n)[RANK::WORLD].tensor_split(math.ceil(n / (WORLD * size)))


def halve_on_oom(work, size, model):
    """work(size), size halved until the GPU's memory suffices. Returns its result, and size.

    Where an operation has no deterministic implementation it goes on without, as torch then says.
    """
    while True:
        try:
            return work(size), size
        except torch.OutOfMemoryError:
            if size == 1 or is_sharded(model):  # in which no process may try again alone
                raise
        except RuntimeError as error:
            if "does not have a deterministic implementation" not in str(error):
                raise
            torch.use_deterministic_algorithms(True, warn_only=True)
            continue
        size = math.ceil(size / 2)
        torch.cuda.empty_cache()
        tqdm.write(f"out of memory: going on with --microbatch={size}, as exact", file=sys.stderr)


def progress(total, what, unit=" tokens", done=0):
    """A bar that counts tokens, or what unit says; in a log file it speaks up twice a minute."""
    every = 0.5 if sys.stderr.isatty() else 30
    return tqdm(total=total, initial=done, desc=what, unit=unit, unit_scale=True, delay=1,
                mininterval=every, maxinterval=every, disable=RANK > 0 or not what,
                bar_format="{desc}: {percentage:3.0f}%{postfix}, {rate_fmt}, {remaining} left")
