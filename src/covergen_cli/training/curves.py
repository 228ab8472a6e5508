"""The picture of a training's losses, drawn from its log (§3.3.2)."""

from __future__ import annotations

from pathlib import Path

from covergen_cli.files import atomic_path
from covergen_cli.training.run_folder import CURVES, read_records


def draw_curves(run: Path) -> Path | None:
    """Draw ``curves.png``: training and validation loss over the epochs, and which epoch was best.

    Args:
        run: the run folder.

    Returns:
        The picture; ``None`` when no epoch has been validated yet.

    Raises:
        OutputError: it cannot be written.
    """
    epochs = read_records(run, "epoch")
    if not epochs:
        return None
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    numbers = [record["epoch"] for record in epochs]
    axes.plot(numbers, [record["train_loss"] for record in epochs], ".-", color="#888888", label="training")
    best = [record for record in epochs if record["best"]][-1]
    label = f"validation, lowest in epoch {best['epoch']}: {best['validation_loss']:.4f}"
    axes.plot(numbers, [record["validation_loss"] for record in epochs], ".-", color="#c2410c", label=label)
    axes.plot(best["epoch"], best["validation_loss"], "o", color="#c2410c", markersize=9, fillstyle="none")
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.15)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with atomic_path(run / CURVES) as temporary:
        figure.savefig(temporary, dpi=120)
    return run / CURVES
