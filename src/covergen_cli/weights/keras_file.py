"""OpenL3's network as its authors publish it: a Keras HDF5 file, plain or gzip'd; read into named arrays.

The root attribute ``layer_names`` (inside the group ``model_weights`` in files of whole models) lists the layers in
their order; each layer is a group whose attribute ``weight_names`` names its datasets. The numbers at the end of layer
names differ from file to file, so layers go by order and their arrays by the last part of their names.

::

    norm0      batch norm of the one input channel: gamma, beta, mean, variance
    conv1..8   kernel (out, in, 3, 3) and bias (out,)
    norm1..7   batch norm after conv1..7; conv8 has none
"""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Arrays = dict[str, npt.NDArray[np.float32]]

CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)
"""Channels of the input, and after each of the eight convolutions."""

_GZIP = b"\x1f\x8b"
_MOST_BYTES = 256 << 20
_NORM = {"gamma": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}
_HINT = "Give a file openl3_audio_*.h5 or .h5.gz as the authors of OpenL3 publish it."


def array_shapes() -> dict[str, tuple[int, ...]]:
    """Name → shape of every array of the network, in its order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, channels in enumerate(CHANNELS):
        if index:
            shapes[f"conv{index}.kernel"] = (channels, CHANNELS[index - 1], 3, 3)
            shapes[f"conv{index}.bias"] = (channels,)
        if index < len(CHANNELS) - 1:
            shapes |= {f"norm{index}.{part}": (channels,) for part in _NORM.values()}
    return shapes


def read_keras(path: Path) -> Arrays:
    """Read a published file.

    Args:
        path: ``.h5`` or ``.h5.gz``; which of the two is seen from its first bytes.

    Returns:
        the arrays of :func:`array_shapes`, float32, in that order.

    Raises:
        ModelError: it cannot be read, is truncated, or holds another network.
    """
    content = _content(path)
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            layers = _layers(file["model_weights"] if "layer_names" not in file.attrs else file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ModelError(f"{path} is no Keras weights file, or is damaged: {error}", hint=_HINT) from error
    return check_arrays(_named(layers), path)


def check_arrays(arrays: Arrays, path: Path) -> Arrays:
    """Return the arrays in the network's order when they are exactly its arrays.

    Raises:
        ModelError: one is missing, too many, of another shape, or holds what is no number.
    """
    import numpy as np

    shapes = array_shapes()
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes:
        wrong = sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name))
        raise ModelError(f"{path} does not hold OpenL3's audio network: {wrong[0]} is not as it should be", hint=_HINT)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ModelError(f"{path} is damaged: it holds weights that are no numbers", hint=_HINT)
    return {name: arrays[name] for name in shapes}


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            source: Any = gzip.GzipFile(fileobj=file) if packed else file
            content: bytes = source.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist", hint="Check the spelling of the path.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ModelError(f"{path} cannot be read or is damaged: {error}", hint="Download it again.") from error
    if len(content) > _MOST_BYTES:
        raise ModelError(f"{path} is too large to be OpenL3's network", hint=_HINT)
    return content


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _layers(group: Any) -> list[Arrays]:
    """The arrays of every layer that has any, by the last part of their names: ``conv2d/kernel:0`` → ``kernel``."""
    import numpy as np

    layers = []
    for layer in (group[_text(name)] for name in group.attrs["layer_names"]):
        names = [_text(name) for name in layer.attrs["weight_names"]]
        parts = [name.rpartition("/")[2].partition(":")[0] for name in names]
        layers.append({part: np.asarray(layer[name]) for part, name in zip(parts, names, strict=True)})
    return [layer for layer in layers if layer]


def _named(layers: list[Arrays]) -> Arrays:
    arrays: Arrays = {}
    convolutions = norms = 0
    for layer in layers:
        if layer.keys() == {"kernel", "bias"} and layer["kernel"].ndim == 4:
            convolutions += 1
            arrays[f"conv{convolutions}.kernel"] = _float(layer["kernel"].transpose(3, 2, 0, 1))
            arrays[f"conv{convolutions}.bias"] = _float(layer["bias"])
        elif layer.keys() == _NORM.keys():
            arrays |= {f"norm{norms}.{ours}": _float(layer[theirs]) for theirs, ours in _NORM.items()}
            norms += 1
    return arrays


def _float(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    import numpy as np

    return np.ascontiguousarray(array, dtype=np.float32)
