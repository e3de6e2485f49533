"""The weak supervisor and transfer.jsonl -> labels.jsonl: soft labels for the student, and no ground truth among them.

    python label_weak.py --model=results/sciq/seed0/weak_gpt2/model --data=data/sciq/transfer.jsonl \\
        --out=results/sciq/seed0/labels_gpt2

Each line is {"id", "text", "probs": [p0, p1]}. A person or another model may write such a file as well. The data may be of
any length: it passes through memory a thousand lines at a time.
"""

import itertools

import hub
import records
import stage


def main(
    model,          # the weak supervisor: the model/ folder that train_weak.py wrote
    data,           # texts to label
    out,            # folder to write
    batch_size=32,  # examples at a time
):
    run = stage.start(locals(), inputs=["model", "data"], code=[__file__, "classifier.py", "training.py"])
    if not run:
        return
    count, forms = 0, set()
    for row in records.lines(data, "id", "text|choices"):  # a bad line is found before the work begins
        count, forms = count + 1, forms | {"choices" in row}
    choices = records.one_form(data, forms)
    hub.connect(model)
    import classifier

    with hub.fetching(model):
        net, tokenizer = classifier.load(model, head="keep", choices=choices)
    metrics = {"examples": count, "class1_share": 0.0}

    def labels():
        rows = records.lines(data, "id", "text|choices")
        bar = classifier.progress(count, "label", " texts")
        while chunk := list(itertools.islice(rows, 1024)):
            probs = classifier.predict(net, tokenizer, records.texts(data, chunk), batch_size, what="")
            labelled = records.with_probs(chunk, probs, "id", "text", "choices", "group")
            class1 = sum(records.predicted(row["probs"])[1] for row in labelled)
            metrics["class1_share"] += class1 / count
            yield from labelled
            bar.update(len(chunk))
        bar.close()

    stage.finish(run, metrics, {"labels.jsonl": labels()})
    print(f"{count} examples labelled, {metrics['class1_share']:.1%} of them as class 1 -> {out}")
    if not 0.1 <= metrics["class1_share"] <= 0.9:
        stage.warn("nearly all labels are of one class: is the supervisor trained well, and the data balanced?")


if __name__ == "__main__":
    stage.cli(main)
