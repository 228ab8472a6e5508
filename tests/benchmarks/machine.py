"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import statistics
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("covergen-cli", "torch", "diffusers", "transformers", "librosa", "av", "numpy")


def processor():
    """Model of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def package(name):
    """Name and version of a package."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} not installed"


def load_average():
    """How busy the machine is with other work: the mean of the last minute, or unknown."""
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def facts():
    """Lines about hardware and software."""
    return [
        f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}, {', '.join(map(package, PACKAGES))}",
        f"load average at the start: {load_average()}; OMP_NUM_THREADS: {os.environ.get('OMP_NUM_THREADS', 'not set')}",
    ]


def table(rows, reference):
    """Markdown table of seconds per row.

    Args:
        rows: name → seconds of every run.
        reference: the row whose median the others are divided by.
    """
    medians = {name: statistics.median(seconds) for name, seconds in rows.items()}
    lines = [f"| what | median s | least | most | over {reference} |", "|---|---:|---:|---:|---:|"]
    for name, seconds in rows.items():
        ratio = medians[name] / medians[reference]
        lines.append(f"| {name} | {medians[name]:.2f} | {min(seconds):.2f} | {max(seconds):.2f} | {ratio:.2f} |")
    return "\n".join(lines)
