"""How fast is it on this machine? Prints a table and saves the numbers as JSON.

    python demo/benchmark.py                  # 20 minutes on two CPU cores
    python demo/benchmark.py --demo=false     # without the demo, from its data to its report
    python demo/benchmark.py --out=FILE.json

Rates count real tokens, not padding. FLOP/s are 6 (training) or 2 (predicting) times parameters
outside embeddings times tokens a second. A share is that of what matrix products reached in the
second before and the second after, so that a machine shared with others is compared with itself;
the median of the rounds is given. Every part runs in a process of its own, whose memory is given.
"""

import contextlib
import datetime
import functools
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))
from measure import alone, cpu_name, memory, run_quietly, seconds, shown
from w2s import records, stage

MINILM = stage.CACHE / "all-MiniLM-L6-v2"
SMOLLM = stage.CACHE / "SmolLM2-135M"
SHARE = "share of the float32 peak"


def main(
    out="benchmark.json",  # file to write
    rounds=3,              # of each rate; one more before them warms up
    demo=True,             # run the demo, and probe students on its labels
):
    import torch

    subprocess.run([sys.executable, HERE / "demo" / "get_models.py", stage.CACHE], check=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    results = {
        "date": str(datetime.date.today()),
        "machine": gpu or f"{os.cpu_count()} cores, {cpu_name()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    print("\n| " + ", ".join(results.values()) + " | |\n|---|---|", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        parts = [(peaks,), (ours, rounds), (plain_loop, rounds), (checkpointing,)]
        parts.append((starts, scratch))
        if gpu:
            parts.append((gpt2_xl, rounds))
        if demo:
            parts += [(demo_stages, scratch), (probes, scratch)]
        for part in parts:
            for name, value in alone(part).items():
                print(f"| {name} | {shown(value)} |", flush=True)
                results[name] = value
            if part[0] is plain_loop:
                times = (results[f"SmolLM2-135M, finetuning: {SHARE}"]
                         / results[f"the same, plain loop: {SHARE}"])
                results["finetuning, faster than the plain loop"] = times
                print(f"| finetuning, faster than the plain loop | {times:.1f} times |", flush=True)

    Path(out).write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n-> {out}")


# ------------------------------------------------------------------------------------ the machine

def product(dtype):
    """FLOP/s of square matrix products, sustained for a second."""
    import torch
    from w2s.training import DEVICE

    n = 8192 if DEVICE.type == "cuda" else 2048
    a = torch.randn(n, n, device=DEVICE, dtype=dtype)
    b = torch.randn(n, n, device=DEVICE, dtype=dtype)
    a @ b
    return 2 * n**3 / seconds(functools.partial(torch.matmul, a, b), 1.0)


def products():
    """FLOP/s of both types: bf16, float32."""
    import torch

    return [product(torch.bfloat16), product(torch.float32)]


def peaks():
    import torch
    from w2s.training import BF16, DEVICE

    bf16, float32 = products()
    x = torch.zeros(2**26, device=DEVICE)
    y = torch.ones_like(x)
    copied = 2 * x.nbytes / seconds(functools.partial(x.copy_, y), 1.0)
    return {"this machine has bf16 instructions": "yes" if BF16 else "no, so float32 is used",
            "matrix products, bf16: GFLOP/s": bf16 / 1e9,
            "matrix products, float32: GFLOP/s": float32 / 1e9,
            "memory copy: GB/s": copied / 1e9}


# ------------------------------------------------------------------------------------------ rates

def compare(works, rounds, parameters):
    """Medians of [tokens/s, FLOP/s, share of the bf16 peak, of the float32 peak] of each work.

    works  {name: (tokens, FLOP a token and parameter, function)}
    """
    measured = {name: [] for name in works}
    before = products()
    for number in range(rounds + 1):
        for name, (tokens, flop, work) in works.items():
            rate = tokens / seconds(work)
            after = products()
            if number > 0:  # the first round warms up
                done = rate * flop * parameters
                shares = [2 * done / (x + y) for x, y in zip(before, after)]
                measured[name].append([rate, done, *shares])
            before = after

    medians = {}
    for name, rows in measured.items():
        medians[name] = [statistics.median(column) for column in zip(*rows)]
    return medians


def rates(title, model, ids, rounds):
    """Finetuning on the first 320 lists of token ids, in batches of 32, and predicting of all."""
    import torch
    from w2s import classifier, training
    from losses import xent

    targets = torch.eye(2)[[0, 1] * 160]
    lengths = torch.tensor([len(i) for i in ids])

    def forward(batch):
        return classifier.forward(model, [ids[i] for i in batch], 0)

    def finetune():
        training.train(model, forward, lengths[:320], targets, xent, epochs=1, lr=1e-6)

    @torch.no_grad()
    def predict():
        for batch in classifier.sorted_batches(lengths, 32):
            forward(batch)

    works = {"finetuning": (int(lengths[:320].sum()), 6, finetune)}
    if len(ids) > 320:
        works["predicting"] = (int(lengths.sum()), 2, predict)
    found = compare(works, rounds, model.num_parameters(exclude_embeddings=True))
    results = {}
    for name, (rate, done, bf16, float32) in found.items():
        results[f"{title}, {name}: tokens/s"] = rate
        results[f"{title}, {name}: GFLOP/s"] = done / 1e9
        results[f"{title}, {name}: share of the bf16 peak"] = bf16
        results[f"{title}, {name}: {SHARE}"] = float32
    results[f"{title}: memory, GB"] = memory()
    return results


def smollm():
    """The model, and the token ids of as many sentences as the demo tests on, in its prompt."""
    from w2s import classifier

    prompt = records.read_task(HERE / "demo" / "task.json")["prompt"]
    rows = records.read_jsonl(HERE / "demo" / "films.jsonl", "text")[:1000]
    texts = [prompt.replace("{text}", row["text"]) for row in rows]
    model, tokenizer = classifier.load(SMOLLM)
    return model, classifier.encode(tokenizer, texts)


def ours(rounds):
    return rates("SmolLM2-135M", *smollm(), rounds)


def checkpointing():
    """What it saves and costs."""
    model, ids = smollm()
    model.activation_checkpointing_enable({"use_reentrant": False})
    found = rates("SmolLM2-135M, checkpointing", model, ids[:320], 1)
    return {name: value for name, value in found.items() if "memory" in name or "tokens/s" in name}


def plain_loop(rounds):
    """Float32, one example at a time, padded to the longest of 32, one backward pass for all."""
    os.environ["THP_MEM_ALLOC_ENABLE"] = "0"  # as anyone's loop finds the machine
    import torch
    from losses import xent
    from w2s.training import DEVICE

    model, ids = smollm()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    targets = torch.eye(2, device=DEVICE)[[0, 1] * 16]
    order = torch.randperm(320, generator=torch.Generator().manual_seed(0)).tolist()
    ids = [ids[i] for i in order]
    batches = [ids[0:32], ids[32:64], ids[64:96]]

    def steps():
        for batch in batches:
            longest, logits = max(map(len, batch)), []
            for text in batch:
                padded = torch.tensor([text + [0] * (longest - len(text))], device=DEVICE)
                output = model.base_model(input_ids=padded, use_cache=False)
                last = output.last_hidden_state[:, len(text) - 1]  # of (1, L, H)
                logits.append(model.score(last))
            xent(torch.cat(logits), targets, 0.0).backward()
            optimizer.step()
            optimizer.zero_grad()

    works = {"plain": (sum(map(len, ids[:96])), 6, steps)}
    found = compare(works, rounds, model.num_parameters(exclude_embeddings=True))
    rate, _, _, float32 = found["plain"]
    return {"the same, plain loop: tokens/s": rate, f"the same, plain loop: {SHARE}": float32}


def gpt2_xl(rounds):
    import torch
    import transformers
    from w2s import training

    config = transformers.GPT2Config(
        n_embd=1600, n_layer=48, n_head=25, num_labels=2, pad_token_id=0,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    model = transformers.GPT2ForSequenceClassification(config).to(training.DEVICE)

    def some(low, high, n, seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(low, high, (n,), generator=generator).tolist()

    lengths = some(80, 121, 1000, seed=0)
    ids = [some(0, 50257, length, seed=length) for length in lengths]
    return rates("GPT-2 XL's shape", model, ids, rounds)


# ---------------------------------------------------------------------------- stages and the demo

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


def demo_stages(scratch):
    """Seconds of each stage of `bash run_all.sh`, as their run.json tell them."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    demo = functools.partial(run_quietly, ["bash", HERE / "run_all.sh"], PATH=path,
                             DATA=f"{scratch}/data", RESULTS=f"{scratch}/results")
    whole = seconds(demo)
    found = {}
    for file in sorted(Path(scratch).glob("*/films/**/run.json"), key=os.path.getmtime):
        run = json.loads(file.read_text())
        found[f"demo, {run['stage']} ({file.parent.name}): s"] = run["seconds"]
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return {**found, "demo, all of it: s": whole, "demo, largest process: GB": largest}


def probes(scratch):
    """A hundred probe students of the demo, of ten losses and ten seeds, on the same features."""
    from w2s import probe
    import train_strong

    probe.CACHE = Path(scratch) / "features"  # none of an earlier run
    data = Path(scratch) / "data" / "films"
    seed = Path(scratch) / "results" / "films" / "seed0"
    labels = seed / f"labels_{MINILM.name}" / "labels.jsonl"
    student = seed / f"{MINILM.name}-to-{SMOLLM.name}_xent"

    start, done = time.perf_counter(), []
    for loss in ["xent", *(f"conf:alpha={0.1 * k:.1f}" for k in range(1, 10))]:
        for number in range(10):
            with contextlib.redirect_stdout(io.StringIO()):
                train_strong.main(
                    model=str(SMOLLM), labels=str(labels), test=f"{data}/test.jsonl",
                    out=f"{scratch}/probes/{loss}_{number}", loss=loss, task=f"{data}/task.json",
                    epochs=20, lr=1e-3, seed=number, linear_probe=True)
            done.append(time.perf_counter())
    finetuned = json.loads((student / "run.json").read_text())
    return {"a finetuned student of the demo: s": finetuned["seconds"],
            "first probe student, computing the features: s": done[0] - start,
            "the next 99 probe students, together: s": done[-1] - done[0]}


if __name__ == "__main__":
    stage.cli(main)
