"""Labels and a loss -> the student: a strong model finetuned on the weak supervisor's labels.

    python train_strong.py --model=gpt2-xl --labels=results/sciq/seed0/labels_gpt2/labels.jsonl \\
        --loss=conf --test=data/sciq/test.jsonl --task=data/sciq/task.json \\
        --out=results/sciq/seed0/gpt2-to-gpt2-xl_conf

Given ground truth, --labels=data/sciq/transfer.jsonl and --loss=xent, it trains the strong ceiling:
nothing else differs. Writes predictions.jsonl on the test file, curve.jsonl (a line a step) and
run.json; with --test2, predictions2.jsonl on that file.

With --evals=8 a tenth of the labels is held out, the same for student and ceiling; at eight steps
the curve holds test accuracy too, and the loss on these. --keep=best ends with the weights of the
step where that was lowest.
"""

import functools

from w2s import hub, inputs, records, second_test, source, stage


def main(
    model,               # hub name, name@revision or folder of a pretrained model
    labels,              # soft labels {"id", "text", "probs"}, or ground truth for the ceiling
    test,                # data file it is tested on
    out,                 # folder to write
    loss="xent",         # a loss of losses.py; with parameters: conf:alpha=0.75,warmup=0.1
    task="",             # task.json beside the data: names the label words
    head="auto",         # a causal model's head starts from the label words' embeddings where they
                         # differ; words: refuse where they do not; random: from noise
    epochs=2,            # passes over the labels
    batch_size=32,       # examples a step
    lr=5e-5,             # peak learning rate, after the warm-up
    max_tokens=512,      # longer texts lose their beginning
    seed=0,              # of the order of the examples, and of a random head
    linear_probe=False,  # train the head alone, on features that are computed once
    lora=0,              # rank of adapters, trained over frozen weights (bf16 where fast); 0: none
    evals=0,             # evaluate so often during training, and hold a tenth of the labels out
    weak="",             # the supervisor's predictions on the test file, for agreement (evals)
    keep="last",         # the model of the last step; best: of the lowest loss on held-out labels
    save_model=False,    # keep the trained model, in model/
    test2="",            # a second data file to predict, of another distribution
    # memory and speed; the result is the same
    microbatch=0,        # examples that a process computes at a time, 0: its share of the batch
    checkpointing=False, # compute activations again for the backward pass: less memory
    fsdp=False,          # spread a model that does not fit on one GPU over torchrun's processes
    save_minutes=10.0,   # save the state of training so often; a rerun goes on from it
):
    arguments = locals()
    code = source.model_code(__file__, linear_probe, lora)
    run = stage.start(arguments, ["model", "labels", "test", "test2", "task", "weak"], code, loss)
    if not run:
        return

    # Read all files, and refuse what is wrong with them, before anything is computed.
    if keep not in ("last", "best") or (keep == "best" and not (evals and epochs)):
        stage.refuse(f"--keep={keep}: last or best is needed, best with --evals")
    loss_name, parameters = source.parse_loss(loss)
    train_rows, held_rows = records.read_labels(labels), []
    classes, choices = inputs.classes(labels, train_rows), inputs.form(train_rows[0])
    if evals:
        train_rows, held_rows = inputs.hold_out(labels, train_rows)
    texts, held_texts = inputs.texts(labels, train_rows), inputs.texts(labels, held_rows)
    test_rows = records.read_jsonl(test, "id", "text|choices", "label", classes=classes)
    test_texts = inputs.texts(test, test_rows, like=texts)
    supervisor = records.read_supervisor(weak, test, test_rows, classes) if weak else {}
    second = second_test.read(test2, texts, classes)
    label_words = inputs.label_words(task, classes, choices)

    # Load the model.
    hub.go_offline_if_unreachable(model)
    import torch
    import losses
    from w2s import training
    if linear_probe:
        from w2s import probe as learner
    else:
        from w2s import classifier as learner
    with hub.fetching(model):
        net, tokenizer = learner.load(
            model, label_words, head, seed, max_tokens, fsdp, choices, classes, lora=lora)

    # Train it.
    targets = torch.tensor(inputs.soft_labels(train_rows, classes)).float()  # (N, K)
    held_targets = torch.tensor(inputs.soft_labels(held_rows, classes)).float()
    evaluated = {}  # step: predictions on the test file
    def predict(texts, what=""):
        return learner.predict(net, tokenizer, texts, microbatch or batch_size, what=what)

    def evaluate(step):
        evaluated[step] = records.with_probs(test_rows, predict(test_texts), "id", "label")
        found = records.accuracy(evaluated[step])
        if weak:
            found["agreement"] = records.agreement(evaluated[step], supervisor)
        log_p = predict(held_texts).clamp(min=1e-8).log()
        found["held_out_loss"] = float(losses.cross_entropy(log_p, held_targets))
        return found

    loss_function = functools.partial(losses.LOSSES[loss_name], **parameters)
    with stage.explain_divergence(train_rows):
        curve = learner.finetune(
            net, tokenizer, texts, targets, loss_function, checkpointing, epochs=epochs,
            batch_size=batch_size, lr=lr, seed=seed, microbatch=microbatch, keep=keep,
            evals=evals, evaluate=evaluate, state=stage.state(run), save_minutes=save_minutes)

    # Write what it makes of the test file.
    step = training.best_step(curve) if keep == "best" else len(curve)
    predictions = evaluated.get(step) or records.with_probs(
        test_rows, predict(test_texts, "predict"), "id", "label")
    metrics = {**records.accuracy(predictions), "step": step}
    metrics["parameters"] = learner.parameters(net, tokenizer)
    outputs = {"predictions.jsonl": predictions, "curve.jsonl": curve}
    outputs |= second_test.outputs(second, predict)
    if save_model:
        outputs["model"] = functools.partial(learner.save, net, tokenizer)
    stage.finish(run, metrics, outputs)
    print(records.accuracy_text(metrics), "->", out)


if __name__ == "__main__":
    stage.cli(main)
