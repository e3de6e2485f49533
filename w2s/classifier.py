"""A Hugging Face model as a classifier: load, predict, finetune, save.

    model, tokenizer = load("openai-community/gpt2", label_words=[" no", " yes"])
    finetune(model, tokenizer, texts, targets, loss)    # targets: (N, K); a loss of losses.py
    probs = predict(model, tokenizer, texts)            # (N, K)
    save(model, tokenizer, "folder")                    # safetensors + tokenizer, for any tool
    model, tokenizer = load("folder", head="keep")      # else with a new, untrained head

Any model will do that transformers can load as a sequence classifier. Under torchrun all processes
share the work, and each returns the whole result.
"""

import math
import sys

import torch
import torch.distributed as dist
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from w2s.checkpoint import check_texts_are_independent, check_vocabulary, from_checkpoint
from w2s.checkpoint import limit_length, shard, without_noise, without_sparse_attention
from w2s.forward import encode, forward, padded, probabilities, size
from w2s.head import first_tokens, forget_names, has_head, head_of, is_causal, make_identity
from w2s.names import name_and_revision
from w2s.state import RANK, WORLD, full_state, is_sharded
from w2s.training import DEVICE, halve_on_oom, my_microbatches, progress, train

transformers.logging.set_verbosity_error()  # no news of a new head on every load; errors still show
transformers.logging.disable_progress_bar()

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def load(model, label_words=None, head="auto", seed=0, max_tokens=None, fsdp=False, choices=False,
         classes=2, probe=False, dtype="float32", lora=0):
    """A classifier and its tokenizer, dropout off.

    model        hub name, name@revision (a branch, a tag or a commit), or folder
    label_words  what the classes are called, as the text would go on: [" negative", " positive"]
    head         "words": a causal model's head starts from the output embeddings of the label words
                 (other models, and tasks without label words, get a random head);
                 "auto": likewise, but random too where the words begin with the same token;
                 "random": small random weights; "keep": as it was saved
    seed         of a random head, and of adapters
    max_tokens   longer texts lose their beginning; the place of the label word stays
    fsdp         spread over the processes of torchrun, for a model that does not fit on one GPU
    choices      of which of several texts is right: its head gives one score of each
    classes      else: how many there are, K logits; with head="keep" what the model has
    probe        other new layers, as RoBERTa's dense one, become the identity: the head reads what
                 was pretrained
    dtype        "float32"; "bf16": half the memory, to predict alone; the head stays float32
    lora         rank of adapters, which are then trained in place of the pretrained weights

    Raises OSError or ValueError where the model cannot be had, where weights other than a new
    head's are not in its checkpoint, or where it cannot classify each text by itself.
    """
    if head not in ("auto", "words", "random", "keep"):
        raise ValueError(f"there is no head {head!r}: auto, words, random or keep")
    if dtype not in DTYPES:
        raise ValueError(f"--dtype={dtype}: {' or '.join(DTYPES)} is needed")
    if fsdp and WORLD == 1:
        raise ValueError("--fsdp spreads a model over several processes: "
                         "start it by torchrun --nproc-per-node N")

    # What it is, before its weights are read.
    torch.manual_seed(seed)
    name, revision, config, tokenizer = begin(model)
    if head == "keep" and has_head(config):
        classes = max(2, config.num_labels)
    outputs = 1 if choices else classes
    if head == "keep" and not (has_head(config) and config.num_labels == outputs):
        wanted = "for choices" if choices else "of two or more classes"
        raise ValueError(f"{name} has no trained head {wanted}; "
                         "train_weak.py makes models that have one")
    config.num_labels = outputs
    if head != "keep":
        forget_names(config)
    without_sparse_attention(config, max_tokens)

    # Its weights, and a new head.
    model = from_checkpoint(
        AutoModelForSequenceClassification, name, config, head != "keep", DTYPES[dtype], revision)
    head_of(model).float().register_forward_pre_hook(in_float32)
    check_vocabulary(model, tokenizer)
    limit_length(tokenizer, model, max_tokens)
    model.head_is_random = False
    if head != "keep":
        words = [] if head == "random" else label_words
        set_head(model, tokenizer, name, revision, words, seed, insist=head == "words")
    if probe:
        make_identity(model)
    if lora:
        from w2s.lora import add_adapters
        add_adapters(model, lora)

    # To where it works, where it must prove itself.
    model = shard(model) if fsdp else model.to(DEVICE)

    def compute(ids):
        def work(size):
            return forward(model, ids, tokenizer.pad_token_id)
        return halve_on_oom(work, 1, model)[0]

    check_texts_are_independent(model, tokenizer, compute)
    return model, tokenizer


def in_float32(head, inputs):
    """Gives the head float32, of a model in bf16 too."""
    return tuple(given.float() for given in inputs)


def load_language_model(model):
    """A causal language model and its tokenizer, in float32, dropout off, to be tuned on texts."""
    name, revision, config, tokenizer = begin(model)
    if not (config.architectures or [""])[0].endswith(("ForCausalLM", "LMHeadModel")):
        raise ValueError("it is no causal language model, "
                         "so it cannot be tuned to go on with a text")
    model = from_checkpoint(AutoModelForCausalLM, name, config, revision=revision).to(DEVICE)
    check_vocabulary(model, tokenizer)
    limit_length(tokenizer, model)
    if tokenizer.eos_token_id is None:
        raise ValueError("its tokenizer has no end-of-text token (eos_token) to set between texts")

    def next_token(ids):
        """Logits of what follows each text -> (B, V)"""
        tokens, lengths = padded(ids, tokenizer.pad_token_id)
        return model(input_ids=tokens).logits[torch.arange(len(ids)), lengths - 1].float()

    check_texts_are_independent(model, tokenizer, next_token)
    return model, tokenizer


def begin(model):
    """A model's name and revision for transformers, its configuration without noise, and its
    tokenizer."""
    name, revision = name_and_revision(model)
    config = transformers.AutoConfig.from_pretrained(
        name, revision=revision, trust_remote_code=False)
    without_noise(config)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        name, revision=revision, truncation_side="left", padding_side="right",
        trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None or not tokenizer("It is").input_ids:
        raise ValueError("its tokenizer is missing, or has no token to pad with "
                         "(pad_token or eos_token)")
    config.pad_token_id = tokenizer.pad_token_id
    return name, revision, config, tokenizer


@torch.no_grad()
def set_head(model, tokenizer, name, revision, label_words, seed, insist=False):
    """Starts the head of a causal model from its label words' output embeddings, any other one from
    N(0, 0.02); so too where the words begin with the same token, but if one insists on them."""
    ids = []
    if is_causal(model) and label_words:
        ids = first_tokens(tokenizer, label_words)
    if ids and (None in ids or len(set(ids)) < len(ids)):
        same = f"the label words {label_words} do not begin with different tokens of {name}"
        if insist:
            raise ValueError(f"{same}; use --head=random")
        if RANK == 0:
            print(f"{same}: its head starts from random weights", file=sys.stderr)
        ids = []

    if ids:
        embeddings = model.get_input_embeddings()
        if not model.config.tie_word_embeddings:
            if has_head(model.config):
                raise ValueError(f"{name} is a classifier without output embeddings; "
                                 "use --head=random")
            language_model = from_checkpoint(
                AutoModelForCausalLM, name, dtype="auto", revision=revision)
            embeddings = language_model.get_output_embeddings()
        words = embeddings.weight[ids]  # (K, H)
        of_choice = model.config.num_labels == 1  # how much more the second word than the first
        model.score.weight.copy_(words[1:] - words[:1] if of_choice else words)
    else:
        model.head_is_random = True
        linear = head_of(model)
        linear.weight.normal_(0, 0.02, generator=torch.Generator().manual_seed(seed))
        if linear.bias is not None:
            linear.bias.zero_()


def parameters(model, tokenizer):
    """How many weights the model has, without adapters."""
    weights = model.named_parameters()
    return sum(weight.numel() for name, weight in weights if ".lora_" not in name)


def save(model, tokenizer, folder):
    """Writes an ordinary Hugging Face folder: safetensors and tokenizer, no pickle, no adapters."""
    weights = full_state(model, whole=True)[0] if is_sharded(model) else model.state_dict()
    if RANK == 0:
        if hasattr(model, "peft_config"):
            from w2s.lora import merged
            weights = merged(model, weights)
        write(model, tokenizer, weights, folder)


def write(model, tokenizer, weights, folder):
    """Writes a model with these weights, {name: tensor}."""
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    # what is as usual is left out there, also where it is not so in this family (BART)
    if type(model.config)().num_labels != 2:
        model.config.to_json_file(f"{folder}/config.json", use_diff=False)


@torch.no_grad()
def predict(model, tokenizer, texts, batch_size=32, compute=probabilities, what="predict"):
    """Class probabilities of N texts, or N lists of choices -> (N, K) float32, on the CPU.

    compute  another function of the model, a batch of token ids and the padding token -> (B, W)
    what     stands before the progress bar; without it there is none
    """
    model.eval()
    ids = encode(tokenizer, texts)
    sizes = torch.tensor([size(one) for one in ids])
    result, fitting_size = None, batch_size
    bar = progress(int(sizes.sum()), what)
    for batch in sorted_batches(sizes, batch_size * WORLD):
        # This process's share; in place of none the first text, as with --fsdp all take part.
        share, = my_microbatches(len(batch), batch_size)
        mine = batch[share] if len(share) else batch[:1]

        def work(n):
            values = []
            for part in mine.split(n):
                values.append(compute(model, [ids[i] for i in part], tokenizer.pad_token_id))
            return torch.cat(values)

        values, fitting_size = halve_on_oom(work, fitting_size, model)
        result = torch.zeros(len(texts), values.shape[1]) if result is None else result
        result[batch[share]] = values[:len(share)].cpu()
        bar.update(int(sizes[batch].sum()))
    bar.close()
    if WORLD > 1:
        dist.all_reduce(result)
    return result


def sorted_batches(lengths, size):
    """Cuts N examples, sorted by length (N,), into batches of near-equal size: index tensors."""
    order = lengths.argsort(stable=True)
    return list(order.tensor_split(math.ceil(len(order) / size)))


def finetune(model, tokenizer, texts, targets, loss, checkpointing=False, **recipe):
    """Trains model in place; `train` says how, and what the curve is that it returns.

    texts          N strings, or N lists of K choices of which one is right
    checkpointing  saves memory: activations are computed again for the backward pass
    """
    forget_names(model.config)
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    ids = encode(tokenizer, texts)

    def logits(batch):
        return forward(model, [ids[i] for i in batch], tokenizer.pad_token_id)

    sizes = torch.tensor([size(one) for one in ids])
    return train(model, logits, sizes, targets, loss, **recipe)
