"""What prompting needs of a causal model: texts cut short, and what they begin with read once.

    text = shorten(tokenizer, text, 100)
    probs = classifier.predict(model, tokenizer, texts, compute=shared(model, tokenizer, texts))
"""

import copy
import os

import torch

from w2s import classifier, precision
from w2s.records import refuse


def check_can_be_asked(model, net, tokenizer):
    """Refuses a model that does not go on with a text. model: its name, for the message"""
    if not classifier.is_causal(net):
        refuse(f"{model} does not go on with a text, so it cannot be asked; "
               "a causal language model is needed")
    if tokenizer("It is:").input_ids[-1:] == [tokenizer.eos_token_id]:
        refuse(f"{model}'s tokenizer ends every text, so nothing can be asked of it after one; "
               "another tokenizer, without an end-of-text token, is needed")


def shorten(tokenizer, text, room):
    """The end of a text, of so many tokens."""
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
    if len(found.input_ids) <= room:
        return text
    if not tokenizer.is_fast:
        return tokenizer.decode(found.input_ids[-room:])
    begin, _ = found.offset_mapping[-room]
    return text[begin:]


def shared(model, tokenizer, texts):
    """What computes class probabilities of a batch of these texts, for classifier.predict.

    The tokens with which all of them begin, those of the shots, are read once: their keys and
    values are kept, and each text goes on from them.
    """
    plain = classifier.probabilities
    pad = tokenizer.pad_token_id

    # Of each text a token must be left to read.
    ids = classifier.encode(tokenizer, texts)
    common = os.path.commonprefix(ids)
    common = common[: min(map(len, ids)) - 1]
    if not common:
        return plain

    def read():
        """Keys and values of the common tokens"""
        tokens = torch.tensor([common], device=classifier.DEVICE)
        return model.base_model(input_ids=tokens, use_cache=True).past_key_values

    def go_on(cache, ids):
        """Class probabilities of a batch whose common tokens are in the cache -> (B, K)"""
        past = copy.deepcopy(cache)
        past.batch_repeat_interleave(len(ids))
        rest = [one[len(common):] for one in ids]
        return classifier.forward(model, rest, pad, past).softmax(1)

    # Some models have no such cache, or one that cannot be repeated for a batch (linear attention).
    try:
        with torch.no_grad(), precision.exact(), precision.wide(model):
            same = precision.close(go_on(read(), ids[:2]), plain(model, ids[:2], pad))
    except torch.OutOfMemoryError:
        raise
    except Exception:  # each family has its own
        same = False
    if not same:
        return plain

    with torch.no_grad(), precision.autocast():
        cache = read()

    def compute(model, ids, pad):
        return go_on(cache, ids)

    return compute
