"""How far a supervisor's hidden state lets one trust its label (trust functions, arXiv 2606.01000).

A logistic regression on what the supervisor's head reads predicts where it is right. It is fitted
on examples with ground truth that this supervisor was not trained on: those of the other parts,
where each was trained on a part of its own (train_weak.py --part=1/3). Ground truth of the texts
that are labelled is never read.
"""

from pathlib import Path

import torch

from w2s import hub, parts, probe, records, stage

L2 = 0.1  # times half the squared weights, beside the mean log loss; features have variance 1


def of_labels(path, rows, models, train):
    """How likely each of N labels is right: the mean over the supervisors -> [0 to 1], N of them.

    path    the file of the rows, for messages
    models  folders of the supervisors that gave the labels
    train   the file of which each was trained on a part
    """
    train_rows = records.read_jsonl(train, "id", "text|choices", "label")
    texts = records.texts(path, rows)
    records.texts(train, train_rows, like=texts)
    others = [rows_of_others(model, train, train_rows) for model in models]

    class1 = torch.tensor([row["probs"][1] > row["probs"][0] for row in rows])
    total = torch.zeros(len(rows))
    for model, known in zip(models, others):
        p_right, says_1 = of_supervisor(model, known, texts)
        # where it is on the other side, the label is right where it is wrong
        total += torch.where(says_1 == class1, p_right, 1 - p_right)
    return (total / len(models)).tolist()


def rows_of_others(model, train, train_rows):
    """The rows of a training file that a supervisor has not learned."""
    run = stage.read_run(Path(model).parent)
    part = run.get("args", {}).get("part")
    if not part:
        stage.refuse(f"--by=trust: {model} was not trained on a part of the examples, so there are "
                     "none to judge it by; train_weak.py --part=1/3 does (run_all.sh: PARTS=1)")
    learned_from = run.get("inputs", {}).get("train", {}).get("sha256")
    if learned_from != stage.fingerprint(train)["sha256"]:
        stage.refuse(f"--by=trust: {model} was trained on another file than {train}")

    own = {row["id"] for row in parts.rows_of_part(train, train_rows, part)}
    others = [row for row in train_rows if row["id"] not in own]
    if not others:
        stage.refuse(f"--by=trust: {model} was trained on all of {train}")
    return others


def of_supervisor(model, known, texts):
    """How likely a supervisor is right on each of N texts, (N,), and whether it says class 1, (N,).

    known  rows with ground truth that it has not learned
    """
    known_texts = [row.get("choices") or row["text"] for row in known]
    label = torch.tensor([row["label"] for row in known])
    with hub.fetching(model):
        head, backbone = probe.load(model, head="keep", choices=isinstance(texts[0], list))

    def read(texts):
        says_1 = probe.predict(head, backbone, texts)[:, 1] > 0.5
        return probe.features(backbone, texts).cpu().double(), says_1

    features, says_1 = read(known_texts)
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    weights = fit(regressors((features - mean) / deviation, says_1), says_1 == (label == 1))
    features, says_1 = read(texts)
    logits = regressors((features - mean) / deviation, says_1) @ weights
    return logits.sigmoid().float(), says_1


def regressors(features, says_1):
    """(N, H) features and the side that the supervisor takes -> (N, 2H + 2) of the regression.

    A supervisor is right where its features speak for the side that it takes: so they count times
    that side, 1 or -1, too. The last column is constant.
    """
    side = 2 * says_1.double()[:, None] - 1
    return torch.cat([features, side * features, side, torch.ones_like(side)], 1)


def fit(regressors, right):
    """Weights, (D,), of a logistic regression of (N,) bool on (N, D) float64.

    The last one, of the constant, has no penalty.
    """
    weights = torch.zeros(regressors.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, tolerance_change=1e-12,
                                  line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        log_loss = torch.nn.functional.binary_cross_entropy_with_logits(
            regressors @ weights, right.double())
        loss = log_loss + L2 / 2 * (weights[:-1] ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach()
