"""OpenL3's network with weights that anyone can make again, and files in the layout of the published ones."""

from __future__ import annotations

import gzip
import io

import h5py
import numpy as np

from covergen_cli.weights import openl3

CHANNELS = (1, 64, 64, 128, 128, 256, 256, 512, 512)


def recipe_layers():
    """Layers in the order of the network: ``("batch_normalization" | "conv2d", {name in Keras: array})``."""
    rng = np.random.RandomState(0)
    layers = []
    for index, channels in enumerate(CHANNELS):
        if index:
            before = CHANNELS[index - 1]
            kernel = rng.standard_normal((3, 3, before, channels)) * np.sqrt(2 / (9 * before))
            layers.append(("conv2d", {"kernel": kernel, "bias": rng.standard_normal(channels) * 0.05}))
        if index == len(CHANNELS) - 1:
            break
        norm = {"gamma": rng.uniform(0.5, 1.5, channels)}
        norm["beta"] = rng.standard_normal(channels) * 0.1
        norm["moving_mean"] = rng.standard_normal(channels) * 0.3 if index else np.full(1, -40.0)
        norm["moving_variance"] = rng.uniform(0.5, 1.5, channels) if index else np.full(1, 400.0)
        layers.append(("batch_normalization", norm))
    return [(kind, {name: array.astype(np.float32) for name, array in part.items()}) for kind, part in layers]


def keras_bytes(layers=None, *, group=None, first_suffix=0, packed=False):
    """A file as Keras writes it; layer numbers start at ``first_suffix``, as in a process that made other models."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        root = file.create_group(group) if group else file
        names = []

        def add(name, arrays):
            names.append(name)
            layer = root.create_group(name)
            weights = [f"{name}/{part}:0" for part in arrays]
            layer.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, array in zip(weights, arrays.values(), strict=True):
                layer[weight] = array

        counts = {}
        add("input_1", {})
        add("melspectrogram", {})
        layers = recipe_layers() if layers is None else layers
        for index, (kind, arrays) in enumerate(layers):
            number = counts.get(kind, first_suffix)
            counts[kind] = number + 1
            last = index == len(layers) - 1
            add("audio_embedding_layer" if last else kind + (f"_{number}" if number else ""), arrays)
            if kind == "batch_normalization" and index:
                add(f"activation_{number}", {})
        add("max_pooling2d", {})
        root.attrs["layer_names"] = [name.encode() for name in names]
    content = buffer.getvalue()
    return gzip.compress(content, 1, mtime=0) if packed else content


def recipe_arrays():
    """The same weights under the names of the project."""
    arrays, convolutions, norms = {}, 0, 0
    ours = {"gamma": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}
    for kind, part in recipe_layers():
        if kind == "conv2d":
            convolutions += 1
            arrays[f"conv{convolutions}.kernel"] = np.ascontiguousarray(part["kernel"].transpose(3, 2, 0, 1))
            arrays[f"conv{convolutions}.bias"] = part["bias"]
        else:
            arrays |= {f"norm{norms}.{ours[name]}": array for name, array in part.items()}
            norms += 1
    return arrays


def cache_recipe(name="openl3"):
    """Put these weights where the published ones are kept; returns the file."""
    known = openl3.OPENL3[name]
    return openl3.save_openl3(recipe_arrays(), known.input_repr, known.file_name, openl3.openl3_path(name))
