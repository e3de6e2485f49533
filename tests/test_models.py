"""Models from elsewhere: label words, long texts, caches, probes, somebody else's classes."""

import json

import pytest
import torch
import transformers
from conftest import inside, read, rows, write
from tiny_models import DECODER, SMALL, TEXTS, WORDS, changed, ends, make
from tokenizers import processors

import prompt_strong
from losses import xent
from w2s import classifier, probe


# -------------------------------------------------------------------------------------- label words

@pytest.fixture
def ends_texts(tiny, tmp_path):
    """A model whose tokenizer ends every text with its end-of-text token."""
    folder = changed(tiny["llama"], tmp_path / "ends")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 1)]
    )
    tokenizer.save_pretrained(folder)
    assert transformers.AutoTokenizer.from_pretrained(folder)("a").input_ids[-1] == 1
    return folder


@pytest.mark.parametrize("words", [WORDS, [" negative film", " positive road"]])
def test_the_head_is_made_of_the_words_first_tokens_whatever_ends_a_text(tiny, ends_texts, words):
    expected, _ = classifier.load(tiny["llama"], WORDS)
    found, _ = classifier.load(ends_texts, words, head="words")
    assert torch.equal(found.score.weight, expected.score.weight)


def test_words_that_begin_alike_end_no_run_unless_they_are_insisted_on(tiny, tmp_path, capsys):
    alike = [" negative", " negative one"]
    made = [{"id": i, **row} for i, row in enumerate(rows(60))]
    data, test = write(tmp_path / "data.jsonl", made[:40]), write(tmp_path / "t.jsonl", made[40:])
    (tmp_path / "task.json").write_text(json.dumps({"label_words": alike}))
    flags = [tiny["llama"], f"--train={data}", f"--test={test}", f"--task={tmp_path}/task.json",
             "--epochs=0", f"--out={tmp_path}/out"]
    inside("train_weak.py", *flags)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "do not begin with different tokens" in said
    random, _ = classifier.load(tiny["llama"], head="random")
    assert torch.equal(classifier.load(tiny["llama"], alike)[0].score.weight, random.score.weight)
    status, _, message = inside(
        "train_weak.py", *flags[:-1], f"--out={tmp_path}/b", "--head=words", ok=False
    )
    assert status and "use --head=random" in message


def test_nothing_is_asked_after_the_end_of_a_text(ends_texts, tmp_path):
    data = write(tmp_path / "data.jsonl", [{"id": i, **row} for i, row in enumerate(rows(40))])
    (tmp_path / "task.json").write_text(json.dumps({"label_words": WORDS}))
    with pytest.raises(SystemExit, match="tokenizer ends every text"):
        prompt_strong.main(
            str(ends_texts), str(data), str(data), f"{tmp_path}/task.json", f"{tmp_path}/out"
        )


# ---------------------------------------------------------------------------- what a model can take

LONG = "dull " * 300 + "the film is fine"
BART = dict(d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=32, decoder_ffn_dim=32,
            encoder_attention_heads=2, decoder_attention_heads=2)


@pytest.mark.parametrize("config, most", [
    (transformers.RobertaConfig(**{**SMALL, "max_position_embeddings": 130}), 127),
    (transformers.MPNetConfig(**{**SMALL, "max_position_embeddings": 130}), 128),
    (transformers.BartConfig(**BART, max_position_embeddings=100), 100),
])
def test_a_long_text_is_cut_to_the_positions_that_there_are(tiny, tmp_path, config, most):
    make(tmp_path / "m", ends(tiny["bert"], tmp_path), config)
    model, tokenizer = classifier.load(tmp_path / "m", WORDS)
    assert tokenizer.model_max_length == most
    assert len(classifier.encode(tokenizer, [LONG])[0]) == most
    assert classifier.predict(model, tokenizer, [LONG, *TEXTS]).isfinite().all()


@pytest.mark.parametrize(
    "config",
    [
        transformers.BartConfig(**BART),
        transformers.T5Config(d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4),
    ],
)
def test_a_text_that_spells_out_the_end_is_as_good_as_any(tiny, tmp_path, config):
    make(tmp_path / "m", ends(tiny["bert"], tmp_path), config)
    model, tokenizer = classifier.load(tmp_path / "m", WORDS)
    texts = [
        "a film",
        "a <|endoftext|> film",
        "<|endoftext|>",
        "one <|endoftext|><|endoftext|>",
    ] * 2
    targets = torch.eye(2)[[0, 1] * 4]
    classifier.finetune(model, tokenizer, texts, targets, xent, epochs=1, batch_size=4)
    assert classifier.predict(model, tokenizer, texts).isfinite().all()


HYBRID = dict(
    linear_num_value_heads=2,
    linear_num_key_heads=2,
    linear_key_head_dim=8,
    linear_value_head_dim=8,
    num_experts=2,
    num_experts_per_tok=1,
    moe_intermediate_size=16,
    shared_expert_intermediate_size=16,
    decoder_sparse_step=1,
)


@pytest.mark.parametrize(
    "config",
    [
        transformers.Qwen3NextConfig(
            **DECODER, **HYBRID, layer_types=["linear_attention", "full_attention"]
        ),
        transformers.JambaConfig(
            **{**SMALL, "tie_word_embeddings": False},
            num_key_value_heads=2,
            attn_layer_period=2,
            attn_layer_offset=1,
            expert_layer_period=2,
            expert_layer_offset=1,
            num_experts=2,
            mamba_d_state=4,
            mamba_dt_rank=4,
            use_mamba_kernels=False,
        ),
        transformers.OpenAIGPTConfig(
            n_embd=32, n_layer=2, n_head=4, n_positions=256, initializer_range=0.2
        ),
    ],
)
def test_a_model_without_a_cache_that_can_be_repeated_is_asked_plainly(tiny, tmp_path, config):
    make(tmp_path / "m", tiny["llama"], config, transformers.AutoModelForCausalLM)
    data = write(tmp_path / "data.jsonl", [{"id": i, **row} for i, row in enumerate(rows(20))])
    (tmp_path / "task.json").write_text(json.dumps({"label_words": WORDS}))
    prompt_strong.main(str(tmp_path / "m"), str(data), str(data), f"{tmp_path}/task.json",
                       f"{tmp_path}/out", shots=2, calibrate=0)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    made = {str(i): row for i, row in enumerate(rows(20))}
    shots = [made[i]["text"] + WORDS[made[i]["label"]] + "\n\n" for i in run["metrics"]["shots"]]
    model, tokenizer = classifier.load(tmp_path / "m", WORDS, head="words")
    expected = classifier.predict(
        model, tokenizer, ["".join(shots) + row["text"] for row in made.values()]
    )
    found = [row["probs"][1] for row in read(tmp_path / "out" / "predictions.jsonl")]
    assert found == pytest.approx(expected[:, 1].tolist(), abs=1e-5)


def test_where_the_longest_text_of_a_batch_would_decide_texts_are_cut(tiny, tmp_path):
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4, "original_max_position_embeddings": 32}
    config = transformers.LlamaConfig(**DECODER, rope_parameters=rope)
    make(tmp_path / "m", tiny["llama"], config, transformers.AutoModelForCausalLM)
    model, tokenizer = classifier.load(tmp_path / "m", WORDS)
    assert tokenizer.model_max_length == 32
    together = classifier.predict(model, tokenizer, [*TEXTS, LONG])
    alone = torch.cat([classifier.predict(model, tokenizer, [text]) for text in [*TEXTS, LONG]])
    assert torch.allclose(together, alone, atol=1e-6)


# ------------------------------------------------------------------------------------------- probes


@pytest.mark.parametrize(
    "config",
    [
        transformers.RobertaConfig(**SMALL),
        transformers.DistilBertConfig(
            dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=128
        ),
        transformers.ElectraConfig(**SMALL, embedding_size=32),
        transformers.DebertaV2Config(**SMALL),
        transformers.BertConfig(**SMALL),
    ],
)
def test_a_probe_reads_pretrained_features_only(tiny, tmp_path, monkeypatch, config):
    monkeypatch.setattr(probe, "CACHE", tmp_path / "features")
    make(tmp_path / "m", tiny["bert"], config)
    features = []
    for seed in (0, 1):
        monkeypatch.setattr(probe, "CACHE", tmp_path / f"features{seed}")
        head, backbone = probe.load(str(tmp_path / "m"), WORDS, seed=seed)
        backbone.arguments = (*backbone.arguments[:3], seed, *backbone.arguments[4:])
        features.append(probe.features(backbone, TEXTS))
    assert torch.equal(*features) and features[0].std(0).max() > 1e-3
    probe.finetune(head, backbone, TEXTS[:24], torch.eye(2)[[0, 1] * 12], xent, epochs=3, lr=1e-2)
    probe.save(head, backbone, tmp_path / "saved")
    model, tokenizer = classifier.load(tmp_path / "saved", head="keep")
    assert torch.allclose(classifier.predict(model, tokenizer, TEXTS),
                          probe.predict(head, backbone, TEXTS), atol=1e-6)


# ----------------------------------------------------------------------- somebody else's classifier


@pytest.mark.parametrize(
    "names, words, said, turned",
    [
        (["POSITIVE", "NEGATIVE"], WORDS, "brought into the task's order", True),
        (["NEGATIVE", "POSITIVE"], WORDS, "", False),
        (
            ["bad", "good"],
            WORDS,
            "calls its classes 'bad', 'good', the task 'negative', 'positive': see",
            False,
        ),
        (["POSITIVE", "NEGATIVE"], None, "calls its classes 'POSITIVE', 'NEGATIVE': see", False),
        (["LABEL_0", "LABEL_1"], WORDS, "", False),
    ],
)
def test_which_class_is_which(tiny, tmp_path, names, words, said, turned, capsys):
    model, tokenizer = classifier.load(tiny["llama"], WORDS)
    classifier.save(model, tokenizer, tmp_path / "ours")
    elsewhere = changed(tmp_path / "ours", tmp_path / "m", id2label=dict(enumerate(names)))
    data = write(tmp_path / "data.jsonl", [{"id": i, "text": text} for i, text in enumerate(TEXTS)])
    if words:
        (tmp_path / "task.json").write_text(json.dumps({"label_words": words}))
    inside("label_weak.py", elsewhere, f"--data={data}", f"--out={tmp_path}/out")
    heard = capsys.readouterr().err
    assert said in heard and heard.count("\n") == bool(said)
    p1 = classifier.predict(model, tokenizer, TEXTS)[:, 1]
    found = [row["probs"][1] for row in read(tmp_path / "out" / "labels.jsonl")]
    assert found == pytest.approx((1 - p1 if turned else p1).tolist(), abs=2e-6)


def test_a_supervisor_made_of_it_has_the_task_s_classes(tiny, tmp_path):
    model, tokenizer = classifier.load(tiny["llama"], WORDS)
    classifier.save(model, tokenizer, tmp_path / "ours")
    elsewhere = changed(tmp_path / "ours", tmp_path / "m", id2label={0: "POSITIVE", 1: "NEGATIVE"})
    for head in ("random", "keep"):
        model, tokenizer = classifier.load(elsewhere, WORDS, head=head)
        classifier.finetune(model, tokenizer, TEXTS[:24], torch.eye(2)[[0, 1] * 12], xent, epochs=0)
        assert model.config.id2label == {0: "LABEL_0", 1: "LABEL_1"}


@pytest.mark.parametrize("classes", [2, 3])
def test_a_family_that_usually_has_another_number_of_classes_keeps_ours(tiny, tmp_path, classes):
    """BART's is 3, and what is as usual is left out of a saved config.json."""
    make(tmp_path / "bart", ends(tiny["bert"], tmp_path), transformers.BartConfig(**BART))
    model, tokenizer = classifier.load(tmp_path / "bart", classes=classes)
    classifier.save(model, tokenizer, tmp_path / "saved")
    again, _ = classifier.load(tmp_path / "saved", head="keep")
    probs = classifier.predict(model, tokenizer, TEXTS)
    assert probs.shape == (len(TEXTS), classes)
    assert torch.equal(classifier.predict(again, tokenizer, TEXTS), probs)
