"""A Hugging Face model as a two-class classifier: load, encode, batch, predict, finetune, save.

    model, tokenizer = load("openai-community/gpt2", label_words=[" no", " yes"])
    finetune(model, tokenizer, texts, targets, loss)       # targets: (N, 2) soft labels; loss: one of losses.py, say
    probs = predict(model, tokenizer, texts)               # (N, 2)
    save(model, tokenizer, "folder")                       # safetensors + tokenizer, for any tool
    model, tokenizer = load("folder", head="keep")         # else with a new, untrained head

Any model that transformers can load as a sequence classifier will do, by hub name or as a local folder. Under torchrun all
processes share the work, and each returns the whole result. Copy this file and training.py, on which it builds, into a
project of your own: they need torch, transformers and tqdm.
"""

import os

import torch
import torch.distributed as dist
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from training import BF16, DEVICE, RANK, WORLD, batches, fitting, full_state, is_sharded, pieces, progress, shard, taking_part, train

transformers.logging.set_verbosity_error()  # a new head is news to transformers on every load; errors still show
transformers.logging.disable_progress_bar()

SHORT_NAMES = {name: f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")}


def load(model, label_words=None, head="words", seed=0, max_tokens=None, fsdp=False, choices=False):
    """A classifier and its tokenizer, in float32, dropout off: of two classes or, with choices, of which of two texts is right.

    model        hub name or folder
    label_words  what the classes are called, as the text would go on: [" negative", " positive"]
    head         "words": a causal model's head starts from the output embeddings of the label words (other models, and
                 tasks without label words, get a random head); "random": small random weights; "keep": as it was saved
    seed         of a random head
    max_tokens   longer texts lose their beginning, so that the question and the place of the label word stay; without it,
                 texts longer than the model can take do
    fsdp         spread over the processes of torchrun, for a model that does not fit on one GPU
    choices      its head has one output, the score of one of two texts, instead of a logit for each class

    Raises OSError or ValueError where the model cannot be had or cannot classify.
    """
    if head not in ("words", "random", "keep"):
        raise ValueError(f"there is no head {head!r}: words, random or keep")
    if fsdp and WORLD == 1:
        raise ValueError("--fsdp spreads a model over several processes: start it by torchrun --nproc-per-node N")
    torch.manual_seed(seed)
    name, config, tokenizer = begin(model, max_tokens)
    outputs = 1 if choices else 2
    if head == "keep" and not (has_head(config) and config.num_labels == outputs):
        wanted = "for choices" if choices else "of two classes"
        raise ValueError(f"{name} has no trained head {wanted}; train_weak.py makes models that have one")
    config.num_labels = outputs
    model = AutoModelForSequenceClassification.from_pretrained(
        name, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, ignore_mismatched_sizes=True)
    check_vocabulary(model, tokenizer)
    if head != "keep":
        set_head(model, tokenizer, name, label_words if head == "words" else None, seed)
    return shard(model) if fsdp else model.to(DEVICE), tokenizer


def load_language_model(model):
    """A causal language model and its tokenizer, in float32, dropout off, to be tuned on texts."""
    name, config, tokenizer = begin(model)
    if not (config.architectures or [""])[0].endswith(("ForCausalLM", "LMHeadModel")):
        raise ValueError("it is no causal language model, so it cannot be tuned to go on with a text")
    model = AutoModelForCausalLM.from_pretrained(name, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=False)
    check_vocabulary(model, tokenizer)
    return model.to(DEVICE), tokenizer


def check_vocabulary(model, tokenizer):
    """Raises ValueError where tokenizer and model do not belong together. (Added tokens that no text uses may lie beyond.)"""
    highest, known = max(tokenizer.vocab_size - 1, tokenizer.pad_token_id), model.get_input_embeddings().num_embeddings
    if highest >= known:
        raise ValueError(f"the tokenizer has ids up to {highest}, the model knows {known} tokens: they do not belong together")


def begin(model, max_tokens=None):
    """A model's name for transformers, its configuration without dropout, and its tokenizer."""
    name = model if os.path.isdir(model) else SHORT_NAMES.get(model, model)
    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    for key, value in config.to_dict().items():
        if "drop" in key and isinstance(value, float):
            setattr(config, key, 0.0)  # not by eval(), in which gradient checkpointing would do nothing
    tokenizer = AutoTokenizer.from_pretrained(name, truncation_side="left", padding_side="right", trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None or not tokenizer("It is").input_ids:
        raise ValueError("its tokenizer is missing, or has no token to pad with (pad_token or eos_token)")
    config.pad_token_id = tokenizer.pad_token_id
    limits = tokenizer.model_max_length, getattr(config, "max_position_embeddings", None), max_tokens
    tokenizer.model_max_length = min(limit for limit in limits if limit and limit > 0)  # saved with it
    return name, config, tokenizer


@torch.no_grad()
def set_head(model, tokenizer, name, label_words, seed):
    """Starts the head of a causal model from its label words' output embeddings, any other one from N(0, 0.02)."""
    if is_causal(model) and label_words:
        context = "It is:"  # a word is tokenized as it will stand, after a text
        before = len(tokenizer(context).input_ids)
        ids = [tokenizer(context + word).input_ids[before:][:1] for word in label_words]
        if ids[0] == ids[1] or [] in ids:
            raise ValueError(f"the label words {label_words} do not begin with different tokens of {name}; use --head=random")
        if has_head(model.config) and not model.config.tie_word_embeddings:
            raise ValueError(f"{name} is a classifier without output embeddings; use --head=random")
        language_model = AutoModelForCausalLM.from_pretrained(name, dtype="auto", use_safetensors=True, trust_remote_code=False)
        words = language_model.get_output_embeddings().weight[sum(ids, [])]  # (2, H)
        model.score.weight.copy_(words if model.config.num_labels == 2 else words[1:] - words[:1])
    else:
        linear = head_of(model)
        linear.weight.normal_(0, 0.02, generator=torch.Generator().manual_seed(seed))
        if linear.bias is not None:
            linear.bias.zero_()


def head_of(model):
    """The linear layer that gives the two logits, or the score of a choice."""
    return [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == model.config.num_labels][-1]


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


def forward(model, ids, pad, past=None):
    """Logits of one batch: B lists of token ids, or B pairs of them whose scores are the logits -> (B, 2) float32.

    past  keys and values of what a causal model has read before each of them
    """
    if isinstance(ids[0], tuple):
        return forward(model, [choice for both in ids for choice in both], pad).view(-1, 2)
    longest = max(map(len, ids))
    tokens = torch.tensor([i + [pad] * (longest - len(i)) for i in ids], device=DEVICE)  # (B, L)
    lengths = torch.tensor([len(i) for i in ids], device=DEVICE)  # (B,)
    if is_causal(model):
        # Padding comes last, where no token before it can see it: no mask is needed. The last token is found by length,
        # since the padding token may well occur in a text.
        with autocast():
            hidden = model.base_model(input_ids=tokens, past_key_values=past, use_cache=past is not None).last_hidden_state  # (B, L, H)
        return model.score(hidden[torch.arange(len(ids), device=DEVICE), lengths - 1].float())
    mask = (torch.arange(longest, device=DEVICE) < lengths[:, None]).long()  # (B, L)
    with autocast():
        return model(input_ids=tokens, attention_mask=mask).logits.float()


def autocast():
    """bf16 where the processor has it, over float32 weights."""
    return torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=BF16)


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
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    ids = encode(tokenizer, texts)
    return train(model, lambda batch: forward(model, [ids[i] for i in batch], tokenizer.pad_token_id),
                 torch.tensor([size(i) for i in ids]), targets, loss, **recipe)
