"""The log can be read while it is written, and cut back to where a training goes on."""

from __future__ import annotations

import pytest

from covergen_cli.errors import OutputError
from covergen_cli.training.run_folder import append_record, begin_run, lock_run, read_records

RECORDS = [
    {"kind": "step", "epoch": 1, "step": 10, "loss": 0.5},
    {"kind": "step", "epoch": 1, "step": 12, "loss": 0.4},
    {"kind": "epoch", "epoch": 1, "step": 12, "validation_loss": 0.45},
    {"kind": "step", "epoch": 2, "step": 20, "loss": 0.3},
]


@pytest.fixture
def run(tmp_path):
    for record in RECORDS:
        append_record(tmp_path, record)
    return tmp_path


def test_records_come_back_in_order_and_by_kind(run):
    assert read_records(run) == RECORDS
    assert read_records(run, "epoch") == [RECORDS[2]]
    assert read_records(run / "nothing") == []


def test_a_line_that_was_cut_off_is_left_out(run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "ep')
    assert read_records(run) == RECORDS
    begin_run(run, {}, fresh=False, step=20, epoch=1)
    append_record(run, {**RECORDS[3], "step": 24})
    assert [record["step"] for record in read_records(run)] == [10, 12, 12, 20, 24]


@pytest.mark.parametrize(("step", "epoch", "kept"), [(20, 1, 4), (19, 1, 3), (12, 1, 3), (12, 0, 2), (0, 0, 0)])
def test_the_log_is_cut_back_to_a_state(run, step, epoch, kept):
    begin_run(run, {}, fresh=False, step=step, epoch=epoch)
    assert read_records(run) == RECORDS[:kept]


def test_a_log_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(OutputError, match=r"metrics\.jsonl"):
        append_record(tmp_path, RECORDS[0])


def test_only_one_training_gets_into_a_run_folder(tmp_path):
    run, refused = tmp_path / "RUN", pytest.raises(OutputError, match="another covergen train is running")
    with lock_run(run), refused, lock_run(run):
        pass
    with lock_run(tmp_path / "RUN"):
        pass
