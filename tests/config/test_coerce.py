from typing import Annotated, Literal

import pytest

from covergen_cli.config import Between
from covergen_cli.config.coerce import coerce, parse_segment
from covergen_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        ("7", int, 7),
        (7.0, int, 7),
        ("4294967295", int, 4294967295),
        ("0.5", float, 0.5),
        (3, float, 3.0),
        ("yes", bool, True),
        ("off", bool, False),
        (" euler ", str, "euler"),
        ("none", str | None, None),
        (None, str | None, None),
        ("JPG", Literal["png", "jpg"], "jpg"),
        ("1:01-1:31", tuple[float, float] | None, (61.0, 91.0)),
        ([61, 91], tuple[float, float] | None, (61.0, 91.0)),
        ("1", Annotated[int, Between(1, 2)], 1),
    ],
)
def test_values_take_the_declared_type(value, annotation, expected):
    result = coerce(value, annotation, "x")
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ("seven", int),
        (1.5, int),
        (True, int),
        (True, float),
        ("nan", float),
        ("inf", float),
        ("maybe", bool),
        (1, bool),
        (1, str),
        ("", str),
        (None, int),
        ("gif", Literal["png", "jpg"]),
        ("0", Annotated[int, Between(1, 2)]),
        ("3", Annotated[int, Between(1, 2)]),
        ([1, 2, 3], tuple[float, float] | None),
        ([2, 1], tuple[float, float] | None),
        (["a", 1], tuple[float, float] | None),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(value, annotation):
    with pytest.raises(ConfigError, match=r"generate\.thing"):
        coerce(value, annotation, "generate.thing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("61-91", (61.0, 91.0)),
        ("1:01-1:31", (61.0, 91.0)),
        ("0.5-2.25", (0.5, 2.25)),
        ("1:00:00-1:00:30", (3600.0, 3630.0)),
        (" 0 – 30 ", (0.0, 30.0)),
    ],
)
def test_segments_are_read_in_seconds_and_as_clocks(text, expected):
    assert parse_segment(text) == expected


@pytest.mark.parametrize("text", ["", "30", "30-", "-30", "31-30", "30-30", "a-b", "1:2:3:4-9", "-5-10"])
def test_what_is_no_segment_is_refused_with_an_example(text):
    with pytest.raises(ConfigError) as caught:
        parse_segment(text)
    assert "1:01-1:31" in caught.value.hint
