"""How fast is it on this machine? Prints a table and saves the numbers as JSON; 20 minutes on two CPU cores.

    python demo/benchmark.py                  # with the demo, from its data to its report; --demo=false leaves that out
    python demo/benchmark.py --out=FILE.json

Rates count real tokens, not padding. FLOP/s are 6 (training) or 2 (predicting) times parameters outside embeddings times tokens a
second. A share is that of what matrix products reached in the second before and the second after, so that a machine shared with
others is compared with itself; the median of the rounds is given. Every part runs in a process of its own, whose memory is given.
"""

import concurrent.futures
import contextlib
import datetime
import functools
import io
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from w2s import records, stage

HERE = Path(__file__).resolve().parent.parent
MINILM, SMOLLM = stage.CACHE / "all-MiniLM-L6-v2", stage.CACHE / "SmolLM2-135M"


def main(
    out="benchmark.json",  # file to write
    rounds=3,              # of each rate; one more before them warms up
    demo=True,             # run the demo, and probe students on its labels
):
    import torch

    subprocess.run([sys.executable, HERE / "demo" / "get_models.py", stage.CACHE], check=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    results = {"date": str(datetime.date.today()), "machine": gpu or f"{os.cpu_count()} cores, {cpu_name()}",
               "python": platform.python_version(), "torch": torch.__version__}
    print("\n| " + ", ".join(results.values()) + " | |\n|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        parts = [(peaks,), (ours, rounds), (plain_loop, rounds), (checkpointing,), (starts, scratch)]
        if gpu:
            parts += [(gpt2_xl, rounds)]
        if demo:
            parts += [(demo_stages, scratch), (probes, scratch)]
        for part in parts:
            with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                for name, value in process.submit(quiet, *part).result().items():
                    shown = value if isinstance(value, str) else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
                    print(f"| {name} | {shown} |", flush=True)
                    results[name] = value
            if part[0] is plain_loop:
                share = "share of the float32 peak"
                results["finetuning, faster than the plain loop"] = times = (
                    results[f"SmolLM2-135M, finetuning: {share}"] / results[f"the same, plain loop: {share}"])
                print(f"| finetuning, faster than the plain loop | {times:.1f} times |", flush=True)
    Path(out).write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n-> {out}")


def quiet(part, *arguments):
    with contextlib.redirect_stderr(io.StringIO()):  # progress bars
        return part(*arguments)


def cpu_name():
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return next((line.split(": ")[1] for line in info.splitlines() if line.startswith("model name")), platform.processor())


def memory():
    """GB that this process took at most, on the GPU if there is one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def seconds(work, at_least=0.0):
    """Mean seconds of work(), called as often as `at_least` seconds allow."""
    import torch

    calls, start = 0, time.perf_counter()
    while not calls or time.perf_counter() - start < at_least:
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        calls += 1
    return (time.perf_counter() - start) / calls


def product(dtype):
    """FLOP/s of square matrix products, sustained for a second."""
    import torch
    from w2s.training import DEVICE

    n = 8192 if DEVICE.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=DEVICE, dtype=dtype) for _ in range(2))
    a @ b
    return 2 * n**3 / seconds(lambda: a @ b, 1.0)


def peaks():
    import torch
    from w2s.training import BF16, DEVICE

    x = torch.zeros(2**26, device=DEVICE)
    y = torch.ones_like(x)
    return {"this machine has bf16 instructions": "yes" if BF16 else "no, so float32 is used",
            "matrix products, bf16: GFLOP/s": product(torch.bfloat16) / 1e9,
            "matrix products, float32: GFLOP/s": product(torch.float32) / 1e9,
            "memory copy: GB/s": 2 * x.nbytes / seconds(lambda: x.copy_(y), 1.0) / 1e9}


def compare(works, rounds, parameters):
    """{work: (tokens, FLOP a token and parameter, function)} -> medians of [tokens/s, FLOP/s, share of the bf16, float32 peak]."""
    import torch

    measured, before = {}, None
    for number in range(rounds + 1):
        for name, (tokens, flop, work) in works.items():
            before = before or [product(torch.bfloat16), product(torch.float32)]
            rate = tokens / seconds(work)
            after = [product(torch.bfloat16), product(torch.float32)]
            if number:
                done = rate * flop * parameters
                measured.setdefault(name, []).append([rate, done, *(done / ((x + y) / 2) for x, y in zip(before, after))])
            before = after
    return {name: [statistics.median(column) for column in zip(*found)] for name, found in measured.items()}


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
        works["predicting"] = int(lengths.sum()), 2, predict
    results = {}
    for name, (rate, done, bf16, float32) in compare(works, rounds, model.num_parameters(exclude_embeddings=True)).items():
        results |= {f"{title}, {name}: tokens/s": rate, f"{title}, {name}: GFLOP/s": done / 1e9,
                    f"{title}, {name}: share of the bf16 peak": bf16, f"{title}, {name}: share of the float32 peak": float32}
    return {**results, f"{title}: memory, GB": memory()}


def smollm():
    """The model, and the token ids of as many sentences as the demo tests on, in its prompt."""
    from w2s import classifier

    prompt = records.read_task(HERE / "demo" / "task.json")["prompt"]
    texts = [prompt.replace("{text}", row["text"]) for row in records.read_jsonl(HERE / "demo" / "films.jsonl", "text")[:1000]]
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
    """Float32, one example at a time, padded to the longest of 32 in random order, one backward pass through all of them."""
    os.environ["THP_MEM_ALLOC_ENABLE"] = "0"  # as anyone's loop finds the machine
    import torch
    from losses import xent
    from w2s.training import DEVICE

    model, ids = smollm()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    order = torch.randperm(320, generator=torch.Generator().manual_seed(0)).tolist()
    some = [[ids[i] for i in order[k:k + 32]] for k in (0, 32, 64)]

    def steps():
        for batch in some:
            longest, logits = max(map(len, batch)), []
            for text in batch:
                padded = torch.tensor([text + [0] * (longest - len(text))], device=DEVICE)
                hidden = model.base_model(input_ids=padded, use_cache=False).last_hidden_state  # (1, L, H)
                logits.append(model.score(hidden[:, len(text) - 1]))
            xent(torch.cat(logits), torch.eye(2, device=DEVICE)[[0, 1] * 16], 0.0).backward()
            optimizer.step()
            optimizer.zero_grad()

    work = sum(len(text) for batch in some for text in batch), 6, steps
    rate, done, _, float32 = compare({"": work}, rounds, model.num_parameters(exclude_embeddings=True))[""]
    return {"the same, plain loop: tokens/s": rate, "the same, plain loop: share of the float32 peak": float32}


def gpt2_xl(rounds):
    import torch
    import transformers
    from w2s import training

    config = transformers.GPT2Config(n_embd=1600, n_layer=48, n_head=25, num_labels=2, pad_token_id=0,
                                     resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    model = transformers.GPT2ForSequenceClassification(config).to(training.DEVICE)
    lengths = torch.randint(80, 121, (1000,), generator=torch.Generator().manual_seed(0)).tolist()
    ids = [torch.randint(50257, (length,), generator=torch.Generator().manual_seed(length)).tolist() for length in lengths]
    return rates("GPT-2 XL's shape", model, ids, rounds)


def starts(scratch):
    """A stage on four sentences and no epoch: what it takes to start, load 135M parameters and write; then up to date."""
    data = Path(scratch) / "four.jsonl"
    records.write_jsonl(data, [{"id": i, "text": f"a film of {i} parts", "label": i % 2} for i in range(4)])
    command = [sys.executable, HERE / "train_strong.py", SMOLLM, f"--labels={data}", f"--test={data}", f"--out={scratch}/four",
               "--epochs=0"]
    start = functools.partial(subprocess.run, command, check=True, capture_output=True)
    return {"start of a stage, SmolLM2-135M loaded: s": seconds(start), "stage that is up to date: s": seconds(start)}


def demo_stages(scratch):
    """Seconds of each stage of `bash run_all.sh`, as their run.json tell them."""
    command = ["bash", HERE / "run_all.sh"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    whole = seconds(functools.partial(subprocess.run, command, check=True, capture_output=True, env={
        **os.environ, "PATH": path, "DATA": f"{scratch}/data", "RESULTS": f"{scratch}/results"}))
    found = {}
    for file in sorted(Path(scratch).glob("*/films/**/run.json"), key=os.path.getmtime):
        run = json.loads(file.read_text())
        found[f"demo, {run['stage']} ({file.parent.name}): s"] = run["seconds"]
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return {**found, "demo, all of it: s": whole, "demo, largest process: GB": largest}


def probes(scratch):
    """A hundred probe students of the demo, of ten losses and ten seeds; the features are computed for the first."""
    from w2s import probe
    import train_strong

    probe.CACHE = Path(scratch) / "features"  # none of an earlier run
    data, seed = Path(scratch) / "data" / "films", Path(scratch) / "results" / "films" / "seed0"
    labels = seed / f"labels_{MINILM.name}" / "labels.jsonl"
    start, done = time.perf_counter(), []
    for loss in ["xent", *(f"conf:alpha={0.1 * k:.1f}" for k in range(1, 10))]:
        for number in range(10):
            with contextlib.redirect_stdout(io.StringIO()):
                train_strong.main(str(SMOLLM), str(labels), f"{data}/test.jsonl", f"{scratch}/probes/{loss}_{number}", loss,
                                  f"{data}/task.json", epochs=20, lr=1e-3, seed=number, linear_probe=True)
            done.append(time.perf_counter())
    finetuned = json.loads((seed / f"{MINILM.name}-to-{SMOLLM.name}_xent" / "run.json").read_text())["seconds"]
    return {"a finetuned student of the demo: s": finetuned, "first probe student, computing the features: s": done[0] - start,
            "the next 99 probe students, together: s": done[-1] - done[0]}


if __name__ == "__main__":
    stage.cli(main)
