"""One file at a time from a server that misbehaves: what is believed, what is asked again, what is refused."""

import threading

import httpx
import pytest

from covergen_cli.config import FetchConfig
from covergen_cli.dataset.fetch import hosts
from covergen_cli.dataset.fetch.download import Downloader
from covergen_cli.dataset.fetch.http import parse_url
from covergen_cli.dataset.sources.base import Item, download_path
from covergen_cli.errors import OutputError
from fault_server import FaultServer, cover, song

QUICK = {"timeout_seconds": 1.0, "backoff_seconds": 0.01, "file_seconds": 20.0, "tries": 3, "largest_mb": 0.3}


@pytest.fixture(autouse=True)
def _online(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")


@pytest.fixture(scope="module")
def server():
    with FaultServer() as server:
        yield server


@pytest.fixture
def fetch(server, tmp_path, monkeypatch):
    """Download one pair, its music with a fault: what was missed, and the bytes that came."""
    public = hosts.is_public
    monkeypatch.setattr(hosts, "is_public", lambda address: address == "127.0.0.1" or public(address))
    counter = iter(range(1000))

    def call(fault, kind="audio", **settings):
        number = next(counter)
        urls = {"audio": f"{server.url}/audio/ok/{number}.wav", "image": f"{server.url}/image/ok/{number}.jpg"}
        if fault:
            urls[kind] = f"{server.url}/{kind}/{fault}/{number}.x"
        server.requests.clear()
        server.headers.clear()
        server.times.clear()
        item = Item(1, f"id{number}", urls["audio"], urls["image"])
        with Downloader(tmp_path, FetchConfig(**(QUICK | settings))) as downloader:
            missed = downloader.start(item).result(30)
        place = download_path(tmp_path, item, kind)
        wanted = song(number) if kind == "audio" else cover(number)
        if missed is None:
            assert place.read_bytes() == wanted
            assert {path.suffix for path in tmp_path.glob(f"{item.id}.*")} == {".audio", ".image"}
        else:
            assert not place.exists()
        return missed, [begin for path, begin in server.requests if path.startswith(f"/{kind}")]

    return call


@pytest.mark.parametrize("kind", ["audio", "image"])
def test_a_good_file_is_asked_for_once(fetch, server, kind):
    missed, begins = fetch("ok", kind)
    assert missed is None
    assert begins == [None]
    assert "accept-encoding: identity" in server.headers[0].lower()
    assert "user-agent: covergen/" in server.headers[0].lower()


@pytest.mark.parametrize("fault", ["truncate-once", "reset-once", "stall-once"])
def test_a_file_that_breaks_off_is_continued(fetch, fault):
    missed, begins = fetch(fault)
    assert missed is None
    assert begins == [None, len(song(0)) * 3 // 4 - 1024]


@pytest.mark.parametrize(
    "fault", ["ignore-range", "refuse-range", "wrong-range", "no-range", "other-tag", "lying-range"]
)
def test_a_server_that_cannot_continue_is_asked_for_the_whole_file(fetch, fault):
    missed, begins = fetch(fault)
    assert missed is None
    assert begins[1] is not None
    assert len(begins) == (2 if fault in {"ignore-range", "wrong-range"} else 3)


@pytest.mark.parametrize(
    "fault",
    [
        *("429-once", "500-once", "503-once", "silence-once", "moved", "no-length", "gzipped"),
        *("odd-label", "unasked-range", "unasked-range-unsaid", "raw-deflate", "two-codings", "gzip-in-name-only"),
    ],
)
def test_what_comes_in_the_end(fetch, fault):
    assert fetch(fault)[0] is None


@pytest.mark.parametrize("fault", ["wait-seconds-once", "wait-date-once"])
def test_retry_after_is_kept_to(fetch, server, fault, monkeypatch):
    pauses = []
    monkeypatch.setattr(hosts.Host, "pause_for", lambda _host, seconds: pauses.append(seconds))
    assert fetch(fault)[0] is None
    assert len(pauses) == 1
    assert 0 < pauses[0] <= 1.5


@pytest.mark.parametrize(
    ("fault", "cause", "passing", "requests"),
    [
        ("403", "403", False, 1),
        ("404", "404", False, 1),
        ("410", "410", False, 1),
        ("500", "500", True, 3),
        ("429", "429", True, 3),
        ("wait-long", "told to wait", True, 1),
        ("truncate", "broken off", True, 3),
        ("long-length", "broken off", True, 3),
        ("silence", "timeout", True, 3),
        ("circle", "redirects", False, 6),
        ("to-metadata", "forbidden address", False, 1),
        ("to-file", "not a URL", False, 1),
        ("endless", "too large", False, 1),
        ("gzip-bomb", "too large", False, 1),
        ("brotli", "encoding", False, 1),
        ("brotli-in-gzip", "encoding", False, 1),
        ("unasked-part", "broken off", True, 3),
    ],
)
def test_what_is_given_up(fetch, fault, cause, passing, requests):
    missed, begins = fetch(fault)
    assert (missed.cause, missed.passing, missed.unwanted) == (cause, passing, False)
    assert len(begins) == requests
    assert "/audio/" in missed.reason


def test_without_the_image_the_music_is_not_asked_for(fetch, server):
    missed, _ = fetch("404", "image")
    assert missed.cause == "404"
    assert not [path for path, _ in server.requests if path.startswith("/audio")]


def test_noai_is_heeded(fetch):
    missed, _ = fetch("noai")
    assert (missed.unwanted, missed.cause) == (True, "noai")
    assert fetch("noai", ignore_noai=True)[0] is None
    assert fetch("noai-others")[0] is None


def test_a_file_that_never_ends_slowly(fetch, monkeypatch):
    missed, _ = fetch("endless", largest_mb=100000, file_seconds=0.3)
    assert (missed.cause, missed.passing) == ("timeout", True)


def test_private_addresses_are_refused_unless_asked_for(server, tmp_path):
    item = Item(1, "a", f"{server.url}/audio/ok/1.wav", f"{server.url}/image/ok/1.jpg")
    server.requests.clear()
    with Downloader(tmp_path, FetchConfig(**QUICK)) as downloader:
        assert downloader.start(item).result(30).cause == "forbidden address"
    assert not server.requests
    with Downloader(tmp_path, FetchConfig(**QUICK, allow_private_hosts=True)) as downloader:
        assert downloader.start(item).result(30) is None


def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_connected_to(server, tmp_path, monkeypatch):
    """Else a name server that answers differently the second time could lead to a private address."""
    looked_up, connected = [], []

    async def resolve(self, host, port, seconds):
        looked_up.append(host)
        return ["93.184.216.34"] if len(looked_up) == 1 else ["127.0.0.1"]

    async def connect(self, host, *args):
        connected.append(host)
        raise hosts.httpcore.ConnectError("nobody")

    monkeypatch.setattr(hosts.CheckedBackend, "_resolve", resolve)
    monkeypatch.setattr(hosts.httpcore.AnyIOBackend, "connect_tcp", connect)
    item = Item(1, "a", "http://rebind.example/a", "http://rebind.example/i")
    with Downloader(tmp_path, FetchConfig(**QUICK)) as downloader:
        missed = downloader.start(item).result(30)
    assert connected == ["93.184.216.34"]
    assert len(looked_up) == 2
    assert missed.cause == "forbidden address"


def test_credentials_are_sent_to_their_own_host_only_and_appear_in_no_reason(server, tmp_path):
    host = server.url.removeprefix("http://")
    server.headers.clear()
    urls = f"http://ana:p%40ss@{host}/audio/404/1.wav", f"http://ana:p%40ss@{host}/image/moved/1.jpg"
    with Downloader(tmp_path, FetchConfig(**QUICK, allow_private_hosts=True)) as downloader:
        missed = downloader.start(Item(1, "a", *urls)).result(30)
    assert missed.cause == "404"
    assert f"http://{host}/audio/404/1.wav" in missed.reason
    assert "ana" not in missed.reason
    assert "p%40ss" not in missed.reason
    assert len(server.headers) == 3  # the picture, redirected, and the music
    assert all("Authorization: Basic YW5hOnBAc3M=\r\n" in head for head in server.headers)
    assert all(f"Host: {host}\r\n" in head for head in server.headers)


@pytest.mark.parametrize(
    ("target", "credentials"),
    [("/d", "ana:x"), ("http://h.org/d", "ana:x"), ("https://h.org/d", ""), ("http://other.org/d", "")],
)
def test_credentials_follow_redirects_within_their_origin_only(target, credentials):
    assert parse_url(target, httpx.URL("http://ana:x@h.org/a")).userinfo.decode() == credentials


@pytest.mark.parametrize(
    "host",
    ["h.org:99999", "h.org:0", "a..b", "a" * 64 + ".org", ".".join(["a" * 60] * 5), "h h.org", ".org", "%41.org"],
)
def test_a_host_that_cannot_exist_is_final(tmp_path, host):
    url = f"http://{host}/a"
    with Downloader(tmp_path, FetchConfig(**QUICK)) as downloader:
        missed = downloader.start(Item(1, "a", url, url)).result(30)
    assert (missed.cause, missed.passing) == ("not a URL", False)


@pytest.mark.parametrize("url", ["ftp://x/y", "gopher://x", "http://", "http://[::1", "http://h/\0"])
def test_what_is_no_url(tmp_path, url):
    with Downloader(tmp_path, FetchConfig(**QUICK)) as downloader:
        assert downloader.start(Item(1, "a", url, url)).result(30).cause in {"not a URL", "forbidden address"}


def test_offline_nothing_is_asked_for(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    server.requests.clear()
    with Downloader(tmp_path, FetchConfig(**QUICK, allow_private_hosts=True)) as downloader:
        missed = downloader.start(Item(1, "a", f"{server.url}/audio/ok/1.x", f"{server.url}/image/ok/1.x")).result(30)
    assert (missed.cause, missed.passing, server.requests) == ("offline", True, [])


def test_a_row_without_a_url(tmp_path):
    with Downloader(tmp_path, FetchConfig(**QUICK)) as downloader:
        assert downloader.start(Item(1, "a", "", "")).result(30).cause == "no URL"


def test_what_a_killed_run_left_is_continued_or_used(fetch, server, tmp_path):
    item = Item(1, "a", f"{server.url}/audio/ok/7.wav", f"{server.url}/image/ok/7.jpg")
    audio, image = download_path(tmp_path, item, "audio"), download_path(tmp_path, item, "image")
    image.write_bytes(cover(7))
    audio.with_name(audio.name + ".part").write_bytes(song(7)[:20_000])
    import zlib

    audio.with_name(audio.name + ".name").write_text(f'"{zlib.crc32(song(7)):x}"')
    server.requests.clear()
    with Downloader(tmp_path, FetchConfig(**QUICK)) as downloader:
        assert downloader.start(item).result(30) is None
    assert server.requests == [("/audio/ok/7.wav", 20_000 - 1024)]
    assert audio.read_bytes() == song(7)


def test_no_more_files_at_once_from_a_host_than_allowed(server, tmp_path, monkeypatch):
    at_once, most, lock = 0, 0, threading.Lock()
    exchange = Downloader._exchange

    async def counted(self, *args):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        try:
            return await exchange(self, *args)
        finally:
            at_once -= 1

    monkeypatch.setattr(Downloader, "_exchange", counted)
    config = FetchConfig(**QUICK, allow_private_hosts=True, concurrency=20, per_host=3)
    with Downloader(tmp_path, config) as downloader:
        items = [
            Item(n, f"i{n}", f"{server.url}/audio/ok/{n}.wav", f"{server.url}/image/ok/{n}.jpg") for n in range(1, 25)
        ]
        assert [downloader.start(item).result(30) for item in items[:1]] == [None]
        assert {future.result(30) for future in [downloader.start(item) for item in items]} == {None}
    assert most == 3


def test_a_host_that_never_answers_is_given_up(tmp_path):
    config = FetchConfig(**QUICK | {"tries": 1, "wait_seconds": 0.0, "concurrency": 4}, allow_private_hosts=True)
    with Downloader(tmp_path, config) as downloader:
        futures = [
            downloader.start(Item(n, f"i{n}", "http://127.0.0.1:9/a", "http://127.0.0.1:9/i")) for n in range(1, 100)
        ]
        reasons = [future.result(30).reason for future in futures]
    assert "cannot be reached" in reasons[0]
    assert "is skipped" in reasons[-1]


def test_an_answer_that_nobody_thought_of_fails_one_row(fetch, monkeypatch):
    async def odd(*_):
        raise KeyError("x")

    monkeypatch.setattr(Downloader, "_exchange", odd)
    assert fetch("ok")[0].cause == "unexpected answer"


def test_a_full_disk_is_no_fault_of_the_file(server, tmp_path):
    config = FetchConfig(**QUICK, allow_private_hosts=True)
    with Downloader(tmp_path / "missing", config) as downloader, pytest.raises(OutputError):
        downloader.start(Item(1, "a", f"{server.url}/audio/ok/1.wav", f"{server.url}/image/ok/1.jpg")).result(30)
