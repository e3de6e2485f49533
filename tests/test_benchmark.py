"""demo/benchmark.py measures what it says: its rivals train, its large shapes run. (test_docs.py
runs all of it.)"""

import functools

import benchmark
import pytest
import rivals
import torch
from measure import shown

from w2s import classifier


def a_speed(dtype):
    """In place of benchmark.product, which measures."""
    return 1e11


@pytest.mark.parametrize("rival", ["hugging_face", "openai"])
def test_rivals_train_every_weight_on_every_text(tiny, tmp_path, rival):
    model, tokenizer = classifier.load(tiny["llama"])
    texts = [f"{word} film" for word in ("fine", "dull", "funny", "flat") * 10]
    ids, labels = classifier.encode(tokenizer, texts), [1, 0] * 20
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    seen = []

    def see(module, args, output):
        seen.append(len(output))

    model.get_input_embeddings().register_forward_hook(see)
    if rival == "openai":
        rivals.openai(model, ids, labels)()
        assert seen == [1] * 40
    else:
        rivals.hugging_face(model, tokenizer, ids, labels, tmp_path)()
        assert seen == [32, 8]
    for name, weight in model.named_parameters():
        assert weight.isfinite().all() and not torch.equal(weight, before[name]), name


@pytest.mark.parametrize("of_shape", [
    functools.partial(benchmark.gpt2_xl, 1, 8, n_embd=16, n_layer=2, n_head=2, vocab_size=50),
    functools.partial(benchmark.llama_7b, 1, 32, hidden_size=16, intermediate_size=32,
                      num_hidden_layers=2, num_attention_heads=2, vocab_size=50)])
def test_large_shapes_run_at_small_sizes(monkeypatch, of_shape):
    monkeypatch.setattr(benchmark, "product", a_speed)
    monkeypatch.setattr(benchmark, "AT_LEAST", 0.0)
    found = of_shape()
    for name in ("finetuning: tokens/s", "predicting: tokens/s", "memory, GB"):
        assert any(key.endswith(name) and value > 0 for key, value in found.items())


def test_rounds_are_told_by_their_median_and_ends():
    assert shown([1.5, 1.25, 3.0]) == "1.50 (1.25 to 3.00)"
