"""Batches that fit into the memory of a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

from covergen_cli.errors import ModelError

if TYPE_CHECKING:
    from typing_extensions import Self

_Items = TypeVar("_Items", bound="Sliceable")
_Result = TypeVar("_Result")


class Sliceable(Protocol):
    """Items with a length that can be cut: a list, a range, a tensor, an array."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice, /) -> Self: ...


def in_batches(
    compute: Callable[[_Items], _Result], items: _Items, size: int, *, hint: str | None = None
) -> Iterator[_Result]:
    """Yield the results of ``compute`` for all items in batches, which are halved while they do not fit into memory.

    Args:
        compute: called with a batch.
        items: all items.
        size: items of the first batch, at least 1.
        hint: what the user can do when a single item does not fit.

    Raises:
        ModelError: a single item does not fit.
    """
    start = 0
    while start < len(items):
        batch = items[start : start + size]
        try:
            result = compute(batch)
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                raise ModelError("the GPU has too little memory", hint=hint) from error
            size = len(batch) // 2
        else:
            yield result
            start += len(batch)
            continue
        torch.cuda.empty_cache()  # outside of the handler, whose error holds on to tensors
