"""Texts of the task, without labels -> the strong model, tuned as a language model on its topic before any weak label is seen.

    python train_generative.py --model=gpt2-xl --data=data/sciq/transfer.jsonl --out=results/sciq/seed0/generative_gpt2-xl

Writes model/, curve.jsonl (a line a step) and run.json. Student and ceiling then both start from it:

    python train_strong.py --model=results/sciq/seed0/generative_gpt2-xl/model ...

"Generative supervision" of Burns et al. 2023, section 5.2.2: what the task is about becomes salient at no cost in labels.
"""

import functools
import random

from w2s import hub, records, stage


def main(
    model,               # hub name or folder of a causal language model
    data,                # texts of the task; labels in it are not read
    out,                 # folder to write
    epochs=2,            # passes over the texts
    block=256,           # tokens of a training example, fewer where the model reads fewer: texts are packed, one after the other
    batch_size=16,       # blocks a step
    lr=5e-5,             # peak learning rate, after the warm-up
    seed=0,              # of the order of texts and blocks
    # memory and speed; the result is the same
    microbatch=0,        # blocks that a process computes at a time, 0: its share of the batch
    checkpointing=False, # compute activations again for the backward pass: less memory
    save_minutes=10.0,   # save the state of training so often; a rerun goes on from it
):
    run = stage.start(locals(), code=[__file__, "w2s/classifier.py", "w2s/checkpoint.py", "w2s/training.py"], inputs=["model", "data"])
    if not run:
        return
    if epochs < 1:
        stage.refuse(f"--epochs={epochs}: 1 or more is needed")
    rows = records.read_jsonl(data, "id", "text|choices")
    texts = [text for row in rows for text in row.get("choices") or [row["text"]]]
    hub.go_offline_if_unreachable(model)
    import torch

    from w2s import checkpoint, classifier, training

    with hub.fetching(model):
        net, tokenizer = classifier.load_language_model(model)
    random.Random(seed).shuffle(texts)
    block = min(block, tokenizer.model_max_length)
    tokens, targets = pack(classifier.encode(tokenizer, texts), tokenizer.eos_token_id, block)  # (N, block) each

    def forward(batch):
        """The summed loss of each block, in the first of two columns: what training.train takes for logits. -> (B, 2)"""
        with checkpoint.autocast():
            logits = net(input_ids=tokens[batch].to(training.DEVICE), use_cache=False).logits[:, :-1].float()  # (B, block-1, V)
        wanted = targets[batch, 1:].to(training.DEVICE)
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none").sum(1)  # (B,)
        return torch.stack([loss, torch.zeros_like(loss)], 1)

    def loss(losses, counts, step_frac):
        """Mean over the tokens of the whole batch."""
        return losses[:, 0].sum() / counts.sum()

    if checkpointing:
        net.activation_checkpointing_enable({"use_reentrant": False})
    counts = (targets[:, 1:] >= 0).sum(1).float()  # (N,) tokens to predict
    with stage.explain_divergence([{"id": f"block {i}"} for i in range(len(tokens))]):
        curve = training.train(net, forward, torch.full((len(tokens),), block), counts, loss, epochs=epochs, batch_size=batch_size,
                               lr=lr, seed=seed, microbatch=microbatch, state=stage.state(run), save_minutes=save_minutes)
    metrics = {"tokens": int(counts.sum()), "first_loss": curve[0]["loss"], "last_loss": curve[-1]["loss"]}
    stage.finish(run, metrics, {"curve.jsonl": curve, "model": functools.partial(classifier.save, net, tokenizer)})
    print("{tokens} tokens; loss {first_loss:.3f} at the first step, {last_loss:.3f} at the last ->".format(**metrics), out)


def pack(ids, end, block):
    """Lists of token ids, one after the other with an end between them, cut into blocks: tokens and targets, (N, block) each.

    An end is no target (-100): in the task a label word stands there, and the model is not to learn to stop instead.
    """
    import torch

    # some tokenizers end each text themselves
    ids = [text[:-1] if text[-1:] == [end] else text for text in ids]

    tokens = torch.tensor([token for text in ids for token in [*text, end]])
    targets = torch.tensor([token for text in ids for token in [*text, -100]])
    missing = -len(tokens) % block
    tokens, targets = (torch.nn.functional.pad(flat, (0, missing), value=value).view(-1, block) for flat, value in ((tokens, end), (targets, -100)))
    kept = (targets[:, 1:] >= 0).any(1)  # in the others nothing is to be learned
    return tokens[kept], targets[kept]


if __name__ == "__main__":
    stage.cli(main)
