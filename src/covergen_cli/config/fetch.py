"""Settings of filling a dataset folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from covergen_cli.config.fields import Between, Seed


@dataclass(frozen=True)
class FetchConfig:
    """Settings of the download, check and cleaning of pairs (§3.1).

    Args:
        audio_column: Table column with the URL or path of the music.
        image_column: Table column with the URL or path of the cover.
        id_column: Table column with the id of the pair. Rows without an id get one derived from their URLs.
        limit: Use only the first N rows.
        sample: Use a random sample of N rows. The sample depends only on the ids and the seed.
        seed: Random seed of the sample, and of the songs of ``synthetic:N``.
        concurrency: Number of pairs to download at once.
        per_host: Maximum number of simultaneous downloads from one host.
        timeout_seconds: Seconds to wait for a host to answer or to send more data.
        file_seconds: Maximum seconds for the download of one file.
        tries: Maximum number of attempts per file.
        backoff_seconds: Seconds to wait before the second attempt. The wait doubles for each further attempt and
            varies randomly by up to half.
        wait_seconds: Longest wait in seconds to accept from a host (``Retry-After``). If a host asks for more, the row
            fails for now.
        largest_mb: Maximum file size in megabytes.
        allow_private_hosts: Allow downloads from private, loopback and link-local addresses.
        ignore_noai: Also keep files that their host marks with ``X-Robots-Tag: noai``.
        retry: Rows to retry when the command is run again: ``passing`` retries rows with a temporary error, ``all``
            retries all rows without a pair, ``none`` retries no row.
        dedupe: Handling of duplicate covers: ``mark`` gives them the same cover_id, ``drop`` keeps only the first,
            ``none`` does not look for them.
        dedupe_distance: Maximum number of different bits, of 64, between the perceptual hashes of duplicate covers.
        lettering: Handling of covers with much text: ``keep`` them, ``flag`` them in a column, or ``drop`` them.
        copy: Copy the music of a folder source into the dataset, cut to its salient segment, instead of referring to
            it.
        workers: Number of processes that check music and clean images. Defaults to one per core; with 1, no extra
            process is started.
    """

    audio_column: str = "preview"
    image_column: str = "img"
    id_column: str = "spotify_id"
    limit: Annotated[int | None, Between(1)] = None
    sample: Annotated[int | None, Between(1)] = None
    seed: Seed = 0
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
