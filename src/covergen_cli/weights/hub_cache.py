"""What the hub's cache on this machine holds: where, how much, whole or damaged; and its removal.

The cache names every file by its content, SHA-256 for large files and git's blob id for small ones, so that damage can
be found without the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

from covergen_cli.errors import ModelError
from covergen_cli.events import Progress
from covergen_cli.weights.download import git_blob_id, sha256
from covergen_cli.weights.hub import HubModel, fetch_model

_LOOK_SECONDS = 0.5
_REVISION = re.compile("[0-9a-f]{40}")


def find_model(model: HubModel) -> Path | None:
    """Return the snapshot of a model, whole or not; ``None`` when there is none."""
    folder = _repository(model)
    revision = model.revision or "main"
    if not _REVISION.fullmatch(revision):
        try:
            revision = (folder / "refs" / revision).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
    snapshot = folder / "snapshots" / revision
    return snapshot if snapshot.is_dir() else None


def folder_bytes(folder: Path) -> int:
    """Sum of the sizes of the files in a folder; of links, what they lead to."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def damaged_files(snapshot: Path) -> list[str]:
    """Names of files that are not what their names in the cache say, or lead nowhere; reads everything."""
    return sorted(
        path.relative_to(snapshot).as_posix()
        for path in snapshot.rglob("*")
        if (path.is_file() or path.is_symlink()) and not _is_sound(path)
    )


def pull_model(model: HubModel, reference: str) -> Iterator[Progress]:
    """Fetch a model, going on where an earlier run broke off.

    Yields:
        bytes that lie in the cache so far; how many it will be is not known.

    Raises:
        ModelError: the network is off, or the hub says no or cannot be reached.
    """
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    failures: list[BaseException] = []

    def work() -> None:
        try:
            fetch_model(model, reference)
        except BaseException as error:  # noqa: BLE001 — raised again below, in the caller's thread
            failures.append(error)

    bars = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        # A daemon thread: Ctrl-C ends the program at once, and the next run goes on from what is in the cache.
        thread = Thread(target=work, daemon=True, name="covergen-pull")
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK_SECONDS)
            yield Progress("fetch", _arrived(model), None, reference)
    finally:
        if bars:
            enable_progress_bars()
    if failures:
        raise failures[0]


def remove_model(model: HubModel) -> int:
    """Remove a model's snapshot, and what only it uses, from the cache.

    Returns:
        bytes that are free again.

    Raises:
        ModelError: the files cannot be removed.
    """
    from huggingface_hub import scan_cache_dir

    snapshot = find_model(model)
    if snapshot is None:
        return 0
    before = _arrived(model)
    plan = scan_cache_dir(_cache()).delete_revisions(snapshot.name)
    plan.execute()
    if snapshot.exists():
        raise ModelError(f"{snapshot} cannot be removed", hint="Check who may write there.")
    return before - _arrived(model)


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _repository(model: HubModel) -> Path:
    return _cache() / f"models--{model.repo_id.replace('/', '--')}"


def _arrived(model: HubModel) -> int:
    """Bytes in the cache of a model, unfinished downloads too."""
    folder = _repository(model) / "blobs"
    return sum(_size(path) for path in folder.glob("*")) if folder.is_dir() else 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a finished part was renamed meanwhile
        return 0


def _is_sound(path: Path) -> bool:
    try:
        target = path.resolve(strict=True)
        if target.parent.name != "blobs":
            return target.stat().st_size > 0
        return target.name == (sha256(target) if len(target.name) == 64 else git_blob_id(target))
    except OSError:
        return False
