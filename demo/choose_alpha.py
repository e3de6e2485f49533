"""Can alpha of the confidence loss be chosen without ground truth of the student's texts?

    SEEDS="0 1 2" bash demo/ladder.sh results/ladder
    python prepare_data.py demo/films.jsonl --out=data/films_all    # rows that the demo leaves over
    python demo/choose_alpha.py results/ladder/films data/films_all

Each rule gives the students of a supervisor a score, from what a user has: the supervisor's labels
of texts that were held out (half of the test texts, without their ground truth), controls, and
ground truth of weak_train. Its best student is then tested on the other half of the test texts, and
compared with the same alpha for all supervisors and with an oracle. Which rule is to be trusted is
decided on every other rung of the ladder, and shown on the rest.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np

from w2s import classifier, metrics, records

LOSSES = {0: "xent", 0.5: "conf", 0.75: "conf:alpha=0.75", 0.9: "conf:alpha=0.9",
          1: "conf:alpha=1"}  # of each alpha
STRONG = "SmolLM2-135M"
LEFT_OVER = 400  # so many rows of weak_train that no supervisor has seen

if len(sys.argv) != 3 or not list(Path(sys.argv[1]).glob("seed0/weak_*")):
    raise SystemExit("choose_alpha.py: the results of ladder.sh and a folder of prepare_data.py "
                     "are needed, results/ladder/films data/films_all")
results, data = map(Path, sys.argv[1:])


def read(seed, name):
    """(p1, label), (n,) each, of a run's predictions, in the order of the ids."""
    rows = records.read_jsonl(results / seed / name / "predictions.jsonl", "id", "label", "probs")
    rows.sort(key=lambda row: row["id"])
    p1, label = [row["probs"][1] for row in rows], [row["label"] for row in rows]
    return np.array(p1), np.array(label)


def confusion(seed, weak):
    """(2, 2): how often the supervisor says each class (across) of texts of each true class (down),
    of rows of weak_train that it has not seen."""
    demo = results.parent / "data" / results.name / "weak_train.jsonl"
    seen = {row["id"] for row in records.read_jsonl(demo, "id")}
    rows = records.read_jsonl(data / "weak_train.jsonl", "id", "text", "label")
    rows = [row for row in rows if row["id"] not in seen][:LEFT_OVER]
    if len({row["label"] for row in rows}) < 2:
        raise SystemExit(f"choose_alpha.py: {data}/weak_train.jsonl leaves no rows of both classes "
                         f"over that are not in {demo}; prepare it without --max_train")
    model = classifier.load(results / seed / f"weak_{weak}" / "model", head="keep")
    said = classifier.predict(*model, [row["text"] for row in rows]).numpy()
    said = metrics.predicted(said)  # (n, 2)
    label = np.array([row["label"] for row in rows])
    return np.stack([said[label == true].mean(0) for true in (0, 1)])


# ------------------------------------------------------------------------------------------ rules
def of_two(p1):
    """(n,) probabilities of class 1, or labels -> (n, 2)"""
    return np.stack([1 - p1, p1], -1)


def same(p1, other):
    """Whether two predictions are of the same class."""
    return metrics.same(of_two(p1), of_two(other))


# p1, control, weak: (n,) of student, its control and the supervisor on held-out texts


def weak_agreement(p1, control, weak, noise, others):
    return same(p1, weak).mean()


def weak_loss(p1, control, weak, noise, others):
    return (weak * np.log(p1) + (1 - weak) * np.log(1 - p1)).mean()


def noise_model(p1, control, weak, noise, others):
    """Likelihood of the supervisor's classes, if it errs as it does on weak_train."""
    says = (of_two(p1) @ noise).clip(1e-6)  # (n, 2)
    return (metrics.predicted(of_two(weak)) * np.log(says)).sum(1).mean()


def labels_share(p1, control, weak, noise, others):
    return (same(p1, weak) - same(control, weak)).mean()


def other_seeds(p1, control, weak, noise, others):
    """Agreement with the students of supervisors of other seeds, of which there must be some."""
    return sum(same(p1, other).mean() for other in others)


RULES = {
    "agreement with held-out weak labels": weak_agreement,
    "loss on held-out weak labels": weak_loss,
    "the same, under a noise model": noise_model,
    "labels' share of the agreement": labels_share,
    "agreement of students of other seeds": other_seeds,
}


def measure(seed, weak, seeds):
    """{alpha: ({rule: score}, accuracy)} of the students of a supervisor."""
    noise = confusion(seed, weak)
    of_weak, label = read(seed, f"weak_{weak}")
    held_out = np.arange(len(label)) % 2 == 0  # ids are a hash of the text
    found = {}
    for alpha, loss in LOSSES.items():
        name = f"{weak}-to-{STRONG}_{loss}"
        p1, control = read(seed, name)[0], read(seed, f"{name}-shuffled")[0]
        others = [read(other, name)[0][held_out] for other in seeds if other != seed]
        seen = [p.clip(1e-6, 1 - 1e-6)[held_out] for p in (p1, control, of_weak)]
        scores = {name: rule(*seen, noise, others) for name, rule in RULES.items()}
        found[alpha] = scores, same(p1, label)[~held_out].mean()
    return found


def chosen(found, rule):
    """(alpha, accuracy) by a rule, or of a fixed alpha, or of the best one: rule "oracle"."""
    if rule in found:
        return rule, found[rule][1]
    def score(alpha):
        scores, accuracy = found[alpha]
        return accuracy if rule == "oracle" else scores[rule]
    best = max(found, key=score)
    return best, found[best][1]


def main():
    seeds = sorted(folder.name for folder in results.glob("seed*"))
    accuracy = {}
    for folder in results.glob("seed0/weak_*"):
        weak = folder.name.removeprefix("weak_")
        accuracy[weak] = np.mean([same(*read(seed, f"weak_{weak}")) for seed in seeds])
    rungs = sorted(accuracy, key=accuracy.get)
    found = {}
    for weak in rungs:
        found[weak] = [measure(seed, weak, seeds) for seed in seeds]

    print(f"{len(seeds)} seeds. Alphas that a rule chose, a seed each, and the mean accuracy.\n")
    print("|  |", " | ".join(f"{weak} ({accuracy[weak]:.3f})" for weak in rungs),
          "| first, third rung | second, fourth |")
    print("|---|" + "---|" * (len(rungs) + 2))
    for rule in [*LOSSES, *RULES, "oracle"]:
        cells, means = [], []
        for weak in rungs:
            alphas, right = zip(*[chosen(of_seed, rule) for of_seed in found[weak]])
            means.append(np.mean(right))
            shown = "" if rule in LOSSES else f"{', '.join(map(str, alphas))}: "
            cells.append(f"{shown}{means[-1]:.3f}")
        halves = [f"{np.mean(means[first::2]):.3f}" for first in (0, 1)]
        name = f"always alpha {rule}" if rule in LOSSES else rule
        print(f"| {name} |", " | ".join([*cells, *halves]), "|")


main()
