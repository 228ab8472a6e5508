"""Convert values from flags, files and the environment to the declared types, and check choices and bounds."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from covergen_cli.config import Between, Matches
from covergen_cli.errors import ConfigError

_NONE_WORDS = {"", "none", "null"}
_BOOL_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_SEGMENT_HINT = "write START-END, like 61-91 or 1:01-1:31"
_CLOCK = r"\d+(?::\d{1,2}){0,2}(?:\.\d+)?"


def coerce(value: object, annotation: Any, name: str) -> Any:
    """Return a value in the declared type of a dataclass field.

    Args:
        value: a string (flag, environment) or a YAML value.
        annotation: ``int``, ``float``, ``str``, ``bool``, a ``Literal``, an optional one of these, a pair of floats
            (a segment), or ``Annotated`` with ``Between`` or ``Matches``.
        name: name of the value in error messages, e.g. ``generate.steps in config.yaml``.

    Raises:
        ConfigError: the value has another type, is none of the choices, or is out of bounds.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        result = coerce(value, arguments[0], name)
        for limit in arguments[1:]:
            if result is not None and isinstance(limit, (Between, Matches)) and result not in limit:
                raise ConfigError(f"{name} is {result}; it takes {limit}")
        return result
    if origin in (Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.strip().lower() in _NONE_WORDS):
            return None
        return coerce(value, next(part for part in arguments if part is not type(None)), name)
    if origin is Literal:
        return _choice(value, arguments, name)
    if origin is tuple:
        return _segment(value, name)
    return _plain(value, annotation, name)


def nearest(key: str, known: list[str], listing: str) -> str:
    """Return a hint for an unknown key: the nearest known one, or the full list of known ``listing``."""
    import difflib  # needed for errors only

    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known {listing}: {', '.join(known)}"


def parse_segment(text: str) -> tuple[float, float]:
    """Parse ``START-END``, each in seconds (``83.5``) or as ``1:23.5`` or ``1:02:03``.

    Returns:
        start and end in seconds, ``0 <= start < end``.

    Raises:
        ConfigError: the text has another format, or the end is not after the start.
    """
    match = re.fullmatch(rf"\s*({_CLOCK})\s*[-–]\s*({_CLOCK})\s*", text)
    if match is None:
        raise ConfigError(f"{text!r} is not a segment", hint=_SEGMENT_HINT)
    return _ordered(_seconds(match[1]), _seconds(match[2]), text)


def _seconds(clock: str) -> float:
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _ordered(start: float, end: float, text: str) -> tuple[float, float]:
    if not (math.isfinite(end) and 0 <= start < end):
        raise ConfigError(f"the segment {text} does not end after its start", hint=_SEGMENT_HINT)
    return start, end


def _segment(value: object, name: str) -> tuple[float, float]:
    try:
        if isinstance(value, str):
            return parse_segment(value)
        if isinstance(value, (list, tuple)) and len(value) == 2:
            start, end = (_plain(part, float, "one end") for part in value)
            return _ordered(start, end, f"{start:g}-{end:g}")
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.message}", hint=error.hint) from None
    raise ConfigError(f"{name} is {value!r}, not a segment", hint=_SEGMENT_HINT)


def _choice(value: object, choices: tuple[str, ...], name: str) -> str:
    text = value.strip().lower() if isinstance(value, str) else value
    if isinstance(text, str) and text in choices:
        return text
    hint = nearest(str(value), [*choices], "values")
    raise ConfigError(f"{name} is {value!r}, not one of {', '.join(choices)}", hint=hint)


def _plain(value: object, kind: type, name: str) -> Any:
    convert, words = _PLAIN[kind]
    result = convert(value)
    if result is None:
        raise ConfigError(f"{name} is {value!r}, not {words}")
    return result


def _integer(value: object) -> int | None:
    number = _number(value)
    if number is None or not number.is_integer():
        return None
    return value if isinstance(value, int) else int(number)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _boolean(value: object) -> bool | None:
    if isinstance(value, str):
        return _BOOL_WORDS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


_PLAIN: dict[type, tuple[Callable[[object], Any], str]] = {
    int: (_integer, "a whole number"),
    float: (_number, "a number"),
    bool: (_boolean, "true or false"),
    str: (_text, "text"),
}
