"""What the benchmark measures with: seconds, memory, and a process of its own for each part."""

import concurrent.futures
import contextlib
import io
import multiprocessing
import platform
import resource
import statistics
import subprocess
import time
from pathlib import Path


def alone(part):
    """What a part, (function, *arguments), returns in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as process:
        return process.submit(quiet, *part).result()


def quiet(part, *arguments):
    with contextlib.redirect_stderr(io.StringIO()):  # progress bars
        return part(*arguments)


def shown(value):
    """A number; of the numbers of several rounds the median, the least and the largest."""
    if isinstance(value, list):
        return f"{statistics.median(value):.2f} ({min(value):.2f} to {max(value):.2f})"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def cpu_name():
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.split(": ")[1]
    return platform.processor()


def memory():
    """GB that this process took at most, on the GPU if there is one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def seconds(work, at_least=0.0):
    """Mean seconds of work(), called as often as `at_least` seconds allow."""
    import torch

    calls, start = 0, time.perf_counter()
    while not calls or time.perf_counter() - start < at_least:
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        calls += 1
    return (time.perf_counter() - start) / calls


def run_quietly(command):
    subprocess.run(command, check=True, capture_output=True)
