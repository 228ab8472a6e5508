"""The one place where a value from a flag, a file or the environment becomes a setting: type, choice, bounds."""

from __future__ import annotations

import difflib
import math
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from covergen_cli.config import Between, Matches
from covergen_cli.errors import ConfigError

_NONE_WORDS = {"", "none", "null"}
_BOOL_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_CLOCK = r"\d+(?::\d{1,2}){0,2}(?:\.\d+)?"


def coerce(value: object, annotation: Any, name: str) -> Any:
    """Turn a value into what a dataclass field is declared to hold.

    Args:
        value: text (flag, environment) or a YAML value.
        annotation: the field's type with its extras: ``int``, ``float``, ``str``, ``bool``, a ``Literal``, an optional
            one of these, a pair of floats (a segment), or ``Annotated`` with ``Between`` or ``Matches``.
        name: what the value is called in an error, e.g. ``generate.steps in config.yaml``.

    Returns:
        the value in the declared type.

    Raises:
        ConfigError: when the value has another type, is no choice, or lies outside its bounds.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        result = coerce(value, arguments[0], name)
        _check(result, arguments[1:], name)
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
    """Hint for an unknown key: the nearest known one, else all of them.

    Args:
        key: what was written.
        known: what could have been meant.
        listing: what the known ones are called, e.g. ``"settings"``.
    """
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known {listing}: {', '.join(known)}"


def parse_segment(text: str) -> tuple[float, float]:
    """Read ``START-END``, each in seconds (``83.5``) or as a clock shows it (``1:23.5``, ``1:02:03``).

    Returns:
        start and end in seconds, ``0 <= start < end``.

    Raises:
        ConfigError: when the text has another form or the end is not after the start.
    """
    match = re.fullmatch(rf"\s*({_CLOCK})\s*[-–]\s*({_CLOCK})\s*", text)
    if match is None:
        raise ConfigError(f"{text!r} is not a segment", hint="write START-END, like 61-91 or 1:01-1:31")
    return _ordered(_seconds(match[1]), _seconds(match[2]), text)


def _seconds(clock: str) -> float:
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _ordered(start: float, end: float, text: str) -> tuple[float, float]:
    if not (math.isfinite(end) and 0 <= start < end):
        raise ConfigError(f"the segment {text} does not end after its start", hint="write START-END, like 1:01-1:31")
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
    raise ConfigError(f"{name} is {value!r}, not a segment", hint="write START-END, like 61-91 or 1:01-1:31")


def _choice(value: object, choices: tuple[Any, ...], name: str) -> Any:
    for choice in choices:
        if value == choice or (isinstance(value, str) and value.strip().lower() == choice):
            return choice
    listed = [str(choice) for choice in choices]
    raise ConfigError(
        f"{name} is {value!r}, not one of {', '.join(listed)}", hint=nearest(str(value), listed, "values")
    )


def _plain(value: object, kind: type, name: str) -> Any:
    result = {int: _integer, float: _number, bool: _truth, str: _text}[kind](value)
    if result is None:
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]
        raise ConfigError(f"{name} is {value!r}, not {words}")
    return result


def _integer(value: object) -> int | None:
    number = _number(value)
    if number is None or not number.is_integer():
        return None
    return int(value) if isinstance(value, int) else int(number)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _truth(value: object) -> bool | None:
    if isinstance(value, str):
        return _BOOL_WORDS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _check(value: Any, extras: tuple[Any, ...], name: str) -> None:
    for extra in extras:
        if value is not None and isinstance(extra, (Between, Matches)) and value not in extra:
            raise ConfigError(f"{name} is {value}; it takes {extra}")
