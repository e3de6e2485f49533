"""What the report measures, from predictions alone: accuracy, AUC, PGR, agreement, calibration.

Predictions are (S, n, K): probabilities of K classes, over S seeds and n test examples; the truth
is (n, K), 1 at the right class. A tie is right by half, or evenly among more. Standard errors and
intervals count the choice of test examples and, where there are several seeds, that of seeds.

Needs nothing but numpy: copy this file into a project of your own.

    truth = one_hot(labels, 2)            # labels: (n,) of 0 and 1
    student = np.stack([1 - p1, p1], -1)  # p1: (S, n), of class 1; likewise weak, ceiling
    right = np.stack([same(probs, truth) for probs in (weak, ceiling, student)])  # (3, S, n)
    pgr_interval(right)  # {"pgr": 0.75, "pgr_low": ..., "pgr_high": ...}
    describe(student, truth), agreement(student, weak, truth)
"""

import numpy as np

BINS = 10  # of confidence, from that of a guess, 1/K, to 1


def one_hot(labels, classes):
    """(n,) of 0 to classes - 1 -> (n, classes)"""
    return np.eye(classes)[labels]


def predicted(probs):
    """Share of each class in a prediction, (..., K): all to the likeliest one, evenly where classes
    tie. records.predicted is the same rule.
    """
    likeliest = probs == probs.max(-1, keepdims=True)
    return likeliest / likeliest.sum(-1, keepdims=True)


def same(probs, other):
    """1 where two predictions are of the same class, 0 where not, 0.5 where one of two ties.

    probs, other  (..., K) -> (...); with the truth as the other: whether a prediction is right
    """
    return (predicted(probs) * predicted(other)).sum(-1)


def variances(values):
    """Variance of the mean of (S, n) values, as examples and seeds are two crossed random factors:
    what the choice of examples adds, what that of seeds adds, and their interaction, in both.
    """
    seeds, n = values.shape
    examples = values.mean(0).var() / n
    if seeds == 1:
        return examples, 0.0, 0.0
    of_seeds = values.mean(1).var(ddof=1) / seeds
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    interaction = (rest**2).sum() / (seeds - 1) / max(1, n - 1) / seeds / n
    return examples, of_seeds, interaction


def mean_se(values):
    """Mean of (S, n) values and its standard error, of examples and seeds."""
    examples, of_seeds, interaction = variances(values)
    # both terms contain the interaction: subtract it once
    variance = max(examples + of_seeds - interaction, examples, of_seeds)
    return float(values.mean()), float(variance**0.5)


def share_se(values, where):
    """Mean of the (S, n) values where `where` holds, and its standard error.

    (None, None) where it holds fewer than five times.
    """
    if where.sum() < 5:
        return None, None
    share = values[where].mean()
    return float(share), mean_se((values - share) * where / where.mean())[1]


def describe(probs, truth):
    """Accuracy and AUC with their standard errors, shares of the classes in each seed,
    `calibration`.

    AUC is that of a seed, and their mean; None where there are more than two classes, or where the
    test examples are all of one.
    """
    right = same(probs, truth)
    accuracy, se = mean_se(right)
    shares = predicted(probs).mean(1)  # (S, K)
    found = {"accuracy": accuracy, "accuracy_se": se, "class_shares_seeds": shares.tolist()}
    found["auc"], found["auc_se"] = None, None
    if truth.shape[-1] == 2 and truth.any(0).all():
        found["auc"], found["auc_se"] = mean_se(auc_values(probs[..., 1], truth[:, 1]))
    found |= calibration(probs, truth)
    if len(probs) > 1:
        found["accuracy_seeds"] = right.mean(1).tolist()
        found["accuracy_se_seeds"] = float(right.mean(1).std(ddof=1) / len(probs) ** 0.5)
    return found


def auc_values(p1, label):
    """(S, n) values whose mean over a seed's examples is its AUC, the area under the ROC curve: of
    all pairs of an example of either class, the share in which class 1 has the larger p1. A tie
    counts half. p1: (S, n), of class 1; label: (n,) of 0 and 1

    A value is the AUC plus what the example adds to it, where its own share of pairs is larger or
    smaller. So mean_se gives, for one seed, the standard error of DeLong et al. 1988 (Biometrics
    44, 837-845), but for a factor of m / (m - 1) of the m examples of a class; for more, it counts
    seeds too, as with accuracy.
    """
    is1 = label == 1
    values = np.empty(p1.shape)
    for seed, of_seed in enumerate(p1):
        class1, class0 = of_seed[is1], of_seed[~is1]
        wins1 = share_below(class0, class1)
        wins0 = 1 - share_below(class1, class0)
        auc = wins1.mean()  # that of wins0 is the same
        values[seed, is1] = auc + (wins1 - auc) / is1.mean()
        values[seed, ~is1] = auc + (wins0 - auc) / (1 - is1.mean())
    return values


def share_below(others, values):
    """Share of the others, (m,), that is below each of the values, (n,); equal ones count half."""
    others = np.sort(others)
    below = np.searchsorted(others, values, side="left")
    not_above = np.searchsorted(others, values, side="right")
    return (below + not_above) / 2 / len(others)


def calibration(probs, truth):
    """Confidence in the predicted class, expected calibration error, Brier score, and the
    reliability curve.

    The error is over equal bins of confidence (Guo et al. 2017, arXiv 1706.04599), the Brier score
    of 0 to 1, half of the sum over classes (of two, always saying 0.5 gives 0.25). The curve has a
    row for each bin of five or more.

    The calibration error is that of a seed, and their mean: with all seeds in one bin errors of
    opposite sign would cancel.
    """
    confidence, right = probs.max(-1), same(probs, truth)  # (S, n)
    guess = 1 / probs.shape[-1]
    bin_of = np.clip((confidence - guess) / (1 - guess) * BINS, 0, BINS - 1).astype(int)
    errors, curve = [], []
    for which in range(BINS):
        here = bin_of == which
        errors.append((here * (right - confidence)).mean(1))  # (S,)
        accuracy, se = share_se(right, here)
        if accuracy is not None:
            curve.append({"confidence": float(confidence[here].mean()), "accuracy": accuracy,
                          "accuracy_se": se, "share": float(here.mean())})
    ece = np.abs(np.stack(errors, 1)).sum(1).mean()
    return {"confidence": float(confidence.mean()), "ece": float(ece),
            "brier": float(((probs - truth) ** 2).sum(-1).mean() / 2), "reliability": curve}


def agreement(probs, weak_probs, truth):
    """Share of test examples with the same prediction as the supervisor.

    Overall, where it is right, and where it is wrong; where it ties it is neither.
    """
    agrees, weak_right = same(probs, weak_probs), same(weak_probs, truth)  # (S, n)
    parts = {"agreement": np.ones_like(agrees, bool),
             "agreement_weak_right": weak_right == 1,
             "agreement_weak_wrong": weak_right == 0}
    found = {}
    for name, where in parts.items():
        found[name], found[f"{name}_se"] = share_se(agrees, where)
    return found


def disagreement(probs, weak_probs, truth, parts=5):
    """How often the student is right where it differs from its supervisor, by their confidence.

    right_if_surer, right_if_less_sure: its share right where it is the more, or the less confident
    of the two; by_confidence: the same over `parts` equally full bins of student's minus
    supervisor's confidence. Where one of them ties they do not differ.
    """
    differs = same(probs, weak_probs) == 0  # (S, n)
    surer = probs.max(-1) - weak_probs.max(-1)
    right = same(probs, truth)
    found = {"by_confidence": []}
    for name, where in (("right_if_surer", surer > 0), ("right_if_less_sure", surer <= 0)):
        found[name], found[f"{name}_se"] = share_se(right, differs & where)
    if differs.sum() < 5 * parts:
        return found

    edges = np.quantile(surer[differs], np.linspace(0, 1, parts + 1)[1:-1])
    part_of = np.searchsorted(edges, surer)
    for part in range(parts):
        where = differs & (part_of == part)
        share, se = share_se(right, where)
        if share is not None:
            surer_by = float(surer[where].mean())
            found["by_confidence"].append({"surer_by": surer_by, "right": share, "right_se": se})
    return found


def pgr(weak, ceiling, student):
    """Performance gap recovered, of three accuracies. Burns et al. 2023, arXiv 2312.09390."""
    return (student - weak) / (ceiling - weak)


def pgr_interval(right):
    """{"pgr", "pgr_low", "pgr_high"}: PGR of the mean accuracies, and its 95% interval.

    right  (3, S, n): by how much weak supervisor, ceiling and student are right, over S seeds

    All None where the ceiling is not clearly above the weak supervisor: where the 95% interval of
    the gap, of the same kind, includes 0.

    Delta method (Casella & Berger 2002, section 5.5.4): the error of PGR is that of
    gain - PGR * gap, divided by gap. In demo/intervals.py it covers the truth in 95% of the trials
    or more with three to ten seeds, and with two in 90%, where training varies much; a bootstrap in
    77% at the least, and it is the longer one where training hardly varies. Of one seed it knows
    nothing but the choice of test examples.
    """
    weak, ceiling, student = right
    accuracies = right.mean((1, 2))
    gap = accuracies[1] - accuracies[0]
    if gap <= half_width(ceiling, -weak):
        return {"pgr": None, "pgr_low": None, "pgr_high": None}

    found = pgr(*accuracies)
    half = half_width(student, -(1 - found) * weak, -found * ceiling) / gap
    return {"pgr": float(found), "pgr_low": float(found - half), "pgr_high": float(found + half)}


def half_width(*models):
    """Half of the 95% interval of the mean over S seeds and n examples of the sum of (S, n) values.

    models  (S, n) each, of models that were trained apart

    Trained apart, their variances over seeds add up, and t has the degrees of freedom of such a sum
    (Satterthwaite 1946): two seeds tell three variances less badly than one. That a student may be
    the better, the better its supervisor, is left out, since two or three seeds cannot tell that
    from chance; where it is so and PGR is below 1, the interval is longer than it need be.
    """
    seeds, n = models[0].shape
    examples, _, interaction = variances(sum(models))
    of_seeds = np.array([variances(model)[1] for model in models])
    variance = examples + max(0, of_seeds.sum() - interaction)
    if variance == 0:
        return 0.0

    spread = examples**2 / max(1, n - 1) + (of_seeds**2).sum() / max(1, seeds - 1)
    return t_quantile(variance**2 / spread) * variance**0.5


def t_quantile(freedom):
    """The 97.5% quantile of Student's t, from 1 degree of freedom; below 2 up to 3% too large."""
    known = [np.inf, 10, 5, 3, 2, 1]
    quantile = [1.960, 2.228, 2.571, 3.182, 4.303, 12.706]
    # its logarithm is nearly straight in 1 / freedom
    return float(np.exp(np.interp(1 / freedom, 1 / np.array(known), np.log(quantile))))
