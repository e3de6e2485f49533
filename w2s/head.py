"""The head of a classifier: which layer it is, and of what it is made.

    linear = head_of(model)                         # gives the logits, or the score of a choice
    ids = first_tokens(tokenizer, [" no", " yes"])  # tokens whose embeddings it may start from
"""

import torch


def is_causal(model):
    """Whether the head reads the last token (GPT-2, Llama...), not the first (BERT...)."""
    return hasattr(model, "score")


def has_head(config):
    """Whether a saved model is a classifier already."""
    return (config.architectures or [""])[0].endswith("ForSequenceClassification")


def head_name(model):
    """The name of the linear layer that gives the logits, or the score of a choice."""
    base = f"{model.base_model_prefix}."
    found = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)
             and module.out_features == model.config.num_labels and not name.startswith(base)]
    if not found:
        raise ValueError("no linear layer of it gives logits")
    return found[-1]


def head_of(model):
    return model.get_submodule(head_name(model))


def forget_names(config):
    """The classes are the data's 0 to K - 1 now, whatever the model called those it knew before."""
    config.id2label = {i: f"LABEL_{i}" for i in range(config.num_labels)}
    config.label2id = {name: i for i, name in config.id2label.items()}


def first_tokens(tokenizer, words):
    """The token with which each word begins after a text; None where there is none."""
    before = tokenizer("It is:", add_special_tokens=False).input_ids
    found = []
    for word in words:
        ids = tokenizer("It is:" + word, add_special_tokens=False).input_ids
        own = ids[len(before):][:1]
        known = ids[:len(before)] == before and own and own != [tokenizer.unk_token_id]
        found.append(own[0] if known else None)
    return found


@torch.no_grad()
def make_identity(model):
    """Makes new layers before the head the identity. Raises ValueError where one is not square."""
    head = set(head_of(model).parameters())
    for name, weight in model.named_parameters():
        if name not in model.untrained or weight in head or name.endswith("norm.weight"):
            continue
        if weight.dim() == 1:
            weight.zero_()
        elif weight.shape == weight.T.shape:
            torch.nn.init.eye_(weight)
        else:
            raise ValueError(f"a linear probe would read {name}, which is random; "
                             "finetune this model")
