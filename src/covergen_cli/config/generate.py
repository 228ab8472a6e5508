"""Settings of drawing covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from covergen_cli.config.fields import Between, Matches


@dataclass(frozen=True)
class GenerateConfig:
    """How covers are drawn (§3.4).

    Args:
        adapter: which adapter: ``starter``, a run folder, an adapter folder, or a hub id.
        base: which image model: ``starter``, ``sd15``, a folder in Stable-Diffusion layout, or a hub id; without it,
            the one that the adapter was trained for.
        variations: covers per song; each has its own seed.
        seed: first seed; variation ``i`` (from 0) is drawn with ``seed + i``.
        steps: denoising steps.
        guidance: weight of classifier-free guidance; 1 switches it off.
        scheduler: which sampler: ``dpm++``, ``unipc``, ``euler``, ``ddim``, a diffusers scheduler class, or ``own`` for
            the one that the base names.
        prompt: words that say more than the song; only for bases with a text encoder, such as ``sd15``.
        negative: words for what shall not be seen; only for bases with a text encoder. Empty for none.
        audio_scale: how much the song counts beside the prompt; 0 leaves it out, 1 is as trained.
        no_audio: draw without the song, to see what it changes.
        shuffle: give every song the sound of another one of this run, to see whether covers follow their own.
        refine: work over every picture with a second, larger model, the refiner.
        refiner: which refiner: ``sdxl-refiner``, a folder, or a hub id.
        refine_prompt: words that the refiner is given.
        refine_strength: how far the refiner may go from the picture.
        refine_steps: steps of the refiner's schedule; it takes the share of them that the strength says.
        refine_guidance: weight of the refiner's guidance.
        size: pixels per side of the file.
        format: file format of the cover.
        grain: strength of the film grain that finishes an enlarged cover.
        tone: strength of a tone curve that deepens the shadows and lifts the lights.
        raw: leave the picture as the model drew it: enlarged by a plain filter, with no upscaler, sharpening, tone or
            grain.
        segment: start and end of the part to listen to, seconds or m:ss; without it, the salient part is found.
        save_segment: also write the part that was listened to, as mp3 beside the cover.
        device: where to compute; ``auto`` takes a GPU where there is one.
        dtype: precision of the models; ``auto`` is ``fp16`` on CUDA and ``fp32`` elsewhere.
        batch_size: covers drawn at once; without it, what a GPU has room for, and one on other devices.
        low_memory: keep little on the GPU at a time; slower.
        overwrite: what to do with a cover that exists: ``changed`` redraws it when the settings or the model changed,
            and leaves one that was made from another song; ``skip`` never touches it, ``force`` always redraws.
        per: what gets a cover: every ``song``, or every ``album``, whose songs are then heard together.
        title: title to set on the cover.
        artist: name of the artist to set on the cover.
        text: where title and artist come from: ``given`` for what was given, ``tags`` for the song's tags, over which
            what was given goes.
        layout: how they are set: ``corner``, the calmest of four; ``centre``, in the middle, above or below it;
            ``poster``, as wide as the cover; ``line``, one small line at an edge.
        font: font file to set them in; without it, the bundled Inter Display.
        store: what the cover is for; gives it the size, format and weight that this place takes.
        explain: also draw what was heard and where the model listened, beside the cover.
    """

    adapter: str = "starter"
    base: str | None = None
    variations: Annotated[int, Between(1, 1000)] = 1
    seed: Annotated[int, Between(0, 2**32 - 1)] = 0
    steps: Annotated[int, Between(1, 1000)] = 30
    guidance: Annotated[float, Between(0, 50)] = 7.5
    scheduler: str = "dpm++"
    prompt: str | None = None
    negative: str | None = "text, letters, words, logo, watermark, signature"
    audio_scale: Annotated[float, Between(0, 10)] = 1.0
    no_audio: bool = False
    shuffle: bool = False
    refine: bool = False
    refiner: str = "sdxl-refiner"
    refine_prompt: str = "album cover high resolution"
    refine_strength: Annotated[float, Between(0, 1)] = 0.5
    refine_steps: Annotated[int, Between(1, 1000)] = 50
    refine_guidance: Annotated[float, Between(0, 50)] = 5.0
    size: Annotated[int, Between(64, 4096)] = 512
    format: Literal["png", "jpg"] = "png"
    grain: Annotated[float, Between(0, 1)] = 0.25
    tone: Annotated[float, Between(0, 1)] = 0.0
    raw: bool = False
    segment: tuple[float, float] | None = None
    save_segment: bool = False
    device: Annotated[str, Matches(r"auto|cpu|mps|cuda(:\d+)?", "auto, cpu, cuda, cuda:N or mps")] = "auto"
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    batch_size: Annotated[int | None, Between(1, 64)] = None
    low_memory: bool = False
    overwrite: Literal["changed", "skip", "force"] = "changed"
    per: Literal["song", "album"] = "song"
    title: str | None = None
    artist: str | None = None
    text: Literal["given", "tags"] = "given"
    layout: Literal["corner", "centre", "poster", "line"] = "corner"
    font: str | None = None
    store: Literal["spotify", "apple", "distrokid", "bandcamp", "file"] | None = None
    explain: bool = False

    def without_effect(self, given: dict[str, Any]) -> dict[str, str]:
        """Tell which settings of those that were ``given`` change nothing beside the others, and why not."""
        unlettered = "no title or artist is set" if not (self.title or self.artist or self.text == "tags") else None
        unheard = "the song is left out (no_audio)" if self.no_audio else None
        unrefined = None if self.refine else "nothing is refined without refine"
        untouched = "the picture is left as it is (raw)" if self.raw else None
        reasons = {
            "layout": unlettered,
            "font": unlettered,
            "audio_scale": unheard,
            "tone": untouched,
            "grain": untouched,
        }
        reasons |= {name: unrefined for name in vars(self) if name.startswith("refine_") or name == "refiner"}
        return {name: reason for name, reason in reasons.items() if reason and name in given}
