"""What the report measures, from predictions alone: accuracy, PGR, agreement, calibration. Needs nothing but numpy.

Predictions are p1, (S, n): the probability of class 1, over S seeds and n test examples; labels are (n,) of 0 and 1. Standard
errors count the choice of test examples and, where there are several seeds, that of seeds. Copy this file into a project of your own:

    weak, ceiling, student = map(np.atleast_2d, (weak, ceiling, student))    # one seed's p1 may be (n,)
    recovered(np.stack([same(p, label) for p in (weak, ceiling, student)]))    # {"pgr": 0.75, "pgr_low": ..., "pgr_high": ...}
    describe(student, label), agreement(student, weak, label)
"""

import numpy as np

BINS = 10  # of confidence, from 0.5 to 1


def predicted(p1):
    """Share of each class in a prediction: all to the likelier one, evenly where classes tie.

    p1  (...) -> (..., 2); a label of 0 or 1 is a p1 too. records.predicted is the same rule.
    """
    probs = np.stack([1 - np.asarray(p1), p1], -1)
    likeliest = probs == probs.max(-1, keepdims=True)
    return likeliest / likeliest.sum(-1, keepdims=True)


def same(p1, other):
    """1 where two predictions are of the same class, 0 where not, 0.5 where one of them ties.

    p1, other  (...) -> (...); with the label as the other it says whether a prediction is right
    """
    return (predicted(p1) * predicted(other)).sum(-1)


def mean_se(values):
    """Mean of (S, n) values and its standard error, of examples and seeds as two crossed random factors."""
    seeds, n = values.shape
    variance = values.mean(0).var() / n
    if seeds > 1:
        of_seeds = values.mean(1).var(ddof=1) / seeds
        rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()  # what neither explains: in both terms, so once too often
        rest = (rest**2).sum() / (seeds - 1) / max(1, n - 1) / seeds / n
        variance = max(variance + of_seeds - rest, variance, of_seeds)
    return float(values.mean()), float(variance**0.5)


def share_se(values, where):
    """Mean of the (S, n) values where `where` holds, and its standard error; (None, None) where that is fewer than five times."""
    if where.sum() < 5:
        return None, None
    share = values[where].mean()
    return float(share), mean_se((values - share) * where / where.mean())[1]


def describe(p1, label):
    """Accuracy with its standard error, share of class 1 in each seed, confidence, calibration error and Brier score."""
    right = same(p1, label)
    accuracy, se = mean_se(right)
    class1 = predicted(p1)[..., 1].mean(1)
    found = {"accuracy": accuracy, "accuracy_se": se, "class1_seeds": class1.tolist()}
    found |= calibration(p1, label)
    if len(p1) > 1:
        found["accuracy_seeds"] = right.mean(1).tolist()
        found["accuracy_se_seeds"] = float(right.mean(1).std(ddof=1) / len(p1) ** 0.5)
    return found


def calibration(p1, label):
    """Expected calibration error over equal bins of confidence (Guo et al. 2017, arXiv 1706.04599), Brier score (of 0 to 1; always
    saying 0.5 gives 0.25), and the reliability curve, a row for each bin that holds five examples or more.

    The calibration error is that of a seed, and their mean: with all seeds in one bin errors of opposite sign would cancel.
    """
    confidence, right = np.maximum(p1, 1 - p1), same(p1, label)  # (S, n)
    which = np.minimum((confidence - 0.5) * 2 * BINS, BINS - 1).astype(int)
    cells = (which[:, None] == np.arange(BINS)[:, None]) * (right - confidence)[:, None]  # (S, BINS, n)
    curve = []
    for here in (which == b for b in range(BINS)):
        accuracy, se = share_se(right, here)
        if accuracy is not None:
            curve.append({"confidence": float(confidence[here].mean()), "accuracy": accuracy, "accuracy_se": se, "share": float(here.mean())})
    return {"confidence": float(confidence.mean()), "ece": float(np.abs(cells.mean(2)).sum(1).mean()),
            "brier": float(((p1 - label) ** 2).mean()), "reliability": curve}


def agreement(p1, weak_p1, label):
    """Share of test examples with the same prediction as the supervisor: overall, where it is right,
    where it is wrong. Where it ties it is neither.
    """
    agrees, weak_right = same(p1, weak_p1), same(weak_p1, label)  # (S, n)
    parts = {"agreement": np.ones_like(agrees, bool),
             "agreement_weak_right": weak_right == 1,
             "agreement_weak_wrong": weak_right == 0}
    found = {}
    for name, where in parts.items():
        found[name], found[f"{name}_se"] = share_se(agrees, where)
    return found


def disagreement(p1, weak_p1, label, parts=5):
    """Where student and supervisor differ: how often the student is right, by how much more confident it is than the supervisor.

    right_if_surer, right_if_less_sure: its share right where it is the more, or the less confident of the two; `by_confidence`: the
    same over `parts` equally full bins of student's minus supervisor's confidence. Where one ties the two do not differ.
    """
    differs = same(p1, weak_p1) == 0  # (S, n)
    surer = np.maximum(p1, 1 - p1) - np.maximum(weak_p1, 1 - weak_p1)
    right = same(p1, label)
    found = {"by_confidence": []}
    for name, where in (("right_if_surer", surer > 0), ("right_if_less_sure", surer <= 0)):
        found[name], found[f"{name}_se"] = share_se(right, differs & where)
    if differs.sum() >= 5 * parts:
        which = np.searchsorted(np.quantile(surer[differs], np.linspace(0, 1, parts + 1)[1:-1]), surer)
        for where in (differs & (which == part) for part in range(parts)):
            share, se = share_se(right, where)
            if share is not None:
                found["by_confidence"].append({"surer_by": float(surer[where].mean()), "right": share, "right_se": se})
    return found


def recovered(right, resamples=10_000, seed=0):
    """{"pgr", "pgr_low", "pgr_high"}, the 95% interval; None where the ceiling is not clearly above the floor, or an end is infinite.

    right  (3, S, n) bool: whether weak supervisor, ceiling and student are right, over S seeds and n test examples

    Accuracies are means over the seeds. The interval is a paired bootstrap: test examples are resampled for all models and
    seeds together, and so are the seeds. Examples that are right and wrong in the same places are counted, not listed: the
    same distribution, in a fraction of the time.
    """
    rng = np.random.default_rng(seed)
    _, seeds, n = right.shape
    patterns, counts = np.unique(right.reshape(3 * seeds, n).T, axis=0, return_counts=True)  # (K, 3S), (K,)
    drawn = rng.multinomial(n, counts / n, resamples) @ patterns / n  # (R, 3S) accuracies
    weight = rng.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds  # (R, S)
    if seeds > 1:  # a resample of S seeds varies by (S-1)/S of what it should
        weight = 1 / seeds + (weight - 1 / seeds) * (seeds / (seeds - 1)) ** 0.5
    weak, ceiling, student = (drawn.reshape(resamples, 3, seeds) * weight[:, None]).sum(2).T  # (R,) each
    gain, gap = student - weak, ceiling - weak
    if np.quantile(gap, 0.025) <= 0:
        return {"pgr": None, "pgr_low": None, "pgr_high": None}
    # The few resamples with no gap at all count as the worst or the best, by the sign of the gain.
    ratio = np.where(gap > 0, gain / np.where(gap > 0, gap, 1), np.copysign(np.inf, gain))
    low, high = (float(end) if np.isfinite(end) else None for end in np.quantile(ratio, [0.025, 0.975], method="nearest"))
    weak, ceiling, student = right.mean((1, 2))
    return {"pgr": float((student - weak) / (ceiling - weak)), "pgr_low": low, "pgr_high": high}
