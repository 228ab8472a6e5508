import pytest

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.weights.download import download

CONTENT = bytes(range(256)) * 4096


def fetch(server, target, max_bytes=2 << 20):
    events = []
    download(server.url + "file", target, max_bytes=max_bytes, on_progress=events.append)
    return events


def test_a_file_arrives_and_tells_how_far_it_is(server, tmp_path):
    server.content = CONTENT
    events = fetch(server, tmp_path / "new" / "file.part")
    assert (tmp_path / "new" / "file.part").read_bytes() == CONTENT
    assert (events[-1].done, events[-1].total) == (len(CONTENT), len(CONTENT))
    assert [event.done for event in events] == sorted(event.done for event in events)


def test_a_connection_that_breaks_off_is_taken_up_again(server, tmp_path):
    server.content, server.cuts = CONTENT, [300_000, 300_000]
    fetch(server, tmp_path / "file.part")
    assert (tmp_path / "file.part").read_bytes() == CONTENT
    assert server.begins[0] == 0
    assert len(server.begins) == 3
    assert server.begins[2] > server.begins[1] > 0


def test_what_came_before_it_gave_up_is_used_by_the_next_run(server, tmp_path):
    server.content, server.cuts = CONTENT, [300_000, 0, 0]
    with pytest.raises(ModelError, match="cannot be downloaded"):
        fetch(server, tmp_path / "file.part")
    kept = (tmp_path / "file.part").stat().st_size
    assert kept > 0
    fetch(server, tmp_path / "file.part")
    assert server.begins[-1] == kept
    assert (tmp_path / "file.part").read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_a_part_that_does_not_fit_is_dropped(server, tmp_path, ranges):
    server.content, server.ranges = CONTENT, ranges
    (tmp_path / "file.part").write_bytes(b"x" * (len(CONTENT) + 1))
    fetch(server, tmp_path / "file.part")
    assert (tmp_path / "file.part").read_bytes() == CONTENT


def test_a_file_larger_than_expected_is_not_kept(server, tmp_path):
    server.content = CONTENT
    with pytest.raises(ModelError, match="larger"):
        fetch(server, tmp_path / "file.part", max_bytes=1 << 19)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_says_no(server, tmp_path, status):
    server.status = status
    with pytest.raises(ModelError, match=str(status)):
        fetch(server, tmp_path / "file.part")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="cannot be downloaded"):
        download("http://127.0.0.1:1/file", tmp_path / "file.part", max_bytes=9)


def test_a_place_that_cannot_be_written_to(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        fetch(server, tmp_path / "file" / "file.part")
