"""Adapters: untouched at the first step, alone in being trained, merged when saved; in several
microbatches, processes and after crashes the same; and what is refused."""

import json
import os
import subprocess
import sys

import pytest
import safetensors.torch
import torch
import transformers
from conftest import edit, inside, project, rows, write
from test_training import DRIVER, MIX, weights
from tiny_models import SMALL, WORDS, ends, make

import losses
from losses import xent
from w2s import checkpoint, classifier, lora, precision, source, state

TEXTS = [row["text"] for row in rows(24)]
TARGETS = torch.eye(2)[[0, 1] * 12]
FAMILIES = ("gpt2", "llama", "bert", "roberta", "t5")


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    """{family: model folder}. RoBERTa's head has another new layer; T5's embeddings are tied."""
    folder = tmp_path_factory.mktemp("families")
    roberta = transformers.RobertaConfig(**SMALL)
    t5 = transformers.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    kind = transformers.AutoModelForSeq2SeqLM
    return {**tiny, "roberta": make(folder / "roberta", tiny["bert"], roberta),
            "t5": make(folder / "t5", ends(tiny["bert"], folder), t5, kind)}


def predict(model, tokenizer):
    return classifier.predict(model, tokenizer, TEXTS)


def finetune(model, tokenizer, **recipe):
    recipe = {"epochs": 4, "batch_size": 8, "lr": 1e-2, **recipe}
    return classifier.finetune(model, tokenizer, TEXTS, TARGETS, xent, **recipe)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_adapters_and_head_move_and_both_are_saved_as_one_plain_model(
        folders, family, tmp_path):
    plain, tokenizer = classifier.load(folders[family], WORDS)
    model, _ = classifier.load(folders[family], WORDS, lora=4)
    assert torch.equal(predict(model, tokenizer), predict(plain, tokenizer))
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    finetune(model, tokenizer)
    moved = {name for name, weight in model.named_parameters()
             if not torch.equal(weight, before[name])}

    # of every linear layer of the pretrained model A and B; of what is above it all
    expected = {name for name in before if checkpoint.is_outside(model, name)}
    for name, module in plain.base_model.named_modules():
        if isinstance(module, (torch.nn.Linear, lora.Conv1D)):
            for matrix in "AB":
                name_there = f"{plain.base_model_prefix}.{name}.lora_{matrix}.default.weight"
                expected.add(name_there)
    assert moved == expected | {name for name in before if name in model.untrained}
    trained, _ = state.full_state(model)
    assert trained.keys() == moved

    # merged, it is a model like any other
    found = predict(model, tokenizer)
    classifier.save(model, tokenizer, tmp_path / "saved")
    classifier.save(plain, tokenizer, tmp_path / "plain")
    assert torch.equal(predict(model, tokenizer), found)
    names = [{path.name for path in (tmp_path / kind).iterdir()} for kind in ("saved", "plain")]
    assert names[0] == names[1]
    saved, others = (safetensors.torch.load_file(tmp_path / kind / "model.safetensors")
                     for kind in ("saved", "plain"))
    assert saved.keys() == others.keys()
    assert {weight.dtype for weight in saved.values()} == {torch.float32}
    again, _ = classifier.load(tmp_path / "saved", head="keep")
    assert torch.allclose(predict(again, tokenizer), found, rtol=0, atol=2e-6)
    assert not torch.allclose(predict(plain, tokenizer), found, rtol=0, atol=1e-2)
    assert classifier.parameters(model, tokenizer) == classifier.parameters(again, tokenizer)
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "float32"


@pytest.mark.parametrize("family", ("gpt2", "llama", "t5"))
def test_the_frozen_layers_are_bf16_where_the_processor_has_it(
        folders, family, monkeypatch, tmp_path):
    for module in (lora, precision):
        monkeypatch.setattr(module, "BF16", True)
    plain, tokenizer = classifier.load(folders[family], WORDS)
    model, _ = classifier.load(folders[family], WORDS, lora=4)
    for name, weight in model.named_parameters():
        narrow = name.endswith("base_layer.weight") and ".wo." not in name  # T5 wants it float32
        assert weight.dtype == (torch.bfloat16 if narrow else torch.float32), name
        assert not (narrow and weight.requires_grad)

    # autocast made bf16 of them already
    assert torch.equal(predict(model, tokenizer), predict(plain, tokenizer))
    finetune(model, tokenizer)
    classifier.save(model, tokenizer, tmp_path / "saved")
    again, _ = classifier.load(tmp_path / "saved", head="keep")
    assert {weight.dtype for weight in again.parameters()} == {torch.float32}
    assert torch.allclose(predict(again, tokenizer), predict(model, tokenizer), rtol=0, atol=0.03)


def test_adapters_are_drawn_from_the_seed(tiny):
    def first(seed):
        model, _ = classifier.load(tiny["llama"], WORDS, seed=seed, lora=4)
        return model.model.layers[0].self_attn.q_proj.lora_A["default"].weight

    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))


# ------------------------------------------------------------ however the batch is computed

BF16 = '''
import os
from w2s import training
if os.environ.get("FORCE_BF16"):
    training.BF16 = True
'''


@pytest.fixture(scope="module")
def runs(tiny, tmp_path_factory):
    """The folder of students, trained in every way there is. As in test_training.py."""
    folder = tmp_path_factory.mktemp("ways")
    here = project(folder / "project")
    edit(here / "losses.py", "LOSSES = {", MIX)
    (here / "driver.py").write_text(BF16 + DRIVER)
    labelled = []
    for i, row in enumerate(rows(45)):
        labelled.append({"id": f"r{i}", **row, "probs": [0.2, 0.8] if row["label"] else [0.7, 0.3]})
    data = write(folder / "labels.jsonl", labelled)

    def drive(*outs, processes=1, ok=True, **environment):
        command = [sys.executable]
        if processes == 2:
            command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        outs = [f"{folder}/{out} lora=4" for out in outs]
        done = subprocess.run(
            [*command, here / "driver.py", tiny["llama"], data, *outs], capture_output=True,
            text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})
        assert (done.returncode == 0) == ok, done.stderr

    best = "fsdp=True microbatch=4 evals=4 keep=best"
    drive("one mix", "micro4 mix microbatch=4", "check mix checkpointing=True",
          "one_best mix evals=4 keep=best")
    drive("crashed mix save_minutes=0 " + best, processes=2, ok=False, CRASH="1")
    state, = (folder / "crashed").glob("state-*.pt")
    state = torch.load(state, weights_only=True)
    torch.save([list(state[name]) for name in ("weights", "best")], folder / "names.pt")
    drive("two mix microbatch=4", "fsdp mix fsdp=True microbatch=4", "fsdp_best mix " + best,
          "crashed mix " + best, processes=2)
    drive("one_bf16 mix", FORCE_BF16="1")
    drive("fsdp_bf16 mix fsdp=True checkpointing=True", processes=2, FORCE_BF16="1")
    return folder


@pytest.mark.parametrize("way, as_in, atol", [
    ("micro4", "one", 2e-5), ("check", "one", 0), ("two", "one", 2e-5), ("fsdp", "one", 2e-5),
    ("fsdp_best", "one_best", 2e-5), ("crashed", "fsdp_best", 0), ("fsdp_bf16", "one_bf16", 5e-3),
])
def test_same_weights_however_the_batch_is_computed(runs, way, as_in, atol):
    expected, found = weights(runs / as_in), weights(runs / way)
    assert expected.keys() == found.keys()
    for name in expected:
        assert torch.allclose(found[name], expected[name], rtol=0, atol=atol), name
    assert not list((runs / way).glob("*state*"))


def test_the_state_of_training_holds_what_is_trained_alone(runs):
    for names in torch.load(runs / "names.pt", weights_only=True):
        assert "score.weight" in names
        assert all(".lora_" in name for name in set(names) - {"score.weight"})
        assert len(names) == 1 + 2 * 2 * 7  # A and B of two layers of seven


# ----------------------------------------------------------------------------- command line


def run(script, tiny, tmp_path, *words, family="bert", name="out", ok=True):
    made = [{"id": f"r{i}", **row} for i, row in enumerate(rows(40))]
    data = write(tmp_path / "data.jsonl", made)
    kind = {"train_weak.py": "train", "train_strong.py": "labels"}[script]
    return inside(script, f"--model={tiny[family]}", f"--{kind}={data}", f"--test={data}",
                  f"--out={tmp_path / name}", "--batch_size=4", *words, ok=ok)


def test_a_supervisor_goes_on_after_a_crash_and_labels(tiny, tmp_path, monkeypatch):
    def crash(logits, targets, step_frac):
        if step_frac >= 0.5:
            raise SystemExit("crash")
        return xent(logits, targets, step_frac)

    flags = "--lora=4", "--lr=1e-2", "--save_minutes=0"
    run("train_weak.py", tiny, tmp_path, *flags, name="whole")
    with monkeypatch.context() as patch:
        patch.setitem(losses.LOSSES, "xent", crash)
        run("train_weak.py", tiny, tmp_path, *flags, name="crashed", ok=False)
    state, = (tmp_path / "crashed").glob("state-*.pt")
    state = torch.load(state, weights_only=True)
    assert len(state["curve"]) == 10
    assert all("lora_" in name or "classifier" in name for name in state["weights"])
    run("train_weak.py", tiny, tmp_path, *flags, name="crashed")
    for name in ("model/model.safetensors", "predictions.jsonl", "curve.jsonl", "run.json"):
        ours, whole = ((tmp_path / out / name).read_bytes() for out in ("crashed", "whole"))
        assert ours == whole or name == "run.json"
    assert json.loads(ours)["args"]["lora"] == 4
    inside("label_weak.py", f"--model={tmp_path / 'whole' / 'model'}",
           f"--data={tmp_path / 'data.jsonl'}", f"--out={tmp_path / 'labels'}")


@pytest.mark.parametrize("script", ("train_weak.py", "train_strong.py"))
@pytest.mark.parametrize("words, said", [
    (["--lora=-1"], "--lora=-1: 0 or more is needed"),
    (["--lora=x"], "--lora=x: a whole number is needed"),
    (["--lora"], "--lora has no value; write --lora=VALUE"),
    (["--lora=4", "--linear_probe"], "--linear_probe leaves it as it is, --lora adapts it"),
])
def test_what_is_no_rank_is_refused(tiny, tmp_path, script, words, said):
    _, _, error = run(script, tiny, tmp_path, *words, ok=False)
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out" / "run.json").exists()


def test_a_model_that_cannot_be_adapted_as_a_whole_is_refused(tiny, tmp_path):
    experts = transformers.MixtralConfig(
        **SMALL, num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1)
    mixture = make(tmp_path / "mixture", tiny["llama"], experts, transformers.AutoModelForCausalLM)
    quantized = make(tmp_path / "ibert", tiny["bert"], transformers.IBertConfig(**SMALL))
    with pytest.raises(ValueError, match="experts .model.layers.0.mlp.experts. are no linear"):
        classifier.load(mixture, WORDS, lora=4)
    with pytest.raises(ValueError, match="it has no linear layers that peft can adapt"):
        classifier.load(quantized, WORDS, lora=4)


def test_without_the_flag_neither_peft_nor_its_file_counts(tiny, monkeypatch):
    assert "w2s/lora.py" not in source.model_code("train_weak.py", False)
    assert "w2s/lora.py" in source.model_code("train_weak.py", False, 4)
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "w2s.lora")
    classifier.load(tiny["bert"], WORDS)
    with pytest.raises(ModuleNotFoundError, match="peft"):
        classifier.load(tiny["bert"], WORDS, lora=4)
