"""Pairs from a seed: a song of the synthesiser and the cover that the painter makes of what is heard in it.

The audio is written as mp3, as the previews of music stores are: what an encoder hears has been through a codec, and
30 s take 180 kB, where flac takes 1.1 MB.
"""

from __future__ import annotations

import io
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from covergen_cli.audio.descriptors import NAMES, Descriptors, describe
from covergen_cli.audio.io import save_mp3
from covergen_cli.files import write_bytes
from covergen_cli.synthetic.painter import paint
from covergen_cli.synthetic.synth import compose, render

if TYPE_CHECKING:
    import numpy.typing as npt

PAIR_SECONDS = 30.0
"""Length of a song, which is that of a segment (§3.4.1)."""

PAIR_RATE_HZ = 32_000
"""Sample rate of a song; the synthesiser has nothing to say above 16 kHz."""

COVER_PIXELS = 512
"""Pixels per side of a cover."""

METADATA = ("title", "artist", "genre", "song_seed", "bpm", *NAMES)
"""Names of what a manifest says of a pair."""

_SONGS_PER_BAND = 100
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class SyntheticPair:
    """A song and its cover, whose truth is known.

    Args:
        title: made mechanically, ``Synthetic 17``.
        artist: the band of one genre in each hundred songs, ``Synthetic rock 1``: about seven songs to an artist.
        genre: one of `covergen_cli.synthetic.synth.GENRES`.
        song_seed: what song and layout of the cover were made from.
        bpm: beats per minute, as composed.
        descriptors: what was heard in the samples, and painted.
        samples: mono float32 ``(960000,)`` in [−1, 1], 30 s at 32 kHz.
        cover: sRGB bytes ``(512, 512, 3)``.
    """

    title: str
    artist: str
    genre: str
    song_seed: int
    bpm: float
    descriptors: Descriptors
    samples: npt.NDArray[np.float32]
    cover: npt.NDArray[np.uint8]

    @property
    def metadata(self) -> dict[str, str]:
        """What a manifest says of the pair: :data:`METADATA` → text."""
        facts = (self.title, self.artist, self.genre, str(self.song_seed), f"{self.bpm:g}")
        heard = (f"{value:.4f}" for value in astuple(self.descriptors))
        return dict(zip(METADATA, (*facts, *heard), strict=True))

    def save(self, audio: Path, image: Path) -> None:
        """Write the song as mp3 and the cover as JPEG; the same pair gives the same bytes.

        Raises:
            OutputError: a place cannot be written to.
        """
        save_mp3(audio, self.samples, PAIR_RATE_HZ, quick=True)
        encoded = io.BytesIO()
        Image.fromarray(self.cover).save(encoded, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        write_bytes(image, encoded.getvalue())


def make_pair(seed: int, index: int) -> SyntheticPair:
    """Make one pair of the dataset that ``seed`` names.

    Args:
        seed: any non-negative integer; each gives other songs.
        index: which pair, from 0; it does not matter how many there are.

    Returns:
        The pair; the same two numbers give the same one.
    """
    # 53 bits: exact in every program that reads numbers as doubles, and far from the seeds that the starter saw.
    song_seed = int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]) >> 11
    song = compose(song_seed)
    samples = render(song, PAIR_SECONDS, PAIR_RATE_HZ)
    descriptors = describe(samples, PAIR_RATE_HZ)
    return SyntheticPair(
        title=f"Synthetic {index}",
        artist=f"Synthetic {song.genre} {index // _SONGS_PER_BAND + 1}",
        genre=song.genre,
        song_seed=song_seed,
        bpm=song.bpm,
        descriptors=descriptors,
        samples=samples,
        cover=paint(descriptors.as_array(), song_seed, COVER_PIXELS),
    )
