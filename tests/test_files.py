"""Files are whole or not there."""

import errno
import hashlib
import json
import os
import stat
import sys

import pytest

from covergen_cli import files as artifacts
from covergen_cli.errors import OutputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_and_alone(tmp_path):
    artifacts.write_text(tmp_path / "new" / "note.txt", "zwölf\n")
    assert (tmp_path / "new" / "note.txt").read_bytes() == "zwölf\n".encode()
    assert names(tmp_path / "new") == ["note.txt"]


def test_until_the_end_the_old_file_stands(tmp_path):
    final = tmp_path / "cover.png"
    final.write_bytes(b"old")
    with artifacts.atomic_path(final) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert final.read_bytes() == b"old"
    assert final.read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path):
    final = tmp_path / "cover.png"
    final.write_bytes(b"old")

    with pytest.raises(KeyboardInterrupt), artifacts.atomic_path(final) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert final.read_bytes() == b"old"
    assert names(tmp_path) == ["cover.png"]


def test_a_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        artifacts.write_text(tmp_path / "file" / "x.txt", "x")


def test_a_folder_of_that_name(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(OutputError, match="a folder has this name"):
        artifacts.write_bytes(tmp_path / "x.png", b"")
    assert names(tmp_path) == ["x.png"]


def test_very_long_names(tmp_path):
    final = tmp_path / ("n" * 250 + ".png")
    artifacts.write_bytes(final, b"x")
    assert final.read_bytes() == b"x"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        artifacts.write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_json(tmp_path):
    path = tmp_path / "x.json"
    artifacts.write_json(path, {"b": "ü", "a": 1}, sort_keys=True)
    assert path.read_text(encoding="utf-8") == '{\n  "a": 1,\n  "b": "ü"\n}\n'
    assert artifacts.read_json(path) == {"a": 1, "b": "ü"}
    artifacts.write_json(path, {"b": 1, "a": 1})
    assert list(json.loads(path.read_text())) == ["b", "a"]


def test_numbers_that_json_lacks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        artifacts.write_json(tmp_path / "x.json", float("nan"))
    assert names(tmp_path) == []


def test_sha256(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert artifacts.sha256_file(tmp_path / "x") == artifacts.sha256_bytes(data) == expected


def test_room_is_asked_for_where_the_folder_will_be(tmp_path):
    artifacts.require_space(tmp_path / "not" / "there" / "yet", 1, "a byte")
    with pytest.raises(OutputError, match="all that need 1000000000000000 MB"):
        artifacts.require_space(tmp_path / "new", 10**21, "all that")


def test_a_read_only_folder_is_found_before_the_work(tmp_path, monkeypatch):
    # Root may write anywhere, so the system's answer is replaced.
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path)
    with pytest.raises(OutputError, match="read-only"):
        artifacts.require_writable(tmp_path / "run" / "deeper")
    (tmp_path / "run").mkdir()
    artifacts.require_writable(tmp_path / "run" / "deeper")


def test_a_blob_id_is_the_one_of_git(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert artifacts.git_blob_id(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"
    (tmp_path / "empty").write_bytes(b"")
    assert artifacts.git_blob_id(tmp_path / "empty") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_names_that_are_not_utf8_survive(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    artifacts.write_text(tmp_path / "t.csv", name)
    assert (tmp_path / "t.csv").read_bytes() == b"caf\xe9"
    artifacts.write_json(tmp_path / "t.json", {name: "é"})
    assert artifacts.read_json(tmp_path / "t.json") == {name: "é"}


def test_a_full_disk_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="No space left"), artifacts.atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_samples_tell_files_apart_by_content_alone(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(bytes(100_000))
    two.write_bytes(bytes(100_000))
    assert artifacts.sample_sha256(one) == artifacts.sample_sha256(two)
    two.write_bytes(bytes(99_999) + b"x")
    assert artifacts.sample_sha256(one) != artifacts.sample_sha256(two)


def test_a_file_is_hashed_once_until_it_changes(tmp_path, monkeypatch):
    path, read = tmp_path / "weights", []
    original = artifacts.sha256_file
    monkeypatch.setattr(artifacts, "sha256_file", lambda path: read.append(path) or original(path))
    path.write_bytes(b"one")
    for _ in range(2):  # it may change again before the clock moves on
        assert artifacts.sha256_file_once(path) == artifacts.sha256_bytes(b"one")
    assert len(read) == 2
    os.utime(path, (1, 1))
    for _ in range(3):
        assert artifacts.sha256_file_once(path) == artifacts.sha256_bytes(b"one")
    assert len(read) == 3
    path.write_bytes(b"two")
    os.utime(path, (2, 2))
    assert artifacts.sha256_file_once(path) == artifacts.sha256_bytes(b"two")
