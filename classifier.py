"""A Hugging Face model as a two-class classifier: load, encode, batch, predict, finetune, save.

    model, tokenizer = load("openai-community/gpt2", label_words=[" no", " yes"])
    finetune(model, tokenizer, texts, targets, loss)       # targets: (N, 2) soft labels
    probs = predict(model, tokenizer, texts)               # (N, 2)
    save(model, tokenizer, "folder")                       # safetensors + tokenizer, for any tool

Any model that transformers can load as a sequence classifier will do, by hub name or as a local folder. This file needs
torch, transformers and tqdm, and nothing of this project: copy it into one of your own.
"""

import math
import os
import sys

import torch
import transformers
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

transformers.logging.set_verbosity_error()  # a new head is news to transformers on every load; errors still show
transformers.logging.disable_progress_bar()

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cuda":
    BF16 = torch.cuda.is_bf16_supported(including_emulation=False)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("high")  # tf32 for what autocast leaves in float32
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
else:  # without these instructions bf16 products are emulated, several times slower than float32
    BF16 = any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))

SHORT_NAMES = {name: f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")}


def load(model, label_words=None, head="words", seed=0, max_tokens=None):
    """A two-class classifier and its tokenizer, in float32, dropout off.

    model        hub name or folder
    label_words  what the classes are called, as the text would go on: [" negative", " positive"]
    head         "words": a causal model's head starts from the output embeddings of the label words (other models, and
                 tasks without label words, get a random head); "random": small random weights; "keep": as it was saved
    seed         of a random head
    max_tokens   longer texts lose their beginning, so that the question and the place of the label word stay; without it,
                 texts longer than the model can take do

    Raises OSError or ValueError where the model cannot be had or cannot classify.
    """
    name = model if os.path.isdir(model) else SHORT_NAMES.get(model, model)
    if head not in ("words", "random", "keep"):
        raise ValueError(f"there is no head {head!r}: words, random or keep")
    torch.manual_seed(seed)
    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    if head == "keep" and not (has_head(config) and config.num_labels == 2):
        raise ValueError(f"{name} has no trained head of two classes; train_weak.py makes models that have one")
    config.num_labels = 2
    for key, value in config.to_dict().items():
        if "drop" in key and isinstance(value, float):
            setattr(config, key, 0.0)  # not by eval(), in which gradient checkpointing would do nothing

    tokenizer = AutoTokenizer.from_pretrained(name, truncation_side="left", padding_side="right", trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    config.pad_token_id = tokenizer.pad_token_id
    limits = tokenizer.model_max_length, getattr(config, "max_position_embeddings", None), max_tokens
    tokenizer.model_max_length = min(limit for limit in limits if limit and limit > 0)  # saved with it

    model = AutoModelForSequenceClassification.from_pretrained(
        name, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, ignore_mismatched_sizes=True)
    if head != "keep":
        set_head(model, tokenizer, name, label_words if head == "words" else None, seed)
    return model.to(DEVICE), tokenizer


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
        model.score.weight.copy_(language_model.get_output_embeddings().weight[sum(ids, [])])  # (2, H)
    else:
        linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 2][-1]
        linear.weight.normal_(0, 0.02, generator=torch.Generator().manual_seed(seed))
        if linear.bias is not None:
            linear.bias.zero_()


def has_head(config):
    """Whether a saved model is a classifier already."""
    return (config.architectures or [""])[0].endswith("ForSequenceClassification")


def is_causal(model):
    """Whether the head reads the last token (GPT-2, Llama, Qwen...) rather than the first one (BERT...)."""
    return hasattr(model, "score")


def save(model, tokenizer, folder):
    """Writes an ordinary Hugging Face folder: safetensors and tokenizer, no pickle."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def encode(tokenizer, texts):
    """Token ids of each text, a list a text, cut on the left to the tokenizer's model_max_length."""
    return tokenizer(texts, truncation=True).input_ids


def batches(lengths, size, generator=None):
    """Cuts N examples into ceil(N / size) batches of near-equal size and similar length: a list of index tensors.

    With a generator the examples are shuffled first and sorted by length within pools of 16 batches only (up in one, down
    in the next, so that their ends meet), and the order of the batches is random: every epoch differs, little is padded.
    """
    order = torch.randperm(len(lengths), generator=generator) if generator else torch.arange(len(lengths))
    pools = order.split(16 * size) if generator else [order]
    order = torch.cat([pool[lengths[pool].argsort(stable=True, descending=i % 2 == 1)] for i, pool in enumerate(pools)])
    cut = order.tensor_split(math.ceil(len(order) / size))
    return [cut[i] for i in torch.randperm(len(cut), generator=generator)] if generator else list(cut)


def forward(model, ids, pad):
    """Logits of one batch: B lists of token ids -> (B, 2) float32."""
    longest = max(map(len, ids))
    tokens = torch.tensor([i + [pad] * (longest - len(i)) for i in ids], device=DEVICE)  # (B, L)
    lengths = torch.tensor([len(i) for i in ids], device=DEVICE)  # (B,)
    autocast = torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=BF16)
    if is_causal(model):
        # Padding comes last, where no token before it can see it: no mask is needed. The last token is found by length,
        # since the padding token may well occur in a text.
        with autocast:
            hidden = model.base_model(input_ids=tokens, use_cache=False).last_hidden_state  # (B, L, H)
        return model.score(hidden[torch.arange(len(ids), device=DEVICE), lengths - 1].float())
    mask = (torch.arange(longest, device=DEVICE) < lengths[:, None]).long()  # (B, L)
    with autocast:
        return model(input_ids=tokens, attention_mask=mask).logits.float()


@torch.no_grad()
def predict(model, tokenizer, texts, batch_size=32):
    """Class probabilities of N texts -> (N, 2) float32, on the CPU, in the order of the texts."""
    model.eval()
    ids = encode(tokenizer, texts)
    probs = torch.empty(len(texts), 2)
    bar = progress(sum(map(len, ids)), "predict")
    for batch in batches(torch.tensor([len(i) for i in ids]), batch_size):
        batch_ids = [ids[i] for i in batch]
        probs[batch] = forward(model, batch_ids, tokenizer.pad_token_id).softmax(1).cpu()
        bar.update(sum(map(len, batch_ids)))
    bar.close()
    return probs


def finetune(model, tokenizer, texts, targets, loss, epochs=2, batch_size=32, lr=5e-5, seed=0):
    """Trains model in place with AdamW, linear warm-up over a quarter of the steps, linear decay, clipping at norm 1.

    texts    N strings
    targets  (N, 2) soft labels; one-hot for ground truth
    loss     loss(logits (B, 2), targets (B, 2), step_frac) -> scalar; it sees the whole batch, and how far training has come
    seed     of the order of the examples

    Returns the curve, a dict a step: {"step", "loss", "lr"}. Same seed on the same machine, same bits.
    """
    model.train()
    ids = encode(tokenizer, texts)
    lengths = torch.tensor([len(i) for i in ids])
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(ids) / batch_size)
    warmup = max(1, steps // 4)  # long, since Adam's first steps are of full size however small the gradient
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / max(1, steps - warmup + 1)))

    curve = []
    bar = progress(epochs * int(lengths.sum()), "train")
    for epoch in range(epochs):
        for batch in batches(lengths, batch_size, generator):
            step = len(curve)
            batch_ids = [ids[i] for i in batch]
            logits = forward(model, batch_ids, tokenizer.pad_token_id)  # (B, 2)
            value = loss(logits, targets[batch].to(DEVICE), step / steps)
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            curve.append({"step": step + 1, "loss": value.item(), "lr": schedule.get_last_lr()[0]})
            schedule.step()
            bar.set_postfix_str(f"step {step + 1}/{steps}, loss {value.item():.4f}, lr {curve[-1]['lr']:.1e}", False)
            bar.update(sum(map(len, batch_ids)))
    bar.close()
    return curve


def progress(tokens, what):
    """A bar that counts tokens; in a log file it speaks up twice a minute."""
    every = 0.5 if sys.stderr.isatty() else 30
    return tqdm(total=tokens, desc=what, unit=" tokens", unit_scale=True, mininterval=every, maxinterval=every, delay=1,
                bar_format="{desc}: {percentage:3.0f}% |{bar:20}| {rate_fmt}, {remaining} left{postfix}")
