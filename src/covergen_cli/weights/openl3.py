"""The weights of OpenL3's audio network: fetched once, checked, and kept as safetensors in the user's cache.

The files are those of the ``models`` branch of github.com/marl/openl3 (Cramer, Wu, Salamon and Bello, ICASSP 2019;
CC-BY 4.0), pinned by their git blob ids. The embedding sizes 512 and 6144 share one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.weights.download import download, git_blob_id
from covergen_cli.weights.hub import offline
from covergen_cli.weights.keras_file import check_arrays, read_keras

if TYPE_CHECKING:
    from covergen_cli.events import Progress
    from covergen_cli.weights.keras_file import Arrays

URL = "https://github.com/marl/openl3/raw/models/"
"""Where the published files are."""

_MOST_BYTES = 64 << 20
_FORMAT = "covergen openl3 1"


@dataclass(frozen=True)
class OpenL3File:
    """A published file of weights.

    Args:
        input_repr: the spectrogram that the network was trained on.
        content: what it was trained on: music, or sounds of the environment.
        blob_id: git's name of the file's content.
    """

    input_repr: Literal["mel256", "mel128"]
    content: Literal["music", "env"]
    blob_id: str

    @property
    def file_name(self) -> str:
        """Its published name."""
        return f"openl3_audio_{self.input_repr}_{self.content}-v0_4_0.h5.gz"


OPENL3: dict[str, OpenL3File] = {
    "openl3": OpenL3File("mel256", "music", "15e483646fa3d4091a463f0affbb706e6bbbb098"),
    "openl3-mel256-env": OpenL3File("mel256", "env", "34dbd7a91cdd2de6a3d6d036ac0a24d27d78e3cc"),
    "openl3-mel128-music": OpenL3File("mel128", "music", "73ff29de441865318c4b3a3f98c40763c4773e7c"),
    "openl3-mel128-env": OpenL3File("mel128", "env", "8c3dfee140f7776373841e5938a3e76c54f28942"),
}
"""Name → file; ``openl3`` is the one that the paper uses."""


@dataclass(frozen=True)
class Stored:
    """Weights in memory.

    Args:
        arrays: see :func:`covergen_cli.weights.keras_file.array_shapes`.
        input_repr: ``mel256`` or ``mel128``.
        sha256: names the arrays' content; 64 hexadecimal digits.
    """

    arrays: Arrays
    input_repr: str
    sha256: str


def cache_folder() -> Path:
    """Folder of the converted weights."""
    return Path(platformdirs.user_cache_dir("covergen", appauthor=False)) / "openl3"


def openl3_path(name: str) -> Path:
    """Where the converted weights of this name are kept, whether they are there or not.

    Raises:
        ModelError: there is no such name.
    """
    file = _known(name)
    return cache_folder() / f"{file.input_repr}-{file.content}.safetensors"


def find_openl3(name: str) -> Path | None:
    """Return the weights in the cache; ``None`` when they are not there.

    Raises:
        ModelError: they are there and damaged.
    """
    path = openl3_path(name)
    if not path.exists():
        return None
    load_openl3(path)
    return path


def custom_openl3(input_repr: str, sha256: str) -> Path | None:
    """Return weights that once came from a user's file, by the hash of their content; ``None`` when not here."""
    path = cache_folder() / f"{input_repr}-{sha256[:16]}.safetensors"
    return path if path.exists() else None


def openl3_weights(name: str = "openl3", file: Path | None = None) -> Path:
    """Give the weights as safetensors: from a file, from the cache, else from the network.

    Args:
        name: a key of :data:`OPENL3`.
        file: a published ``.h5`` or ``.h5.gz``, which is converted into the cache, or a converted ``.safetensors``. One
            that bears a published name has to be that very file; others are other weights of the same network.

    Returns:
        a whole, checked file that :func:`load_openl3` reads.

    Raises:
        ModelError: they are not here and cannot be fetched, or are damaged.
        OutputError: the cache cannot be written to.
    """
    known = _known(name)
    if file is not None:
        return _from_file(file.expanduser(), name)
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
            hint=_way_out(name),
        )
    for _ in fetch_openl3(name):
        pass
    return openl3_path(name)


def fetch_openl3(name: str) -> Iterator[Progress]:
    """Fetch, check and convert a published file, replacing what the cache holds of it.

    Yields:
        bytes so far.

    Raises:
        ModelError: it cannot be fetched, or what came is not the published file; that is removed.
        OutputError: the cache cannot be written to.
    """
    known = _known(name)
    if offline():
        raise ModelError(f"{name} cannot be fetched: the network is off", hint=_way_out(name))
    partial = cache_folder() / f"{known.file_name}.part"
    for resumed in (partial.exists(), False):
        try:
            yield from download(URL + known.file_name, partial, most_bytes=_MOST_BYTES)
        except ModelError as error:
            raise ModelError(f"{name} cannot be had: {error.message}", hint=_way_out(name)) from error
        if git_blob_id(partial) == known.blob_id:
            break
        partial.unlink()
        if not resumed:
            raise ModelError(
                f"what came from {URL}{known.file_name} is not the published file (truncated or tampered with); "
                "it was removed",
                hint=_way_out(name),
            )
    try:
        _keep(read_keras(partial), known.input_repr, known.file_name, openl3_path(name))
    finally:
        partial.unlink(missing_ok=True)


def load_openl3(path: Path) -> Stored:
    """Read converted weights and compare them with the hash that they carry.

    Raises:
        ModelError: the file is missing, damaged, or something else.
    """
    import safetensors
    from safetensors.numpy import load

    again = "Fetch it again with covergen models pull."
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            facts = file.metadata() or {}
        arrays = load(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist", hint="Check the spelling of the path.") from error
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path} is damaged: {error}", hint=again) from error
    if facts.get("format") != _FORMAT or facts.get("input_repr") not in {"mel256", "mel128"}:
        raise ModelError(f"{path} does not hold OpenL3's weights as this version keeps them", hint=again)
    arrays = check_arrays(arrays, path)
    if content_sha256(arrays) != facts.get("sha256"):
        raise ModelError(f"{path} is damaged: its content is not what was written", hint=again)
    return Stored(arrays, facts["input_repr"], facts["sha256"])


def content_sha256(arrays: Arrays) -> str:
    """Name weights by their values, however they are stored: SHA-256 over names and little-endian float32."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(name.encode() + b"\0")
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()


def _known(name: str) -> OpenL3File:
    if name not in OPENL3:
        raise ModelError(f"there are no OpenL3 weights {name!r}", hint=f"Known: {', '.join(OPENL3)}.")
    return OPENL3[name]


def _way_out(name: str) -> str:
    return (
        f"Run covergen models pull {name} on a connected machine and copy {cache_folder()} here, "
        "or give the file with --openl3-weights FILE."
    )


def _keep(arrays: Arrays, input_repr: str, source: str, path: Path) -> Path:
    from safetensors.numpy import save

    facts = {"format": _FORMAT, "input_repr": input_repr, "source": source, "sha256": content_sha256(arrays)}
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save(arrays, facts))
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


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
    is_published = git_blob_id(file) == known.blob_id
    if published and not is_published:
        raise ModelError(f"{file} is damaged: it is not the published file", hint="Download it again.")
    if is_published:
        return _keep(arrays, known.input_repr, known.file_name, openl3_path(name))
    # Other weights of this network must not be taken for the published ones, so they are kept under their hash.
    path = cache_folder() / f"{known.input_repr}-{content_sha256(arrays)[:16]}.safetensors"
    return _keep(arrays, known.input_repr, file.name, path)
