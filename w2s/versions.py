"""What a run is made with, for its run.json: versions of libraries, commits of models from the hub.
"""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from w2s.names import name_and_revision

LIBRARIES = ("torch", "transformers", "datasets", "numpy", "peft")


def of_libraries():
    """{"python": its version, "torch": ...}"""
    found = {"python": platform.python_version()}
    for package in importlib.metadata.distributions():
        if package.name in LIBRARIES:
            found[package.name] = package.version
    return found


def of_models(args):
    """{model: the commit of it that was loaded}, of the arguments that name a model of the hub."""
    names = [value for key, value in args.items() if re.fullmatch(r"model\d*", key)]
    from_hub = [name for name in names if name and not os.path.exists(name)]
    if not from_hub:
        return {}

    from huggingface_hub import try_to_load_from_cache

    found = {}
    for model in from_hub:
        name, revision = name_and_revision(model)
        config = try_to_load_from_cache(name, "config.json", revision=revision)
        if isinstance(config, str):
            found[model] = Path(config).parent.name  # a snapshot's folder
    return found
