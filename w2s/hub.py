"""The model and dataset hub, asked once and for seconds: without internet what is in the cache is
used, or named as missing.

    hub.go_offline_if_unreachable(name)   # before transformers or datasets are imported
    with hub.fetching(name):
        ...                               # load it
"""

import contextlib
import gc
import os
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path

from w2s import stage
from w2s.names import name_and_revision


def go_offline_if_unreachable(name):
    """Before a model or dataset is fetched by name, asks the hub once whether it is there.

    Without this a machine with no internet waits for minutes, even for what lies in the cache.
    Nothing to do for a local path.
    """
    if os.path.exists(name) or _offline():
        return

    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    question = urllib.request.Request(hub, method="HEAD")
    answered = threading.Event()

    def ask():
        with contextlib.suppress(Exception):
            try:
                urllib.request.urlopen(question, timeout=4)
            except urllib.error.HTTPError:
                pass  # an answer, if not a friendly one
            answered.set()

    # in a thread, since looking up a host's name knows no time limit
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(5)
    if not answered.is_set():
        os.environ["HF_HUB_OFFLINE"] = "1"


def _offline():
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


@contextlib.contextmanager
def fetching(name):
    """Around the loading of a model or dataset: a failure becomes one line that says what could
    not be had."""
    try:
        yield
    except NameError:
        raise  # a slip in the code, not of the hub
    except Exception as error:  # the libraries raise a dozen kinds
        kind = type(error).__name__
        if kind == "OutOfMemoryError":
            raise  # flags.cli says what helps

        reason = " ".join(str(error).split())[:400] or kind
        from_hub = not os.path.exists(name)
        if from_hub and _offline() and isinstance(error, OSError):
            reason = ("the hub cannot be reached and it is not in the local cache. Give a local "
                      "folder, run once where there is internet, or try the demo: bash run_all.sh")
        if from_hub and kind == "SafetensorError" and not _offline() and _forget(name):
            reason = (f"the file that was downloaded is damaged ({reason}) and was removed from "
                      "the cache. Run it again")
        stage.refuse(f"cannot load {name}: {reason}")
    finally:
        gc.enable()  # flags.cli has disabled it


def _forget(name):
    """Removes a model from the hub's cache, which takes a file that was cut short for whole;
    whether there was one."""
    from huggingface_hub.constants import HF_HUB_CACHE

    name, _ = name_and_revision(name)
    folder = Path(HF_HUB_CACHE, f"models--{name.replace('/', '--')}")
    there = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)  # other processes may do so too
    return there
