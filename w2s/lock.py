"""One run at a time in a folder: whoever comes second waits, and then finds that it is done.

    lock.acquire(folder)   # waits for other processes, on all machines that share the file system
    lock.release(folder)

filelock asks the operating system for the lock: when its owner dies, however it dies, it is free.
The lock's file says who the owner is.
"""

import atexit
import contextlib
import errno
import os
import platform
import sys
import time

HELD = {}  # folder: its lock, held by this process

# of torchrun: the same in all processes of a launch
VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")
LAUNCH = " ".join(os.environ.get(name, "") for name in VARIABLES)

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what file systems without locks answer


def acquire(folder):
    """Waits until no other process works in the folder. OSError where nothing can be written."""
    if folder in HELD:
        return

    import filelock  # here: a stage that is up to date needs no lock

    path = folder / ".lock"
    lock = filelock.FileLock(path, thread_local=False, fallback_to_soft=False)
    timeout = 0
    while not lock.is_locked:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout)
        except filelock.Timeout:
            print(f"waiting for {owner(path)[0]}, which works in {folder}", file=sys.stderr)
            timeout = -1  # for ever
        except FileNotFoundError:
            pass  # its owner wrote nothing, and removed the folder in between: try again
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            problem = f"{folder} cannot be locked ({error.strerror})"
            print(f"{problem}: start no second run into it", file=sys.stderr)
            break

    HELD[folder] = lock
    path.write_text(f"process {os.getpid()} on {platform.node()}\n{LAUNCH}\n")


def owner(path):
    """Who holds a lock: the name for people, and what all processes of its launch share."""
    try:
        name, _, launch = path.read_text().partition("\n")
    except OSError:
        return "another process", None
    return name or "another process", launch.rstrip("\n")


def wait_for_first(folder, done):
    """Waits until the first process of this launch has the lock, or has found that all is done."""
    while owner(folder / ".lock")[1] != LAUNCH and not done():
        time.sleep(0.1)


@atexit.register
def release(*folders):
    """Gives folders up, without arguments all. A folder in which nothing was written goes too."""
    for folder in folders or list(HELD):
        if folder not in HELD:
            continue

        # removed while it is held, so that nobody takes a lock whose file is about to go
        (folder / ".lock").unlink(missing_ok=True)
        HELD.pop(folder).release()
        with contextlib.suppress(OSError):
            folder.rmdir()
