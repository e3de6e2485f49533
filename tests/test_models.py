"""What must hold of a model before a number depends on it: its weights come from its checkpoint, no
text reads another, two passes in training agree, a text that is too long is cut."""

import json
import shutil

import pytest
import torch
import transformers
from conftest import inside, read, rows, write
from safetensors.torch import load_file, save_file
from tokenizers import processors

from w2s import classifier, probe
import prompt_strong
from losses import xent

WORDS = [" negative", " positive"]
TEXTS = [row["text"] for row in rows(24)] + ["!", "fine!!!", "dull"]
SMALL = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=128, initializer_range=0.2)
DECODER = dict(**SMALL, num_key_value_heads=2, head_dim=8, tie_word_embeddings=False)


def make(folder, tokenizer, config, kind=transformers.AutoModel, **names):
    """A tiny model of random weights, as it is saved by who pretrained it, beside a tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer)
    tokenizer.add_special_tokens(names)
    config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id or 1
    config.eos_token_id = config.bos_token_id = config.decoder_start_token_id = 1
    torch.manual_seed(1)
    kind.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def changed(source, folder, change=None, **settings):
    """A copy of a model with other settings in its configuration, or another checkpoint.

    change  {name: tensor} -> {name: tensor}
    """
    shutil.copytree(source, folder)
    if change:
        weights = change(load_file(folder / "model.safetensors"))
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))
    return folder


# ---------------------------------------------------------------------- weights from the checkpoint

def without(*parts):
    """A checkpoint that has lost the tensors whose names hold one of the parts."""
    def change(weights):
        return {
            key: value for key, value in weights.items() if not any(part in key for part in parts)
        }
    return change


def renamed(prefix):
    def change(weights):
        return {prefix + key: value for key, value in weights.items()}
    return change


def one_layer_more(weights):
    more = {
        key.replace(".1.", ".2."): value.clone() for key, value in weights.items() if ".1." in key
    }
    return weights | more


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "base_model.model."])
def test_a_checkpoint_of_a_wrapped_model_is_refused(tiny, tmp_path, family, prefix):
    model = changed(tiny[family], tmp_path / "m", renamed(prefix))
    with pytest.raises(
        ValueError, match=rf"tensors \(.*, \.\.\.\) .*not in its checkpoint.*it has {prefix}"
    ):
        classifier.load(model, WORDS)


@pytest.mark.parametrize(
    "family, change, settings, complaint",
    [
        ("gpt2", without("h.1.mlp"), {}, r"4 tensors \(transformer.h.1.mlp.c_fc.bias"),
        (
            "llama",
            without("layers.0.self_attn.k_proj"),
            {},
            r"1 tensor \(model.layers.0.self_attn.k_proj",
        ),
        (
            "bert",
            without("layer.1.output.dense.weight"),
            {},
            r"1 tensor \(bert.encoder.layer.1.output",
        ),
        ("bert", without("pooler.dense.bias"), {}, r"1 tensor \(bert.pooler.dense.bias\)"),
        ("gpt2", None, {"vocab_size": 500}, "transformer.wte.weight"),
        ("bert", None, {"vocab_size": 500}, "bert.embeddings.word_embeddings.weight"),
        (
            "bert",
            None,
            {"max_position_embeddings": 80},
            "bert.embeddings.position_embeddings.weight",
        ),
        ("llama", None, {"intermediate_size": 48}, "6 tensors .*another shape"),
        ("llama", None, {"num_hidden_layers": 3}, r"9 tensors \(model.layers.2"),
        ("llama", one_layer_more, {}, r"9 tensors \(model.layers.2.*no place"),
        ("bert", one_layer_more, {}, r"16 tensors \(encoder.layer.2.*no place"),
        ("gpt2", None, {"n_layer": 1}, r"11 tensors \(transformer.h.1.*no place"),
    ],
)
def test_weights_and_config_that_do_not_belong_together_are_refused(
        tiny, tmp_path, family, change, settings, complaint):
    model = changed(tiny[family], tmp_path / "m", change, **settings)
    with pytest.raises(ValueError, match=complaint):
        classifier.load(model, WORDS)


def test_a_stage_says_so_in_one_line(tiny, tmp_path):
    data = write(tmp_path / "data.jsonl", [{"id": i, **row} for i, row in enumerate(rows(40))])
    model = changed(tiny["gpt2"], tmp_path / "m", renamed("_orig_mod."))
    for extra in ("--linear_probe=false", "--linear_probe"):
        status, _, message = inside("train_weak.py", model, f"--train={data}", f"--test={data}",
                                    f"--out={tmp_path}/out", extra, ok=False)
        assert status and message.count("\n") == 1
        assert "28 tensors" in message and "it has _orig_mod.transformer" in message
    assert not (tmp_path / "out").exists()


def test_a_supervisor_that_has_lost_its_head_labels_nothing(tiny, tmp_path):
    model, tokenizer = classifier.load(tiny["llama"], WORDS)
    classifier.save(model, tokenizer, tmp_path / "whole")
    lost = changed(tmp_path / "whole", tmp_path / "lost", without("score"))
    data = write(tmp_path / "data.jsonl", [{"id": i, "text": text} for i, text in enumerate(TEXTS)])
    status, _, message = inside(
        "label_weak.py", lost, f"--data={data}", f"--out={tmp_path}/out", ok=False
    )
    assert status and "1 tensor (score.weight) of the model are not in its checkpoint" in message
    with pytest.raises(ValueError, match=r"score\.weight"):
        probe.load(str(lost), head="keep")


def test_a_language_model_needs_its_output_embeddings_where_words_do(tiny, tmp_path):
    headless = changed(tiny["llama"], tmp_path / "m", without("lm_head"))
    for wanted in ("auto", "words"):
        with pytest.raises(ValueError, match=r"1 tensor \(lm_head.weight\)"):
            classifier.load(headless, WORDS, head=wanted)
    with pytest.raises(ValueError, match=r"1 tensor \(lm_head.weight\)"):
        classifier.load_language_model(headless)
    classifier.load(headless, WORDS, head="random")


def test_a_pooler_that_was_never_there_is_new_and_said_to_be(tiny, tmp_path, capsys):
    headless = changed(tiny["bert"], tmp_path / "m", without("pooler"))
    classifier.load(headless)
    assert "saved without bert.pooler.dense.bias: it is new" in capsys.readouterr().err


# ------------------------------------------------------------ a text by itself, a pass like another

def check_against_one_by_one(folder):
    """Predictions in batches of 9 are the library's own of each text alone, unpadded."""
    model, tokenizer = classifier.load(folder, WORDS, seed=3)
    found = classifier.predict(model, tokenizer, TEXTS, batch_size=9)
    for text, probs in zip(TEXTS, found):
        ids = tokenizer(text, return_tensors="pt").input_ids
        hidden = model.base_model(input_ids=ids).last_hidden_state[:, -1]
        assert torch.allclose(model.score(hidden).softmax(1)[0], probs, atol=1e-5)
    assert found.std(0).min() > 1e-3


@pytest.mark.parametrize("config, both_ways", [
    (transformers.LlamaConfig, {"is_causal": False}),
    (transformers.Qwen2Config, {"is_causal": False}),
    (transformers.Qwen3Config, {"is_causal": False}),
    (transformers.MistralConfig, {"is_causal": False}),
    (transformers.Gemma3TextConfig, {"use_bidirectional_attention": True}),
])
def test_a_decoder_that_reads_both_ways_does_not_read_padding(tiny, tmp_path, config, both_ways):
    model = make(tmp_path / "m", tiny["llama"], config(**DECODER, **both_ways),
                 transformers.AutoModelForCausalLM)
    check_against_one_by_one(model)
    with pytest.raises(ValueError, match="reads padding"):
        classifier.load_language_model(model)  # it would be trained to see what it should guess


@pytest.mark.parametrize("config, more", [
    (transformers.XLNetConfig, dict(d_model=32, n_layer=2, n_head=4, d_inner=64)),
    (transformers.MobileBertConfig, dict(**{**SMALL, "hidden_size": 64}, embedding_size=32,
                                         intra_bottleneck_size=32)),
    (transformers.ConvBertConfig, dict(**SMALL, embedding_size=32)),
    (transformers.FNetConfig, SMALL),
    (transformers.YosoConfig, SMALL),
])
def test_an_encoder_that_reads_padding_is_refused(tiny, tmp_path, config, more):
    def trained_padding(weights):  # MobileBERT adds the embedding of the next token
        for key in weights:
            if key.endswith("word_embeddings.weight"):
                weights[key][2] += 0.2
        return weights

    make(tmp_path / "new", tiny["bert"], config(**more))
    changed(tmp_path / "new", tmp_path / "m", trained_padding)
    with pytest.raises(ValueError, match="reads padding|in training"):
        classifier.load(tmp_path / "m", WORDS)


@pytest.mark.parametrize("config, more", [
    (transformers.NystromformerConfig, dict(**SMALL, num_landmarks=4, segment_means_seq_len=128)),
    (transformers.CanineConfig, SMALL),
    (transformers.XmodConfig, SMALL),
])
def test_a_family_that_cannot_be_run_is_one_line(tiny, tmp_path, config, more):
    make(tmp_path / "m", tiny["bert"], config(**more))
    with pytest.raises(ValueError, match="cannot be run|reads padding") as raised:
        classifier.load(tmp_path / "m", WORDS)
    assert "\n" not in str(raised.value)


def test_sparse_attention_is_full_for_texts_that_are_short(tiny, tmp_path):
    config = transformers.BigBirdConfig(**SMALL, block_size=2, num_random_blocks=1)
    make(tmp_path / "m", tiny["bert"], config)
    with pytest.raises(ValueError, match="--max_tokens=14 or less"):
        classifier.load(tmp_path / "m", WORDS)
    model, tokenizer = classifier.load(tmp_path / "m", WORDS, max_tokens=14)
    together = classifier.predict(model, tokenizer, TEXTS)
    for text, probs in zip(TEXTS, together):  # each by a model of its own, as this one remembers
        model, _ = classifier.load(tmp_path / "m", WORDS, max_tokens=14)
        assert torch.allclose(classifier.predict(model, tokenizer, [text])[0], probs, atol=1e-6)


def test_a_router_s_noise_is_off(tiny, tmp_path):
    config = transformers.MixtralConfig(**DECODER, num_local_experts=4, router_jitter_noise=0.1)
    make(tmp_path / "m", tiny["llama"], config, transformers.AutoModelForCausalLM)
    losses = []
    for microbatch in (0, 4):
        model, tokenizer = classifier.load(tmp_path / "m", WORDS)
        targets = torch.eye(2)[[0, 1] * 12]
        curve = classifier.finetune(model, tokenizer, TEXTS[:24], targets, xent, epochs=1,
                                    batch_size=8, lr=1e-3, microbatch=microbatch)
        losses.append([point["loss"] for point in curve])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_dropout_inside_a_configuration_inside_the_configuration_is_off(tiny, tmp_path):
    text = dict(**DECODER, attention_dropout=0.2, sliding_window=64, vocab_size=400)
    vision = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                  image_size=28, patch_size=14)
    config = transformers.Gemma3Config(text_config=text, vision_config=vision)
    config.text_config.vocab_size = len(transformers.AutoTokenizer.from_pretrained(tiny["llama"]))
    make(tmp_path / "m", tiny["llama"], config)
    model, tokenizer = classifier.load(tmp_path / "m", head="random")
    assert model.config.text_config.attention_dropout == 0 and tokenizer.model_max_length == 128
    model.train()
    ids = classifier.encode(tokenizer, TEXTS)
    first, second = (classifier.forward(model, ids, tokenizer.pad_token_id) for _ in range(2))
    assert torch.equal(first, second)


def test_the_check_draws_no_random_number_and_leaves_no_mode_behind(tiny, monkeypatch):
    states = []
    for check in (classifier.check_texts_are_independent, lambda *_: None):
        monkeypatch.setattr(classifier, "check_texts_are_independent", check)
        model, _ = classifier.load(tiny["bert"], WORDS, seed=5)
        states.append(torch.get_rng_state())
        assert not model.training
    assert torch.equal(*states)


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
    data = write(tmp_path / "data.jsonl", [{"id": i, **row} for i, row in enumerate(rows(40))])
    (tmp_path / "task.json").write_text(json.dumps({"label_words": alike}))
    flags = [tiny["llama"], f"--train={data}", f"--test={data}", f"--task={tmp_path}/task.json",
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


@pytest.mark.parametrize("config, most", [
    (transformers.RobertaConfig(**{**SMALL, "max_position_embeddings": 130}), 127),
    (transformers.MPNetConfig(**{**SMALL, "max_position_embeddings": 130}), 128),
    (transformers.BartConfig(d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=32,
                             decoder_ffn_dim=32, encoder_attention_heads=2,
                             decoder_attention_heads=2, max_position_embeddings=100), 100),
])
def test_a_long_text_is_cut_to_the_positions_that_there_are(tiny, tmp_path, config, most):
    make(tmp_path / "m", ends(tiny["bert"], tmp_path), config)
    model, tokenizer = classifier.load(tmp_path / "m", WORDS)
    assert tokenizer.model_max_length == most
    assert len(classifier.encode(tokenizer, [LONG])[0]) == most
    assert classifier.predict(model, tokenizer, [LONG, *TEXTS]).isfinite().all()


def ends(source, folder):
    """A tokenizer that ends texts, as BART's does."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 1)]
    )
    tokenizer.save_pretrained(folder / "ends")
    return folder / "ends"


@pytest.mark.parametrize(
    "config",
    [
        transformers.BartConfig(
            d_model=32,
            encoder_layers=1,
            decoder_layers=1,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
        ),
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
        (["POSITIVE", "NEGATIVE"], WORDS, "turned round", True),
        (["NEGATIVE", "POSITIVE"], WORDS, "", False),
        (
            ["bad", "good"],
            WORDS,
            "calls class 0 'bad' and class 1 'good', the task 'negative' and 'positive'",
            False,
        ),
        (["POSITIVE", "NEGATIVE"], None, "calls class 0 'POSITIVE' and class 1 'NEGATIVE'", False),
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
