"""How far a supervisor's hidden state lets one trust its label (trust functions, arXiv 2606.01000).

A logistic regression on what the supervisor's head reads predicts where it is right. It is fitted
on examples with ground truth that this supervisor was not trained on: those of the other parts,
where each was trained on a part of its own (train_weak.py --part=1/3). Ground truth of the texts
that are labelled is never read.
"""

from pathlib import Path

import torch

from w2s import hub, inputs, parts, probe, records, stage

L2 = 0.1  # times half the squared weights, beside the mean log loss; features have variance 1


def of_labels(path, rows, models, train):
    """How likely each of N labels is right: the mean over the supervisors -> [0 to 1], N of them.

    path    the file of the rows, for messages
    models  folders of the supervisors that gave the labels
    train   the file of which each was trained on a part
    """
    train_rows = records.read_jsonl(train, "id", "text|choices", "label")
    texts = inputs.texts(path, rows)
    inputs.one_form(train, {inputs.form(row) for row in [*rows, *train_rows]})
    others = [rows_of_others(model, train, train_rows) for model in models]

    classes = len(rows[0]["probs"])
    labelled = torch.tensor([records.likeliest(row["probs"]) for row in rows])
    total = torch.zeros(len(rows))
    for model, known in zip(models, others):
        p_right, says = of_supervisor(model, known, texts)
        # where it says another class, the label may be right where it is wrong
        total += torch.where(says == labelled, p_right, (1 - p_right) / (classes - 1))
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
    """How likely a supervisor is right on each of N texts, (N,), and which class it says, (N,).

    known  rows with ground truth that it has not learned
    """
    known_texts = [row.get("choices") or row["text"] for row in known]
    label = torch.tensor([row["label"] for row in known])
    with hub.fetching(model):
        head, backbone = probe.load(model, head="keep", choices=isinstance(texts[0], list))

    def read(texts):
        probs = probe.predict(head, backbone, texts)  # (N, K)
        says = torch.nn.functional.one_hot(probs.argmax(1), probs.shape[1])
        return probe.features(backbone, texts).cpu().double(), says

    features, says = read(known_texts)
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    right = says.argmax(1) == label
    weights = fit(regressors((features - mean) / deviation, says), right)
    features, says = read(texts)
    logits = regressors((features - mean) / deviation, says) @ weights
    return logits.sigmoid().float(), says.argmax(1)


def regressors(features, says):
    """(N, H) features and what the supervisor says, one-hot (N, K) -> (N, K (H + 1)).

    A supervisor is right where its features speak for the class that it says: so they count times
    1 where it says a class, and -1 where not, too, for each class but the first. The last column is
    constant.
    """
    sides = 2 * says[:, 1:].double() - 1  # (N, K - 1)
    by_side = [side[:, None] * features for side in sides.T]
    return torch.cat([features, *by_side, sides, torch.ones_like(sides[:, :1])], 1)


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
