"""Synthetic pairs: a song of the synthesiser and a painting of its descriptors and genre.

The audio is written as mp3, like the previews of music stores, so that encoders see the effects of a codec; 30 s take
180 kB, and 1.1 MB as flac.
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
from covergen_cli.synthetic.kinds import family_weights, genre_tags
from covergen_cli.synthetic.painter import paint
from covergen_cli.synthetic.synth import compose, render

if TYPE_CHECKING:
    import numpy.typing as npt

PAIR_SECONDS = 30.0
"""Length of a song: that of a segment (§3.4.1)."""

PAIR_RATE_HZ = 32_000
"""Sample rate of a song; the synthesiser makes no sound above 16 kHz."""

COVER_PIXELS = 512
"""Pixels per side of a cover."""

METADATA = ("title", "artist", "genre", "song_seed", "bpm", *NAMES)
"""Columns of a pair in the manifest."""

_SONGS_PER_BAND = 100
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class SyntheticPair:
    """A song and its cover.

    Args:
        title: ``Synthetic 17``.
        artist: ``Synthetic rock 1``: one per genre and hundred songs, so about seven songs per artist.
        genre: one of :data:`covergen_cli.synthetic.synth.GENRES`.
        song_seed: seed of the song and of the cover.
        bpm: beats per minute, as composed.
        descriptors: measured on the samples; with the genre, what is painted.
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
        """Values of the columns :data:`METADATA`."""
        values = (self.title, self.artist, self.genre, str(self.song_seed), f"{self.bpm:g}")
        measured = (f"{value:.4f}" for value in astuple(self.descriptors))
        return dict(zip(METADATA, (*values, *measured), strict=True))

    def save(self, audio: Path, image: Path) -> None:
        """Write the song as mp3 and the cover as JPEG; the same pair gives the same bytes.

        Raises:
            OutputError: a file cannot be written.
        """
        save_mp3(audio, self.samples, PAIR_RATE_HZ, quick=True)
        encoded = io.BytesIO()
        Image.fromarray(self.cover).save(encoded, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        write_bytes(image, encoded.getvalue())


def make_pair(seed: int, index: int) -> SyntheticPair:
    """Return one pair of the dataset of a seed; the same arguments give the same pair.

    Args:
        seed: any non-negative integer.
        index: number of the pair, from 0.
    """
    # 53 bits: exact in programs that read numbers as doubles, and far from the seeds that the starter was trained on.
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
        cover=paint(
            descriptors.as_array(),
            song_seed,
            COVER_PIXELS,
            family_weights(descriptors.as_array(), genre_tags(song.genre)),
        ),
    )
