"""The log for TensorBoard, where it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from covergen_cli.training.run_folder import TENSORBOARD


def have_tensorboard() -> bool:
    """Tell whether TensorBoard is installed."""
    return importlib.util.find_spec("tensorboard") is not None


class Board:
    """Writes ``tensorboard/`` of a run; does nothing where TensorBoard is missing.

    Args:
        run: the run folder.
        step: what an earlier run wrote of later steps is hidden.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._writer: Any = None
        if have_tensorboard():
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(run / TENSORBOARD), purge_step=step + 1)

    def record(self, record: dict[str, Any]) -> None:
        """Write the figures of one record of ``metrics.jsonl``."""
        if self._writer is not None:
            for name, value in record.items():
                if name not in {"kind", "step", "epoch", "best"}:
                    self._writer.add_scalar(f"{record['kind']}/{name}", value, record["step"])

    def picture(self, path: Path, step: int) -> None:
        """Show a picture."""
        if self._writer is not None:
            import numpy as np
            from PIL import Image

            with Image.open(path) as opened:
                self._writer.add_image("samples", np.asarray(opened.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
