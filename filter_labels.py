"""Labels -> fewer of them: those that are most likely right.

    python filter_labels.py --labels=results/sciq/seed0/labels_gpt2/labels.jsonl --by=confidence \\
        --keep=0.5 --out=results/sciq/seed0/labels_gpt2-confidence0.5

Writes labels.jsonl, as many lines of one class as of another, as far as there are. Chosen by

    confidence  of the supervisor: its largest probability
    unanimity   of several that label together (label_weak.py --model=A,B,C): how many of them are
                on the label's side
    trust       how far their hidden states let one trust them (w2s/trust.py); each was trained on a
                part of its own of the examples (train_weak.py --part=1/3)
    random      by lot: the control, as many lines of each class

Equals are chosen by lot. No ground truth of these texts is read.
"""

import collections
import random

from w2s import records, source, stage, supervisors
from w2s.lineage import FILTERS


def main(
    labels,           # soft labels {"id", "text", "probs"}
    out,              # folder to write
    by="confidence",  # or unanimity, trust, random
    keep=0.5,         # share of the lines that is kept
    seed=0,           # of the lots
    # for trust alone
    model="",         # the supervisors that gave the labels, separated by commas
    train="",         # the file of which each was trained on a part, with ground truth
):
    arguments = {"labels": labels, "out": out, "by": by, "keep": keep, "seed": seed}
    inputs, code = ["labels"], [__file__, "w2s/records.py"]
    if by == "trust":
        if not model or not train:
            stage.refuse("--by=trust needs --model=A,B, the supervisors that gave the labels, and "
                         "--train, the file of which each was trained on a part")
        models = supervisors.as_inputs(supervisors.paths(model))
        arguments |= {"train": train, **models}
        inputs += ["train", *models]
        code += ["w2s/trust.py", "w2s/parts.py", "w2s/probe.py", *source.MODEL]
    run = stage.start(arguments, inputs, code)
    if not run:
        return

    if by not in FILTERS:
        stage.refuse(f"--by={by}: {', '.join(FILTERS[:-1])} or {FILTERS[-1]} is needed")
    if not 0 < keep <= 1:
        stage.refuse(f"--keep={keep}: a share above 0, and at most 1, is needed")
    rows = records.read_jsonl(labels, "id", "text|choices", "probs")
    number = round(keep * len(rows))
    if number < 2:
        stage.refuse(f"{labels}: --keep={keep} would leave {number} of {len(rows)} labels")

    # how likely each is to be right, in some unit
    if by == "confidence":
        scores = [max(row["probs"]) for row in rows]
    elif by == "unanimity":
        scores = [on_its_side(labels, row) for row in rows]
    elif by == "trust":
        from w2s import trust

        scores = trust.of_labels(labels, rows, list(models.values()), train)
    else:
        scores = [0] * len(rows)

    # the best of each class
    order = random.Random(seed).sample(range(len(rows)), len(rows))
    order.sort(key=scores.__getitem__, reverse=True)  # stable: equals stay in the order of the lots
    classes = [records.likeliest(row["probs"]) for row in rows]
    kept = best_of_each(order, classes, number)
    filtered = [filtered_line(rows[i]) for i in kept]
    metrics = {"examples": len(kept), "of": len(rows), "lowest": min(scores[i] for i in kept)}
    of_class = collections.Counter(classes[i] for i in kept)
    metrics["class_counts"] = [of_class[which] for which in range(len(rows[0]["probs"]))]
    stage.finish(run, metrics, {"labels.jsonl": filtered})
    counts = ", ".join(map(str, metrics["class_counts"]))
    print(f"{len(kept)} of {len(rows)} labels kept by {by}, down to {metrics['lowest']:.3f}; "
          f"of class 0, 1 ...: {counts} -> {out}")


def on_its_side(path, row):
    """How many of the supervisors are on a label's side, from 0 to 1."""
    said = row.get("supervisors")
    if not isinstance(said, list) or not said or not all(map(records.are_probs, said)):
        stage.refuse(f'{path}: id {row["id"]} has no "supervisors", what each of several said; '
                     "label_weak.py --model=A,B writes it")
    if {len(probs) for probs in said} != {len(row["probs"])}:
        stage.refuse(f'{path}: id {row["id"]} has "supervisors" of another number of classes')
    return sum(records.same(probs, row["probs"]) for probs in said) / len(said)


def best_of_each(order, classes, number):
    """So many places, the first of each class in an order, as many of each as far as there are.

    They come back as they were in the file.
    """
    of_class = [[i for i in order if classes[i] == one] for one in set(classes)]
    of_class.sort(key=len)
    kept = []
    for done, places in enumerate(of_class):  # what a rare one lacks is shared by those after it
        share = (number - len(kept)) // (len(of_class) - done)
        kept += places[:share]
    return sorted(kept)


def filtered_line(row):
    keys = ("id", "text", "choices", "group", "probs", "supervisors")
    return {key: row[key] for key in keys if key in row}


if __name__ == "__main__":
    stage.cli(main)
