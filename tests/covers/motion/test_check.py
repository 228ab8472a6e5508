"""--check reads videos too."""

import av
import numpy as np
import pytest

from covergen_cli.covers.motion.check import check_video, open_video
from covergen_cli.covers.motion.targets import load_targets
from covergen_cli.covers.motion.video import save_video
from covergen_cli.errors import InputError


def write(path, width, height, seconds, fps=24, kind="mp4"):
    frame = np.zeros((height, width, 3), np.uint8)
    list(save_video(path, (frame for _ in range(round(seconds * fps))), fps, {"version": "0"}, kind))
    return path


def refused(path, target):
    findings = check_video(open_video(path), load_targets()[target]).findings
    return {finding.rule for finding in findings if finding.level == "refused"}


def test_a_loop_passes_where_it_is_made_for_and_not_elsewhere(tmp_path):
    path = write(tmp_path / "loop.mp4", 180, 320, 3)
    assert refused(path, "canvas") == set()
    assert refused(path, "square") == {"shape"}
    assert refused(path, "youtube") == {"shape"}
    advice = {f.rule for f in check_video(open_video(path), load_targets()["canvas"]).findings if f.level == "advice"}
    assert advice == {"size"}


def test_a_loop_that_is_too_long_is_refused(tmp_path):
    assert refused(write(tmp_path / "loop.mp4", 64, 64, 9, fps=5), "square") == {"duration"}


def test_other_containers_and_codecs_are_told(tmp_path):
    path = tmp_path / "film.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=24, options={"cpu-used": "8", "deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(80):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    assert "container" in refused(path, "square")


@pytest.mark.parametrize("content", [None, b"", b"not a film" * 100])
def test_what_is_no_video_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "film.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"film\.mp4") as caught:
        open_video(path)
    assert "\n" not in caught.value.message
