"""Small dataset folders."""

import pytest

from dataset_files import write_manifest, write_song


@pytest.fixture
def dataset(tmp_path):
    """A folder with three songs of two seconds."""
    folder = tmp_path / "DATA"
    rows = []
    for index in range(3):
        write_song(folder / "audio" / f"s{index}.wav", hertz=110.0 * (index + 2))
        image = folder / "images" / f"s{index}.jpg"
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(b"picture")
        rows.append((f"s{index}", f"audio/s{index}.wav", f"images/s{index}.jpg"))
    write_manifest(folder, rows)
    return folder
