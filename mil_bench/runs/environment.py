"""Where a run executed and what it cost: versions, commit, machine, memory, operations.

All of it is recorded and none of it is part of the run key. It names no host, user or folder, so
that it can be sent with the run.
"""

from __future__ import annotations

import platform
import resource
import subprocess
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from inspect import getsourcefile
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from mil_bench.base.version import __version__
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.graph import with_edges
from mil_bench.contract.method import Method
from mil_bench.nn.precision import cpuinfo

PACKAGES = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "pydantic")


def environment(device: torch.device) -> dict[str, Any]:
    """Return the content of ``env.json``."""
    return {
        "mil-bench": __version__,
        "git": git_state(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "system": platform.platform(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "device": device_name(device),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "driver": driver() if device.type == "cuda" else None,
    }


def device_name(device: torch.device) -> str:
    """Return ``NVIDIA H200`` or the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


@cache
def git_state() -> dict[str, Any] | None:
    """Return the commit of the source tree and whether it has changes; ``None`` without one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    # Files that git does not know change no result.
    changes = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": bool(changes)}


@cache
def processor() -> str:
    """Return the model name of the CPU."""
    return cpuinfo().get("model name") or platform.machine()


@cache
def driver() -> str | None:
    """Return the version of the NVIDIA driver."""
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring the peak of this run (of the process, where the system cannot reset it)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif platform.system() == "Linux":
        # 5 resets the peak of the resident set (proc(5)).
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return


def peak_memory_mb(device: torch.device) -> float:
    """Return the peak since :func:`reset_peak_memory` in MiB.

    On CUDA the memory of this process's tensors on the device, with features kept there. Else the
    resident memory of the process: libraries, what earlier runs left, a copy of the features in
    RAM, and those pages of the packed file that have been read (all processes share them and the
    system can drop them).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if platform.system() == "Linux":
        status = Path("/proc/self/status").read_text()  # VmHWM: the peak of the resident set
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # since the process began


def _output(*command: str) -> str | None:
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip().partition("\n")[0]


PATCHES, ROW = 1000, 40


def forward_flops(method: Method) -> int:
    """Return the floating point operations of one forward pass of a bag of 1,000 patches.

    Matrix products, convolutions and attention as ``torch.utils.flop_counter`` counts them, a
    product and a sum being two; element-wise operations and Fourier transforms are not counted. The
    method must be in evaluation mode; no random state is touched.
    """
    # Probe methods may have no parameters.
    device = next((p.device for p in method.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(PATCHES, method.dim, generator=generator)
    patches = torch.arange(PATCHES)
    coords = torch.stack([patches % ROW, patches // ROW], 1)
    batch = BagBatch.pack([features.to(device)], [coords.to(device)])
    counter = FlopCounterMode(display=False)
    devices = [device] if device.type == "cuda" else []
    # The counter's hooks refuse parameters that are sliced while gradients are off.
    with torch.random.fork_rng(devices), torch.enable_grad(), counter:
        method(with_edges(batch, method.neighbours))
    return int(counter.get_total_flops())


def code_digest(method: type[Method]) -> str:
    """Return a digest of the file that defines ``method``, or ``""`` where there is none."""
    file = getsourcefile(method)
    return sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""
