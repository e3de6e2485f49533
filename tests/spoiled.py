"""Models that are broken, each in its own way: {name: what spoils the folder of a good one}."""

import json


def no_tokenizer(model):
    (model / "tokenizer.json").unlink()
    (model / "tokenizer_config.json").unlink()


def no_weights(model):
    (model / "model.safetensors").unlink()


def no_config(model):
    (model / "config.json").unlink()


def cut(model):
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def garbled(model):
    (model / "model.safetensors").write_bytes(b"\xff" * 100)


def images(model):
    config = {"model_type": "vit", "architectures": ["ViTForImageClassification"]}
    (model / "config.json").write_text(json.dumps(config))


def pickled(model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def code(model):
    config = json.loads((model / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (model / "config.json").write_text(json.dumps(config))


def vocabulary(model):
    """Its tokenizer has more words than the model has embeddings."""
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    for i in range(9):
        words[f"word{i}"] = len(words)
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))


def no_padding(model):
    names = json.loads((model / "tokenizer_config.json").read_text())
    del names["eos_token"]
    (model / "tokenizer_config.json").write_text(json.dumps(names))


MODELS = {
    "no-tokenizer": no_tokenizer, "no-weights": no_weights, "no-config": no_config, "cut": cut,
    "garbled": garbled, "images": images, "pickled": pickled, "code": code,
    "vocabulary": vocabulary, "no-padding": no_padding,
}
