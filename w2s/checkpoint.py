"""A model from its checkpoint, and what must hold of it before any number depends on it.

    model = from_checkpoint(AutoModelForCausalLM, "openai-community/gpt2")  # every weight of it
    check_texts_are_independent(model, tokenizer, compute)  # no text reads another

Both raise ValueError with one line that says what is wrong.
"""

import atexit
import gc
import os
import re
import sys

import torch
from transformers import PretrainedConfig

from w2s.head import head_name
from w2s.precision import close, exact, wide
from w2s.state import RANK, WORLD
from w2s.training import DEVICE

TEXTS = ("No", "So it was, they said.", "While the rain came down nobody knew what to do, it says.")


def without_noise(config):
    """Sets dropout and a router's jitter to 0, in configurations inside the configuration too.

    Not by eval(), in which gradient checkpointing would do nothing.
    """
    if config.model_type == "phimoe":
        return  # whose routers' jitter is a threshold too, so that without it they choose others
    for key, value in list(vars(config).items()):
        if isinstance(value, PretrainedConfig):
            without_noise(value)
        elif isinstance(value, float) and re.search("drop|jitter|noise", key):
            setattr(config, key, 0.0)


def without_sparse_attention(config, max_tokens):
    """Gives BigBird the full attention to which it turns by itself at its first short text.

    Raises ValueError where texts may be so long that it would read them sparsely.
    """
    if getattr(config, "attention_type", None) == "block_sparse":
        short = (5 + 2 * config.num_random_blocks) * config.block_size
        if not max_tokens or max_tokens > short:
            raise ValueError("how it reads a text depends on the longest one beside it; "
                             f"give --max_tokens={short} or less, "
                             'or "attention_type": "original_full" in its config.json')
        config.attention_type = "original_full"


def from_checkpoint(kind, name, config=None, new_head=False, dtype=torch.float32,
                    revision="main"):
    """A model of an Auto class, each of its weights from the checkpoint: but a new head's.

    Raises ValueError, which names the tensors. What is not in the checkpoint stands in `untrained`.
    """
    if os.path.exists(os.path.join(name, "adapter_config.json")):
        raise ValueError("it holds an adapter that is not merged (adapter_config.json): "
                         "merge it into the model, and save that")
    model, found = kind.from_pretrained(
        name, config=config, revision=revision, dtype=dtype, use_safetensors=True,
        trust_remote_code=False, ignore_mismatched_sizes=True, output_loading_info=True)
    unused = found["unexpected_keys"]
    lost = found["missing_keys"] | {key for key, *_ in found["mismatched_keys"]}
    new = of_head(model, lost) if new_head else set()
    if lost - new:
        base = f"{model.base_model_prefix}."
        tails = tuple(f".{key.removeprefix(base)}" for key in lost - new)
        renamed = [key for key in unused if key.endswith(tails)]
        hint = ""
        if renamed:
            hint = f"; it has {min(renamed)}: save it again, from the unwrapped model"
        raise ValueError(f"{listed(lost - new)} of the model are not in its checkpoint, "
                         f"or there in another shape{hint}")

    misplaced = left_over(model, unused, new_head)
    if misplaced:
        raise ValueError(f"{listed(misplaced)} of its checkpoint have no place "
                         "in the model that config.json describes")

    inside = [key for key in new if not is_outside(model, key)]
    if inside and RANK == 0:
        print(f"{name} was saved without {min(inside)}: it is new, as the head is", file=sys.stderr)
    model.untrained = new
    model.reads_padding = False
    return model


def listed(keys):
    """3 tensors (a, b, c)"""
    first = ", ".join(sorted(keys)[:3]) + ", ..." * (len(keys) > 3)
    return f"{len(keys)} tensor{'s' * (len(keys) > 1)} ({first})"


def is_outside(model, key):
    """Whether a tensor belongs to what a family puts on top of its pretrained model."""
    return not key.startswith(f"{model.base_model_prefix}.")


def of_head(model, lost):
    """Of the lost tensors those of what reads the pretrained model: the last layer, and a block
    above that model, or its pooler, that is missing as a whole, as it was never there."""
    last = {f"{head_name(model)}.weight", f"{head_name(model)}.bias"}
    others = model.state_dict().keys() - last
    blocks = {f"{model.base_model_prefix}.pooler."}
    blocks |= {key.partition(".")[0] + "." for key in lost if is_outside(model, key)}

    found = lost & last
    for block in blocks:
        if lost.issuperset(name for name in others if name.startswith(block)):
            found |= {key for key in lost if key.startswith(block)}
    return found


def left_over(model, unused, new_head):
    """Of the checkpoint's tensors that were not loaded those with a place inside the model: in a
    layer beyond its last one, or in a part that is configured without it (a bias, say)."""
    modules = dict(model.named_modules())
    outermost = model, model.base_model

    def has_place(path):
        above = path[0] in modules and modules[path[0]] is not model.base_model
        if above and new_head:
            return False  # it belonged to another head
        inner = [modules.get(".".join(path[:length]), model) for length in range(1, len(path))]
        return any(module not in outermost for module in inner)

    # tables that older versions saved
    tables = r"inv_freq$|position_ids$|(attn|attention)\.(masked_)?bias$|causal_mask$"
    found = set()
    for key in unused:
        parts = key.split(".")
        if re.search(tables, key):
            continue
        if has_place(parts) or has_place([model.base_model_prefix, *parts]):
            found.add(key)
    return found


def limit_length(tokenizer, model, max_tokens=None):
    """Sets the tokenizer's model_max_length, which is saved with it, to what the model can take."""
    config = model.config.get_text_config()
    limits = [tokenizer.model_max_length, max_tokens,
              getattr(config, "max_position_embeddings", None),
              getattr(config, "max_seq_len", None)]  # MPT
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":  # beyond that the longest text of a batch decides
        limits.append(rope.get("original_max_position_embeddings"))
        limits.append(getattr(config, "original_max_position_embeddings", None))
    for name, module in model.named_modules():
        learned = re.search(r"(pos[^.]*|\bwpe)$", name) and hasattr(module, "padding_idx")
        if learned and "vis" not in name:  # a text's, not an image's
            # RoBERTa's positions begin after that of padding, which its config does not tell
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(len(module.weight) - first)
    tokenizer.model_max_length = min(limit for limit in limits if limit and limit > 0)


def check_vocabulary(model, tokenizer):
    """Raises ValueError where tokenizer and model do not belong together.

    Added tokens that no text uses may lie beyond.
    """
    try:
        known = model.get_input_embeddings().num_embeddings
    except (NotImplementedError, AttributeError):
        return  # a family with other embeddings: see what the check of its outputs makes of it
    highest = max(tokenizer.vocab_size - 1, tokenizer.pad_token_id)
    if highest >= known:
        raise ValueError(f"the tokenizer has ids up to {highest}, the model knows {known} tokens: "
                         "they do not belong together")


def shard(model):
    """Spreads weights, gradients and optimizer state over the processes, layer by layer."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(DEVICE.type, (WORLD,))
    atexit.register(let_go, mesh)
    # The inner modules first; not the model itself, as `forward` calls its parts.
    stacks = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    layers = [layer for stack in stacks for layer in stack]
    for module in [*reversed(layers), *model.children()]:
        if next(module.parameters(), None) is not None:
            fully_shard(module, mesh=mesh)
            # Gradients are summed, not averaged: the loss is that of the whole batch.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    return model


def let_go(mesh):
    """Drops what holds on to the process group, so that it can end: torch's caches keep the mesh,
    and a sharded model is full of cycles."""
    mesh._pg_registry.clear()
    gc.unfreeze()  # of flags.cli
    gc.collect()


@torch.no_grad()
def check_texts_are_independent(model, tokenizer, compute):
    """Raises ValueError where a text's logits depend on the texts beside it in a batch, or where a
    pass in training gives others: gradient caching, and comparisons, would be wrong without a word.

    compute  lists of token ids -> their logits (B, W)

    A decoder that reads what comes after a token needs a mask: `reads_padding` tells compute so.
    """
    ids = tokenizer(list(TEXTS), truncation=True).input_ids
    # where the token that ends texts pads them too, it must be read when it stands in a text
    ends = tokenizer.pad_token == tokenizer.eos_token and not model.config.is_encoder_decoder
    with_end = ids[0] + [tokenizer.pad_token_id]
    devices = [DEVICE] if DEVICE.type == "cuda" else []
    try:
        with exact(), wide(model), torch.random.fork_rng(devices):
            alone, together = one_by_one(compute, ids), compute(ids)
            if not close(together, alone):
                model.reads_padding = True
                alone, together = one_by_one(compute, ids), compute(ids)
            ended = compute([with_end]) if ends else None
            model.train()
            training = compute(ids)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # each family has its own
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise ValueError("it cannot be run on texts as a classifier is "
                         f"({type(error).__name__}: {reason})")
    finally:
        model.eval()
        for module in model.modules():
            if hasattr(module, "reshard"):  # of shard: it is whole after a forward pass alone
                module.reshard()
    if not together.isfinite().all():
        raise ValueError("its outputs are not numbers")
    if not close(together, alone):
        raise ValueError("what it makes of a text depends on the texts beside it in a batch: "
                         "it reads padding")
    if ends and close(ended, alone[:1]):
        raise ValueError("it takes an end-of-text token that a text may hold for padding; "
                         "give its tokenizer a pad_token of its own")
    if not close(training, together):
        raise ValueError("what it makes of a text in training is something else: "
                         "noise is left in it")


def one_by_one(compute, ids):
    return torch.cat([compute([one]) for one in ids])
