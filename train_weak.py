"""Ground truth -> the weak supervisor: a small model finetuned on weak_train.jsonl.

    python train_weak.py --model=gpt2 --train=data/sciq/weak_train.jsonl \\
        --test=data/sciq/test.jsonl --task=data/sciq/task.json --out=results/sciq/seed0/weak_gpt2

Writes model/ (which label_weak.py reads), predictions.jsonl on the test file, curve.jsonl (a line a
step) and run.json; with --test2, predictions2.jsonl on that file. Its test accuracy is the floor of
the gap that PGR measures.
"""

import functools

from w2s import hub, inputs, parts, records, second_test, source, stage


def main(
    model,               # hub name, name@revision or folder of a pretrained model
    train,               # data file whose ground truth it learns
    test,                # data file it is tested on
    out,                 # folder to write
    task="",             # task.json beside the data: names the label words
    head="auto",         # a causal model's head starts from the label words' embeddings where they
                         # differ; words: refuse where they do not; random: from noise
    epochs=2,            # passes over the training file
    batch_size=32,       # examples a step
    lr=5e-5,             # peak learning rate, after the warm-up
    max_tokens=512,      # longer texts lose their beginning
    seed=0,              # of the order of the examples, and of a random head
    examples=0,          # train on so many of the first lines alone, for a weaker one; 0: on all
    part="",             # 1/3: on the first of three parts without a common line, of as many lines
                         # of each class; for several supervisors that label together
    linear_probe=False,  # train the head alone, on features that are computed once
    lora=0,              # rank of adapters, trained over frozen weights (bf16 where fast); 0: none
    test2="",            # a second data file to predict, of another distribution
    # memory and speed; the result is the same
    microbatch=0,        # examples that a process computes at a time, 0: its share of the batch
    checkpointing=False, # compute activations again for the backward pass: less memory
    fsdp=False,          # spread a model that does not fit on one GPU over torchrun's processes
    save_minutes=10.0,   # save the state of training so often; a rerun goes on from it
):
    arguments = locals()
    code = source.model_code(__file__, linear_probe, lora)
    if part:
        code.append("w2s/parts.py")
    read = ["model", "train", "test", "test2", "task"]
    run = stage.start(arguments, read, code, loss="xent")
    if not run:
        return

    # Read all files, and refuse what is wrong with them, before anything is computed.
    train_rows = records.read_jsonl(train, "id", "text|choices", "label")
    if part:
        train_rows = parts.rows_of_part(train, train_rows, part)
    if examples > len(train_rows):
        stage.refuse(f"--examples={examples}: {train} has {len(train_rows)}"
                     + (f" in its part {part}" if part else ""))
    train_rows = train_rows[:examples or None]
    texts = inputs.texts(train, train_rows)
    classes, choices = inputs.classes(train, train_rows), inputs.form(train_rows[0])
    test_rows = records.read_jsonl(test, "id", "text|choices", "label", classes=classes)
    test_texts = inputs.texts(test, test_rows, like=texts)
    second = second_test.read(test2, texts, classes)
    label_words = inputs.label_words(task, classes, choices)

    # Load the model.
    hub.go_offline_if_unreachable(model)
    import torch

    import losses
    if linear_probe:
        from w2s import probe as learner
    else:
        from w2s import classifier as learner
    with hub.fetching(model):
        net, tokenizer = learner.load(
            model, label_words, head, seed, max_tokens, fsdp, choices, classes, lora=lora)

    # Train it.
    targets = torch.tensor(inputs.soft_labels(train_rows, classes))  # (N, K)
    loss = losses.LOSSES["xent"]
    with stage.explain_divergence(train_rows):
        curve = learner.finetune(net, tokenizer, texts, targets, loss, checkpointing,
                                 epochs=epochs, batch_size=batch_size, lr=lr, seed=seed,
                                 microbatch=microbatch, state=stage.state(run),
                                 save_minutes=save_minutes)

    # Write it, and what it makes of the test file.
    def predict(texts):
        return learner.predict(net, tokenizer, texts, microbatch or batch_size)

    predictions = records.with_probs(test_rows, predict(test_texts), "id", "label")
    metrics = records.accuracy(predictions)
    outputs = {"predictions.jsonl": predictions, "curve.jsonl": curve,
               "model": functools.partial(learner.save, net, tokenizer)}
    outputs |= second_test.outputs(second, predict)
    stage.finish(run, metrics, outputs)
    print(records.accuracy_text(metrics), "->", out)


if __name__ == "__main__":
    stage.cli(main)
