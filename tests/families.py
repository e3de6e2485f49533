"""Every family of text models that transformers knows, tiny and random: does a text's result stay
the same, whatever other texts are in its batch, and however the batch is cut?

    python tests/families.py                # all of them: one to four minutes on one core
    python tests/families.py llama gemma    # those whose name contains one of the words

A row for each configuration class of AutoModelForSequenceClassification, and for variants of some.
A model is made as it would be published: with its language model's head, so that the classification
head is new, and with conftest.py's byte-level tokenizer, which states no model_max_length. Checks:

    batch       predict() in batches of 8 gives what the library's own classifier, loaded from the
                same folder with its configuration as it stands, gives for each text alone
    training    two forward passes in training mode give the same bits
    microbatch  finetune() for two steps of 8 ends the same with microbatch=2
    long text   "batch" again, with a text of more tokens than the model has positions

Prints for each row: family, kind of head, tokens that are kept of the long text (of 320 or so),
greatest difference between probabilities, seconds, and

    equal       no probability differs by more than 1e-5; float32's rounding gives 1e-7 to 1e-6
    refused     load() says in one line why not; or a later function of the classifier does
    OFF         silently wrong, by how much in which check
    traceback   any other exception, in which check

and the number of each. To expect: equal or refused in every row; else the exit status is 1.
"""

import collections
import copy
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]
from conftest import FILLERS  # before torch, since it switches bf16 off
from family_models import SKIPPED, VARIANTS, draw, make

import torch
from transformers import AutoModelForSequenceClassification

from losses import xent
from w2s import classifier, forward

TOLERANCE = 1e-5


def make_texts(special):
    """24 texts of 1 to 40 words. Some end in "!", token 0; some have the pad and eos token in them,
    or at their end, if special."""
    generator = random.Random(0)
    texts = ["!", "a"]
    for length in [*range(1, 9), *range(10, 25, 2), 26, 28, 30, 33, 36, 40]:
        words = generator.choices(FILLERS, k=length)
        if length % 5 == 0:
            words[-1] += "!"
        if special and length % 4 == 0:
            words[length // 2] = generator.choice(["[PAD]", "<|endoftext|>"])
            words[-1] = generator.choice([words[-1], "[PAD]", "<|endoftext|>"])
        texts.append(" ".join(words))
    return texts


# --------------------------------------------------------------------------------------- checks


@torch.no_grad()
def load_plain(model, folder):
    """The library's own classifier. Where the folder has no weights, as for the head, both get the
    same."""
    plain, info = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=2, output_loading_info=True)
    missing = info["missing_keys"]
    draw(plain, missing)
    weights = {name: weight for name, weight in plain.state_dict().items() if name in missing}
    model.load_state_dict(weights, strict=False)
    return plain


@torch.no_grad()
def alone(plain, tokenizer, texts, causal):
    """Probabilities of each text by itself, unpadded, by the library's own forward.

    Its pooling cannot be used quite as it is: of a causal model it takes the last token that is not
    the pad token, which is eos here and may end a text. So the pad token becomes one that no text
    has. The mask of ones is for XLM, which else takes pad tokens in a text for padding.
    """
    logits = []
    for ids in classifier.encode(tokenizer, texts):
        if plain.config.is_encoder_decoder:  # an end that a text spells out is none
            ids = forward.with_one_end(ids, plain.config.eos_token_id)
        model = copy.deepcopy(plain).eval()  # since BigBird remembers how long a text it has seen
        if causal or tokenizer.pad_token == tokenizer.eos_token:
            model.config.pad_token_id = model.config.get_text_config().pad_token_id = -1
        tokens = torch.tensor([ids])
        logits.append(model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits)
    return torch.cat(logits).float().softmax(1)


def together(model, tokenizer, texts):
    return classifier.predict(copy.deepcopy(model), tokenizer, texts, 8, what="")


@torch.no_grad()
def training_pass(model, tokenizer, texts):
    model.train()
    ids = classifier.encode(tokenizer, texts)
    return classifier.forward(model, ids, tokenizer.pad_token_id).softmax(1)


def tuned(model, tokenizer, texts, microbatch):
    """Probabilities after two steps. The learning rate is low: where a gradient is nearly zero Adam
    still takes a full step, in a direction that rounding decides."""
    model = copy.deepcopy(model)
    targets = torch.tensor([[0.2, 0.8], [0.7, 0.3]]).repeat(8, 1)
    classifier.finetune(model, tokenizer, texts, targets, xent, epochs=1, batch_size=8, lr=1e-5,
                        microbatch=microbatch)
    return together(model, tokenizer, texts)


def refusal(error, anywhere=False):
    """Whether an exception is one line for a user: anywhere, or raised by the project itself and
    not by the library below."""
    source = traceback.extract_tb(error.__traceback__)[-1].filename
    ours = anywhere or Path(source).parent in (TESTS.parent, TESTS.parent / "w2s")
    return ours and isinstance(error, (ValueError, OSError)) and "\n" not in str(error).strip()


def line(error, limit=100):
    return " ".join(str(error).split())[:limit]


def check(config_class, changes, text, folder):
    """(kind of head, tokens of a long text, greatest difference, verdict) of a family."""
    make(config_class, changes, folder)
    try:
        model, tokenizer = classifier.load(folder, seed=0)
    except Exception as error:
        if refusal(error, anywhere=True):
            return "-", 0, 0.0, f"refused: {line(error)}"
        return "-", 0, 0.0, f"traceback: {type(error).__name__} in load: {line(error)}"
    causal = classifier.is_causal(model)
    head = "causal" if causal else "other"
    plain = load_plain(model, folder)

    # A second eos in a text is for BART and T5 an error, which has a row of its own.
    texts = make_texts(special=not config_class().is_encoder_decoder)
    if text:
        texts.append(text)
    long = [*texts[5:8], " ".join(FILLERS * 20)]
    tokens = len(classifier.encode(tokenizer, long)[-1])
    some = texts[8:24]

    # each check gives two results that should be equal
    def both(texts):
        return together(model, tokenizer, texts), alone(plain, tokenizer, texts, causal)

    def batch():
        return both(texts)

    def training():
        return [training_pass(model, tokenizer, texts) for _ in range(2)]

    def microbatch():
        return [tuned(model, tokenizer, some, size) for size in (0, 2)]

    def long_text():
        return both(long)

    checks = {"batch": batch, "training": training, "microbatch": microbatch,
              "long text": long_text}
    greatest, off, errors = 0.0, [], collections.defaultdict(list)
    for what, results in checks.items():
        try:
            first, second = results()
        except Exception as error:
            if refusal(error):
                return head, tokens, greatest, f"refused: {line(error)}"
            errors[f"{type(error).__name__}: {line(error)}"].append(what)
            continue
        difference = (first - second).abs().max().item()
        greatest = max(greatest, difference)
        tolerance = 0 if what == "training" else TOLERANCE
        if not difference <= tolerance:  # so that NaN is off
            off.append(f"{difference:.2g} ({what})")

    verdict = [f"traceback: {error} (in {', '.join(where)})" for error, where in errors.items()]
    if off:
        verdict.append(f"OFF by {', '.join(off)}")
    return head, tokens, greatest, "; ".join(verdict) or "equal"


def is_named(name, words):
    return any(word in name for word in words)


def main():
    classes = AutoModelForSequenceClassification._model_mapping.keys()
    classes = {config_class.model_type: config_class for config_class in classes}
    rows = [(family, family, {}, "") for family in classes if family not in SKIPPED] + VARIANTS
    words = sys.argv[1:]
    if words:
        rows = [row for row in rows if is_named(row[0], words)]

    counts = collections.Counter()
    for name, family, changes, text in rows:
        began = time.time()
        with tempfile.TemporaryDirectory() as folder:
            try:
                head, tokens, greatest, verdict = check(classes[family], changes, text, folder)
            except Exception as error:  # the sweep's own failure, in a new version of transformers
                head, tokens, greatest, verdict = "-", 0, 0.0, f"not made: {line(error)}"
        counts[verdict.split()[0].strip(":")] += 1
        numbers = f"{tokens:4} {greatest:7.1e} {time.time() - began:5.1f} s"
        print(f"{name:28} {head:7} {numbers}  {verdict}", flush=True)

    for family, reason in SKIPPED.items():
        print(f"{family:28} skipped: {reason}")
    print(f"{len(rows)} rows:", ", ".join(f"{number} {word}" for word, number in counts.items()))
    sys.exit(any(word not in ("equal", "refused") for word in counts))


if __name__ == "__main__":
    main()
