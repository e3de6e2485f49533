"""A linear probe: the model stays as it was pretrained, and only its head is trained.

What the head reads of each text, its features, is computed once. Where a family has new layers
before the head, as RoBERTa has a dense one, these are the identity.

The verbs of classifier.py, so that a stage takes one or the other:

    head, backbone = load("openai-community/gpt2", label_words=[" no", " yes"])
    finetune(head, backbone, texts, targets, loss)
    probs = predict(head, backbone, texts)
    save(head, backbone, "folder")                         # the whole model, for any tool

Features are kept for every model and list of texts in ~/.cache/weak-to-strong/features
(XDG_CACHE_HOME moves it), under a name made of all that decides them. What is there costs neither a
model nor transformers to load.
"""

import functools
import hashlib
import importlib.metadata
import os

import torch

from w2s import source, stage, versions
from w2s.state import RANK, broadcast_bool, full_state
from w2s.training import BF16, DEVICE, train

CACHE = stage.CACHE / "features"
CODE = *source.MODEL, "w2s/probe.py"


class Backbone:
    """A frozen model, loaded only where the cache does not hold what it is asked for."""

    def __init__(self, model, label_words, head, max_tokens, fsdp, choices, classes):
        seed = 0  # one model for all seeds
        self.arguments = model, label_words, head, seed, max_tokens, fsdp, choices, classes

        # All that decides what is computed: the name in the cache.
        content = model
        if os.path.exists(model):
            content = stage.fingerprint(model)["sha256"]
        settings = label_words, head, max_tokens, choices, classes
        commit = versions.of_models({"model": model})  # of a hub's model, as it was downloaded
        libraries = [importlib.metadata.version(name) for name in ("torch", "transformers")]
        code = source.code_of(*CODE)
        self.key = content, commit, *settings, DEVICE.type, BF16, libraries, code

    @functools.cached_property
    def loaded(self):
        from w2s import classifier

        return classifier.load(*self.arguments, probe=True)

    def begin(self):
        """What training begins with, a dict.

        weight      (K, H); (1, H) for choices
        bias        (K,) or (1,), if the head has one
        random      whether they are noise
        parameters  how many the whole model has
        """
        from w2s import classifier

        model, tokenizer = self.loaded
        found = {"random": model.head_is_random,
                 "parameters": classifier.parameters(model, tokenizer)}
        for name, value in classifier.head_of(model).state_dict().items():
            if hasattr(value, "full_tensor"):  # of a model that is spread over processes
                value = value.full_tensor()
            found[name] = value
        return found

    @functools.cached_property
    def head(self):
        return cached((self.key, "head"), self.begin)


def cached(key, compute):
    """compute(), or what it was when it was last called with this key."""
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
    path = CACHE / f"{name}.pt"
    if broadcast_bool(path.exists()):
        return torch.load(path, map_location="cpu", weights_only=True)

    value = compute()  # all processes take part
    if RANK == 0:
        partial = path.with_suffix(f".{os.getpid()}")
        try:
            CACHE.mkdir(parents=True, exist_ok=True)
            torch.save(value, partial)
            os.replace(partial, path)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            stage.warn(f"what is computed once could not be kept in {CACHE}, "
                       f"so it will be computed again ({error})")
    return value


def features(backbone, texts):
    """What the head reads of N texts -> (N, H) float32 on the device, computed once; of N lists of
    choices (N, KH)."""
    def compute():
        from w2s.classifier import predict
        from w2s.forward import pooled

        return predict(*backbone.loaded, texts, compute=pooled, what="features")

    return cached((backbone.key, texts), compute).to(DEVICE)


def load(model, label_words=None, head="auto", seed=0, max_tokens=None, fsdp=False, choices=False,
         classes=2, lora=0):
    """A head (a linear layer) as classifier.load begins it, and the backbone that it reads."""
    if lora:
        raise ValueError("--linear_probe leaves it as it is, --lora adapts it: give one of them")
    backbone = Backbone(model, label_words, head, max_tokens, fsdp, choices, classes)
    first = backbone.head
    outputs, width = first["weight"].shape
    linear = torch.nn.Linear(width, outputs, bias="bias" in first)
    linear.load_state_dict({name: first[name] for name in linear.state_dict()})
    if first["random"]:
        linear.weight.data.normal_(0, 0.02, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    return linear.to(DEVICE), backbone


def parameters(head, backbone):
    """How many weights the whole model has."""
    return backbone.head["parameters"]


def logits(head, inputs):
    """(B, H), or of K choices (B, KH) -> (B, K)"""
    return head(inputs.unflatten(1, (-1, head.in_features))).flatten(1)


def finetune(head, backbone, texts, targets, loss, checkpointing=False, **recipe):
    """Trains the head in place; the rest is as in classifier.finetune."""
    inputs = features(backbone, texts)

    def forward(batch):
        return logits(head, inputs[batch])

    lengths = torch.ones(len(texts), dtype=torch.long)
    return train(head, forward, lengths, targets, loss, **recipe)


@torch.no_grad()
def predict(head, backbone, texts, batch_size=32, what=""):
    """Class probabilities of N texts -> (N, K) float32, on the CPU."""
    return logits(head, features(backbone, texts)).softmax(1).cpu()


def save(head, backbone, folder):
    """The whole model with this head, as an ordinary Hugging Face folder."""
    from w2s import classifier
    from w2s.head import head_name

    model, tokenizer = backbone.loaded
    classifier.forget_names(model.config)
    weights = full_state(model, whole=True)[0]  # of one that may be spread over the processes
    if RANK == 0:
        name = head_name(model)
        for key, value in head.state_dict().items():
            weights[f"{name}.{key}"] = value.cpu()
        classifier.write(model, tokenizer, weights, folder)
