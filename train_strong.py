"""Labels and a loss -> the student: a strong pretrained model finetuned on the weak supervisor's labels.

    python train_strong.py --model=gpt2-xl --labels=results/sciq/seed0/labels_gpt2/labels.jsonl --loss=conf \\
        --test=data/sciq/test.jsonl --task=data/sciq/task.json --out=results/sciq/seed0/gpt2-to-gpt2-xl_conf

Given ground truth, --labels=data/sciq/transfer.jsonl and --loss=xent, it trains the strong ceiling: the same examples, and
nothing else differs. Writes predictions.jsonl on the test file, curve.jsonl (a line a step) and run.json.
"""

import functools

import hub
import stage


def main(
    model,               # hub name or folder of a pretrained model
    labels,              # soft labels {"id", "text", "probs"}, or a data file with ground truth for the ceiling
    test,                # data file it is tested on
    out,                 # folder to write
    loss="xent",         # a loss of losses.py, with parameters if need be: conf:alpha=0.75,warmup=0.1
    task="",             # task.json beside the data: names the label words
    head="words",        # a causal model's head starts from the label words' embeddings; random: from noise
    epochs=2,            # passes over the labels
    batch_size=32,       # examples a step
    lr=5e-5,             # peak learning rate, after the warm-up
    max_tokens=512,      # longer texts lose their beginning
    seed=0,              # of the order of the examples, and of a random head
    linear_probe=False,  # train the head alone, on features of the pretrained model that are computed once
    save_model=False,    # keep the trained model, in model/
    # memory and speed; the result is the same
    microbatch=0,        # examples that a process computes at a time, 0: its share of the batch
    checkpointing=False, # compute activations again for the backward pass: less memory
    fsdp=False,          # spread a model that does not fit on one GPU over the processes of torchrun
    save_minutes=10.0,   # save the state of training so often; a rerun goes on from it
):
    run = stage.start(locals(), code=[__file__, "training.py", "classifier.py"] + ["probe.py"] * linear_probe,
                      inputs=["model", "labels", "test", "task"], loss=loss)
    if not run:
        return
    loss_name, parameters = stage.parse_loss(loss)
    train_rows = stage.read_jsonl(labels, "id", "text|choices", "probs|label")
    if len({"probs" in row for row in train_rows}) > 1:
        stage.refuse(f"{labels}: some lines have probs and some have not; soft labels and ground truth do not mix")
    test_rows = stage.read_jsonl(test, "id", "text|choices", "label")
    texts = stage.texts(labels, train_rows)
    test_texts = stage.texts(test, test_rows, like=texts)
    label_words = stage.read_task(task).get("label_words")
    hub.connect(model)
    import torch

    import losses
    if linear_probe:
        import probe as learner
    else:
        import classifier as learner

    with hub.fetching(model):
        net, tokenizer = learner.load(model, label_words, head, seed, max_tokens, fsdp,
                                      choices=isinstance(texts[0], list))
    probs = [row.get("probs") or [1 - row["label"], row["label"]] for row in train_rows]
    targets = torch.tensor(probs, dtype=torch.float32)  # (N, 2)
    curve = learner.finetune(net, tokenizer, texts, targets,
                             functools.partial(losses.LOSSES[loss_name], **parameters), checkpointing,
                             epochs=epochs, batch_size=batch_size, lr=lr, seed=seed,
                             microbatch=microbatch, state=stage.state(run), save_minutes=save_minutes)
    probs = learner.predict(net, tokenizer, test_texts, microbatch or batch_size)
    predictions = stage.with_probs(test_rows, probs, "id", "label")
    metrics = stage.accuracy(predictions)
    model_output = {"model": functools.partial(learner.save, net, tokenizer)} if save_model else {}
    stage.finish(run, metrics, {"predictions.jsonl": predictions, "curve.jsonl": curve, **model_output})
    print("test accuracy {accuracy:.3f} ± {accuracy_se:.3f} (standard error) ->".format(**metrics), out)


if __name__ == "__main__":
    stage.cli(main)
