"""The weak supervisor and transfer.jsonl -> labels.jsonl: soft labels for the student, and no ground truth among them.

    python label_weak.py --model=results/sciq/seed0/weak_gpt2/model --data=data/sciq/transfer.jsonl \\
        --out=results/sciq/seed0/labels_gpt2

Each line is {"id", "text", "probs": [p0, p1]}. A person or another model may write such a file as well.
"""

import stage


def main(
    model,          # the weak supervisor: the model/ folder that train_weak.py wrote
    data,           # texts to label
    out,            # folder to write
    batch_size=32,  # examples at a time
):
    run = stage.start(locals(), inputs=["model", "data"], code=[__file__, "classifier.py"])
    if not run:
        return
    rows = stage.read_jsonl(data, "id", "text")
    stage.connect(model)
    import classifier

    with stage.fetching(model):
        net, tokenizer = classifier.load(model, head="keep")
    probs = classifier.predict(net, tokenizer, [row["text"] for row in rows], batch_size)
    labels = stage.with_probs(rows, probs, "id", "text")
    share = sum(row["probs"][1] > row["probs"][0] for row in labels) / len(labels)
    stage.finish(run, {"examples": len(labels), "class1_share": share}, {"labels.jsonl": labels})
    print(f"{len(labels)} examples labelled, {share:.1%} of them as class 1 -> {out}")


if __name__ == "__main__":
    stage.cli(main)
