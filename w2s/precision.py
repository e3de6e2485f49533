"""In which precision a model computes: bf16 where that is fast; plain float32 for comparisons.

    with autocast():
        logits = model(ids)
    with exact(), wide(model):
        same = close(model(ids), model(ids))
"""

import contextlib

import torch

from w2s.training import BF16, DEVICE


def autocast():
    """bf16 where the processor has it, over float32 weights (of --lora's frozen layers bf16)."""
    return torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=BF16)


@contextlib.contextmanager
def exact():
    """Plain float32 inside, for comparisons: neither bf16 nor tf32."""
    global BF16  # this module's, which autocast reads
    before = BF16, torch.get_float32_matmul_precision()
    BF16 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        BF16 = before[0]
        torch.set_float32_matmul_precision(before[1])


@contextlib.contextmanager
def wide(model):
    """Inside, a layer that is kept in bf16 (--lora, --dtype=bf16) is float32 while it computes."""
    def widen(layer, inputs):
        layer.kept = [weight.data for weight in layer.parameters(recurse=False)]
        for weight in layer.parameters(recurse=False):
            weight.data = weight.data.float()

    def narrow(layer, inputs, output):
        for weight, kept in zip(layer.parameters(recurse=False), layer.kept):
            weight.data = kept
        del layer.kept

    hooks = []
    for layer in model.modules():
        if torch.bfloat16 in [weight.dtype for weight in layer.parameters(recurse=False)]:
            hooks.append(layer.register_forward_pre_hook(widen))
            hooks.append(layer.register_forward_hook(narrow, prepend=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def close(a, b):
    """Whether logits are the same but for rounding: within 1e-4 of the largest."""
    return bool((a - b).abs().max() <= 1e-4 * b.abs().max())
