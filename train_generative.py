"""Texts of the task, without labels -> the strong model, tuned as a language model on its topic.

    python train_generative.py --model=gpt2-xl --data=data/sciq/transfer.jsonl \\
        --out=results/sciq/seed0/generative_gpt2-xl

Writes model/, curve.jsonl (a line a step) and run.json. Student and ceiling both start from it:

    python train_strong.py --model=results/sciq/seed0/generative_gpt2-xl/model ...

"Generative supervision" of Burns et al. 2023, section 5.2.2: what the task is about becomes salient
before any weak label is seen, at no cost in labels.
"""

import functools
import random

from w2s import hub, records, source, stage


def main(
    model,               # hub name, name@revision or folder of a causal language model
    data,                # texts of the task; labels in it are not read
    out,                 # folder to write
    epochs=2,            # passes over the texts
    block=256,           # tokens of a training example, into which texts are packed; fewer where
                         # the model reads fewer
    batch_size=16,       # blocks a step
    lr=5e-5,             # peak learning rate, after the warm-up
    seed=0,              # of the order of texts and blocks
    # memory and speed; the result is the same
    microbatch=0,        # blocks that a process computes at a time, 0: its share of the batch
    checkpointing=False, # compute activations again for the backward pass: less memory
    save_minutes=10.0,   # save the state of training so often; a rerun goes on from it
):
    arguments = locals()
    code = [__file__, *source.MODEL]
    run = stage.start(arguments, inputs=["model", "data"], code=code)
    if not run:
        return
    if epochs < 1:
        stage.refuse(f"--epochs={epochs}: 1 or more is needed")
    texts = []
    for row in records.read_jsonl(data, "id", "text|choices"):
        texts += row.get("choices") or [row["text"]]

    # Load the model.
    hub.go_offline_if_unreachable(model)
    import torch
    from w2s import classifier, precision, training
    with hub.fetching(model):
        net, tokenizer = classifier.load_language_model(model)
    if checkpointing:
        net.activation_checkpointing_enable({"use_reentrant": False})

    # Pack the texts into blocks, the training examples.
    random.Random(seed).shuffle(texts)
    block = min(block, tokenizer.model_max_length)
    ids = classifier.encode(tokenizer, texts)
    tokens, targets = pack(ids, tokenizer.eos_token_id, block)  # (N, block) each
    if not len(tokens):
        stage.refuse(f"{data}: no text is long enough to learn from in blocks of {block} tokens")
    counts = (targets[:, 1:] >= 0).sum(1).float()  # (N,) tokens to predict

    # Train. What training.train takes for logits is each block's loss.
    def forward(batch):
        """The summed loss of each block -> (B, 1)"""
        inputs = tokens[batch].to(training.DEVICE)
        wanted = targets[batch, 1:].to(training.DEVICE)
        with precision.autocast():
            logits = net(input_ids=inputs, use_cache=False).logits  # (B, block, V)
        # flat: of two dimensions this loss has no deterministic implementation on a GPU
        logits = logits[:, :-1].float().flatten(0, 1)  # (B (block-1), V)
        loss = torch.nn.functional.cross_entropy(logits, wanted.flatten(), reduction="none")
        return loss.view(wanted.shape).sum(1, keepdim=True)

    def loss(sums, counts, step_frac):
        """Mean over the tokens of the whole batch."""
        return sums.sum() / counts.sum()

    lengths = torch.full((len(tokens),), block)
    with stage.explain_divergence([{"id": f"block {i}"} for i in range(len(tokens))]):
        curve = training.train(net, forward, lengths, counts, loss, epochs=epochs,
                               batch_size=batch_size, lr=lr, seed=seed, microbatch=microbatch,
                               state=stage.state(run), save_minutes=save_minutes)

    # Write it.
    metrics = {"tokens": int(counts.sum()), "first_loss": curve[0]["loss"],
               "last_loss": curve[-1]["loss"]}
    save = functools.partial(classifier.save, net, tokenizer)
    stage.finish(run, metrics, {"curve.jsonl": curve, "model": save})
    print("{tokens} tokens; loss {first_loss:.3f} at the first step, {last_loss:.3f} at the last"
          .format(**metrics), "->", out)


def pack(ids, end, block):
    """Lists of token ids, one after the other with an end between them, cut into blocks.

    An end is no target (-100): in the task a label word stands there, and the model is not to learn
    to stop instead. Returns tokens and targets, (N, block) each.
    """
    import torch

    tokens, targets = [], []
    for text in ids:
        if text[-1:] == [end]:  # some tokenizers end each text themselves
            text = text[:-1]
        tokens += [*text, end]
        targets += [*text, -100]

    # Fill the last block.
    missing = -len(tokens) % block
    tokens = torch.tensor(tokens + [end] * missing).view(-1, block)
    targets = torch.tensor(targets + [-100] * missing).view(-1, block)

    learned = (targets[:, 1:] >= 0).any(1)  # in the other blocks nothing is to be learned
    return tokens[learned], targets[learned]


if __name__ == "__main__":
    stage.cli(main)
