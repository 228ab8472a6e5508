import dataclasses
from typing import get_type_hints

import pytest

from covergen_cli.config import Between, GenerateConfig, Matches, field_docs, stage_of
from covergen_cli.config.coerce import coerce
from covergen_cli.config.resolve import stages

KINDS = list(stages().values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_help_and_no_help_is_left_over(kind):
    assert list(field_docs(kind)) == [field.name for field in dataclasses.fields(kind)]
    assert all(text.endswith(".") for text in field_docs(kind).values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_is_of_its_type_and_inside_its_bounds(kind):
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        assert coerce(field.default, hints[field.name], field.name) == field.default


def test_settings_cannot_be_changed_after_they_are_made():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GenerateConfig().steps = 3


def test_stage_names_come_from_class_names():
    assert stage_of(GenerateConfig) == "generate"
    assert {"generate", "segment", "adapter"} <= set(stages())


def test_bounds_include_both_ends():
    assert 0 in Between(0, 1)
    assert 1 in Between(0, 1)
    assert 1.01 not in Between(0, 1)
    assert 10**9 in Between(1)
    assert str(Between(0, 2**32 - 1)) == "0 to 4294967295"
    assert str(Between(1)) == "1 or more"


def test_a_form_has_to_match_the_whole_text():
    form = Matches(r"cuda(:\d+)?", "cuda")
    assert "cuda:1" in form
    assert "cuda:x" not in form


def test_help_that_runs_over_lines_is_joined():
    assert field_docs(GenerateConfig)["overwrite"].count("  ") == 0
    assert "force always" in field_docs(GenerateConfig)["overwrite"]
