"""How the demo's learning rates and epochs were chosen: on validation data cut from the training splits, never on the test set.

    python prepare_data.py demo/films.jsonl --out=data/films_all    # without --max_train: the demo's rows, and those it leaves over
    python demo/make_small.py ~/.cache/weak-to-strong
    python demo/choose_recipe.py ~/.cache/weak-to-strong data/films_all

The supervisor is judged by ground truth of weak_train, from which it learns. The student is judged by the supervisor's labels of
transfer alone: the ground truth is what it must not see. The ceiling takes the student's recipe.
"""

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch

from w2s import classifier
import losses
from w2s import probe, records

TRAIN, HELD_OUT, SEEDS = 600, 400, (0, 1)  # the demo trains on the first 300 of each class
models, data = map(Path, sys.argv[1:])
label_words = records.read_task(data / "task.json")["label_words"]


def parts(name):
    """(texts, labels (N, 2)) of the demo's training rows, and of others, held out."""
    rows = records.read_jsonl(data / f"{name}.jsonl", "text", "label")
    demo = [row for label in (0, 1) for row in [row for row in rows if row["label"] == label][: TRAIN // 2]]
    demo.sort(key=rows.index)
    held_out = [row for row in rows if row not in demo][:HELD_OUT]
    return [([row["text"] for row in part], torch.eye(2)[[row["label"] for row in part]]) for part in (demo, held_out)]


def trial(model, train, held_out, lr, epochs, learner=classifier):
    """Trains with every seed and prints how well held-out labels are met; returns the mean cross-entropy and the last model."""
    met = []
    for seed in SEEDS:
        net, tokenizer = learner.load(models / model, label_words, seed=seed)
        learner.finetune(net, tokenizer, *train, losses.xent, lr=lr, epochs=epochs, seed=seed)
        probs = learner.predict(net, tokenizer, held_out[0])
        same = sum(map(records.same, probs.tolist(), held_out[1].tolist())) / len(probs)
        met.append((-(held_out[1] * probs.clamp(min=1e-8).log()).sum(1).mean().item(), same))
    loss, same = torch.tensor(met).mean(0)
    print(f"| {model}{', linear probe' * (learner is probe)} | {lr:g} | {epochs} | {loss:.3f} | {same:.3f} |", flush=True)
    return loss, (net, tokenizer)


print(f"Means of {len(SEEDS)} seeds on {HELD_OUT} held-out examples.\n")
print("| model | learning rate | epochs | cross-entropy with held-out labels | agreement with them |\n|---|---|---|---|---|")
train, held_out = parts("weak_train")
trials = [trial("all-MiniLM-L6-v2", train, held_out, lr, epochs) for epochs in (2, 4) for lr in (5e-5, 1e-4, 2e-4)]
for epochs, lr in itertools.product((2, 4, 8), (2e-4, 5e-4, 1e-3)):
    trial("scratch-2M", train, held_out, lr, epochs)
supervisor = min(trials, key=lambda found: found[0])[1]
train, held_out = [(texts, classifier.predict(*supervisor, texts)) for texts, _ in parts("transfer")]
for lr, epochs in ((2e-5, 1), (5e-5, 1), (1e-4, 1), (5e-5, 2)):
    trial("SmolLM2-135M", train, held_out, lr, epochs)
for epochs, lr in itertools.product((5, 20, 80), (1e-4, 1e-3, 1e-2)):
    trial("SmolLM2-135M", train, held_out, lr, epochs, probe)
