import numpy as np
import pytest

from covergen_cli.audio.embedding_file import embedding_fault, write_embedding

EMBEDDING = np.arange(3 * 512, dtype=np.float32).reshape(3, 512)


def test_what_is_written_is_read_by_numpy_and_has_no_fault(tmp_path):
    write_embedding(tmp_path / "a.npy", EMBEDDING)
    read = np.load(tmp_path / "a.npy", allow_pickle=False)
    np.testing.assert_array_equal(read, EMBEDDING)
    assert read.dtype == np.float32
    assert embedding_fault(tmp_path / "a.npy", 512) is None


def test_rows_are_stored_one_after_the_other_whatever_came_in(tmp_path):
    write_embedding(tmp_path / "a.npy", np.asfortranarray(EMBEDDING.astype(np.float64)))
    assert embedding_fault(tmp_path / "a.npy", 512) is None
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), EMBEDDING)


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (EMBEDDING.astype(np.float64), "of another kind"),
        (EMBEDDING[:, :64], "of another kind"),
        (EMBEDDING.ravel(), "of another kind"),
        (EMBEDDING[:0], "of another kind"),
        (np.asfortranarray(EMBEDDING), "of another kind"),
        (np.array([{}], dtype=object), "of another kind"),
    ],
)
def test_foreign_arrays_are_told(tmp_path, array, fault):
    np.save(tmp_path / "a.npy", array)
    assert embedding_fault(tmp_path / "a.npy", 512) == fault


def test_missing_cut_off_and_damaged_files_are_told(tmp_path):
    path = tmp_path / "a.npy"
    assert embedding_fault(path, 512) == "missing"
    write_embedding(path, EMBEDDING)
    content = path.read_bytes()
    for size in (len(content) - 1, len(content) + 1):
        path.write_bytes((content + b"x")[:size])
        assert embedding_fault(path, 512) == "incomplete"
    for size in (0, 5, 40):
        path.write_bytes(content[:size])
        assert embedding_fault(path, 512) == "damaged"
    path.write_bytes(b"no array at all")
    assert embedding_fault(path, 512) == "damaged"
    path.unlink()
    path.mkdir()
    assert embedding_fault(path, 512) == "damaged"
