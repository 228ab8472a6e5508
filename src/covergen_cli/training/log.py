"""What a training writes for its user to look at: metrics.jsonl, curves.png and TensorBoard's files (§3.3.2)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from covergen_cli.files import atomic_path
from covergen_cli.training.run_folder import CURVES, TENSORBOARD, append_record, read_records


def have_tensorboard() -> bool:
    """Return whether TensorBoard is installed."""
    return importlib.util.find_spec("tensorboard") is not None


class RunLog:
    """Writes the log of a run; TensorBoard's part only where it is installed.

    Args:
        run: the run folder.
        step: TensorBoard hides what an earlier run wrote of later steps.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._run = run
        self._writer: Any = None
        if have_tensorboard():
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(run / TENSORBOARD), purge_step=step + 1)

    def record(self, record: dict[str, Any]) -> None:
        """Write one record; those of epochs also redraw the curves.

        Raises:
            OutputError: a file cannot be written.
        """
        append_record(self._run, record)
        if record["kind"] == "epoch":
            draw_curves(self._run)
        if self._writer is not None:
            for name, value in record.items():
                if name not in {"kind", "step", "epoch", "best"}:
                    self._writer.add_scalar(f"{record['kind']}/{name}", value, record["step"])

    def image(self, path: Path, step: int) -> None:
        """Show an image file in TensorBoard."""
        if self._writer is not None:
            import numpy as np
            from PIL import Image

            with Image.open(path) as opened:
                self._writer.add_image("samples", np.asarray(opened.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        """Write what TensorBoard has buffered."""
        if self._writer is not None:
            self._writer.close()


def draw_curves(run: Path) -> None:
    """Draw ``curves.png`` from the log: training and validation loss of all epochs, with the best marked.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = read_records(run, "epoch")
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
