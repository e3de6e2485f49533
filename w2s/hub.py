"""The model and dataset hub, asked once and for seconds: without internet what is in the cache is used, or named as missing.

    hub.connect(name)               # before transformers or datasets are imported
    with hub.fetching(name):
        ...                         # load it
"""

import contextlib
import os
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path

from w2s import stage


def connect(name):
    """Before a model or dataset is fetched by name, asks the hub once whether it is there; goes offline if it is not.

    Without this a machine with no internet waits for minutes, even for what lies in the cache. Nothing to do for a
    local path.
    """
    if os.path.exists(name) or _offline():
        return
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    answered = threading.Event()

    def ask():
        with contextlib.suppress(Exception):
            try:
                urllib.request.urlopen(urllib.request.Request(hub, method="HEAD"), timeout=4)
            except urllib.error.HTTPError:
                pass  # an answer, if not a friendly one
            answered.set()

    asking = threading.Thread(target=ask, daemon=True)  # a thread, since looking up a name knows no time limit
    asking.start()
    asking.join(5)
    if not answered.is_set():
        os.environ["HF_HUB_OFFLINE"] = "1"


def _offline():
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


@contextlib.contextmanager
def fetching(name):
    """Around the loading of a model or dataset: a failure becomes one line that says what could not be had."""
    try:
        yield
    except NameError:
        raise  # a slip in the code, not of the hub
    except Exception as error:  # the libraries raise a dozen kinds
        if type(error).__name__ == "OutOfMemoryError":
            raise  # stage.cli says what helps
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        if _offline() and isinstance(error, OSError) and not os.path.exists(name):
            reason = ("the hub cannot be reached and it is not in the local cache. Give a local folder, run once where there is "
                      "internet, or try the demo: bash run_all.sh")
        if type(error).__name__ == "SafetensorError" and not os.path.exists(name) and _forget(name):
            reason = f"the file that was downloaded is damaged ({reason}) and was removed from the cache. Run it again"
        stage.refuse(f"cannot load {name}: {reason}")


def _forget(name):
    """Removes a model from the hub's cache, which takes a file that was cut short for whole; whether there was one."""
    from huggingface_hub.constants import HF_HUB_CACHE

    from w2s import classifier

    folder = Path(HF_HUB_CACHE, f"models--{classifier.SHORT_NAMES.get(name, name).replace('/', '--')}")
    there = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)  # other processes may do so too
    return there
