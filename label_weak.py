"""The weak supervisor and transfer.jsonl -> labels.jsonl: soft labels, and no ground truth.

    python label_weak.py --model=results/sciq/seed0/weak_gpt2/model \\
        --data=data/sciq/transfer.jsonl --out=results/sciq/seed0/labels_gpt2

Each line is {"id", "text", "probs": [p0, p1]}. A person or another model may write such a file as
well. The data may be of any length: it passes through memory a thousand lines at a time.
"""

import itertools
from pathlib import Path

from w2s import hub, records, source, stage


def main(
    model,          # the weak supervisor: the model/ folder that train_weak.py wrote
    data,           # texts to label
    out,            # folder to write
    batch_size=32,  # examples at a time
):
    beside = Path(data).parent / "task.json"
    task = str(beside) if beside.is_file() else ""
    arguments = {"model": model, "data": data, "out": out, "batch_size": batch_size, "task": task}
    code = [__file__, *source.MODEL]
    run = stage.start(arguments, inputs=["model", "data", "task"], code=code)
    if not run:
        return

    # A bad line is found before the work begins.
    count, forms = 0, set()
    for row in records.lines(data, "id", "text|choices"):
        count += 1
        forms.add("choices" in row)
    choices = records.one_form(data, forms)
    label_words = records.read_task(task).get("label_words", [])

    # Load the supervisor.
    hub.go_offline_if_unreachable(model)
    from w2s import classifier

    with hub.fetching(model):
        net, tokenizer = classifier.load(model, head="keep", choices=choices)
    turned = not choices and the_other_way_round(model, net.config.id2label, label_words)

    # Label the texts, while they are written.
    metrics = {"examples": count, "class1_share": 0.0}

    def labels():
        rows = records.lines(data, "id", "text|choices")
        bar = classifier.progress(count, "label", " texts")
        while chunk := list(itertools.islice(rows, 1024)):
            texts = records.texts(data, chunk)
            probs = classifier.predict(net, tokenizer, texts, batch_size, what="")
            if turned:
                probs = probs.flip(1)
            labelled = records.with_probs(chunk, probs, "id", "text", "choices", "group")
            class1 = sum(records.predicted(row["probs"])[1] for row in labelled)
            metrics["class1_share"] += class1 / count
            yield from labelled
            bar.update(len(chunk))
        bar.close()

    stage.finish(run, metrics, {"labels.jsonl": labels()})
    print(f"{count} examples labelled, {metrics['class1_share']:.1%} of them as class 1 -> {out}")
    if not 0.1 <= metrics["class1_share"] <= 0.9:
        stage.warn("nearly all labels are of one class: "
                   "is the supervisor trained well, and the data balanced?")


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
        stage.warn(f"{which}: its probabilities are turned round to the task's order")
        return True
    stage.warn(f"{which}: see that these are the data's classes, in its order")
    return False


if __name__ == "__main__":
    stage.cli(main)
