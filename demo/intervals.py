"""The 95% interval for PGR beside a bootstrap: how often each covers the truth, how long it is.

    python demo/intervals.py           # 300 trials a row: six minutes
    python demo/intervals.py 100 0.9   # trials; how closely students follow their supervisor

Examples differ in difficulty: for all models, for weak and for strong ones. A training has a skill
of its own and errs on examples of its own; a student takes over a part of both from its supervisor.
A cell holds coverage, median length, and in how many % of the trials there is an interval at all:
there is none where the interval of the gap, of the same kind, includes 0.
"""

import itertools
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np

from w2s import metrics

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
LINK = float(sys.argv[2]) if len(sys.argv) > 2 else 0.5
EXAMPLES, RESAMPLES = 1000, 400
ACCURACIES = [(0.79, 0.891, 0.866), (0.80, 0.84, 0.82), (0.68, 0.896, 0.65)]
TRAINING_SD = [0, 0.014, 0.034, 0.056]  # of the weak model's accuracy, from training to training
SEEDS = [1, 2, 3, 5, 10]
NORMAL = statistics.NormalDist()
NAMES = ["bootstrap", "pgr_interval"]


def draw(rng, accuracies, sd, seeds):
    """(3, S, n): whether weak supervisor, ceiling and student are right."""
    skill_sd = sd / NORMAL.pdf(NORMAL.inv_cdf(accuracies[0]))
    skill = np.array([NORMAL.inv_cdf(accuracy) for accuracy in accuracies])[:, None, None]
    skill = skill * (1 + skill_sd**2) ** 0.5
    training, noise = rng.normal(size=(3, seeds, 1)), rng.normal(size=(3, seeds, EXAMPLES))
    training[2] = LINK * training[0] + (1 - LINK**2) ** 0.5 * training[2]
    noise[2] = 0.5 * noise[0] + 0.75**0.5 * noise[2]
    shared, weak, strong = rng.normal(size=(3, EXAMPLES))
    kind = np.stack([weak, strong, strong])[:, None]
    difficulty = 0.4**0.5 * shared + 0.2**0.5 * kind + 0.4**0.5 * noise
    return (skill + skill_sd * training > difficulty).astype(float)


def bootstrap(rng, right):
    """(low, high): examples are resampled for all models and seeds together, and so are seeds."""
    _, seeds, n = right.shape
    patterns, counts = np.unique(right.reshape(3 * seeds, n).T, axis=0, return_counts=True)
    drawn = rng.multinomial(n, counts / n, RESAMPLES) @ patterns / n
    weight = rng.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    if seeds > 1:  # resampled seeds vary by (S - 1) / S of what they should
        weight = 1 / seeds + (weight - 1 / seeds) * (seeds / (seeds - 1)) ** 0.5
    weak, ceiling, student = (drawn.reshape(RESAMPLES, 3, seeds) * weight[:, None]).sum(2).T
    if np.quantile(ceiling - weak, 0.025) <= 0:
        return None
    ratio = np.copysign(np.inf, student - weak)
    clear = ceiling > weak
    ratio[clear] = metrics.pgr(weak[clear], ceiling[clear], student[clear])
    return np.quantile(ratio, [0.025, 0.975], method="nearest")


def candidates(rng, right):
    """{name: (low, high), or None where the gap is not clear}"""
    ours = metrics.pgr_interval(right)
    return {"bootstrap": bootstrap(rng, right),
            "pgr_interval": None if ours["pgr"] is None else (ours["pgr_low"], ours["pgr_high"])}


def cell(intervals, truth):
    """0.950  1.23   98"""
    given = np.array([interval for interval in intervals if interval is not None])
    if len(given) == 0:
        return "    -     -    0"
    covered = np.mean((given[:, 0] <= truth) & (truth <= given[:, 1]))
    length = np.median(given[:, 1] - given[:, 0])
    return f"{covered:.3f} {length:5.2f} {100 * len(given) / len(intervals):4.0f}"


rng = np.random.default_rng(0)
print("| accuracies, sd, seeds       |", " | ".join(f"{name:16}" for name in NAMES), "|")
print("|---" * (1 + len(NAMES)) + "|")
for accuracies, sd, seeds in itertools.product(ACCURACIES, TRAINING_SD, SEEDS):
    trials = [candidates(rng, draw(rng, accuracies, sd, seeds)) for _ in range(TRIALS)]
    row = f"{' '.join(map(str, accuracies))}, {sd}, {seeds}"
    cells = [f"{row:27}"]
    for name in NAMES:
        intervals = [trial[name] for trial in trials]
        cells.append(cell(intervals, truth=metrics.pgr(*accuracies)))
    print("|", " | ".join(cells), "|", flush=True)
