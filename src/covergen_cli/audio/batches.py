"""Embed windows of many clips in batches of one shape.

Every batch has the same number of windows: it may hold the end of one clip and the beginning of the next, and the last
batch is padded with silence. So the embedding of a window depends neither on the other windows of its batch nor on
whether a run was interrupted. Batches that do not fit into the memory of a GPU are computed in parts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import torch

from covergen_cli.weights.memory import in_batches as fit_batches

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

_Key = TypeVar("_Key")


class WindowNetwork(Protocol):
    """A network that embeds windows independently of each other."""

    @property
    def device(self) -> torch.device:
        """Device of its weights."""
        ...

    def forward_windows(self, windows: Tensor) -> Tensor:
        """Embed windows ``(B, samples)``; return float32 ``(B, D)``."""
        ...


NO_MEMORY = "Use --device cpu."
"""What the user can do when a single window does not fit into the memory of a GPU."""


class _Clip:
    def __init__(self, key: object, windows: int) -> None:
        self.key, self.missing = key, windows
        self.rows: list[Tensor] = []

    def embedding(self) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = torch.cat(self.rows).cpu().numpy()
        return found


class _Batch:
    """The batch that is being filled with up to ``size`` windows."""

    def __init__(self, network: WindowNetwork, size: int) -> None:
        self._network, self._size, self._fits = network, size, size
        self._parts: list[tuple[_Clip, Tensor]] = []
        self.room = size

    def add(self, clip: _Clip, windows: Tensor) -> None:
        self._parts.append((clip, windows))
        self.room -= len(windows)

    def launch(self) -> list[_Clip]:
        """Start the computation, asynchronously on a GPU, and return the clips that it completes."""
        parts = [windows for _, windows in self._parts]
        if self.room:
            parts.append(parts[0].new_zeros(self.room, parts[0].shape[1]))
        found = list(fit_batches(self._network.forward_windows, torch.cat(parts), self._fits, hint=NO_MEMORY))
        self._fits = max(map(len, found))
        rows = torch.cat(found)
        complete, begin = [], 0
        for clip, windows in self._parts:
            clip.rows.append(rows[begin : begin + len(windows)])
            begin += len(windows)
            clip.missing -= len(windows)
            if not clip.missing:
                complete.append(clip)
        self._parts, self.room = [], self._size
        return complete


def in_batches(
    clips: Iterable[tuple[_Key, npt.NDArray[np.float32] | None]], network: WindowNetwork, size: int
) -> Generator[tuple[_Key, npt.NDArray[np.float32] | None], None, None]:
    """Embed clips in batches of ``size`` windows.

    Args:
        clips: pairs of a key and windows ``(n, samples)``, n ≥ 1, evenly spaced views of one array; a pair without
            windows is passed through.
        network: the network.
        size: windows per batch.

    Yields:
        pairs of a key and float32 ``(n, D)``, in the order of the clips; those without windows may come earlier.
    """
    batch = _Batch(network, size)
    computing: list[_Clip] = []
    for key, windows in clips:
        if windows is None:
            yield key, None
            continue
        clip, placed = _Clip(key, len(windows)), _placed(windows, network.device)
        while len(placed):
            fitting, placed = placed[: batch.room], placed[batch.room :]
            batch.add(clip, fitting)
            if not batch.room:
                # The results of the previous batch are fetched only now that the device has its next batch.
                complete, computing = computing, batch.launch()
                yield from ((done.key, done.embedding()) for done in complete)  # type: ignore[misc]
    last = batch.launch() if batch.room < size else []
    yield from ((done.key, done.embedding()) for done in (*computing, *last))  # type: ignore[misc]


def _placed(windows: npt.NDArray[np.float32], device: torch.device) -> Tensor:
    """Copy the samples to the device and cut them there: overlapping windows would be many times as large."""
    count, length = windows.shape
    hop = windows.strides[0] // windows.itemsize if count > 1 else length
    sound = np.lib.stride_tricks.as_strided(windows, ((count - 1) * hop + length,), (windows.itemsize,))
    return torch.from_numpy(sound.copy()).to(device).unfold(0, length, hop)
