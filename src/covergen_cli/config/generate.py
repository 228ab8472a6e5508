"""Settings of generating covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from covergen_cli.config.fields import Between, Device, Matches, Seed


@dataclass(frozen=True)
class GenerateConfig:
    """Settings of the generation of covers (§3.4).

    Args:
        adapter: Adapter: ``starter``, a run folder, an adapter folder, a hub id, or ``words``, which draws by a text
            prompt made from the music and needs no training. Defaults to ``words`` for a base with a text encoder, and
            to ``starter`` otherwise.
        base: Image model: ``starter``, ``sd15``, ``sd-turbo``, a folder in diffusers layout, a hub id, or ``painter``,
            which paints from measurements of the sound without any model. Defaults to the one that the adapter was
            trained for.
        variations: Number of covers per song, each with its own seed.
        seed: Random seed of the first cover. Variation ``i``, counted from 0, uses ``seed + i``.
        steps: Number of denoising steps.
        guidance: Classifier-free guidance scale; 1 turns guidance off.
        scheduler: Sampler: ``dpm++``, ``unipc``, ``euler``, ``euler-a``, ``heun``, ``ddim``, ``ddpm``, ``pndm``, the
            name of a diffusers scheduler class, or ``own`` for the base's own scheduler. ``starter`` takes ``dpm++``,
            ``unipc``, ``euler``, ``heun`` and ``own``.
        prompt: Text prompt, put before the one made from the music. Only for bases with a text encoder, such as
            ``sd15``, and for the refiner.
        words: Also mention the song's ``title``, things that its ``lyrics`` name, or both (``title,lyrics``) in the
            prompt made from the music.
        words_scale: Weight of the prompt made from the music: 0 leaves it out. Defaults to 1 with ``--adapter words``,
            and to 0 beside a trained adapter.
        negative: Negative prompt; an empty one turns it off. Only for bases with a text encoder.
        audio_scale: Weight of the adapter's tokens for the song: 0 leaves them out, 1 is the weight used in training.
        steer: Draw as if the descriptors of the music, each from 0 to 1, had other values, such as
            ``energy=+1,mode=minor,brightness=-0.5``: a number from −1 to 1 is added, a word sets one end of the range.
            Descriptors and words are ``tempo`` (``slow``, ``fast``), ``mode`` (``minor``, ``major``), ``energy``
            (``calm``, ``intense``), ``brightness`` (``dark``, ``bright``), ``density`` (``sparse``, ``busy``),
            ``percussiveness`` (``sustained``, ``percussive``) and ``dynamics`` (``even``, ``wide``). Only for the
            bases ``starter`` and ``painter``.
        no_audio: Draw without the adapter's tokens and without the prompt made from the music, for comparison. Noise
            and look still follow the song.
        shuffle: Draw every cover from the audio of another song of this run, to check whether covers follow their song.
        refine: Refine every cover with a second, larger model.
        refiner: Refiner model: ``sdxl-refiner``, or any base with a text encoder (``sd15``, ``sd-turbo``, a folder, a
            hub id).
        refine_prompt: Text prompt of the refiner; ``auto`` makes it from the music.
        refine_strength: Strength of the refinement: 0 keeps the picture, 1 replaces it.
        refine_steps: Number of denoising steps of the refiner at strength 1; a lower strength skips the first of them.
        refine_guidance: Classifier-free guidance scale of the refiner.
        look: Look of the cover: ``auto`` chooses one by the song and the seed, ``paint`` keeps the model's picture;
            or ``cutout``, ``poster``, ``contour``, ``fluted``, ``halftone``, ``riso``, ``dither``, ``engraving`` or
            ``grain``, with parameters such as ``halftone:pitch=60,angle=15``.
        palette: Colours of the look, instead of the picture's: a list such as ``#0b132b,#1c2541,#5bc0be``, or an image
            file whose colours are taken.
        size: Width and height of the cover in pixels.
        format: File format of the cover; ``svg``, a vector file, only with the looks ``cutout``, ``poster`` and
            ``contour``.
        picture: Picture to use in place of a model's: a JPEG, PNG or WebP file.
        grain: Strength of the film grain on an enlarged cover.
        tone: Strength of the tone curve, which deepens the shadows and lifts the highlights.
        raw: Only enlarge the model's picture with a plain filter: no look, upscaler, sharpening, tone curve or grain.
        segment: Part of the song to use, START-END in seconds or m:ss. Defaults to the 30 s with the highest loudness ×
            spectral contrast.
        save_segment: Also save the segment as an MP3 file beside the cover.
        device: Device to run on; ``auto`` uses a GPU if there is one.
        dtype: Precision of the models; ``auto`` is ``fp16`` on CUDA and ``fp32`` elsewhere.
        batch_size: Number of covers to generate at once. Defaults to what fits on the GPU, and to 1 on other devices.
        force_base: Draw with a base that the adapter was not trained for, if its tokens have the same width; the music
            may mean something else there.
        fast_decode: Decode the pictures of Stable Diffusion 1 and 2 with the small decoder ``taesd``: faster, with a
            little less detail.
        safety: Check every picture with the safety checker that comes with the base, such as ``sd15``, and write none
            that it flags.
        low_memory: Use less GPU memory, by loading the models onto it piece by piece; slower.
        overwrite: When to replace an existing cover: ``changed`` if the settings or the model changed, but not if it
            was made from another song; ``skip`` never; ``force`` always.
        per: Make one cover per ``song``, or one per ``album``, ``artist``, ``folder`` or ``playlist`` from all
            of its songs.
        title: Title to print on the cover.
        artist: Artist name to print on the cover.
        text: Text to print: ``given`` prints what ``--title`` and ``--artist`` give, ``tags`` reads what they leave out
            from the song's tags.
        layout: Arrangement of the text: in the calmest ``corner``; in the ``centre``, or above or below it; as a
            ``poster`` across the full width; as one small ``line`` at an edge; ``giant``, every line as wide as the
            cover; upright along a side ``edge``; on a ``band`` across the cover; or on a ``label``. ``auto`` leaves it
            to the look and the seed, and is ``corner`` with the look ``paint``.
        font: Font of the text: a file, or ``inter``, ``dm-serif-display``, ``anton`` or ``jersey-10``. Defaults to the
            one that goes with the look, and to Inter with the look ``paint``.
        store: Store that the cover is for. Sets the size, format and maximum file size that the store accepts.
        motion: Also save an animation of the cover beside it, a seamless loop in time with the music: a video
            (``mp4``), or an animated ``webp`` or ``gif``. Without a value, ``mp4``.
        motion_for: Purpose of the animation: ``square`` for posts, ``canvas`` for Spotify's upright loops, or
            ``youtube`` for a video of the whole song with its sound.
        explain: Also save a picture beside the cover that shows why it has its look, how salient each part of the song
            is, how the segment sounds, and which parts of it the adapter attends to.
    """

    adapter: str | None = None
    base: str | None = None
    variations: Annotated[int, Between(1, 1000)] = 1
    seed: Seed = 0
    steps: Annotated[int, Between(1, 1000)] = 30
    guidance: Annotated[float, Between(0, 50)] = 7.5
    scheduler: str = "dpm++"
    prompt: str | None = None
    words: Annotated[str | None, Matches("title|lyrics|title,lyrics", "title, lyrics or title,lyrics")] = None
    words_scale: Annotated[float | None, Between(0, 10)] = None
    negative: str | None = "text, letters, words, logo, watermark, signature"
    audio_scale: Annotated[float, Between(0, 10)] = 1.0
    steer: str | None = None
    no_audio: bool = False
    shuffle: bool = False
    refine: bool = False
    refiner: str = "sdxl-refiner"
    refine_prompt: str = "auto"
    refine_strength: Annotated[float, Between(0, 1)] = 0.5
    refine_steps: Annotated[int, Between(1, 1000)] = 50
    refine_guidance: Annotated[float, Between(0, 50)] = 5.0
    look: str = "paint"
    palette: str | None = None
    size: Annotated[int, Between(64, 4096)] = 512
    format: Literal["png", "jpg", "svg"] = "png"
    picture: str | None = None
    grain: Annotated[float, Between(0, 1)] = 0.25
    tone: Annotated[float, Between(0, 1)] = 0.0
    raw: bool = False
    segment: tuple[float, float] | None = None
    save_segment: bool = False
    device: Device = "auto"
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    batch_size: Annotated[int | None, Between(1, 64)] = None
    force_base: bool = False
    fast_decode: bool = False
    safety: bool = False
    low_memory: bool = False
    overwrite: Literal["changed", "skip", "force"] = "changed"
    per: Literal["song", "album", "artist", "folder", "playlist"] = "song"
    title: str | None = None
    artist: str | None = None
    text: Literal["given", "tags"] = "given"
    layout: Literal["auto", "corner", "centre", "poster", "line", "giant", "edge", "band", "label"] = "auto"
    font: str | None = None
    store: Literal["spotify", "apple", "distrokid", "bandcamp", "file"] | None = None
    motion: Literal["mp4", "webp", "gif"] | None = None
    motion_for: Literal["square", "canvas", "youtube"] = "square"
    explain: bool = False

    def without_effect(self, given: dict[str, Any]) -> dict[str, str]:
        """Return those of the ``given`` settings that have no effect beside the others, with the reason."""
        reasons: dict[str, str] = {}
        if not (self.title or self.artist or self.text == "tags"):
            reasons |= dict.fromkeys(("layout", "font"), "no title or artist is given")
        if self.no_audio:
            reasons |= dict.fromkeys(("audio_scale", "words", "words_scale"), "no_audio leaves them out")
        if self.picture is not None:
            of_models = ("steps", "guidance", "scheduler", "negative", "audio_scale", "grain", "tone", "raw", "dtype")
            reasons |= dict.fromkeys(of_models, "the picture is given")
        if self.format == "svg":
            reasons["size"] = "vector files have none"
        if self.raw:
            reasons |= dict.fromkeys(("tone", "grain", "look", "palette"), "raw skips them")
        elif self.look != "paint":
            reasons |= dict.fromkeys(("tone", "grain"), f"the look {self.look} replaces them")
        else:
            reasons["palette"] = "the look paint keeps the picture's colours"
        if self.motion is None:
            reasons["motion_for"] = "motion is off"
        if not self.refine:
            unused = [name for name in vars(self) if name.startswith("refine_") or name == "refiner"]
            reasons |= dict.fromkeys(unused, "refine is off")
        return {name: reason for name, reason in reasons.items() if name in given}
