"""Labels and a loss -> the student: a strong pretrained model finetuned on the weak supervisor's labels.

    python train_strong.py --model=gpt2-xl --labels=results/sciq/seed0/labels_gpt2/labels.jsonl --loss=conf \\
        --test=data/sciq/test.jsonl --task=data/sciq/task.json --out=results/sciq/seed0/gpt2-to-gpt2-xl_conf

Given ground truth, --labels=data/sciq/transfer.jsonl and --loss=xent, it trains the strong ceiling: the same examples, and
nothing else differs. Writes predictions.jsonl on the test file, curve.jsonl (a line a step) and run.json.

With --evals=8 a tenth of the labels is held out, the same for student and ceiling, and eight lines of the curve also tell test
accuracy, the loss on held-out labels and, given --weak, agreement with the supervisor. --keep=best stops early, by held-out labels.
"""

import collections
import functools
import hashlib

from w2s import hub, records, source, stage


def main(
    model,               # hub name or folder of a pretrained model
    labels,              # soft labels {"id", "text", "probs"}, or a data file with ground truth for the ceiling
    test,                # data file it is tested on
    out,                 # folder to write
    loss="xent",         # a loss of losses.py, with parameters if need be: conf:alpha=0.75,warmup=0.1
    task="",             # task.json beside the data: names the label words
    head="auto",         # a causal model's head starts from the label words' embeddings where they
                         # differ; words: refuse where they do not; random: from noise
    epochs=2,            # passes over the labels
    batch_size=32,       # examples a step
    lr=5e-5,             # peak learning rate, after the warm-up
    max_tokens=512,      # longer texts lose their beginning
    seed=0,              # of the order of the examples, and of a random head
    linear_probe=False,  # train the head alone, on features of the pretrained model that are computed once
    evals=0,             # how many times to evaluate during training; a tenth of the labels is then held out
    weak="",             # the supervisor's predictions on the test file: agreement with it goes into the curve
    keep="last",         # the model of the last step; best: of the evaluation with the lowest loss on held-out labels
    save_model=False,    # keep the trained model, in model/
    # memory and speed; the result is the same
    microbatch=0,        # examples that a process computes at a time, 0: its share of the batch
    checkpointing=False, # compute activations again for the backward pass: less memory
    fsdp=False,          # spread a model that does not fit on one GPU over the processes of torchrun
    save_minutes=10.0,   # save the state of training so often; a rerun goes on from it
):
    run = stage.start(locals(), code=[__file__, "w2s/training.py", "w2s/classifier.py", "w2s/checkpoint.py"] + ["w2s/probe.py"] * linear_probe,
                      inputs=["model", "labels", "test", "task", "weak"], loss=loss)
    if not run:
        return
    if keep not in ("last", "best") or keep == "best" and not (evals and epochs):
        stage.refuse(f"--keep={keep}: last or best is needed, best with --evals")
    loss_name, parameters = source.parse_loss(loss)
    train_rows = records.read_jsonl(labels, "id", "text|choices", "probs|label")
    if len({"probs" in row for row in train_rows}) > 1:
        stage.refuse(f"{labels}: some lines have probs and some have not; soft labels and ground truth do not mix")
    test_rows = records.read_jsonl(test, "id", "text|choices", "label")
    weak_probs = {row["id"]: row["probs"] for row in records.read_jsonl(weak, "id", "probs")} if weak else {}
    if weak and weak_probs.keys() != {row["id"] for row in test_rows}:
        stage.refuse(f"{weak} does not hold the ids of {test}: the supervisor's predictions on this very file are needed")
    held_rows = []
    if evals:  # by a hash of id, or group: the same examples for student and ceiling, whatever the order of their files
        groups, tenth = [str(row.get("group", row["id"])) for row in train_rows], max(1, len(train_rows) // 10)
        sizes = collections.Counter(groups)
        place = [(sizes[group] > tenth, hashlib.sha256(group.encode()).digest()) for group in groups]  # groups larger than that come last
        last = sorted(place)[tenth - 1]
        train_rows, held_rows = ([row for row, here in zip(train_rows, place) if (here <= last) == held] for held in (False, True))
        if 2 * len(held_rows) > len(train_rows):
            stage.refuse(f"{labels}: --evals would hold {len(held_rows)} of {len(place)} labels out, whole groups of them; there are too few")
    texts, held_texts = records.texts(labels, train_rows), records.texts(labels, held_rows)
    records.both_classes(labels, train_rows)
    test_texts = records.texts(test, test_rows, like=texts)
    label_words = records.read_task(task).get("label_words")
    hub.go_offline_if_unreachable(model)
    import torch

    import losses
    from w2s import training
    if linear_probe:
        from w2s import probe as learner
    else:
        from w2s import classifier as learner

    def soft(rows):
        """(N, 2) soft labels; one-hot for ground truth"""
        return torch.tensor([row.get("probs") or [1 - row["label"], row["label"]] for row in rows], dtype=torch.float32)

    with hub.fetching(model):
        net, tokenizer = learner.load(model, label_words, head, seed, max_tokens, fsdp,
                                      choices=isinstance(texts[0], list))
    tested = {}  # step: predictions on the test file

    def predict(step, what="predict"):
        if step not in tested:
            probs = learner.predict(net, tokenizer, test_texts, microbatch or batch_size, what=what)
            tested[step] = records.with_probs(test_rows, probs, "id", "label")
        return tested[step]

    def evaluate(step):
        rows = predict(step, what="")
        probs = learner.predict(net, tokenizer, held_texts, microbatch or batch_size, what="")
        same = [records.same(row["probs"], weak_probs[row["id"]]) for row in rows if weak]
        return {**records.accuracy(rows), **({"agreement": sum(same) / len(same)} if weak else {}),
                "held_out_loss": float(losses.cross_entropy(probs.clamp(min=1e-8).log(), soft(held_rows)))}

    with stage.explain_divergence(train_rows):
        curve = learner.finetune(net, tokenizer, texts, soft(train_rows),
                                 functools.partial(losses.LOSSES[loss_name], **parameters), checkpointing,
                                 epochs=epochs, batch_size=batch_size, lr=lr, seed=seed, microbatch=microbatch,
                                 state=stage.state(run), save_minutes=save_minutes, evals=evals, evaluate=evaluate, keep=keep)
    step = training.kept(curve, keep)
    predictions = predict(step)
    metrics = {**records.accuracy(predictions), "step": step, "parameters": learner.parameters(net, tokenizer)}
    model_output = {"model": functools.partial(learner.save, net, tokenizer)} if save_model else {}
    stage.finish(run, metrics, {"predictions.jsonl": predictions, "curve.jsonl": curve, **model_output})
    print("test accuracy {accuracy:.3f} ± {accuracy_se:.3f} (standard error) ->".format(**metrics), out)


if __name__ == "__main__":
    stage.cli(main)
