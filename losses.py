"""Every loss a student can be trained with. Edit one here, or add one, and rerun: its students are
trained again, and those of every loss that calls what you edited.

A loss is a plain function over the whole batch; it may mix the examples of the batch as it likes:

    loss(logits, weak_probs, step_frac, **its own parameters) -> scalar
        logits      (B, K) float32    the student's, with gradient
        weak_probs  (B, K) float32    the supervisor's soft labels; rows sum to 1
        step_frac   float in [0, 1]   how far training has come, for warm-ups

    python train_strong.py ... --loss=conf
    python train_strong.py ... --loss=conf:alpha=0.75,warmup=0.1

This file needs nothing but torch: copy it into a project of your own.

In the comments and docstrings p is the student's prediction, q the supervisor's.
"""

import torch


def cross_entropy(logits, target):
    """CE(p, target) = -sum target log p, mean over the batch. logits, target: (B, K) -> scalar."""
    return -(target * logits.log_softmax(1)).sum(1).mean()


def xent(logits, weak_probs, step_frac):
    """Plain finetuning on the soft labels: CE(p, q). Burns et al. 2023, arXiv 2312.09390."""
    return cross_entropy(logits, weak_probs)


def harden(logits, weak_probs):
    """The student's own predictions as hard targets. (B, K), (B, K) -> (B, K), without gradient.

    The threshold adapts to the batch: each class gets the share of the batch that the supervisor
    gives it on average. For balanced data of two classes that is half of the batch.

    Examples that tie at the threshold share what is left of class 1 between them. So ties never
    push a whole batch into one class, and the order of the batch plays no part.

    Burns et al. 2023 have two classes. Of more, others take the likeliest one (openai's script for
    images, RAVEN); here that drove a student into a single class (RESULTS.md).
    """
    if logits.shape[1] > 2:
        return harden_many(logits, weak_probs)

    # A margin does not saturate into ties at 1.0, as the probability of class 1 would.
    margin = (logits[:, 1] - logits[:, 0]).detach()  # (B,)

    # So many examples go to class 1, those of the largest margins.
    count = (weak_probs[:, 1].mean() * len(margin)).round()
    last = count.long().clamp(min=1) - 1
    threshold = margin.sort(descending=True).values[last]

    above = (margin > threshold).float()  # (B,)
    tied = (margin == threshold).float()  # (B,)
    class1 = above + tied * (count - above.sum()) / tied.sum()
    return torch.stack([1 - class1, class1], 1)


def harden_many(logits, weak_probs):
    """`harden` of any number of classes: to the logits of each class an offset is added, such that
    the classes get their shares, to half an example; then a softmax of a low temperature. Most
    targets are nearly 0 or 1; an example between classes is shared, the more often the more there
    are.

    Each round moves the offsets by what the shares still lack (Sinkhorn's iteration).
    """
    temperature, rounds = 0.02, 200
    varied = (logits - logits.mean(0)).detach()  # (B, K)
    scores = varied / (temperature * varied.std().clamp(min=1e-6))
    shares = weak_probs.mean(0).clamp(min=1e-6)  # (K,)
    for _ in range(rounds):
        scores = scores + (shares / scores.softmax(1).mean(0)).log()
    return scores.softmax(1)


def conf(logits, weak_probs, step_frac, alpha=0.5, warmup=0.2):
    """Auxiliary confidence loss: the student is also trained towards its own hardened predictions.

    CE(p, (1-a) q + a h), where h is `harden` and a rises linearly from 0 to alpha over the first
    `warmup` of training.

    Burns et al. 2023, section 4.3 and appendix. It matches the supervisor's class prior, as
    openai/weak-to-strong does.
    """
    a = alpha * min(1.0, step_frac / warmup) if warmup else alpha
    return cross_entropy(logits, (1 - a) * weak_probs + a * harden(logits, weak_probs))


def bootstrap(logits, weak_probs, step_frac, beta=None, hard=False):
    """Labels mixed with the student's own predictions. Reed et al. 2014, arXiv 1412.6596.

    soft (eq. 6): CE(p, beta q + (1-beta) p), gradient through both p; beta 0.95
    hard (eq. 7): CE(p, beta q + (1-beta) onehot(argmax p)), target fixed; beta 0.8
    """
    if hard:
        beta = 0.8 if beta is None else beta
        own = torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float()  # (B, K)
    else:
        beta = 0.95 if beta is None else beta
        own = logits.softmax(1)  # (B, K)
    return cross_entropy(logits, beta * weak_probs + (1 - beta) * own)


def product(logits, weak_probs, step_frac, alpha=1.0, beta=1.0):
    """CE(p, target), where the target multiplies both opinions: p^beta q^alpha, to sum 1.

    No gradient through the target. openai/weak-to-strong.
    """
    log_q = weak_probs.clamp(min=1e-8).log()  # (B, K)
    target = (beta * logits.log_softmax(1) + alpha * log_q).softmax(1).detach()  # (B, K)
    return cross_entropy(logits, target)


def reverse_ce(logits, weak_probs, step_frac):
    """CE(q, p): the student avoids what the supervisor thinks unlikely.

    Xu et al. 2025, arXiv 2505.24313.
    """
    log_q = weak_probs.clamp(min=1e-8).log()  # (B, K)
    return -(logits.softmax(1) * log_q).sum(1).mean()


def reverse_kl(logits, weak_probs, step_frac):
    """KL(p, q): as reverse_ce, and the student stays unsure where it may.

    Yao et al. 2025, arXiv 2502.11107.
    """
    log_p = logits.log_softmax(1)  # (B, K)
    log_q = weak_probs.clamp(min=1e-8).log()  # (B, K)
    return (logits.softmax(1) * (log_p - log_q)).sum(1).mean()


def adaptconf(logits, weak_probs, step_frac, T=0.5):
    """(1-b) KL(q, p) + b CE(p, own class): b weighs own class against supervisor's, each example.

    b = u / (u + v), no gradient, where u = exp(CE(p, argmax p) / T), v = exp(CE(p, argmax q) / T).
    Guo et al. 2024, arXiv 2402.03749.
    """
    log_p = logits.log_softmax(1)  # (B, K)

    # CE(p, argmax p) and CE(p, argmax q)
    own = -log_p.gather(1, logits.argmax(1, keepdim=True)).squeeze(1)  # (B,)
    weak = -log_p.gather(1, weak_probs.argmax(1, keepdim=True)).squeeze(1)  # (B,)
    b = (own / T - weak / T).sigmoid().detach()  # u / (u + v)

    q_log_q = torch.special.xlogy(weak_probs, weak_probs)  # (B, K), 0 where q is 0
    divergence = (q_log_q - weak_probs * log_p).sum(1)  # KL(q, p), (B,)
    return ((1 - b) * divergence + b * own).mean()


def entropy(logits, weak_probs, step_frac, alpha=0.5, warmup=0.2):
    """`conf` towards the student's own soft predictions: CE(p, (1-a) q + a p). EleutherAI/w2s.

    No gradient through the target.
    """
    a = alpha * min(1.0, step_frac / warmup) if warmup else alpha
    own = logits.softmax(1).detach()  # (B, K)
    return cross_entropy(logits, (1 - a) * weak_probs + a * own)


def window(logits, weak_probs, step_frac, r=None):
    """CE(p, q) of those examples alone of which the student is unsure, max p < 1/K + r.

    Their sum is divided by the whole batch. Without r it is the batch's median of max q - 1/K, as
    EleutherAI/w2s publishes it ("midweak"; there the median of all labels).
    """
    limit = weak_probs.amax(1).median() if r is None else 1 / logits.shape[1] + r
    unsure = logits.softmax(1).amax(1) < limit  # (B,)
    log_likelihood = (weak_probs * logits.log_softmax(1)).sum(1)  # (B,)
    return -(log_likelihood * unsure).mean()


def cace(logits, weak_probs, step_frac, c=0.1):
    """CE(p, q) where the supervisor is sure, max q >= 1/K + c; elsewhere reverse_ce.

    Xu et al. 2026 (ICML; arXiv 2505.24313), by their code; c is the one that its README runs.
    """
    log_q = weak_probs.clamp(min=1e-8).log()  # (B, K)
    forward = -(weak_probs * logits.log_softmax(1)).sum(1)  # CE(p, q), (B,)
    reverse = -(logits.softmax(1) * log_q).sum(1)  # CE(q, p), (B,)

    # The larger q, and not |q1 - 1/2|: in float32 .6 - .5 is above .1 and .5 - .4 is below it.
    sure = weak_probs.amax(1) >= 1 / logits.shape[1] + c  # (B,)
    return torch.where(sure, forward, reverse).mean()


def symmetric(logits, weak_probs, step_frac, weight=0.1):
    """CE(p, q) + weight CE(q, p), the sum of xent and reverse_ce.

    Xu et al. 2026 (ICML; arXiv 2505.24313), "SL" in their code; weight is the one it runs.
    """
    reverse = reverse_ce(logits, weak_probs, step_frac)
    return cross_entropy(logits, weak_probs) + weight * reverse


# This dict is read without being run, so it must stay a plain one. Add your loss inside the braces.
# What a loss takes from another file is not noticed when it changes.
LOSSES = {
    "xent": xent,
    "conf": conf,
    "bootstrap": bootstrap,
    "product": product,
    "reverse_ce": reverse_ce,
    "reverse_kl": reverse_kl,
    "adaptconf": adaptconf,
    "entropy": entropy,
    "window": window,
    "cace": cace,
    "symmetric": symmetric,
}
