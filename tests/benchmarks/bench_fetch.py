"""Files per second: ``covergen fetch`` beside img2dataset and a pool of threads with ``requests``.

A server of its own process on this machine serves songs of 30 kB and covers of 10 kB, each with bytes of its own, all
sound. Every contender is a process of its own, timed from its start to its end, and brings the same number of files:

- ours, whole: ``fetch_dataset``, which decodes all music and cleans and fingerprints all images;
- ours, downloads only: the downloader alone, to the same disk, nothing decoded;
- img2dataset: covers only, twice as many, in its default form (decoded, resized to 256, written as JPEG) and in its
  fastest (nothing decoded), each with the thread count that serves it best;
- requests: a pool of threads, each with a session, nothing decoded.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import machine

HERE = Path(__file__)
BASES = 40
AUDIO_BYTES, IMAGE_BYTES = 30_000, 10_000


def make_song(number):
    """About 30 kB of mp3: six seconds."""
    import av
    import numpy as np

    rate = 24000
    seconds = np.arange(rate * 6) / rate
    samples = 0.5 * np.sin(2 * np.pi * (200 + 5 * number) * seconds) * np.exp(-2 * (seconds % 1))
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        track = container.add_stream("libmp3lame", rate=rate, layout="mono")
        track.bit_rate = 40000
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return file.getvalue()


def make_cover(number):
    """About 10 kB of JPEG: 256 by 256 pixels."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(number).integers(0, 255, (24, 24, 3), np.uint8)
    picture = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
    quality = 96
    while True:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, subsampling=0)
        if file.tell() <= IMAGE_BYTES * 1.1 or quality <= 40:
            return file.getvalue()
        quality -= 4


class Server(asyncio.Protocol):
    """As little as it takes: what costs time here would slow all contenders down."""

    songs: list[bytes]
    covers: list[bytes]

    def connection_made(self, transport):
        self.transport, self.held = transport, b""

    def data_received(self, data):
        self.held += data
        while b"\r\n\r\n" in self.held:
            head, _, self.held = self.held.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            number = int(path[3:-4])
            tag = b"%08d" % number
            if path.startswith(b"/a"):
                # A tag of its own in front makes every song another file.
                body = b"ID3\x04\x00\x00\x00\x00\x00\x12TIT2\x00\x00\x00\x08\x00\x00" + tag + self.songs[number % BASES]
                kind = b"audio/mpeg"
            else:
                cover = self.covers[number % BASES]
                body, kind = cover[:2] + b"\xff\xfe\x00\x0a" + tag + cover[2:], b"image/jpeg"
            self.transport.write(
                b'HTTP/1.1 200 OK\r\nContent-Type: %s\r\nETag: "%s"\r\nContent-Length: %d\r\n\r\n'
                % (kind, tag, len(body))
                + body
            )


async def serve(port):
    Server.songs = [make_song(number) for number in range(BASES)]
    Server.covers = [make_cover(number) for number in range(BASES)]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", port, backlog=1024)
    sizes = [round(statistics.mean(map(len, files)) / 1000, 1) for files in (Server.songs, Server.covers)]
    print("ready", *sizes, flush=True)
    await server.serve_forever()


def urls(port, pairs):
    for number in range(pairs):
        yield f"http://127.0.0.1:{port}/a/{number}.mp3", f"http://127.0.0.1:{port}/i/{number}.jpg"


def ours_whole(port, pairs, out, _threads):
    from covergen_cli.config import FetchConfig
    from covergen_cli.dataset.fetch.run import fetch_dataset
    from covergen_cli.dataset.sources.table import TableSource

    table = out / "table.csv"
    rows = (f"id{number},{audio},{image}" for number, (audio, image) in enumerate(urls(port, pairs)))
    table.write_text("\n".join(["spotify_id,preview,img", *rows]) + "\n")
    config = FetchConfig(allow_private_hosts=True)
    *_, finished = fetch_dataset(TableSource(table, config), out / "data", config)
    assert finished.counts["ok"] == pairs, finished


def ours_downloads(port, pairs, out, _threads):
    from covergen_cli.config import FetchConfig
    from covergen_cli.dataset.fetch.download import Downloader
    from covergen_cli.dataset.sources.base import Item

    with Downloader(out, FetchConfig(allow_private_hosts=True)) as downloader:
        waiting = []
        for number, (audio, image) in enumerate(urls(port, pairs)):
            waiting.append(downloader.start(Item(number + 1, f"id{number}", audio, image)))
            if len(waiting) == 64:
                assert not [missed for future in waiting[:32] if (missed := future.result())]
                del waiting[:32]
        assert not [missed for future in waiting if (missed := future.result())]


def with_requests(port, pairs, out, threads):
    import threading
    from concurrent.futures import ThreadPoolExecutor

    import requests

    own = threading.local()

    def bring(url):
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.get(url, timeout=20)
        answer.raise_for_status()
        (out / url.rpartition("/")[2]).write_bytes(answer.content)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(bring, (url for pair in urls(port, pairs) for url in pair)):
            pass


def img2dataset(port, pairs, out, threads, *, fastest):
    from img2dataset import download

    listed = out / "urls.txt"
    listed.write_text("\n".join(f"http://127.0.0.1:{port}/i/{number}.jpg" for number in range(2 * pairs)) + "\n")
    download(
        url_list=str(listed),
        output_folder=str(out / "images"),
        processes_count=os.cpu_count(),
        thread_count=threads,
        image_size=256,
        number_sample_per_shard=1000,
        disable_all_reencoding=fastest,
    )
    found = sum(1 for _ in (out / "images").rglob("*.jpg"))
    assert found == 2 * pairs, found


CONTENDERS = {
    "ours-whole": ours_whole,
    "ours-downloads": ours_downloads,
    "requests": with_requests,
    "img2dataset": lambda *how: img2dataset(*how, fastest=False),
    "img2dataset-fastest": lambda *how: img2dataset(*how, fastest=True),
}


def group_memory(group):
    """Memory of all processes of a group in bytes, what they share counted once."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, StopIteration, ValueError):
            if int(stat.read_text().rpartition(")")[2].split()[2]) == group:
                rollup = (stat.parent / "smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
    return total


def measure(python, name, port, pairs, threads):
    """Seconds, processor seconds and peak memory of one contender."""
    with tempfile.TemporaryDirectory() as out:
        command = [python, str(HERE), "--run", name, "--port", str(port), "--pairs", str(pairs), "--out", out]
        environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"}
        began = time.monotonic()
        with (Path(out) / "log").open("w") as log:
            process = subprocess.Popen(
                [*command, "--threads", str(threads)], stdout=log, stderr=log, start_new_session=True, env=environment
            )
        peak = 0
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, group_memory(process.pid))
            time.sleep(0.2)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{name} failed:\n" + (Path(out) / "log").read_text()[-3000:])
    return seconds, used.ru_utime + used.ru_stime, peak


def compare(arguments):
    print("\n".join(machine.facts()))
    server = subprocess.Popen(
        [sys.executable, str(HERE), "--serve", "--port", str(arguments.port)], stdout=subprocess.PIPE, text=True
    )
    try:
        _, audio, image = server.stdout.readline().split()
        print(f"{arguments.pairs} pairs: songs of {audio} kB, covers of {image} kB; {arguments.n} rounds, medians\n")
        peer = arguments.img2dataset
        plan = [(sys.executable, "ours-whole", 0), (sys.executable, "ours-downloads", 0)]
        if peer:
            counts = [int(text) for text in arguments.thread_counts.split(",")]
            plan += [(peer, "requests", threads) for threads in counts if threads <= 32]
            plan += [(peer, name, threads) for name in ("img2dataset", "img2dataset-fastest") for threads in counts]
        found = {}
        for _ in range(arguments.n):
            for python, name, threads in plan:
                figures = measure(python, name, arguments.port, arguments.pairs, threads)
                found.setdefault((name, threads), []).append(figures)
                print(f"  {name} {threads or ''}: {figures[0]:.1f} s", file=sys.stderr)
        report(found, 2 * arguments.pairs)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def report(found, files):
    medians = {key: [statistics.median(column) for column in zip(*runs, strict=True)] for key, runs in found.items()}
    best = {}
    for (name, threads), figures in medians.items():
        if name not in best or figures[0] < best[name][1][0]:
            best[name] = (threads, figures)
    print(
        "| contender | threads | files/s | CPU s per 1,000 files | peak memory MB | ours, whole / it | downloads / it |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    whole, downloads = (files / best[name][1][0] for name in ("ours-whole", "ours-downloads"))
    for name, (threads, (seconds, processor, peak)) in best.items():
        rate = files / seconds
        print(
            f"| {name} | {threads or '–'} | {rate:.0f} | {processor / files * 1000:.2f} | {peak / 1e6:.0f} "
            f"| {whole / rate:.2f} | {downloads / rate:.2f} |"
        )
    print("\nall thread counts, files/s:")
    for (name, threads), figures in medians.items():
        print(f"  {name} {threads or ''}: {files / figures[0]:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=3, help="rounds")
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--port", type=int, default=8714)
    parser.add_argument("--img2dataset", metavar="PYTHON", help="a Python that has img2dataset and requests installed")
    parser.add_argument("--thread-counts", default="16,32,64,128", help="thread counts to try for the peers")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--run", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.port))
    elif arguments.run:
        CONTENDERS[arguments.run](arguments.port, arguments.pairs, arguments.out, arguments.threads)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
