"""One run at a time in a folder: whoever comes second waits, and then finds that it is done.

    lock.take(folder)    # waits for another process, on this machine or another that shares the file system
    lock.give(folder)

The operating system holds the lock (flock): when its owner dies, however it dies, it is free. The file says who the owner is.
"""

import atexit
import contextlib
import fcntl
import os
import platform
import sys
import time

HELD = {}  # folder: the open lock file, of this process
LAUNCH = " ".join(os.environ.get(name, "") for name in ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"))  # alike in all processes of torchrun


def take(folder):
    """Waits until no other process works in the folder. Raises OSError where nothing can be written."""
    path = folder / ".lock"
    while folder not in HELD:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for {owner(path)[0]}, which works in {folder}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            print(f"{folder} cannot be locked ({error.strerror}): start no second run into it", file=sys.stderr)
        with contextlib.suppress(FileNotFoundError):  # it was given up and removed in between: try again
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                HELD[folder] = file
    file = HELD[folder]
    file.truncate(0)
    print(f"process {os.getpid()} on {platform.node()}", LAUNCH, sep="\n", file=file, flush=True)


def owner(path):
    """Who holds a lock: the name for people, and what all processes of its launch have in common."""
    with contextlib.suppress(OSError):
        name, _, launch = path.read_text().partition("\n")
        return name or "another process", launch.rstrip("\n")
    return "another process", None


def follow(folder, done):
    """Waits until the first process of this launch has the lock, or has found that all is done."""
    while owner(folder / ".lock")[1] != LAUNCH and not done():
        time.sleep(0.1)


@atexit.register
def give(*folders):
    """Gives folders up; at the end of the process all of them. A folder in which nothing was written goes too."""
    for folder in folders or list(HELD):
        if folder in HELD:
            (folder / ".lock").unlink(missing_ok=True)
            HELD.pop(folder).close()
            with contextlib.suppress(OSError):
                folder.rmdir()
