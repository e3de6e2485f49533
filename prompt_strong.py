"""Asking instead of finetuning: the strong model reads the text, and perhaps some labelled shots before it, and goes on with a label word.

    python prompt_strong.py --model=gpt2-xl --labels=results/sciq/seed0/labels_gpt2/labels.jsonl --shots=5 \\
        --test=data/sciq/test.jsonl --task=data/sciq/task.json --out=results/sciq/seed0/gpt2-to-gpt2-xl_prompt-5-weak

Writes predictions.jsonl on the test file and run.json, as a student would. The two label words' probabilities are calibrated:
divided by their mean over unlabelled texts of the task, the model's prior (Zhao et al. 2021, arXiv 2102.09690; Zhou et al. 2023,
arXiv 2309.17249), so that a model that says "positive" of everything is not taken at its word. The test set plays no part in it.
"""

import copy
import os
import random

from w2s import hub, records, stage


def main(
    model,           # hub name or folder of a causal language model, as it was pretrained
    labels,          # where shots and unlabelled texts come from: the supervisor's soft labels, or a data file with ground truth
    test,            # data file it is tested on
    task,            # task.json beside the data: names the label words
    out,             # folder to write
    shots=0,         # labelled examples before each text; the same ones whoever labelled them
    calibrate=256,   # unlabelled texts that tell the model's prior, 0: none
    max_tokens=512,  # longer texts lose their beginning, those of the shots too
    seed=0,          # of the choice of shots
    batch_size=32,   # texts at a time
    fsdp=False,      # spread a model that does not fit on one GPU over the processes of torchrun
):
    run = stage.start(locals(), code=[__file__, "w2s/classifier.py", "w2s/checkpoint.py", "w2s/training.py"], inputs=["model", "labels", "test", "task"])
    if not run:
        return
    rows = records.read_jsonl(labels, "id", "text", "probs|label")
    test_rows = records.read_jsonl(test, "id", "text", "label")
    label_words = records.read_task(task).get("label_words")
    if not label_words:
        stage.refuse(f"{task}: prompting reads the probabilities of the label words, so label_words are needed")
    if shots >= len(rows):
        stage.refuse(f"--shots={shots}: {labels} has {len(rows)} examples, and one more is needed")
    rows = random.Random(seed).sample(sorted(rows, key=lambda row: row["id"]), min(len(rows), shots + calibrate))
    for row in rows[:shots]:
        if "probs" in row and max(records.predicted(row["probs"])) < 1:
            stage.refuse(f"{labels}: the soft label of {row['id']} is a tie, which no shot can show; "
                         "another --seed draws other shots")
    hub.go_offline_if_unreachable(model)
    from w2s import classifier

    with hub.fetching(model):
        # With a head made of the label words' output embeddings a logit is what the language model gives the word (but for
        # an output bias or a soft cap, which a few families have: the first is nearly undone by the calibration).
        net, tokenizer = classifier.load(model, label_words, head="words", fsdp=fsdp)
    if not classifier.is_causal(net):
        stage.refuse(f"{model} does not go on with a text, so it cannot be asked; a causal language model is needed")
    if tokenizer("It is:").input_ids[-1:] == [tokenizer.eos_token_id]:
        stage.refuse(f"{model}'s tokenizer ends every text, so nothing can be asked of it after one; "
                     "another tokenizer, without an end-of-text token, is needed")

    limit = tokenizer.model_max_length
    shot = min(max_tokens, limit // (shots + 1) - 8)  # tokens, beside the label word
    label_of = lambda row: int(records.predicted(row["probs"])[1]) if "probs" in row else row["label"]
    context = "".join(shorten(tokenizer, row["text"], shot) + label_words[label_of(row)] + "\n\n" for row in rows[:shots])
    room = min(max_tokens, limit - classifier.size(classifier.encode(tokenizer, [context])[0]))
    if min(shot, room) < min(8, max_tokens):
        stage.refuse(f"--shots={shots}: so many leave no room for a text in the {limit} tokens that {model} reads")

    def ask(rows, what):
        """(N, 2) probabilities of the label words after each text."""
        texts = [context + shorten(tokenizer, row["text"], room) for row in rows]
        return classifier.predict(net, tokenizer, texts, batch_size, compute=shared(net, tokenizer, texts), what=what)

    probs = ask(test_rows, "prompt")
    prior = ask(rows[shots:], "prior").mean(0) if rows[shots:] else probs.new_tensor([0.5, 0.5])  # (2,)
    probs = probs / prior / (probs / prior).sum(1, keepdim=True)
    predictions = records.with_probs(test_rows, probs, "id", "label")
    metrics = {**records.accuracy(predictions), "prior": prior.tolist(), "shots": [row["id"] for row in rows[:shots]]}
    stage.finish(run, metrics, {"predictions.jsonl": predictions})
    print("test accuracy {accuracy:.3f} ± {accuracy_se:.3f} (standard error) ->".format(**metrics), out)


def shorten(tokenizer, text, room):
    """The end of a text, of so many tokens."""
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
    if len(found.input_ids) <= room:
        return text
    return text[found.offset_mapping[-room][0]:] if tokenizer.is_fast else tokenizer.decode(found.input_ids[-room:])


def shared(model, tokenizer, texts):
    """Probabilities of a batch, for predict: what all texts begin with is computed once, and its keys and values kept."""
    import torch

    from w2s import checkpoint, classifier

    def plain(model, ids, pad):
        return classifier.forward(model, ids, pad).softmax(1)

    ids = classifier.encode(tokenizer, texts)
    common = os.path.commonprefix(ids)[: min(map(len, ids)) - 1]  # of each text a token must be left to read
    if not common:
        return plain

    def read(common):
        tokens = torch.tensor([common], device=classifier.DEVICE)
        return model.base_model(input_ids=tokens, use_cache=True).past_key_values

    def go_on(cache, ids, pad):
        past = copy.deepcopy(cache)
        past.batch_repeat_interleave(len(ids))
        rest = [one[len(common):] for one in ids]
        return classifier.forward(model, rest, pad, past).softmax(1)

    # Some models have no such cache, or one that cannot be repeated for a batch (linear attention).
    try:
        with torch.no_grad(), checkpoint.exact():
            asked = go_on(read(common), ids[:2], tokenizer.pad_token_id)
            same = checkpoint.close(asked, plain(model, ids[:2], tokenizer.pad_token_id))
    except torch.OutOfMemoryError:
        raise
    except Exception:  # each family has its own
        same = False
    if not same:
        return plain

    with torch.no_grad(), checkpoint.autocast():
        cache = read(common)

    def compute(model, ids, pad):
        return go_on(cache, ids, pad)

    return compute


if __name__ == "__main__":
    stage.cli(main)
