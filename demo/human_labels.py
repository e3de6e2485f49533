"""A person as the weak supervisor: one rater's opinion of each film sentence, in the files a model supervisor would leave.

    python demo/human_labels.py data/films results/films/seed0          # after bash run_all.sh
    python train_strong.py --model=$HOME/.cache/weak-to-strong/SmolLM2-135M --labels=results/films/seed0/labels_human/labels.jsonl \\
        --test=data/films/test.jsonl --task=data/films/task.json --epochs=1 --out=results/films/seed0/human-to-SmolLM2-135M_xent
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
ratings = {row["id"]: row["ratings"] for row in records.read_jsonl(Path(__file__).with_name("films.jsonl"), "id")}


def opinion(row):
    p1 = (ratings[row["id"]][0] > 0) + 0.5 * (ratings[row["id"]][0] == 0)
    return [1 - p1, p1]


for folder, name, split, keys in (("labels_human", "labels", "transfer", ("id", "text")), ("weak_human", "predictions", "test", ("id", "label"))):
    (seed / folder).mkdir(parents=True, exist_ok=True)
    rows = records.read_jsonl(data / f"{split}.jsonl", "id", "text", "label")
    records.write_jsonl(seed / folder / f"{name}.jsonl", [{**{key: row[key] for key in keys}, "probs": opinion(row)} for row in rows])
