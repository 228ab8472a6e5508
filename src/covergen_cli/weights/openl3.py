"""The weights of OpenL3's audio network: downloaded once, verified, and converted to safetensors in the cache.

The files are those of the ``models`` branch of github.com/marl/openl3 (Cramer, Wu, Salamon and Bello, ICASSP 2019;
CC-BY 4.0), pinned by their git blob ids. The embedding sizes 512 and 6144 share one file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs

from covergen_cli.errors import ModelError
from covergen_cli.files import git_blob_id, sha256_bytes, write_bytes
from covergen_cli.weights.download import download
from covergen_cli.weights.hub_cache import offline
from covergen_cli.weights.keras_file import check_arrays, read_keras

if TYPE_CHECKING:
    from covergen_cli.weights.download import OnProgress
    from covergen_cli.weights.keras_file import Arrays

URL = "https://github.com/marl/openl3/raw/models/"
"""Address of the published files."""

_MAX_BYTES = 64 << 20
_FORMAT = "covergen openl3 1"


@dataclass(frozen=True)
class OpenL3File:
    """A published file of weights.

    Args:
        input_repr: the spectrogram that the network was trained on.
        content: the training data: music, or environmental sounds.
        blob_id: the git blob id of the file.
    """

    input_repr: Literal["mel256", "mel128"]
    content: Literal["music", "env"]
    blob_id: str

    @property
    def file_name(self) -> str:
        """Published name of the file."""
        return f"openl3_audio_{self.input_repr}_{self.content}-v0_4_0.h5.gz"


OPENL3: dict[str, OpenL3File] = {
    "openl3": OpenL3File("mel256", "music", "15e483646fa3d4091a463f0affbb706e6bbbb098"),
    "openl3-mel256-env": OpenL3File("mel256", "env", "34dbd7a91cdd2de6a3d6d036ac0a24d27d78e3cc"),
    "openl3-mel128-music": OpenL3File("mel128", "music", "73ff29de441865318c4b3a3f98c40763c4773e7c"),
    "openl3-mel128-env": OpenL3File("mel128", "env", "8c3dfee140f7776373841e5938a3e76c54f28942"),
}
"""Name → file; ``openl3`` is the one that the paper uses."""


@dataclass(frozen=True)
class OpenL3Weights:
    """Converted weights: arrays as in :func:`covergen_cli.weights.keras_file.array_shapes`, and their content hash."""

    arrays: Arrays
    input_repr: str
    sha256: str


def cache_folder() -> Path:
    """Return the folder of the converted weights."""
    return Path(platformdirs.user_cache_dir("covergen", appauthor=False)) / "openl3"


def openl3_path(name: str) -> Path:
    """Return the path of converted weights, whether they exist or not.

    Raises:
        ModelError: there is no such name.
    """
    file = _known(name)
    return cache_folder() / f"{file.input_repr}-{file.content}.safetensors"


def find_openl3(name: str) -> Path | None:
    """Return the weights in the cache; ``None`` when they are not there.

    Raises:
        ModelError: they are damaged.
    """
    path = openl3_path(name)
    if not path.exists():
        return None
    load_openl3(path)
    return path


def custom_openl3(input_repr: str, sha256: str) -> Path | None:
    """Return weights converted from a user's file, given the hash of their content; ``None`` when not cached."""
    path = cache_folder() / f"{input_repr}-{sha256[:16]}.safetensors"
    return path if path.exists() else None


def openl3_weights(name: str = "openl3", file: str | os.PathLike[str] | None = None) -> Path:
    """Return weights as a verified safetensors file: from ``file``, from the cache, or downloaded.

    Args:
        name: a key of :data:`OPENL3`.
        file: a published ``.h5`` or ``.h5.gz``, which is converted into the cache, or a converted ``.safetensors``. A
            file with a published name must be that very file; others may hold other weights of the same network.

    Raises:
        ModelError: the weights are missing and cannot be downloaded, or are damaged.
        OutputError: the cache cannot be written.
    """
    known = _known(name)
    if file is not None:
        return _from_file(Path(file).expanduser(), name)
    try:
        found = find_openl3(name)
    except ModelError:
        if offline():
            raise
        found = None
    if found is not None:
        return found
    if offline():
        raise ModelError(
            f"{name} needs {known.file_name} from {URL}, which is not on this machine, and the network is off",
            hint=_hint(name),
        )
    download_openl3(name)
    return openl3_path(name)


def download_openl3(name: str, on_progress: OnProgress = lambda _: None) -> None:
    """Download, verify and convert a published file; the cached weights of that name are replaced.

    Raises:
        ModelError: it cannot be downloaded, or is not the published file; it is removed then.
        OutputError: the cache cannot be written.
    """
    known = _known(name)
    if offline():
        raise ModelError(f"{name} cannot be downloaded: the network is off", hint=_hint(name))
    url, partial = URL + known.file_name, cache_folder() / f"{known.file_name}.part"
    for resumed in (partial.exists(), False):
        try:
            download(url, partial, max_bytes=_MAX_BYTES, on_progress=on_progress)
        except ModelError as error:
            raise ModelError(f"{name}: {error.message}", hint=_hint(name)) from error
        if git_blob_id(partial) == known.blob_id:
            break
        partial.unlink()
        if not resumed:
            message = f"{url} did not return the published file (truncated or modified); it was removed"
            raise ModelError(message, hint=_hint(name))
    try:
        save_openl3(read_keras(partial), known.input_repr, known.file_name, openl3_path(name))
    finally:
        partial.unlink(missing_ok=True)


def load_openl3(path: str | os.PathLike[str]) -> OpenL3Weights:
    """Load converted weights and compare them with the hash that they carry.

    Raises:
        ModelError: the file is missing, damaged, or of another format.
    """
    import safetensors
    from safetensors.numpy import load

    hint = "Run covergen models pull to download it again."
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        arrays = load(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist", hint="Check the spelling of the path.") from error
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path} is damaged: {error}", hint=hint) from error
    if metadata.get("format") != _FORMAT or metadata.get("input_repr") not in {"mel256", "mel128"}:
        raise ModelError(f"{path} does not hold OpenL3 weights in the format of this version", hint=hint)
    arrays = check_arrays(arrays, path)
    if content_sha256(arrays) != metadata.get("sha256"):
        raise ModelError(f"{path} is damaged: its content does not match its hash", hint=hint)
    return OpenL3Weights(arrays, metadata["input_repr"], metadata["sha256"])


def save_openl3(arrays: Arrays, input_repr: str, source: str, path: Path) -> Path:
    """Write weights as safetensors that :func:`load_openl3` reads, and return ``path``.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    from safetensors.numpy import save

    metadata = {"format": _FORMAT, "input_repr": input_repr, "source": source, "sha256": content_sha256(arrays)}
    write_bytes(path, save(arrays, metadata))
    return path


def content_sha256(arrays: Arrays) -> str:
    """Return the SHA-256 of names and values (little-endian float32), which does not depend on the file format."""
    return sha256_bytes(
        b"".join(name.encode() + b"\0" + array.astype("<f4").tobytes() for name, array in arrays.items())
    )


def _known(name: str) -> OpenL3File:
    if name not in OPENL3:
        raise ModelError(f"there are no OpenL3 weights {name!r}", hint=f"Known: {', '.join(OPENL3)}.")
    return OPENL3[name]


def _hint(name: str) -> str:
    return (
        f"Run covergen models pull {name} on a connected machine and copy {cache_folder()} here, "
        "or give the file with --openl3-weights FILE."
    )


def _from_file(file: Path, name: str) -> Path:
    known = _known(name)
    if file.suffix == ".safetensors":
        stored = load_openl3(file)
        if stored.input_repr != known.input_repr:
            raise ModelError(f"{file} holds weights for {stored.input_repr}, not {known.input_repr}")
        return file
    arrays = read_keras(file)
    published = {other.file_name: other for other in OPENL3.values()}.get(file.name)
    if published and published != known:
        raise ModelError(f"{file} is not what {name} needs", hint=f"Give {known.file_name}.")
    if git_blob_id(file) == known.blob_id:
        return save_openl3(arrays, known.input_repr, known.file_name, openl3_path(name))
    if published:
        raise ModelError(f"{file} is damaged: it is not the published file", hint="Download it again.")
    # Named by their hash, other weights of this network are never mistaken for the published ones.
    path = cache_folder() / f"{known.input_repr}-{content_sha256(arrays)[:16]}.safetensors"
    return save_openl3(arrays, known.input_repr, file.name, path)
