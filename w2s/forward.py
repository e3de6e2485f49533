"""What a classifier makes of one batch of texts: token ids, logits, probabilities, features.

    ids = encode(tokenizer, texts)                        # token ids of each text
    forward(model, ids[:32], tokenizer.pad_token_id)      # (32, K) logits
"""

import torch

from w2s.head import head_of, is_causal
from w2s.precision import autocast
from w2s.training import DEVICE


def encode(tokenizer, texts):
    """Token ids of each text, cut on the left to the tokenizer's model_max_length.

    Of K choices it is a tuple of K such lists.
    """
    if isinstance(texts[0], str):
        return tokenizer(list(texts), truncation=True).input_ids
    columns = [encode(tokenizer, column) for column in zip(*texts)]
    return list(zip(*columns))


def size(ids):
    """How many tokens an example has."""
    return sum(map(len, ids)) if isinstance(ids, tuple) else len(ids)


def padded(ids, pad):
    """B lists of token ids -> tokens (B, L), padded on the right, and lengths (B,), on DEVICE."""
    longest = max(map(len, ids))
    tokens = torch.tensor([i + [pad] * (longest - len(i)) for i in ids], device=DEVICE)
    return tokens, torch.tensor([len(i) for i in ids], device=DEVICE)


def forward(model, ids, pad, past=None):
    """Logits of one batch -> (B, K) float32.

    ids   B lists of token ids; or B tuples of K of them, whose scores are the logits
    past  keys and values of what a causal model has read before each of them
    """
    if isinstance(ids[0], tuple):
        choices = [choice for one in ids for choice in one]
        return forward(model, choices, pad).view(len(ids), -1)
    if model.config.is_encoder_decoder:
        ids = [with_one_end(one, model.config.eos_token_id) for one in ids]
    tokens, lengths = padded(ids, pad)
    mask = (torch.arange(tokens.shape[1], device=DEVICE) < lengths[:, None]).long()  # (B, L)
    if not is_causal(model):
        with autocast():
            return model(input_ids=tokens, attention_mask=mask).logits.float()

    # Padding comes last, where no token before it can see it: no mask is needed, but by decoders
    # that read both ways. The last token is found by length, since the padding token may well
    # occur in a text.
    given = {"attention_mask": mask} if getattr(model, "reads_padding", False) else {}
    if past is not None:
        given |= {"past_key_values": past, "use_cache": True}
    with autocast():
        hidden = model.base_model(input_ids=tokens, **given).last_hidden_state  # (B, L, H)
    return model.score(hidden[torch.arange(len(ids), device=DEVICE), lengths - 1].float())


def with_one_end(ids, end):
    """Token ids without an end-of-text token that a text spells out. BART and T5 pool there."""
    return [token for token in ids[:-1] if token != end] + ids[-1:]


def probabilities(model, ids, pad):
    """Class probabilities of one batch -> (B, K) float32."""
    return forward(model, ids, pad).softmax(1)


def pooled(model, ids, pad):
    """What the head reads: B lists of token ids -> (B, H) float32; of choices (B, KH)."""
    read = []

    def keep(module, inputs):
        read.append(inputs[0].float())

    hook = head_of(model).register_forward_pre_hook(keep)
    forward(model, ids, pad)
    hook.remove()
    return read[0].reshape(len(ids), -1)
