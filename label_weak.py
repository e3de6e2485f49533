"""The weak supervisor and transfer.jsonl -> labels.jsonl: soft labels, and no ground truth.

    python label_weak.py --model=results/sciq/seed0/weak_gpt2/model \\
        --data=data/sciq/transfer.jsonl --out=results/sciq/seed0/labels_gpt2

Each line is {"id", "text", "probs": [p0, p1, ...]}; a person may write such a file as well.

Several supervisors, --model=A,B,C, give the mean of their probabilities (equal weights: RAVEN,
arXiv 2510.21332), and each line also holds what each said, "supervisors": [[p0, p1], [p0, p1]].
With --test their common test accuracy, the floor of the gap, is written too: predictions.jsonl, and
that of each alone in run.json. --test2 does the same for a second file: predictions2.jsonl.

With --truth=0.1 a tenth of the texts, drawn by a hash of the id, the same whoever labels, has its
true label, [0.0, 1.0] say, in place of the soft one.

One model is in memory at a time.
"""

import itertools
from pathlib import Path

from w2s import inputs, records, second_test, source, stage, supervisors


def main(
    model,            # the weak supervisor: the model/ folder that train_weak.py wrote; or several,
                      # separated by commas
    data,             # texts to label
    out,              # folder to write
    batch_size=32,    # examples at a time
    test="",          # data file on which they are tested together
    test2="",         # a second one, of another distribution
    truth=0.0,        # share of the texts that get their true label; the data must hold it
    dtype="float32",  # precision of the weights; bf16: half the memory
):
    beside = Path(data).parent / "task.json"
    task = str(beside) if beside.is_file() else ""
    models = supervisors.paths(model)
    named = supervisors.as_inputs(models)
    arguments = {"data": data, "out": out, "batch_size": batch_size, "test": test, "test2": test2,
                 "task": task, "truth": truth, "dtype": dtype, "supervisors": len(models), **named}
    code = [__file__, "w2s/supervisors.py", "w2s/second_test.py", *source.MODEL]
    run = stage.start(arguments, [*named, "data", "test", "test2", "task"], code)
    if not run:
        return

    if not 0 <= truth <= 1:
        stage.refuse(f"--truth={truth}: a share from 0 to 1 is needed")
    needed = ["id", "text|choices", "label"] if truth else ["id", "text|choices"]
    count, forms, highest = 0, set(), 0
    true_labels = {}  # {place: label} of the texts that are drawn
    for place, row in enumerate(records.lines(data, *needed)):
        count += 1
        forms.add(inputs.form(row))
        if is_drawn(row["id"], truth):
            true_labels[place] = row["label"]
        highest = max(highest, row["label"] if truth else 0)
    choices = inputs.one_form(data, forms)
    label_words = records.read_task(task).get("label_words", [])
    tests = {}  # {path: rows}
    for path in filter(None, [test, test2]):
        tests[path] = records.read_jsonl(path, "id", "text|choices", "label")
        inputs.one_form(path, forms | {inputs.form(row) for row in tests[path]})
        highest = max(highest, *(row["label"] for row in tests[path]))

    # What each supervisor says of each file, (N, K).
    said, said_of_tests = [], {path: [] for path in tests}
    for name in models:
        predict = supervisors.load(name, choices, highest, label_words, batch_size, dtype)
        said.append(predict(data, count))
        for path in tests:
            said_of_tests[path].append(predict(path, len(tests[path])))
        del predict  # its model leaves memory before the next one comes
    if len({one.shape[1] for one in said}) > 1:
        stage.refuse(f"--model={model}: they do not tell the same number of classes apart")

    # Their mean, or the truth.
    probs = supervisors.mean(said)
    for place, label in true_labels.items():
        probs[place] = probs.new_tensor(inputs.one_hot(label, probs.shape[1]))
    shares = [sum(share) / count for share in zip(*map(records.predicted, probs.tolist()))]
    metrics = {"examples": count, "true_labels": len(true_labels), "class_shares": shares}

    # It is written while the texts are read again.
    def lines():
        rows = records.lines(data, *needed)
        for start in range(0, count, 1024):
            chunk = list(itertools.islice(rows, 1024))
            here = probs[start:start + len(chunk)]
            labelled = records.with_probs(chunk, here, "id", "text", "choices", "group")
            for place, row in enumerate(labelled, start):
                several = {"supervisors": supervisors.each(said, place)} if len(models) > 1 else {}
                yield row | several

    outputs = {"labels.jsonl": lines()}
    if test:
        outputs["predictions.jsonl"], metrics["alone"] = supervisors.tested(
            tests[test], said_of_tests[test])
        metrics |= records.accuracy(outputs["predictions.jsonl"])
    if test2:
        outputs[second_test.FILE], metrics["alone2"] = supervisors.tested(
            tests[test2], said_of_tests[test2])
    stage.finish(run, metrics, outputs)
    listed = ", ".join(f"{share:.1%}" for share in shares)
    print(f"{count} examples labelled; class 0, 1 ...: {listed} -> {out}")
    if truth:
        print(f"{len(true_labels)} of them have their true label")
    if max(shares) > 0.9:
        stage.warn("nearly all labels are of one class: "
                   "is the supervisor trained well, and the data balanced?")


def is_drawn(name, share):
    """Whether a hash draws an id among this share of all, and among every larger one."""
    # salted, since the hash of the id alone says what --evals holds out
    return records.uniform(f"true label {name}") < share


if __name__ == "__main__":
    stage.cli(main)
