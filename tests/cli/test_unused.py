"""Options that have no effect beside the others are told, and only those."""

import pytest

from covergen_cli.cli import eval as eval_module
from covergen_cli.cli import train as train_module
from covergen_cli.errors import InputError


@pytest.fixture(autouse=True)
def nothing_is_done(monkeypatch):
    def refuse(*_, **__):
        raise InputError("that was all")

    monkeypatch.setattr(train_module, "_train", refuse)
    monkeypatch.setattr(eval_module, "_training_data", refuse)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "DATA", "-o", "RUN", "--optimizer", "adam", "--weight-decay", 0.1), "--weight-decay has no effect"),
        (("train", "DATA", "-o", "RUN", "--preset", "paper", "--warmup", 0.1), "--warmup has no effect"),
        (("train", "DATA", "-o", "RUN", "--objective", "words", "--samples", 2), "--samples has no effect"),
        (("train", "DATA", "-o", "RUN", "--preset", "starter"), "the preset starter changes nothing here"),
        (("embed", "gone.mp3", "--batch-size", 8), "--batch-size has no effect with --encoder mel"),
        (("embed", "gone.mp3", "--preset", "starter"), "the preset starter changes nothing here"),
        (("eval", "RUN", "--controls", 3), "--controls has no effect without --survey"),
        (("eval", "RUN", "--survey", 3, "--song-draws", 5), "--song-draws has no effect with --survey"),
        (("eval", "--survey-answers", "gone", "--device", "cpu"), "--device has no effect with --survey-answers"),
    ],
)
def test_what_has_no_effect_is_told(covergen, arguments, words):
    done = covergen(*arguments)
    assert done.code == 1
    assert words in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "DATA", "-o", "RUN", "--weight-decay", 0.1, "--warmup", 0.1, "--preset", "default"),
        ("train", "DATA", "-o", "RUN", "--preset", "paper", "--learning-rate", 0.1),
        ("embed", "gone.mp3", "--workers", 1),
        ("eval", "RUN", "--budget", 3),
        ("eval", "RUN", "--survey", 3, "--controls", 3),
    ],
)
def test_what_has_an_effect_is_not(covergen, arguments):
    done = covergen(*arguments)
    assert done.code == 1
    assert "no effect" not in done.err
    assert "changes nothing" not in done.err


def test_settings_from_a_preset_of_ones_own_are_not_told(covergen, tmp_path):
    (tmp_path / "mine.yaml").write_text("train: {optimizer: adam, weight_decay: 0.5}\n")
    done = covergen("train", "DATA", "-o", "RUN", "--preset", tmp_path / "mine.yaml")
    assert "that was all" in done.err
    assert "warning" not in done.err
