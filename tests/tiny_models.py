"""Tiny models of any family, and copies of one that are wrong in one place."""

import json
import shutil

import torch
import transformers
from conftest import rows
from safetensors.torch import load_file, save_file
from tokenizers import processors

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


def ends(source, folder):
    """A tokenizer that ends texts, as BART's does."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 1)]
    )
    tokenizer.save_pretrained(folder / "ends")
    return folder / "ends"
