"""The state of training, in a file: the trained weights, the optimizer's moments, the curve so far,
and the best weights.

    save_state("state.pt", model, optimizer, curve, best)
    curve, best = load_state("state.pt", model, optimizer)

All processes of torchrun call these; the first one writes, whole, what --fsdp has spread over them.
Needs torch and tqdm alone.
"""

import contextlib
import os
import sys

import torch
import torch.distributed as dist
from tqdm import tqdm

RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))  # by torchrun


def save_state(path, model, optimizer, curve, best):
    """Writes the state of training, atomically. Where it cannot be written training goes on."""
    weights, moments = full_state(model, optimizer)
    if RANK > 0:
        return
    state = {"weights": weights, "moments": moments, "curve": curve, "best": best}
    try:
        torch.save({**state, "random": torch.get_rng_state()}, f"{path}.partial")
        os.replace(f"{path}.partial", path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            os.remove(f"{path}.partial")
        tqdm.write(f"the state of training could not be saved, it goes on without ({error})",
                   file=sys.stderr)


def load_state(path, model, optimizer):
    """Takes up the state of training. Returns the curve so far, and the best weights."""
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    set_weights(model, state["weights"])
    # Not by torch's set_optimizer_state_dict, which would hold the moments on the device twice.
    for name, weight in model.named_parameters():
        for key, value in state["moments"]["state"].get(name, {}).items():  # {}: no gradient
            optimizer.state[weight][key] = shard_like(weight, value)
    torch.set_rng_state(state["random"].clone())
    best = {name: weight.clone() for name, weight in state["best"].items() if RANK == 0}
    return state["curve"], best


def full_state(model, *optimizers, whole=False):
    """The trained weights, or all, and optimizer state, whole, for the first process to write."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict
    weights, moments = get_state_dict(model, optimizers, options=StateDictOptions(
        full_state_dict=True, cpu_offload=True, ignore_frozen_params=not whole))
    if not whole and RANK == 0:  # torch leaves tied ones in
        trained = model.named_parameters()
        weights = {name: weights[name] for name, weight in trained if weight.requires_grad}
    return weights, moments


@torch.no_grad()
def set_weights(model, weights):
    """Gives the model the trained weights that the first process holds, in all processes."""
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    for name, own in model.state_dict().items():
        if name in trained:
            value = weights[name] if RANK == 0 else torch.empty(own.shape, dtype=own.dtype)
            value = value.to(own.device)
            if WORLD > 1:
                dist.broadcast(value, 0)
            own.copy_(shard_like(own, value))


def shard_like(weight, value):
    """A copy of a tensor, spread over the processes as a weight is."""
    value = value.to(weight.device, copy=True)
    if hasattr(weight, "placements") and value.dim():
        return dist.tensor.distribute_tensor(value, weight.device_mesh, weight.placements)
    return value


def broadcast_bool(yes):
    """The first process's answer, in all of them."""
    answer = torch.tensor(int(yes))
    if WORLD > 1:
        dist.broadcast(answer, 0)
    return bool(answer)


def is_sharded(model):
    """Whether the model is spread over processes: fully_shard gives a module this method."""
    return any(hasattr(module, "reshard") for module in model.children())
