"""A small model that has learned nothing yet: the demo's weakest supervisor, to begin a chain with.

    python demo/make_small.py ~/.cache/weak-to-strong        # writes scratch-2M

Two layers of width 64, random weights and the tokenizer of all-MiniLM-L6-v2; whatever it knows of
films it learns from weak_train.jsonl.
"""

import os
import sys
from pathlib import Path

import torch
import transformers

cache = Path(sys.argv[1]).expanduser()
out, partial = cache / "scratch-2M", cache / f"scratch-2M.{os.getpid()}"
if not out.exists():
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(cache / "all-MiniLM-L6-v2")
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=256)
    model = transformers.BertModel(config)

    # moved into place whole
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    os.replace(partial, out)
