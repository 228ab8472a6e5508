"""Settings of filling a dataset folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between


@dataclass(frozen=True)
class FetchConfig:
    """How pairs are fetched, checked and cleaned (§3.1).

    Args:
        audio_column: column of a table with the URL of the music.
        image_column: column of a table with the URL of the cover.
        id_column: column of a table that names the pairs; a table without it, and rows that leave it empty, get ids
            made of their URLs.
        limit: look at the first so many rows only.
        sample: look at so many rows only, drawn by their ids, so that the same ones are drawn again.
        seed: which sample is drawn; which songs ``synthetic:N`` makes.
        concurrency: pairs that are downloaded at once.
        per_host: files that are downloaded from one host at once.
        timeout_seconds: how long a host may take to answer or to go on.
        file_seconds: how long one file may take, from its first byte to its last.
        tries: how often a file is asked for before its row fails.
        backoff_seconds: pause before the second try; each further one is twice as long, give or take half.
        wait_seconds: longest pause that a host may ask for (``Retry-After``); a longer one fails the row for now.
        largest_mb: megabytes that a file may have.
        allow_private_hosts: also fetch from private, loopback and link-local addresses.
        ignore_noai: also keep what its host marks with ``X-Robots-Tag: noai``.
        retry: which rows a further run tries again: those that failed for a ``passing`` reason, ``all`` that gave no
            pair, or ``none``.
        dedupe: what to do with covers that occur more than once: ``mark`` them with one cover_id, ``drop`` all but the
            first, or ``none``.
        dedupe_distance: bits, of 64, in which the perceptual hashes of covers that look alike may differ.
        lettering: what to do with covers that are heavy with lettering: ``keep`` them, ``flag`` them in a column, or
            ``drop`` them.
        copy: copy the music of a folder, cut to its salient part, rather than refer to it.
        workers: processes that check music and clean images; without it, one per core; with 1, none is started.
    """

    audio_column: str = "preview"
    image_column: str = "img"
    id_column: str = "spotify_id"
    limit: Annotated[int | None, Between(1)] = None
    sample: Annotated[int | None, Between(1)] = None
    seed: Annotated[int, Between(0, 2**32 - 1)] = 0
    concurrency: Annotated[int, Between(1, 1024)] = 32
    per_host: Annotated[int, Between(1, 1024)] = 16
    timeout_seconds: Annotated[float, Between(0.1, 3600)] = 20.0
    file_seconds: Annotated[float, Between(0.1, 86400)] = 300.0
    tries: Annotated[int, Between(1, 100)] = 4
    backoff_seconds: Annotated[float, Between(0, 600)] = 1.0
    wait_seconds: Annotated[float, Between(0, 86400)] = 60.0
    largest_mb: Annotated[float, Between(0.001, 100000)] = 50.0
    allow_private_hosts: bool = False
    ignore_noai: bool = False
    retry: Literal["passing", "all", "none"] = "passing"
    dedupe: Literal["none", "mark", "drop"] = "mark"
    dedupe_distance: Annotated[int, Between(0, 16)] = 6
    lettering: Literal["keep", "flag", "drop"] = "keep"
    copy: bool = False
    workers: Annotated[int | None, Between(1, 1024)] = None
