"""The linear probe: a frozen model whose features are computed once."""

import shutil

import pytest
import torch
import transformers
from conftest import command, read, rows, write
from test_models import BART, ends, make

from w2s import classifier
import label_weak
from w2s import probe
import train_strong
import train_weak
from losses import xent

WORDS = [" negative", " positive"]
MADE = rows(300)
TEXTS, TARGETS = [row["text"] for row in MADE], torch.eye(2)[[row["label"] for row in MADE]]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    # where XDG_CACHE_HOME=tmp_path puts it
    monkeypatch.setattr(
        probe, "CACHE", tmp_path / "weak-to-strong" / "features"
    )
    return probe.CACHE


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_only_the_head_learns_and_it_is_the_model_s_own(tiny, family, tmp_path):
    model, tokenizer = classifier.load(tiny[family], WORDS)
    head, backbone = probe.load(str(tiny[family]), WORDS)
    assert torch.allclose(
        probe.predict(head, backbone, TEXTS), classifier.predict(model, tokenizer, TEXTS), atol=1e-6
    )
    before = xent(probe.predict(head, backbone, TEXTS).log(), TARGETS, 0)
    probe.finetune(head, backbone, TEXTS, TARGETS, xent, epochs=20, lr=1e-2)
    found = probe.predict(head, backbone, TEXTS)
    assert xent(found.log(), TARGETS, 0) < before - 0.01
    probe.save(head, backbone, tmp_path / "saved")
    saved, tokenizer = classifier.load(tmp_path / "saved", head="keep")
    assert torch.allclose(classifier.predict(saved, tokenizer, TEXTS), found, atol=1e-6)
    changed = [
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, saved.state_dict()[name])
    ]
    assert {name.split(".")[0] for name in changed} == {
        "classifier" if family == "bert" else "score"
    }


def test_a_probe_of_choices(tiny):
    pairs, targets = [[TEXTS[i], TEXTS[-1 - i]] for i in range(60)], torch.eye(2)[[0, 1] * 30]
    model, tokenizer = classifier.load(tiny["llama"], WORDS, choices=True)
    head, backbone = probe.load(str(tiny["llama"]), WORDS, choices=True)
    before = probe.predict(head, backbone, pairs)
    assert torch.allclose(before, classifier.predict(model, tokenizer, pairs), atol=1e-6)
    probe.finetune(head, backbone, pairs, targets, xent, epochs=20, lr=1e-2)
    assert (
        xent(probe.predict(head, backbone, pairs).log(), targets, 0)
        < xent(before.log(), targets, 0) - 0.01
    )


def test_a_random_head_has_its_seed_but_features_have_none(tiny, cache):
    heads = [probe.load(str(tiny["bert"]), WORDS, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(heads[0][0].weight, heads[1][0].weight)
    assert not torch.equal(heads[0][0].weight, heads[2][0].weight)
    assert torch.equal(
        classifier.head_of(classifier.load(tiny["bert"], seed=1)[0]).weight, heads[2][0].weight
    )
    features = [probe.features(backbone, TEXTS) for _, backbone in heads]
    # the head, the features
    assert torch.equal(features[0], features[2])
    assert len(list(cache.iterdir())) == 2


def test_features_are_those_of_this_model_and_these_texts(tiny, cache, tmp_path):
    shutil.copytree(tiny["llama"], tmp_path / "m")

    def kept():
        return len(list(cache.iterdir()))

    probe.features(probe.load(str(tmp_path / "m"), WORDS)[1], TEXTS)
    assert kept() == 2
    probe.features(probe.load(str(tmp_path / "m"), WORDS)[1], TEXTS[:9])
    assert kept() == 3
    probe.features(probe.load(str(tmp_path / "m"), WORDS, max_tokens=9)[1], TEXTS)
    assert kept() == 5
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    probe.features(probe.load(str(tmp_path / "m"), WORDS)[1], TEXTS)
    assert kept() == 7


def test_stages_train_probes_and_what_is_cached_needs_no_model_in_memory(tiny, tmp_path):
    data = [{"id": i, **row} for i, row in enumerate(MADE)]
    train, test = (
        str(write(tmp_path / f"{name}.jsonl", part))
        for name, part in (("train", data[:200]), ("test", data[200:]))
    )
    recipe = {"epochs": 30, "lr": 1e-2, "linear_probe": True}
    train_weak.main(str(tiny["bert"]), train, test, f"{tmp_path}/weak", **recipe)
    label_weak.main(f"{tmp_path}/weak/model", test, f"{tmp_path}/labels")
    assert [row["probs"] for row in read(tmp_path / "labels" / "labels.jsonl")] == [
        pytest.approx(row["probs"], abs=2e-6)
        for row in read(tmp_path / "weak" / "predictions.jsonl")
    ]
    train_strong.main(str(tiny["llama"]), train, test, f"{tmp_path}/ceiling", **recipe)
    # the student of other labels, another loss and seed: with no transformers to import
    (tmp_path / "no" / "transformers").mkdir(parents=True)
    (tmp_path / "no" / "transformers" / "__init__.py").write_text("raise RuntimeError('imported')")
    labels = write(
        tmp_path / "labels.jsonl",
        [{"id": row["id"], "text": row["text"], "probs": [0.3, 0.7]} for row in data[:200]],
    )
    command(
        "train_strong.py",
        tiny["llama"],
        f"--labels={labels}",
        f"--test={test}",
        f"--out={tmp_path}/student",
        "--epochs=30",
        "--lr=1e-2",
        "--linear_probe",
        "--loss=conf",
        "--seed=5",
        XDG_CACHE_HOME=str(tmp_path),
        PYTHONPATH=str(tmp_path / "no"),
    )
    assert (tmp_path / "student" / "run.json").exists()


def test_a_saved_probe_of_a_family_that_usually_has_another_number_of_classes(tiny, tmp_path):
    make(tmp_path / "bart", ends(tiny["bert"], tmp_path), transformers.BartConfig(**BART))
    head, backbone = probe.load(str(tmp_path / "bart"))
    probe.save(head, backbone, tmp_path / "saved")
    model, tokenizer = classifier.load(tmp_path / "saved", head="keep")
    probs = probe.predict(head, backbone, TEXTS[:8])
    assert torch.allclose(classifier.predict(model, tokenizer, TEXTS[:8]), probs, atol=1e-6)
