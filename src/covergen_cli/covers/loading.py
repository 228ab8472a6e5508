"""Fetches the models of a run and loads them in the background, while the first song is prepared."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from covergen_cli.covers.background import Channel, Task
from covergen_cli.covers.fingerprint import PAINTER, Models, find_models
from covergen_cli.covers.looks import apply_look, parse_look
from covergen_cli.covers.own_picture import PICTURE
from covergen_cli.covers.picture_cache import RawPicture
from covergen_cli.events import ModelDownloading, ModelLoaded, ModelLoading, Warned
from covergen_cli.models.fingerprint import read_adapter_json
from covergen_cli.weights import catalogue, hub
from covergen_cli.weights.hub import NotFetchedError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image
    from torch import Tensor

    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.heard import Heard
    from covergen_cli.covers.prompts import Prompts
    from covergen_cli.covers.styling import Finish
    from covergen_cli.events import Event

_load_lock = threading.Lock()


def fetch_models(config: GenerateConfig) -> Generator[Event, None, Models]:
    """Return the models; report page, size and licence of each before it is downloaded, and a base that was forced."""
    reported: set[tuple[str, str]] = set()
    while (missing := _missing_model(config)) is not None and (missing.reference, missing.kind) not in reported:
        model = catalogue.describe(missing.reference)
        size = 0 if missing.kind == "safety" else model.download_bytes
        yield ModelDownloading(model.name, model.source, model.licence, size)
        hub.resolve(missing.reference, missing.kind)
        reported.add((missing.reference, missing.kind))
    models = find_models(config)
    if config.force_base and (trained_for := _other_base(models)):
        yield Warned(
            f"the adapter was trained for {trained_for}: whether covers follow the music with {models.base_reference} "
            "is not known; covergen eval --base --force-base measures it"
        )
    return models


def _other_base(models: Models) -> str | None:
    """Return the base that the adapter was trained for, if it is another one than that of these models."""
    if models.adapter_folder == Path():
        return None
    trained_for = read_adapter_json(models.adapter_folder)["base"]
    same_commit = models.base_revision is not None and trained_for.get("revision") == models.base_revision
    same = same_commit or trained_for.get("fingerprint") == models.base_fingerprint
    return None if same else str(trained_for.get("reference", "another base"))


def _missing_model(config: GenerateConfig) -> NotFetchedError | None:
    try:
        find_models(config, fetch=False)
    except NotFetchedError as error:
        return error
    return None


class Pipeline(Protocol):
    """What draws the covers of a run: ``CoverPipeline`` with models, or ``PainterPipeline`` without.

    Tokens and pictures are tensors of the one, and arrays and images of the other.
    """

    @property
    def seconds(self) -> float:
        """Wall-clock time that loading took."""

    @property
    def batch(self) -> int:
        """Number of covers to draw at once."""

    def audio_tokens(self, *embeddings: npt.NDArray[np.float32]) -> Any:
        """Return the tokens of several songs, given embeddings ``(T, E)``."""

    def steer(self, tokens: Any, heard: Sequence[Heard], steer: str, /) -> Any:
        """Return tokens as if the descriptors of the songs were as ``steer`` asks."""

    def attention(self, embedding: npt.NDArray[np.float32], /) -> npt.NDArray[np.float32] | None:
        """Return the attention over the frames of an embedding, summing to 1."""

    def write_prompts(self, heard: Heard | None, seed: int, config: GenerateConfig, /) -> Prompts:
        """Return the prompts of one cover."""

    def draw(
        self,
        tokens: Any,
        seeds: Sequence[int],
        config: GenerateConfig,
        callback: Callable[[int, int], None] | None,
        prompts: Sequence[Prompts],
        /,
    ) -> Any:
        """Return one picture per item of the tokens."""

    def to_image(self, picture: Any, /) -> Image.Image:
        """Return a picture as RGB image of its own size."""

    def enlarge(self, picture: Any, seed: int, config: GenerateConfig, /) -> Image.Image:
        """Return a picture as RGB image of ``config.size`` pixels per side."""


class PipelineLoader:
    """Loads the models of a run once, when they are first needed."""

    def __init__(
        self, config: GenerateConfig, models: Models, channel: Channel, *, import_for_looks: bool = True
    ) -> None:
        self._config, self._models, self._channel = config, models, channel
        self._import_for_looks = import_for_looks and config.look != "paint"
        self._lock = threading.Lock()
        self._loading: Task[Pipeline] | None = None
        self._pipeline: Pipeline | None = None

    @property
    def batch(self) -> int:
        """Number of covers to draw at once; 1 until the models are loaded."""
        return 1 if self._pipeline is None else self._pipeline.batch

    def start(self) -> Task[Pipeline]:
        """Start to load the models, once; called from several threads."""
        with self._lock:
            if self._loading is None:
                self._loading = Task(_load, self._config, self._models, self._import_for_looks)
            return self._loading

    def get(self) -> Pipeline:
        """Return the loaded models; wait for them the first time."""
        if self._pipeline is None:
            loading = self.start()
            self._channel.emit(ModelLoading(self._models.base_reference))
            self._pipeline = loading.result(self._channel.check_stop)
            self._channel.emit(ModelLoaded(self._models.base_reference, self._pipeline.seconds))
        return self._pipeline

    def choose_enlarger(self, picture: RawPicture | Tensor) -> Finish:
        """Return what enlarges a picture without a look; the models are loaded only if their upscaler is needed."""
        config, models = self._config, self._models
        if models.base_reference == PAINTER:
            return self.get().enlarge
        if models.base_reference == PICTURE:
            return lambda image, _seed, config: apply_look(image, parse_look("paint"), config.size)
        enlarged = not isinstance(picture, RawPicture) or picture.image.width < config.size
        if enlarged and not config.raw and models.refiner is None and models.has_upscaler:
            return self.get().enlarge
        from covergen_cli.covers.finish import enlarge_image

        return enlarge_image


def _load(config: GenerateConfig, models: Models, import_for_looks: bool) -> Pipeline:
    """Import torch and diffusers and load the models, in one thread.

    One load at a time: diffusers changes the state of torch for all threads while it builds a model, and a run that
    ended early may still be loading.
    """
    if models.base_reference == PAINTER:
        from covergen_cli.covers.painter import PainterPipeline

        _import_for_looks(needed=import_for_looks)
        return PainterPipeline()
    with _load_lock:
        from covergen_cli.covers.pipeline import load_pipeline

        pipeline = load_pipeline(config, models)
    _import_for_looks(needed=import_for_looks)
    return pipeline


def _import_for_looks(*, needed: bool) -> None:
    """Import in a thread what looks compute with: it takes half a second, in which the song is read or drawn."""
    if needed:
        Task(importlib.import_module, "scipy.ndimage")
