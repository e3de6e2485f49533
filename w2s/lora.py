"""Low-rank adapters (LoRA): beside each linear layer of a frozen pretrained model two thin matrices
are trained.

    add_adapters(model, rank=16)                   # W x becomes W x + 32/rank B A x; B is 0 as yet
    weights = merged(model, model.state_dict())    # W + 32/rank B A: a model without adapters

Hu et al. 2021, arXiv 2106.09685, by the peft library. The head is trained as a whole, with other
layers that are new or stand above the pretrained model.

Memory: 2 bytes for each weight of a frozen linear layer where the processor has fast bf16, else 4;
4 for other frozen ones (embeddings, norms); 16 for each that is trained. The flag alone decides.
"""

import peft
import torch
from transformers.pytorch_utils import Conv1D

from w2s.checkpoint import is_outside, listed
from w2s.training import BF16

# The same for all ranks, so that the best learning rate hardly depends on the rank (section 4.1).
ALPHA = 32


def add_adapters(model, rank):
    """Freezes a classifier's pretrained model in place, and puts adapters into its linear layers.

    As B starts at 0 the logits stay what they were; A is random, by torch's seed. Without dropout.
    Adapters and head are float32. Raises ValueError for a model that peft cannot adapt as a whole.
    """
    names = linear_layers(model)
    transposed = any(isinstance(model.get_submodule(name), Conv1D) for name in names)  # GPT-2's
    config = peft.LoraConfig(r=rank, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=names,
                             fan_in_fan_out=transposed)
    peft.inject_adapter_in_model(config, model)
    strange = {name for name, _ in adapted_layers(model)} ^ set(names)
    if strange:
        raise ValueError(f"peft does not adapt its linear layers alone: see {listed(strange)}; "
                         "finetune it without --lora")

    for name, weight in model.named_parameters():
        weight.requires_grad = ".lora_" in name or is_new(model, name)

    # What autocast would make of these weights for every product.
    if BF16:
        for name, layer in adapted_layers(model):
            if name.split(".")[-1] not in (model._keep_in_fp32_modules or ()):  # T5's wo
                weight = layer.get_base_layer().weight
                weight.data = weight.data.bfloat16()


def linear_layers(model):
    """The names of the pretrained model's linear layers. Raises ValueError where there is none, or
    where a mixture's experts, which hold most of its weights, are none."""
    found = []
    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, Conv1D)):
            if not is_new(model, f"{name}.weight"):
                found.append(name)
        elif "Expert" in type(module).__name__ and list(module.parameters(recurse=False)):
            raise ValueError(f"its experts ({name}) are no linear layers, beside which adapters "
                             "could stand; finetune it without --lora")
    if not found:
        raise ValueError("it has no linear layers that peft can adapt; finetune it without --lora")
    return found


def is_new(model, name):
    """Whether a weight belongs to the head, or to what else is new or above the pretrained one."""
    return name in model.untrained or is_outside(model, name)


def adapted_layers(model):
    """(name, layer) of each layer that has an adapter."""
    return [(name, module) for name, module in model.named_modules()
            if isinstance(module, peft.tuners.lora.LoraLayer)]


def merged(model, weights):
    """A model's weights {name: tensor} as if it never had adapters: what these have learned is
    added to the frozen ones.

    In float32, as all that is saved: in bf16 much of what was learned would be rounded away.
    """
    weights = dict(weights)
    for name, layer in adapted_layers(model):
        a = weights.pop(f"{name}.lora_A.default.weight")  # (rank, in)
        b = weights.pop(f"{name}.lora_B.default.weight")  # (out, rank)
        learned = layer.scaling["default"] * (b @ a)
        if layer.fan_in_fan_out:
            learned = learned.T
        frozen = weights.pop(f"{name}.base_layer.weight")
        weights[f"{name}.weight"] = (frozen.float() + learned).cpu()
        if f"{name}.base_layer.bias" in weights:
            weights[f"{name}.bias"] = weights.pop(f"{name}.base_layer.bias")
    return weights
