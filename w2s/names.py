"""What a model is called, and at which revision: gpt2, OWNER/NAME@step1000, a folder."""

import os

GPT2 = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
SHORT_NAMES = {name: f"openai-community/{name}" for name in GPT2}


def name_and_revision(model):
    """"gpt2@COMMIT" -> ("openai-community/gpt2", "COMMIT"); without one, as of a folder, "main"."""
    if os.path.isdir(model):
        return model, "main"
    name, at, revision = model.partition("@")
    if at and not revision:
        raise ValueError("after the @ a branch, a tag or a commit is needed")
    return SHORT_NAMES.get(name, name), revision or "main"
