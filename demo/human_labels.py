"""A person as the weak supervisor: one rater's opinion of each film sentence, in the files that a
model supervisor would leave.

    python demo/human_labels.py data/films results/films/seed0          # after bash run_all.sh
    python train_strong.py --model=$HOME/.cache/weak-to-strong/SmolLM2-135M \\
        --labels=results/films/seed0/labels_human/labels.jsonl --test=data/films/test.jsonl \\
        --task=data/films/task.json --epochs=1 \\
        --out=results/films/seed0/human-to-SmolLM2-135M_xent
    python evaluate_pgr.py results/films

Ground truth is the sign of the mean of fifteen ratings or more, the first of which is this rater's.
0 ("neutral") becomes [0.5, 0.5], a tie: as a prediction it is half right and half wrong, as a label
it pulls the student to neither class, and agreement where the supervisor is right, or wrong, leaves
it out.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from w2s import records

data, seed = map(Path, sys.argv[1:])
films = records.read_jsonl(Path(__file__).with_name("films.jsonl"), "id")
first_rating = {row["id"]: row["ratings"][0] for row in films}


def opinion(row):
    """[p0, p1]"""
    rating = first_rating[row["id"]]
    if rating == 0:
        return [0.5, 0.5]
    return [0.0, 1.0] if rating > 0 else [1.0, 0.0]


def write(split, path, *keys):
    """Writes these keys of a split's rows, with the opinion."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for row in records.read_jsonl(data / f"{split}.jsonl", "id", "text", "label"):
        line = {key: row[key] for key in keys}
        lines.append({**line, "probs": opinion(row)})
    records.write_jsonl(path, lines)


write("transfer", seed / "labels_human" / "labels.jsonl", "id", "text")
write("test", seed / "weak_human" / "predictions.jsonl", "id", "label")
