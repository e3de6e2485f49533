"""Asking instead of finetuning: the strong model goes on with a label word after a text.

    python prompt_strong.py --model=gpt2-xl --labels=results/sciq/seed0/labels_gpt2/labels.jsonl \\
        --shots=5 --test=data/sciq/test.jsonl --task=data/sciq/task.json \\
        --out=results/sciq/seed0/gpt2-to-gpt2-xl_prompt-5-weak

Before the text may stand some labelled ones, the shots. Writes predictions.jsonl on the test file
and run.json, as a student would; with --data=data/sciq/transfer.jsonl also labels.jsonl, its own
answers as soft labels, from which a student can be taught by itself.

The label words' probabilities are calibrated, so that a model that says "positive" of everything is
not taken at its word: divided by their mean over unlabelled texts of the task (Zhao et al. 2021,
arXiv 2102.09690; Zhou et al. 2023, arXiv 2309.17249). The test set plays no part in it.
"""

import random

from w2s import hub, inputs, records, source, stage


def main(
    model,           # hub name, name@revision or folder of a causal language model, pretrained
    labels,          # shots and unlabelled texts: the supervisor's soft labels, or ground truth
    test,            # data file it is tested on
    task,            # task.json beside the data: names the label words
    out,             # folder to write
    data="",         # texts to label, too
    shots=0,         # labelled examples before each text; the same ones whoever labelled them
    calibrate=256,   # unlabelled texts that tell the model's prior, 0: none
    max_tokens=512,  # longer texts lose their beginning, those of the shots too
    seed=0,          # of the choice of shots
    batch_size=32,   # texts at a time
    dtype="float32", # precision of the weights; bf16: half the memory
    fsdp=False,      # spread a model that does not fit on one GPU over the processes of torchrun
):
    arguments = locals()
    code = [__file__, "w2s/prompt.py", *source.MODEL]
    run = stage.start(arguments, ["model", "labels", "test", "task", "data"], code)
    if not run:
        return

    # Read all files, and refuse what is wrong with them.
    rows = records.read_jsonl(labels, "id", "text", "probs|label")
    classes = inputs.classes(labels, rows)
    test_rows = records.read_jsonl(test, "id", "text", "label", classes=classes)
    data_rows = records.read_jsonl(data, "id", "text") if data else []
    label_words = inputs.label_words(task, classes, choices=0)
    if not label_words:
        stage.refuse(f"{task}: prompting reads the probabilities of the label words, "
                     "so label_words are needed")
    if shots >= len(rows):
        stage.refuse(f"--shots={shots}: {labels} has {len(rows)} examples, and one more is needed")
    rows.sort(key=lambda row: row["id"])
    rows = random.Random(seed).sample(rows, min(len(rows), shots + calibrate))
    shown, unlabelled = rows[:shots], rows[shots:]
    for row in shown:
        row["class"] = shown_class(labels, row)

    # Load the model. With a head made of the label words' output embeddings a logit is that of the
    # word (but for an output bias, which the calibration nearly undoes, or a soft cap).
    hub.go_offline_if_unreachable(model)
    import torch
    from w2s import classifier, prompt

    with hub.fetching(model):
        net, tokenizer = classifier.load(
            model, label_words, "words", fsdp=fsdp, classes=classes, dtype=dtype)
    prompt.check_can_be_asked(model, net, tokenizer)

    # Make the context of the shots, so short that a text has room after it.
    limit = tokenizer.model_max_length
    shot = min(max_tokens, limit // (shots + 1) - 8)  # tokens, beside the label word
    context = ""
    for row in shown:
        text = prompt.shorten(tokenizer, row["text"], shot)
        context += text + label_words[row["class"]] + "\n\n"
    ids, = classifier.encode(tokenizer, [context])
    room = min(max_tokens, limit - len(ids))
    if min(shot, room) < min(8, max_tokens):
        stage.refuse(f"--shots={shots}: so many leave no room for a text in the {limit} tokens "
                     f"that {model} reads")

    def ask(rows, what):
        """Probabilities of the label words after each text -> (N, K)"""
        texts = [context + prompt.shorten(tokenizer, row["text"], room) for row in rows]
        compute = prompt.shared(net, tokenizer, texts)
        return classifier.predict(net, tokenizer, texts, batch_size, compute, what)

    # Ask, and divide by the prior.
    prior = torch.ones(classes) / classes
    if unlabelled:
        prior = ask(unlabelled, "prior").mean(0)

    def calibrated(rows, what, *keys):
        probs = ask(rows, what) / prior
        return records.with_probs(rows, probs / probs.sum(1, keepdim=True), *keys)

    outputs = {"predictions.jsonl": calibrated(test_rows, "prompt", "id", "label")}
    if data:
        outputs["labels.jsonl"] = calibrated(data_rows, "label", "id", "text", "group")
    metrics = records.accuracy(outputs["predictions.jsonl"])
    metrics |= {"prior": prior.tolist(), "shots": [row["id"] for row in shown]}
    stage.finish(run, metrics, outputs)
    print(records.accuracy_text(metrics), "->", out)


def shown_class(labels, row):
    """The class that a shot shows: the likeliest one of a soft label."""
    if "probs" not in row:
        return row["label"]
    share = records.predicted(row["probs"])  # of each class
    if max(share) < 1:
        stage.refuse(f"{labels}: the soft label of {row['id']} is a tie, which no shot can show; "
                     "another --seed draws other shots")
    return share.index(1)


if __name__ == "__main__":
    stage.cli(main)
