"""Labels -> labels that say nothing of their texts, for a student's control.

    python control_labels.py --labels=results/sciq/seed0/labels_gpt2/labels.jsonl \\
        --out=results/sciq/seed0/labels_gpt2-shuffled

A control is trained as its student is, by the same model, texts, loss and recipe, on these labels.
What the student has over it the supervisor contributed; all else is the strong model's own prior
and what it taught itself.

Writes labels.jsonl, the same lines with other probs: shuffled, so that the shares of the classes
and the supervisor's confidence stay, or all alike.
"""

import random

from w2s import inputs, records, stage
from w2s.lineage import CONTROLS


def main(
    labels,           # soft labels {"id", "text", "probs"}, or ground truth
    out,              # folder to write
    kind="shuffled",  # the same labels in another order; uniform: all classes alike for every text
    seed=0,           # of the order
):
    arguments = locals()
    run = stage.start(arguments, ["labels"], code=[__file__, "w2s/records.py", "w2s/inputs.py"])
    if not run:
        return

    if kind not in CONTROLS:
        stage.refuse(f"--kind={kind}: {' or '.join(CONTROLS)} is needed")
    rows = records.read_labels(labels)
    if len(rows) < 2:
        stage.refuse(f"{labels}: one label cannot be shuffled")
    classes = inputs.classes(labels, rows)
    probs = inputs.soft_labels(rows, classes)
    if kind == "uniform":
        changed = [[1 / classes] * classes for _ in rows]
    else:
        changed = random.Random(seed).sample(probs, len(probs))

    agreement = sum(map(records.same, probs, changed)) / len(rows)
    controls = records.with_probs(rows, changed, "id", "text", "choices", "group")
    stage.finish(run, {"agreement": agreement}, {"labels.jsonl": controls})
    print(f"{len(rows)} labels, {kind}: {agreement:.1%} are of the class they were of -> {out}")


if __name__ == "__main__":
    stage.cli(main)
