"""A Hugging Face model as a two-class classifier: load, encode, batch, predict, finetune, save.

    model, tokenizer = load("openai-community/gpt2", label_words=[" no", " yes"])
    finetune(model, tokenizer, texts, targets, loss)       # targets: (N, 2) soft labels; loss: one of losses.py, say
    probs = predict(model, tokenizer, texts)               # (N, 2)
    save(model, tokenizer, "folder")                       # safetensors + tokenizer, for any tool
    model, tokenizer = load("folder", head="keep")         # else with a new, untrained head

Any model that transformers can load as a sequence classifier will do, by hub name or as a local folder. Under torchrun all
processes share the work, and each returns the whole result. Copy this file, checkpoint.py and training.py, on which
it builds, into a project of your own: they need torch, transformers and tqdm.
"""

import os
import sys

import torch
import torch.distributed as dist
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers import AutoTokenizer

from w2s.checkpoint import autocast, check_texts_are_independent, check_vocabulary, from_checkpoint
from w2s.checkpoint import limit_length, without_noise, without_sparse_attention
from w2s.training import DEVICE, RANK, WORLD, batches, fitting, full_state, is_sharded, pieces
from w2s.training import progress, shard, taking_part, train

transformers.logging.set_verbosity_error()  # a new head is news to transformers on every load; errors still show
transformers.logging.disable_progress_bar()

SHORT_NAMES = {name: f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")}


def load(model, label_words=None, head="auto", seed=0, max_tokens=None, fsdp=False, choices=False,
         probe=False):
    """A classifier and its tokenizer, in float32, dropout off: of two classes or, with choices, of
    which of two texts is right.

    model        hub name or folder
    label_words  what the classes are called, as the text would go on: [" negative", " positive"]
    head         "words": a causal model's head starts from the output embeddings of the label words
                 (other models, and tasks without label words, get a random head);
                 "auto": likewise, but random too where the words begin with the same token;
                 "random": small random weights; "keep": as it was saved
    seed         of a random head
    max_tokens   longer texts lose their beginning, so that the question and the place of the label
                 word stay; without it, texts longer than the model can take do
    fsdp         spread over the processes of torchrun, for a model that does not fit on one GPU
    choices      its head has one output, the score of one of two texts, instead of two logits
    probe        other new layers before the head, as RoBERTa's dense one, become the identity: what
                 the head reads is made of pretrained weights alone

    Raises OSError or ValueError where the model cannot be had, where weights other than a new
    head's are not in its checkpoint, or where it cannot classify each text by itself.
    """
    if head not in ("auto", "words", "random", "keep"):
        raise ValueError(f"there is no head {head!r}: auto, words, random or keep")
    if fsdp and WORLD == 1:
        raise ValueError("--fsdp spreads a model over several processes: start it by torchrun --nproc-per-node N")
    torch.manual_seed(seed)
    name, config, tokenizer = begin(model)
    outputs = 1 if choices else 2
    if head == "keep" and not (has_head(config) and config.num_labels == outputs):
        wanted = "for choices" if choices else "of two classes"
        raise ValueError(f"{name} has no trained head {wanted}; train_weak.py makes models that have one")
    config.num_labels = outputs
    if head != "keep":
        forget_names(config)
    without_sparse_attention(config, max_tokens)
    model = from_checkpoint(AutoModelForSequenceClassification, name, config, head != "keep")
    check_vocabulary(model, tokenizer)
    limit_length(tokenizer, model, max_tokens)
    model.head_is_random = False
    if head != "keep":
        words = [] if head == "random" else label_words
        set_head(model, tokenizer, name, words, seed, insist=head == "words")
    if probe:
        make_identity(model)
    model = shard(model) if fsdp else model.to(DEVICE)

    def compute(ids):
        return forward(model, ids, tokenizer.pad_token_id)

    check_texts_are_independent(model, tokenizer, compute)
    return model, tokenizer


def load_language_model(model):
    """A causal language model and its tokenizer, in float32, dropout off, to be tuned on texts."""
    name, config, tokenizer = begin(model)
    if not (config.architectures or [""])[0].endswith(("ForCausalLM", "LMHeadModel")):
        raise ValueError("it is no causal language model, so it cannot be tuned to go on with a text")
    model = from_checkpoint(AutoModelForCausalLM, name, config).to(DEVICE)
    check_vocabulary(model, tokenizer)
    limit_length(tokenizer, model)

    def next_token(ids):
        """Logits of what follows each text -> (B, V)"""
        tokens, lengths = padded(ids, tokenizer.pad_token_id)
        return model(input_ids=tokens).logits[torch.arange(len(ids)), lengths - 1].float()

    check_texts_are_independent(model, tokenizer, next_token)
    return model, tokenizer


def begin(model):
    """A model's name for transformers, its configuration without noise, and its tokenizer."""
    name = model if os.path.isdir(model) else SHORT_NAMES.get(model, model)
    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    without_noise(config)
    tokenizer = AutoTokenizer.from_pretrained(
        name, truncation_side="left", padding_side="right", trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None or not tokenizer("It is").input_ids:
        raise ValueError("its tokenizer is missing, or has no token to pad with (pad_token or eos_token)")
    config.pad_token_id = tokenizer.pad_token_id
    return name, config, tokenizer


@torch.no_grad()
def set_head(model, tokenizer, name, label_words, seed, insist=False):
    """Starts the head of a causal model from its label words' output embeddings, any other one from
    N(0, 0.02); so too where the words begin with the same token, but if one insists on them."""
    ids = first_tokens(tokenizer, label_words) if is_causal(model) and label_words else []
    if ids and (None in ids or ids[0] == ids[1]):
        same = f"the label words {label_words} do not begin with different tokens of {name}"
        if insist:
            raise ValueError(f"{same}; use --head=random")
        if RANK == 0:
            print(f"{same}: its head starts from random weights", file=sys.stderr)
        ids = []
    if ids:
        if has_head(model.config) and not model.config.tie_word_embeddings:
            raise ValueError(f"{name} is a classifier without output embeddings; use --head=random")
        language_model = from_checkpoint(AutoModelForCausalLM, name, dtype="auto")
        words = language_model.get_output_embeddings().weight[ids]  # (2, H)
        model.score.weight.copy_(words if model.config.num_labels == 2 else words[1:] - words[:1])
    else:
        model.head_is_random = True
        linear = head_of(model)
        linear.weight.normal_(0, 0.02, generator=torch.Generator().manual_seed(seed))
        if linear.bias is not None:
            linear.bias.zero_()


def first_tokens(tokenizer, words):
    """The token with which each word begins as it will stand, after a text; None where there is none."""
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
    """Makes new layers before the head the identity, where they are square; else raises ValueError."""
    head = set(head_of(model).parameters())
    for name, weight in model.named_parameters():
        if name not in model.untrained or weight in head or name.endswith("norm.weight"):
            continue
        if weight.dim() == 1:
            weight.zero_()
        elif weight.shape == weight.T.shape:
            torch.nn.init.eye_(weight)
        else:
            raise ValueError(f"a linear probe would read {name}, which is random; finetune this model")


def head_of(model):
    """The linear layer that gives the two logits, or the score of a choice."""
    inside = set() if model.base_model is model else set(model.base_model.modules())
    found = [module for module in model.modules() if isinstance(module, torch.nn.Linear)
             and module.out_features == model.config.num_labels and module not in inside]
    if not found:
        raise ValueError("no linear layer of it gives logits")
    return found[-1]


def forget_names(config):
    """The classes are the data's 0 and 1 now, whatever the model called those it knew before."""
    config.id2label = {i: f"LABEL_{i}" for i in range(config.num_labels)}
    config.label2id = {name: i for i, name in config.id2label.items()}


def has_head(config):
    """Whether a saved model is a classifier already."""
    return (config.architectures or [""])[0].endswith("ForSequenceClassification")


def parameters(model, tokenizer):
    """How many weights the model has."""
    return sum(weight.numel() for weight in model.parameters())


def is_causal(model):
    """Whether the head reads the last token (GPT-2, Llama, Qwen...) rather than the first one (BERT...)."""
    return hasattr(model, "score")


def save(model, tokenizer, folder):
    """Writes an ordinary Hugging Face folder: safetensors and tokenizer, no pickle."""
    weights = full_state(model)[0] if is_sharded(model) else None
    if RANK == 0:
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)


def encode(tokenizer, texts):
    """Token ids of each text, cut on the left to the tokenizer's model_max_length; of a pair of texts, a pair of such lists."""
    if not isinstance(texts[0], str):
        first, second = (tokenizer(list(side), truncation=True).input_ids for side in zip(*texts))
        return list(zip(first, second))
    return tokenizer(list(texts), truncation=True).input_ids


def size(ids):
    """How many tokens an example has."""
    return sum(map(len, ids)) if isinstance(ids, tuple) else len(ids)


def padded(ids, pad):
    """B lists of token ids -> tokens (B, L), padded on the right, and lengths (B,), on the device."""
    longest = max(map(len, ids))
    tokens = torch.tensor([i + [pad] * (longest - len(i)) for i in ids], device=DEVICE)
    return tokens, torch.tensor([len(i) for i in ids], device=DEVICE)


def forward(model, ids, pad, past=None):
    """Logits of one batch: B lists of token ids, or B pairs of them whose scores are the logits -> (B, 2) float32.

    past  keys and values of what a causal model has read before each of them
    """
    if isinstance(ids[0], tuple):
        return forward(model, [choice for both in ids for choice in both], pad).view(-1, 2)
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
    """Token ids without an end-of-text token that a text spells out: BART and T5 pool where it stands."""
    return [token for token in ids[:-1] if token != end] + ids[-1:]


def pooled(model, ids, pad):
    """What the head reads: B lists of token ids -> (B, H) float32; of B pairs, (B, 2H)."""
    read = []
    hook = head_of(model).register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].float()))
    forward(model, ids, pad)
    hook.remove()
    return read[0].reshape(len(ids), -1)


@torch.no_grad()
def predict(model, tokenizer, texts, batch_size=32, compute=lambda *batch: forward(*batch).softmax(1), what="predict"):
    """Class probabilities of N texts, or N pairs of texts -> (N, 2) float32, on the CPU, in the order of the texts.

    compute  what is made of a model and a batch of token ids, (B, W): another function than the probabilities
    what     stands before the progress bar; without it there is none
    """
    model.eval()
    ids = encode(tokenizer, texts)
    result, fits = None, batch_size
    bar = progress(sum(map(size, ids)), what)
    for batch in batches(torch.tensor([size(i) for i in ids]), batch_size * WORLD):
        piece = pieces(len(batch), batch_size)[0]
        mine = taking_part(batch, piece)
        values, fits = fitting(lambda n: torch.cat([compute(model, [ids[i] for i in part], tokenizer.pad_token_id)
                                                    for part in mine.split(n)]), fits, model)
        result = torch.zeros(len(texts), values.shape[1]) if result is None else result
        result[batch[piece]] = values[:len(piece)].cpu()
        bar.update(sum(size(ids[i]) for i in batch))
    bar.close()
    if WORLD > 1:
        dist.all_reduce(result)
    return result


def finetune(model, tokenizer, texts, targets, loss, checkpointing=False, **recipe):
    """Trains model in place; `train` says how, and what the curve is that it returns.

    texts          N strings, or N pairs of strings of which one is right
    checkpointing  saves memory: activations are computed again for the backward pass
    """
    forget_names(model.config)
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    ids = encode(tokenizer, texts)
    return train(model, lambda batch: forward(model, [ids[i] for i in batch], tokenizer.pad_token_id),
                 torch.tensor([size(i) for i in ids]), targets, loss, **recipe)
