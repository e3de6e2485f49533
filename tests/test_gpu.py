"""What only a GPU can show, by the command line, in bf16: the same bits twice, after a crash, and
by NCCL; a batch for which memory does not suffice. Skipped where there is none."""

import re
import shutil
import subprocess
import sys

import pytest
import torch
import transformers
from conftest import OUTSIDE, edit, make_tokenizer, project, read, rows, write
from test_training import MIX

pytestmark = pytest.mark.skipif(not shutil.which("nvidia-smi"), reason="there is no NVIDIA GPU")

LIMIT = '''
import os, torch
if os.environ.get("LIMIT_GB"):
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(float(os.environ["LIMIT_GB"]) * 1e9 / whole)
'''


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """train(name, *flags, launch, ok, **environment): trains a student of a model of eight layers
    on 48 texts of up to 512 tokens. Returns its folder, and what is said on stderr."""
    folder = tmp_path_factory.mktemp("gpu")
    here = project(folder / "project")
    edit(here / "losses.py", "LOSSES = {", LIMIT + MIX)
    config = transformers.LlamaConfig(
        vocab_size=make_tokenizer("llama", folder / "model"), hidden_size=512,
        intermediate_size=1024, num_hidden_layers=8, num_attention_heads=8,
        max_position_embeddings=1024, bos_token_id=1, eos_token_id=1)
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder / "model")
    made = []
    for i, row in enumerate(rows(48)):
        made.append({"id": i, "text": f"{row['text']} " * (1 + 2 * i), "label": row["label"]})
    data = write(folder / "data.jsonl", made)

    def run(name, *flags, launch=(), ok=True, **environment):
        command = [
            sys.executable, *launch, here / "train_strong.py", f"--model={folder / 'model'}",
            f"--labels={data}", f"--test={data}", f"--out={folder / name}", "--loss=mix",
            "--epochs=4", "--batch_size=16", "--lr=3e-4", "--save_model", *flags]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**OUTSIDE, **environment})
        assert (done.returncode == 0) == ok, done.stderr
        return folder / name, done.stderr

    run.whole, _ = run("whole")
    return run


def assert_same_bits(found, expected):
    for name in ("model/model.safetensors", "predictions.jsonl", "curve.jsonl"):
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name


def losses_of(folder):
    return [step["loss"] for step in read(folder / "curve.jsonl")]


def test_same_seed_same_bits(train):
    assert_same_bits(train("again")[0], train.whole)


def test_by_nccl_too(train):
    launch = "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"
    assert_same_bits(train("nccl", launch=launch)[0], train.whole)


def test_after_a_crash_too(train):
    crashed, _ = train("crashed", "--save_minutes=0", ok=False, CRASH="1")
    assert list(crashed.glob("state-*.pt"))
    assert_same_bits(train("crashed", "--save_minutes=0")[0], train.whole)


def test_checkpointing_and_microbatches_change_rounding_alone(train):
    found, _ = train("microbatches", "--microbatch=4", "--checkpointing")
    assert losses_of(found) == pytest.approx(losses_of(train.whole), rel=0.05)
    for ours, whole in zip(*(read(at / "predictions.jsonl") for at in (found, train.whole))):
        assert ours["probs"] == pytest.approx(whole["probs"], abs=0.03)


def test_a_batch_for_which_memory_does_not_suffice_is_halved(train):
    found, said = train("limited", LIMIT_GB="1")
    said = re.findall(r"going on with --microbatch=(\d+)", said)
    assert said == ["8", "4", "2", "1"][:len(said)] != []
    assert losses_of(found) == pytest.approx(losses_of(train.whole), rel=0.05)
