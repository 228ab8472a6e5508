"""Sources for tests; in a module of their own, because worker processes have to import them."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass

from covergen_cli.dataset.sources.base import Item, Obtained, Source, UnwantedError
from covergen_cli.errors import InputError
from fault_server import cover, song


@dataclass(frozen=True)
class OddSource(Source):
    """Every row does what its place says: ``good``, ``unwanted``, ``broken``, ``bug``, ``full`` or ``crash``."""

    places: tuple[str, ...]

    def describe(self):
        return {"kind": "odd"}

    def items(self):
        for row, place in enumerate(self.places, 1):
            yield Item(row, f"o{row}", place, place, {"title": f"T{row}"})

    def obtain(self, item, workspace):
        if item.audio == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        elif item.audio == "unwanted":
            raise UnwantedError("not wanted")
        elif item.audio == "broken":
            raise InputError("broken")
        elif item.audio == "bug":
            raise RuntimeError("nobody\nthought of that")
        elif item.audio == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        audio = workspace / f"{item.id}.wav"
        audio.write_bytes(song(item.row))
        return Obtained(audio, cover(item.row), {"learnt": "yes"})
