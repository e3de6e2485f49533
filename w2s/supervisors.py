"""Several weak supervisors that label together: how they are named, and what each of them says.

Loads torch only where a model is loaded.
"""

import itertools
import os

from w2s import hub, records
from w2s.records import refuse, warn


def paths(models):
    """"A,B,C" -> the models that it names; the whole where that is a folder, for a folder's own
    name may hold commas: conf:alpha=0.75,warmup=0.1/model."""
    models = str(models)
    found = models.split(",")
    if os.path.isdir(models) or len(found) == 1:
        return [models]
    if "" in found:
        refuse(f"--model={models}: between two commas there is no model")
    return found


def as_inputs(models):
    """{"model1": the first, ...} for stage.start; of a single one {"model": it}."""
    if len(models) == 1:
        return {"model": models[0]}
    return {f"model{number}": model for number, model in enumerate(models, 1)}


def load(model, choices, label_words, batch_size, dtype):
    """A function that gives a supervisor's class probabilities of a file of N rows, (N, 2)."""
    hub.go_offline_if_unreachable(model)
    import torch

    from w2s import classifier

    with hub.fetching(model):
        net, tokenizer = classifier.load(model, head="keep", choices=choices, dtype=dtype)
    turned = not choices and the_other_way_round(model, net.config.id2label, label_words)

    def predict(path, count):
        found = []
        rows = records.lines(path, "id", "text|choices")
        bar = classifier.progress(count, "label", " texts")
        while chunk := list(itertools.islice(rows, 1024)):
            texts = records.texts(path, chunk)
            found.append(classifier.predict(net, tokenizer, texts, batch_size, what=""))
            bar.update(len(chunk))
        bar.close()
        probs = torch.cat(found)
        return probs.flip(1) if turned else probs
    return predict


def mean(said):
    """The mean of what several supervisors say, (N, 2) each."""
    return sum(said) / len(said)


def tested(rows, said):
    """Predictions of several supervisors together, a line a row, and the accuracies of each alone.

    rows  N of a test file
    said  what each says of them, (N, 2)
    """
    alone = [records.accuracy(records.with_probs(rows, one, "label")) for one in said]
    together = records.with_probs(rows, mean(said), "id", "label")
    return together, [metrics["accuracy"] for metrics in alone]


def the_other_way_round(model, id2label, label_words):
    """Whether a model from elsewhere has the task's classes in the other order.

    One line says so, or which class is which where its names are not the task's label words.
    """
    names = [str(id2label.get(i, "")).strip() for i in range(2)]
    found = [name.lower() for name in names]
    wanted = [word.strip().lower() for word in label_words]
    of_ours = names == ["LABEL_0", "LABEL_1"]  # a model of train_weak.py
    if of_ours or found == wanted:
        return False

    which = f"{model} calls class 0 {names[0]!r} and class 1 {names[1]!r}"
    if wanted:
        which += f", the task {wanted[0]!r} and {wanted[1]!r}"
    if wanted and found == wanted[::-1]:
        warn(f"{which}: its probabilities are turned round to the task's order")
        return True
    warn(f"{which}: see that these are the data's classes, in its order")
    return False
