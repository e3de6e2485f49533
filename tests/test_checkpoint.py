"""What must hold of a model before a number depends on it: its weights come from its checkpoint, no
text reads another, a pass in training is like one in evaluation."""

import pytest
import torch
import transformers
from conftest import inside, rows, write
from tiny_models import DECODER, SMALL, TEXTS, WORDS, changed, make

from losses import xent
from w2s import classifier, probe


# ---------------------------------------------------------------------- weights from the checkpoint

def without(*parts):
    """A checkpoint that has lost the tensors whose names hold one of the parts."""
    def change(weights):
        kept = dict(weights)
        for key in weights:
            if any(part in key for part in parts):
                del kept[key]
        return kept

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


def with_also(*names):
    def change(weights):
        return weights | {name: torch.ones(3) for name in names}

    return change


def test_a_part_that_config_json_does_not_know_is_refused(tiny, tmp_path):
    extra = with_also("embeddings.project.weight")
    model = changed(tiny["bert"], tmp_path / "bert", extra)
    with pytest.raises(ValueError, match="embeddings.project.weight.*no place"):
        classifier.load(model)
    trained, tokenizer = classifier.load(tiny["llama"], WORDS)
    classifier.save(trained, tokenizer, tmp_path / "trained")
    model = changed(tmp_path / "trained", tmp_path / "lora", with_also("score.lora_A.weight"))
    with pytest.raises(ValueError, match="score.lora_A.weight.*no place"):
        classifier.load(model, head="keep")
    classifier.load(model, head="random")  # where the head is new, what was there does not matter


def moved_head(weights):
    return {name.replace("head.dense", "head.module.dense"): weights[name] for name in weights}


@pytest.mark.parametrize("change", [without("head.dense"), without("head.norm"), moved_head])
def test_a_head_that_is_there_in_part_is_refused(tiny, tmp_path, change):
    config = transformers.ModernBertConfig(**SMALL)
    kind = transformers.AutoModelForMaskedLM
    model = make(tmp_path / "m", tiny["bert"], config, kind, cls_token="[CLS]", sep_token="[SEP]")
    classifier.load(model)
    with pytest.raises(ValueError, match=r"tensor.? \(head\."):
        classifier.load(changed(model, tmp_path / "part", change))


def test_an_adapter_that_is_not_merged_is_refused(tiny, tmp_path):
    model = changed(tiny["llama"], tmp_path / "m")
    (model / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="an adapter that is not merged"):
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
    def no_check(*_):
        pass

    states = []
    for check in (classifier.check_texts_are_independent, no_check):
        monkeypatch.setattr(classifier, "check_texts_are_independent", check)
        model, _ = classifier.load(tiny["bert"], WORDS, seed=5)
        states.append(torch.get_rng_state())
        assert not model.training
    assert torch.equal(*states)
