"""How fast is it on this machine? Prints a table and saves the numbers as JSON.

    python demo/benchmark.py                  # all of it
    python demo/benchmark.py --probes=false   # without a student of the demo and a hundred probes
    python demo/benchmark.py --out=FILE.json

What is compared: finetuning SmolLM2-135M on sentences of the demo, by our own loop, by Hugging
Face's Trainer and in openai's way (rivals.py), in turns, in one process and in the same precision.
How many times theirs ours is, in tokens a second, is told of each round: a machine that is shared
with others is fast in one minute and slow in the next, but all three have their turn in a round.

Rates count real tokens, not padding. FLOP/s are 6 (training; 4 by LoRA, which has no gradients of
the weights) or 2 (predicting) times parameters outside embeddings times tokens a second; a share is
that of what matrix products of that precision reached just before and after. Medians of the rounds.
Every part runs in a process of its own.
"""

import contextlib
import datetime
import functools
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))
from measure import alone, cpu_name, memory, run_quietly, seconds, shown
from w2s import classifier, probe, records, stage
from w2s.lora import add_adapters
from w2s.training import BF16, DEVICE, train
import rivals
from losses import xent

import torch
import transformers

SMOLLM = stage.CACHE / "SmolLM2-135M"
PRECISION = torch.bfloat16 if BF16 else torch.float32
AT_LEAST = 2.0  # seconds that a rate is measured for


def main(
    out="benchmark.json",  # file to write
    rounds=3,              # of each rate; one more before them warms up
    probes=True,           # train a student of the demo, and a hundred probes on the same labels
):
    subprocess.run([sys.executable, HERE / "demo" / "get_models.py", stage.CACHE], check=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    results = {
        "date": str(datetime.date.today()),
        "machine": gpu or f"{os.cpu_count()} cores, {cpu_name()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "precision": "bf16 over float32 weights" if BF16 else "float32",
    }
    print("\n| " + ", ".join(results.values()) + " | |\n|---|---|", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        parts = [(peaks,), (turns, rounds, scratch), (one_epoch, False), (one_epoch, True)]
        parts.append((starts, scratch))
        if gpu:
            parts += [(gpt2_xl, rounds, 32), (gpt2_xl, rounds, 8), (llama_7b, rounds, 32)]
        if probes:
            parts.append((students, scratch))
        for part in parts:
            for name, value in alone(part).items():
                print(f"| {name} | {shown(value)} |", flush=True)
                results[name] = value

    Path(out).write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n-> {out}")


# ------------------------------------------------------------------------------------ the machine

def product(dtype):
    """FLOP/s of square matrix products, sustained for a second."""
    n = 8192 if DEVICE.type == "cuda" else 2048
    a = torch.randn(n, n, device=DEVICE, dtype=dtype)
    b = torch.randn(n, n, device=DEVICE, dtype=dtype)
    a @ b
    return 2 * n**3 / seconds(functools.partial(torch.matmul, a, b), 1.0)


def peaks():
    x = torch.zeros(2**26, device=DEVICE)
    y = torch.ones_like(x)
    copied = 2 * x.nbytes / seconds(functools.partial(x.copy_, y), 1.0)
    return {"matrix products, bf16: GFLOP/s": product(torch.bfloat16) / 1e9,
            "matrix products, float32: GFLOP/s": product(torch.float32) / 1e9,
            "memory copy: GB/s": copied / 1e9}


# ------------------------------------------------------------------------------------------ rates

def compare(works, rounds, parameters):
    """{name: [tokens/s, FLOP/s, share of the peak] of each round} of each work.

    works  {name: (tokens, FLOP a token and parameter, function)}
    """
    measured = {name: [] for name in works}
    before = product(PRECISION)
    for number in range(rounds + 1):
        for name, (tokens, flop, work) in works.items():
            rate = tokens / seconds(work, AT_LEAST)
            after = product(PRECISION)
            if number > 0:  # the first round warms up
                done = rate * flop * parameters
                measured[name].append([rate, done, 2 * done / (before + after)])
            before = after
    return measured


def table(title, name, rows):
    """A work's medians of the rounds, by their names."""
    rate, done, share = (statistics.median(column) for column in zip(*rows))
    return {f"{title}, {name}: tokens/s": rate,
            f"{title}, {name}: GFLOP/s": done / 1e9,
            f"{title}, {name}: share of the peak": share}


def ours(model, ids, microbatch=0):
    """The two works of ours: one epoch of training, in batches of 32, and predicting."""
    targets = torch.eye(2)[labels_of(ids)]
    lengths = torch.tensor([len(i) for i in ids])
    size = microbatch or 32

    def forward(batch):
        return classifier.forward(model, [ids[i] for i in batch], 0)

    def finetune():
        train(model, forward, lengths, targets, xent, epochs=1, lr=1e-6, microbatch=microbatch)

    @torch.no_grad()
    def predict():
        for batch in classifier.sorted_batches(lengths, size):
            forward(batch)

    tokens = int(lengths.sum())
    frozen = any(not weight.requires_grad for weight in model.parameters())
    return {"finetuning": (tokens, 4 if frozen else 6, finetune),
            "predicting": (tokens, 2, predict)}


def labels_of(ids):
    """As good as any for a rate: 0 1 0 1 ..."""
    return [i % 2 for i in range(len(ids))]


def smollm():
    """The model, its tokenizer, and the token ids of 64 sentences of the demo, in its prompt: those
    of middle length, as training too makes batches of similar ones, with little padding."""
    prompt = records.read_task(HERE / "demo" / "task.json")["prompt"]
    rows = records.read_jsonl(HERE / "demo" / "films.jsonl", "text")[:600]
    model, tokenizer = classifier.load(SMOLLM)
    ids = classifier.encode(tokenizer, [prompt.replace("{text}", row["text"]) for row in rows])
    ids.sort(key=len)
    first = max(0, len(ids) // 2 - 32)
    return model, tokenizer, ids[first:first + 64]


def turns(rounds, scratch):
    """Ours and the rivals."""
    title, theirs = "SmolLM2-135M", ("Hugging Face's Trainer", "openai's way")
    model, tokenizer, ids = smollm()
    another, *_ = smollm()  # as the Trainer changes how its model is called
    labels, tokens = labels_of(ids), sum(map(len, ids))
    works = ours(model, ids)
    trainer = rivals.hugging_face(another, tokenizer, ids, labels, scratch)
    works[theirs[0]] = tokens, 6, trainer
    works[theirs[1]] = tokens, 6, rivals.openai(model, ids, labels)
    measured = compare(works, rounds, model.num_parameters(exclude_embeddings=True))

    results = {}
    for name, rows in measured.items():
        results |= table(title, name, rows)
    for name in theirs:
        both = zip(measured["finetuning"], measured[name])
        results[f"{title}, finetuning: times {name}"] = [own[0] / other[0] for own, other in both]
    return results


def one_epoch(checkpointing):
    """What checkpointing saves and costs: one epoch, with it or without."""
    model, _, ids = smollm()
    title = "SmolLM2-135M, one epoch"
    if checkpointing:
        title += " with checkpointing"
        model.activation_checkpointing_enable({"use_reentrant": False})
    tokens, _, finetune = ours(model, ids)["finetuning"]
    return {f"{title}: tokens/s": tokens / seconds(finetune), f"{title}: memory, GB": memory()}


def gpt2_xl(rounds, microbatch, **smaller):
    """GPT-2 XL's shape with random weights, by checkpointing; in batches of 32.

    microbatch  32: these are computed at once; less: in pieces
    smaller     sizes in place of GPT-2 XL's own
    """
    sizes = {"n_embd": 1600, "n_layer": 48, "n_head": 25, **smaller}
    config = transformers.GPT2Config(
        num_labels=2, pad_token_id=0, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **sizes)
    with DEVICE:
        model = transformers.GPT2ForSequenceClassification(config)
    model.activation_checkpointing_enable({"use_reentrant": False})
    return rates("GPT-2 XL's shape", model, config.vocab_size, rounds, microbatch)


def llama_7b(rounds, microbatch, **smaller):
    """Llama 2 7B's shape with random weights, by LoRA of rank 16 and checkpointing.

    smaller  sizes in place of Llama's own, which are the configuration's defaults
    """
    config = transformers.LlamaConfig(num_labels=2, pad_token_id=0, **smaller)
    with DEVICE:
        model = transformers.LlamaForSequenceClassification(config)
    model.untrained = {"score.weight"}
    add_adapters(model, 16)
    model.activation_checkpointing_enable({"use_reentrant": False})
    return rates("Llama 2 7B's shape, LoRA", model, config.vocab_size, rounds, microbatch)


def rates(title, model, vocabulary, rounds, microbatch):
    """Of a model with random weights, on 320 made-up texts of 80 to 120 tokens."""
    generator = torch.Generator().manual_seed(0)
    ids = []
    for length in torch.randint(80, 121, (320,), generator=generator).tolist():
        ids.append(torch.randint(vocabulary, (length,), generator=generator).tolist())

    title += f", {microbatch} at a time"
    works = ours(model, ids, microbatch)
    measured = compare(works, rounds, model.num_parameters(exclude_embeddings=True))
    results = {}
    for name, rows in measured.items():
        results |= table(title, name, rows)
    return {**results, f"{title}: memory, GB": memory()}


# --------------------------------------------------------------------------------------- stages

def starts(scratch):
    """A stage on four sentences and no epoch: start, load the model, write; then up to date."""
    data = Path(scratch) / "four.jsonl"
    rows = [{"id": i, "text": f"a film of {i} parts", "label": i % 2} for i in range(4)]
    records.write_jsonl(data, rows)
    start = functools.partial(run_quietly, [
        sys.executable, HERE / "train_strong.py", SMOLLM, f"--labels={data}", f"--test={data}",
        f"--out={scratch}/four", "--epochs=0"])
    return {"start of a stage, SmolLM2-135M loaded: s": seconds(start),
            "stage that is up to date: s": seconds(start)}


def students(scratch):
    """A finetuned student as the demo's, and a hundred probes of ten losses and ten seeds, which
    share their features. Their labels are one rater's, as that takes no supervisor to train."""
    data, seed = f"{scratch}/films", f"{scratch}/seed0"
    run_quietly([sys.executable, HERE / "prepare_data.py", HERE / "demo" / "films.jsonl",
                 f"--out={data}", "--max_train=600", "--max_test=1000"])
    run_quietly([sys.executable, HERE / "demo" / "human_labels.py", data, seed])
    labels, test = f"{seed}/labels_human/labels.jsonl", f"{data}/test.jsonl"
    student = [sys.executable, HERE / "train_strong.py", SMOLLM, f"--labels={labels}",
               f"--test={test}", f"--task={data}/task.json", "--epochs=1", f"--out={seed}/student"]
    finetuned = seconds(functools.partial(run_quietly, student))

    import train_strong
    probe.CACHE = Path(scratch) / "features"  # none of an earlier run
    start, done = time.perf_counter(), []
    for loss in ["xent", *(f"conf:alpha={0.1 * k:.1f}" for k in range(1, 10))]:
        for number in range(10):
            with contextlib.redirect_stdout(io.StringIO()):
                train_strong.main(
                    model=str(SMOLLM), labels=labels, test=test, task=f"{data}/task.json",
                    out=f"{scratch}/probes/{loss}_{number}", loss=loss,
                    epochs=20, lr=1e-3, seed=number, linear_probe=True)
            done.append(time.perf_counter())
    return {"a finetuned student of the demo: s": finetuned,
            "first probe student, computing the features: s": done[0] - start,
            "the next 99 probe students, together: s": done[-1] - done[0]}


if __name__ == "__main__":
    stage.cli(main)
