"""Several weak supervisors that label together: how they are named, and what each of them says.

Loads torch only where a model is loaded.
"""

import itertools
import os

from w2s import hub, inputs, records
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


def load(model, choices, highest, label_words, batch_size, dtype):
    """A function that gives a supervisor's class probabilities of a file of N rows, (N, K).

    highest  the highest label in the data
    """
    hub.go_offline_if_unreachable(model)
    import torch

    from w2s import classifier

    with hub.fetching(model):
        net, tokenizer = classifier.load(model, head="keep", choices=choices, dtype=dtype)
    classes = choices or net.config.num_labels
    if highest >= classes:
        refuse(f"{model} tells {classes} classes apart, the data has {highest + 1}")
    if label_words and not choices and len(label_words) != classes:
        refuse(f"{model} tells {classes} classes apart, the task has {len(label_words)}")
    order = None if choices else order_of_classes(model, net.config.id2label, label_words)

    def predict(path, count):
        found = []
        rows = records.lines(path, "id", "text|choices")
        bar = classifier.progress(count, "label", " texts")
        while chunk := list(itertools.islice(rows, 1024)):
            texts = inputs.texts(path, chunk)
            found.append(classifier.predict(net, tokenizer, texts, batch_size, what=""))
            bar.update(len(chunk))
        bar.close()
        probs = torch.cat(found)
        return probs[:, order] if order else probs
    return predict


def each(said, place):
    """What each of several supervisors says of one text, [[p0, p1, ...], ...]. said: (N, K) each"""
    lines = [records.with_probs([{}], one[place:place + 1])[0] for one in said]
    return [line["probs"] for line in lines]


def mean(said):
    """The mean of what several supervisors say, (N, K) each."""
    return sum(said) / len(said)


def tested(rows, said):
    """Predictions of several supervisors together, a line a row, and the accuracies of each alone.

    rows  N of a test file
    said  what each says of them, (N, K)
    """
    alone = [records.accuracy(records.with_probs(rows, one, "label")) for one in said]
    together = records.with_probs(rows, mean(said), "id", "label")
    return together, [metrics["accuracy"] for metrics in alone]


def order_of_classes(model, id2label, label_words):
    """Where a model from elsewhere has the task's classes, in the task's order; None where it has
    them in that order, as far as its names tell.

    One line says so, or which class is which where its names are not the task's label words.
    """
    names = [str(id2label[i]).strip() for i in sorted(id2label)]
    found = [name.lower() for name in names]
    wanted = [word.strip().lower() for word in label_words]
    of_ours = names == [f"LABEL_{i}" for i in range(len(names))]  # a model of train_weak.py
    if of_ours or found == wanted:
        return None

    which = f"{model} calls its classes " + ", ".join(map(repr, names))
    if wanted:
        which += ", the task " + ", ".join(map(repr, wanted))
    if sorted(found) == sorted(wanted):
        warn(f"{which}: its probabilities are brought into the task's order")
        return [found.index(word) for word in wanted]
    warn(f"{which}: see that these are the data's classes, in its order")
    return None
