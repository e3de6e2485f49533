"""Tuning on the task's texts: packed blocks, the language model's own loss, and a model that a
student starts from."""

import json
import random
import shutil

import pytest
import torch
import transformers
from conftest import read, rows, write

from w2s import classifier
import train_generative
from w2s import training


@pytest.fixture
def data(tmp_path):
    return write(
        tmp_path / "texts.jsonl", [{"id": i, "text": row["text"]} for i, row in enumerate(rows(80))]
    )


def test_texts_are_packed_and_what_follows_one_is_not_learned():
    tokens, targets = train_generative.pack([[5, 6, 7], [8, 9]], end=1, block=4)
    assert tokens.tolist() == [[5, 6, 7, 1], [8, 9, 1, 1]]
    assert targets.tolist() == [[5, 6, 7, -100], [8, 9, -100, -100]]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_loss_is_the_language_model_s_own(data, tiny, tmp_path, family):
    train_generative.main(
        str(tiny[family]), str(data), str(tmp_path / "out"), epochs=1, block=32, batch_size=1000
    )
    model, tokenizer = classifier.load_language_model(str(tiny[family]))
    texts = [row["text"] for row in read(data)]
    random.Random(0).shuffle(texts)
    ids = classifier.encode(tokenizer, texts)
    curve = read(tmp_path / "out" / "curve.jsonl")
    assert len(curve) == 1
    tokens, targets = train_generative.pack(ids, 1, 32)
    with torch.no_grad():
        expected = model(input_ids=tokens, labels=targets).loss.item()
    assert curve[0]["loss"] == pytest.approx(expected, rel=1e-5)
    metrics = json.loads((tmp_path / "out" / "run.json").read_text())["metrics"]
    # a block's first token is given
    assert metrics["tokens"] == sum(map(len, ids)) - sum(row[0] != -100 for row in targets.tolist())


def test_it_learns_alike_in_microbatches_and_is_a_model_to_start_from(data, tiny, tmp_path):
    for name, microbatch in (("whole", 0), ("pieces", 3)):
        train_generative.main(
            str(tiny["llama"]),
            str(data),
            str(tmp_path / name),
            epochs=20,
            block=32,
            batch_size=16,
            lr=1e-2,
            microbatch=microbatch,
            checkpointing=bool(microbatch),
        )
    losses = [point["loss"] for point in read(tmp_path / "whole" / "curve.jsonl")]
    assert losses[-1] < losses[0] - 1
    found = [
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / name / "model")
        for name in ("whole", "pieces")
    ]
    for ours, theirs in zip(*(model.parameters() for model in found)):
        assert torch.allclose(ours, theirs, atol=2e-3)
    model, tokenizer = classifier.load(
        str(tmp_path / "whole" / "model"), [" negative", " positive"]
    )
    words = [
        tokenizer("It is:" + word).input_ids[len(tokenizer("It is:").input_ids)]
        for word in (" negative", " positive")
    ]
    assert torch.equal(model.score.weight, found[0].get_output_embeddings().weight[words])
    # that of the model, not the block
    assert tokenizer.model_max_length == classifier.load(str(tiny["llama"]))[1].model_max_length


def test_it_goes_on_after_a_crash(data, tiny, tmp_path, monkeypatch):
    def run(name):
        train_generative.main(
            str(tiny["gpt2"]), str(data), str(tmp_path / name), block=32, save_minutes=0.0
        )
        return (tmp_path / name / "model" / "model.safetensors").read_bytes()

    whole, computed, gradients = run("whole"), [], training.gradients

    def count(*args):
        computed.append(1)
        return gradients(*args)

    def crash(*args):
        if len(computed) == 3:
            raise KeyboardInterrupt
        return count(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "gradients", crash)
        run("crashed")
    monkeypatch.setattr(training, "gradients", count)
    assert run("crashed") == whole
    assert len(computed) == len(read(tmp_path / "whole" / "curve.jsonl"))


@pytest.mark.parametrize("family, flags, complaint", [
    ("bert", {}, "it is no causal language model"),
    ("llama", {"epochs": 0}, "--epochs=0: 1 or more is needed"),
    ("no-end", {}, "its tokenizer has no end-of-text token"),
])
def test_refused(data, tiny, tmp_path, family, flags, complaint):
    model = tiny.get(family)
    if family == "no-end":
        model = shutil.copytree(tiny["llama"], tmp_path / "model")
        tokenizer = transformers.AutoTokenizer.from_pretrained(model, eos_token=None, pad_token="!")
        tokenizer.save_pretrained(model)
    with pytest.raises(SystemExit, match=complaint):
        train_generative.main(str(model), str(data), str(tmp_path / "out"), **flags)


def test_texts_too_short_to_learn_from_are_refused(tiny, tmp_path):
    data = write(tmp_path / "data.jsonl", [{"id": i, "text": word} for i, word in enumerate("ab")])
    with pytest.raises(SystemExit, match="no text is long enough to learn from in blocks of 2"):
        train_generative.main(str(tiny["gpt2"]), str(data), str(tmp_path / "out"), block=2)
