"""How the demo's learning rates and epochs were chosen: on validation data cut from the training
splits, never on the test set.

    # without --max_train: the demo's rows, and those it leaves over
    python prepare_data.py demo/films.jsonl --out=data/films_all
    python demo/make_small.py ~/.cache/weak-to-strong
    python demo/choose_recipe.py ~/.cache/weak-to-strong data/films_all
    python demo/choose_recipe.py ~/.cache/weak-to-strong data/films_all --lora    # adapters alone

The supervisor is judged by ground truth of weak_train, from which it learns. The student is judged
by the supervisor's labels of transfer alone: the ground truth is what it must not see. The ceiling
takes the student's recipe.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import torch

import losses
from w2s import classifier, probe, records

TRAIN = 600  # the demo trains on the first 300 of each class
HELD_OUT = 400
SEEDS = (0, 1)
RANK = 16  # of adapters

models, data = map(Path, sys.argv[1:3])
only_lora = "--lora" in sys.argv
label_words = records.read_task(data / "task.json")["label_words"]


def parts(name):
    """(texts, labels (N, 2)) of the demo's training rows, and of others, held out."""
    rows = records.read_jsonl(data / f"{name}.jsonl", "text", "label")
    demo, others, taken = [], [], [0, 0]
    for row in rows:
        label = row["label"]
        if taken[label] < TRAIN // 2:
            taken[label] += 1
            demo.append(row)
        else:
            others.append(row)
    return texts_and_labels(demo), texts_and_labels(others[:HELD_OUT])


def texts_and_labels(rows):
    labels = [row["label"] for row in rows]
    return [row["text"] for row in rows], torch.eye(2)[labels]


def trial(model, train, held_out, lr, epochs, learner=classifier, lora=0):
    """Trains with every seed and prints how well held-out labels are met; returns the mean
    cross-entropy and the last model."""
    texts, labels = held_out
    found = []
    for seed in SEEDS:
        net, tokenizer = learner.load(models / model, label_words, seed=seed, lora=lora)
        learner.finetune(net, tokenizer, *train, losses.xent, lr=lr, epochs=epochs, seed=seed)
        probs = learner.predict(net, tokenizer, texts)

        cross_entropy = -(labels * probs.clamp(min=1e-8).log()).sum(1).mean().item()
        agreement = sum(map(records.same, probs.tolist(), labels.tolist())) / len(probs)
        found.append((cross_entropy, agreement))
    cross_entropy, agreement = torch.tensor(found).mean(0)
    shown = f"{model}, linear probe" if learner is probe else model
    if lora:
        shown += f", LoRA {lora}"
    print(f"| {shown} | {lr:g} | {epochs} | {cross_entropy:.3f} | {agreement:.3f} |", flush=True)
    return cross_entropy, (net, tokenizer)


print(f"Means of {len(SEEDS)} seeds on {HELD_OUT} held-out examples.\n")
print("| model | learning rate | epochs | cross-entropy with held-out labels "
      "| agreement with them |\n|---|---|---|---|---|")

# the supervisors, on ground truth
train, held_out = parts("weak_train")
if only_lora:
    _, supervisor = trial("all-MiniLM-L6-v2", train, held_out, 5e-5, 4)  # the best of those below
    for lr in (2e-4, 5e-4, 1e-3, 2e-3):
        trial("all-MiniLM-L6-v2", train, held_out, lr, 4, lora=RANK)
else:
    trials = []
    for epochs in (2, 4):
        for lr in (5e-5, 1e-4, 2e-4):
            trials.append(trial("all-MiniLM-L6-v2", train, held_out, lr, epochs))
    for epochs in (2, 4, 8):
        for lr in (2e-4, 5e-4, 1e-3):
            trial("scratch-2M", train, held_out, lr, epochs)
    _, supervisor = min(trials, key=lambda found: found[0])

# the student and the probe, on labels of the best supervisor
train, held_out = [(texts, classifier.predict(*supervisor, texts))
                   for texts, _ in parts("transfer")]
if only_lora:
    for lr in (1e-4, 2e-4, 5e-4, 1e-3, 2e-3):
        trial("SmolLM2-135M", train, held_out, lr, 1, lora=RANK)
else:
    for lr, epochs in ((2e-5, 1), (5e-5, 1), (1e-4, 1), (5e-5, 2)):
        trial("SmolLM2-135M", train, held_out, lr, epochs)
    for epochs in (5, 20, 80):
        for lr in (1e-4, 1e-3, 1e-2):
            trial("SmolLM2-135M", train, held_out, lr, epochs, probe)
