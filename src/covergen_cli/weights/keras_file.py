"""Read OpenL3's network from the Keras HDF5 file that its authors publish, plain or compressed with gzip.

The root attribute ``layer_names`` (inside the group ``model_weights`` in files of whole models) lists the layers in
order; each layer is a group whose attribute ``weight_names`` names its datasets. The numbers at the end of layer names
differ between files, so layers are matched by their order and arrays by the last part of their names.

::

    norm0      batch norm of the one input channel: gamma, beta, mean, variance
    conv1..8   kernel (out, in, 3, 3) and bias (out,)
    norm1..7   batch norm after conv1..7; conv8 has none
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Arrays = dict[str, npt.NDArray[np.float32]]

CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)
"""Channels of the input and of the outputs of the eight convolutions."""

_GZIP = b"\x1f\x8b"
_MAX_BYTES = 256 << 20
_NORM = {"gamma": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}
_HINT = "Give a file openl3_audio_*.h5 or .h5.gz from the authors of OpenL3."


def array_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of the network by name, in its order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, channels in enumerate(CHANNELS):
        if index:
            shapes[f"conv{index}.kernel"] = (channels, CHANNELS[index - 1], 3, 3)
            shapes[f"conv{index}.bias"] = (channels,)
        if index < len(CHANNELS) - 1:
            shapes |= {f"norm{index}.{part}": (channels,) for part in _NORM.values()}
    return shapes


def read_keras(path: str | os.PathLike[str]) -> Arrays:
    """Return the arrays of :func:`array_shapes`, float32, from a published ``.h5`` or ``.h5.gz`` file.

    Raises:
        ModelError: the file cannot be read, is truncated, or holds another network.
    """
    content = _content(Path(path))
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            layers = _layers(file["model_weights"] if "layer_names" not in file.attrs else file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ModelError(f"{path} is not a Keras weights file or is damaged: {error}", hint=_HINT) from error
    return check_arrays(_named(layers), path)


def check_arrays(arrays: Arrays, path: str | os.PathLike[str]) -> Arrays:
    """Return the arrays in the network's order after checking names, shapes and values.

    Raises:
        ModelError: an array is missing, unknown, of another shape, or not finite.
    """
    import numpy as np

    shapes = array_shapes()
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes:
        wrong = sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name))
        raise ModelError(f"{path} does not hold OpenL3's audio network: unexpected {wrong[0]}", hint=_HINT)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ModelError(f"{path} is damaged: it holds weights that are not finite", hint=_HINT)
    return {name: arrays[name] for name in shapes}


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP
            file.seek(0)
            source: Any = gzip.GzipFile(fileobj=file) if compressed else file
            content: bytes = source.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist", hint="Check the spelling of the path.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ModelError(f"{path} is damaged or cannot be read: {error}", hint="Download it again.") from error
    if len(content) > _MAX_BYTES:
        raise ModelError(f"{path} is too large for OpenL3's network", hint=_HINT)
    return content


def _layers(group: Any) -> list[Arrays]:
    """Return the arrays of every layer, by the last part of their names: ``conv2d/kernel:0`` → ``kernel``."""
    import numpy as np

    def names(attribute: Any) -> list[str]:
        return [name.decode() if isinstance(name, bytes) else str(name) for name in attribute]

    def short(name: str) -> str:
        return name.rpartition("/")[2].partition(":")[0]

    layers = (group[name] for name in names(group.attrs["layer_names"]))
    return [{short(name): np.asarray(layer[name]) for name in names(layer.attrs["weight_names"])} for layer in layers]


def _named(layers: list[Arrays]) -> Arrays:
    """Return the arrays under our names, float32 and contiguous; layers of other kinds are skipped."""
    import numpy as np

    arrays: Arrays = {}
    convolutions = norms = 0
    for layer in layers:
        if layer.keys() == {"kernel", "bias"} and layer["kernel"].ndim == 4:
            convolutions += 1
            arrays[f"conv{convolutions}.kernel"] = layer["kernel"].transpose(3, 2, 0, 1)
            arrays[f"conv{convolutions}.bias"] = layer["bias"]
        elif layer.keys() == _NORM.keys():
            arrays |= {f"norm{norms}.{ours}": layer[theirs] for theirs, ours in _NORM.items()}
            norms += 1
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
