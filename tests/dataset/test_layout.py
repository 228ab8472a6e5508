import pytest

from covergen_cli.dataset.layout import Dataset
from covergen_cli.errors import ConfigError, InputError
from dataset_files import write_manifest


def faults(folder, *rows):
    write_manifest(folder, rows)
    return [row.fault for row in Dataset(folder).rows()]


def test_good_rows(dataset):
    rows = list(Dataset(dataset).rows())
    assert [(row.id, row.fault) for row in rows] == [("s0", None), ("s1", None), ("s2", None)]
    assert rows[1].audio == dataset / "audio" / "s1.wav"
    assert rows[1].image_path == "images/s1.jpg"


@pytest.mark.parametrize("name", ["", "../evil", "a/b", "a.b", "a b", "é", "x" * 65, "con:"])
def test_an_id_that_could_be_a_path_is_refused(dataset, name):
    assert faults(dataset, (name, "audio/s0.wav", "images/s0.jpg")) == [
        "the id is not 1 to 64 letters, digits, - and _"
    ]


def test_an_id_counts_once(dataset):
    row = ("a", "audio/s0.wav", "images/s0.jpg")
    assert faults(dataset, row, row) == [None, "an earlier row has the same id"]


@pytest.mark.parametrize("path", ["../outside.wav", "audio/../../outside.wav", "link/outside.wav"])
@pytest.mark.parametrize("column", [1, 2])
def test_a_relative_path_must_stay_inside(dataset, path, column):
    (dataset.parent / "outside.wav").write_bytes(b"x")
    (dataset / "link").symlink_to(dataset.parent)
    row = ["a", "audio/s0.wav", "images/s0.jpg"]
    row[column] = path
    (fault,) = faults(dataset, tuple(row))
    assert "leads out of the dataset folder" in fault


def test_an_absolute_path_is_read_where_it_is(dataset, tmp_path):
    write_manifest(dataset, [("a", str(tmp_path / "library" / "song.mp3"), "images/s0.jpg")])
    (row,) = Dataset(dataset).rows()
    assert (row.audio, row.fault) == (tmp_path / "library" / "song.mp3", None)


@pytest.mark.parametrize(
    ("audio", "image", "fault"),
    [
        ("", "images/s0.jpg", "there is no audio_path"),
        ("audio/s0.wav", "", "there is no image_path"),
        ("audio/s0.wav", "images/none.jpg", "there is no image images/none.jpg"),
        ("a" * 5000, "images/s0.jpg", "the audio_path is not a path"),
    ],
)
def test_what_a_row_lacks_is_said(dataset, audio, image, fault):
    assert faults(dataset, ("a", audio, image)) == [fault]


def test_a_row_with_too_few_cells_is_a_fault_and_no_crash(dataset):
    (dataset / "manifest.csv").write_text("id,audio_path,image_path\na\nb,audio/s0.wav,images/s0.jpg,x,y\n")
    assert [row.fault for row in Dataset(dataset).rows()] == ["there is no audio_path", None]


def test_a_byte_order_mark_is_no_part_of_a_column(dataset):
    path = dataset / "manifest.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [row.fault for row in Dataset(dataset).rows()] == [None] * 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,audio_path\na,b\n", "no column image_path"),
        (b"", "no column id, audio_path, image_path"),
        (b'id,audio_path,image_path\n"a,b\n', "line 2: a quotation mark"),
    ],
)
def test_a_manifest_that_is_none_is_an_error(dataset, content, words):
    (dataset / "manifest.csv").write_bytes(content)
    with pytest.raises(InputError, match=words):
        list(Dataset(dataset).rows())


@pytest.mark.parametrize("id_", [b"\xff\xfe", b"x" * 200_000])
def test_a_row_with_bytes_or_lengths_that_make_no_sense_fails_alone(dataset, id_):
    row = b",audio/s0.wav,images/s0.jpg\n"
    (dataset / "manifest.csv").write_bytes(b"id,audio_path,image_path\n" + id_ + row + b"good" + row)
    assert [row.fault for row in Dataset(dataset).rows()] == ["the id is not 1 to 64 letters, digits, - and _", None]


def test_without_a_manifest_or_a_folder(dataset, tmp_path):
    (dataset / "manifest.csv").unlink()
    with pytest.raises(InputError, match=r"has no manifest\.csv"):
        list(Dataset(dataset).rows())
    with pytest.raises(InputError, match="is not a folder"):
        list(Dataset(tmp_path / "none").rows())


@pytest.mark.parametrize("name", ["", "..", "a/b", "a.b"])
def test_the_name_of_a_folder_of_embeddings_is_no_path(dataset, name):
    with pytest.raises(ConfigError, match="cannot name a folder"):
        Dataset(dataset).embeddings(name)
