"""Options that cannot be meant, refused by name in one sentence before anything is done: another type is a TypeError,
another value a ValueError."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sized
from typing import Any


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """
    >>> check_choice("scale", "log", ["sqrt", "linear"])
    Traceback (most recent call last):
    ValueError: scale must be one of 'sqrt', 'linear'; got 'log'
    """
    names = [*choices]
    if value not in names:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, names))}; got {value!r}")


def check_flag(name: str, value: object) -> None:
    """
    >>> check_flag("words", 3)
    Traceback (most recent call last):
    TypeError: words must be True or False, got 3
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def check_whole(name: str, value: Any, least: int | None = None, unit: str = "") -> None:
    """A whole number of Python's or numpy's, which True is not.

    >>> check_whole("batch", 0, least=1)
    Traceback (most recent call last):
    ValueError: batch must be at least 1, got 0
    """
    try:
        whole = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        whole = None
    if whole is None:
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if least is not None and whole < least:
        raise ValueError(f"{name} must be at least {least}{unit}, got {value}")


def check_several(name: str, value: object, of: str) -> None:
    """Several of something, and not one: a text alone is no list of texts.

    >>> check_several("texts", "a bird", "sentences")
    Traceback (most recent call last):
    TypeError: texts must be several sentences, as in [one, two]; got 'a bird'
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be several {of}, as in [one, two]; got {value!r}")


def check_mapping(name: str, value: object, example: str) -> None:
    """
    >>> check_mapping("patch", [1], '{ac.at.head(0, 3): "zero"}')
    Traceback (most recent call last):
    TypeError: patch must be a dictionary, as in {ac.at.head(0, 3): "zero"}; got [1]
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dictionary, as in {example}; got {value!r}")


def check_any(name: str, found: Sized, of: str) -> None:
    """At least one of several.

    >>> check_any("layers", [], "layers")
    Traceback (most recent call last):
    ValueError: layers must be one or more layers, got none
    """
    if not len(found):
        raise ValueError(f"{name} must be one or more {of}, got none")


def check_text(name: str, value: object) -> None:
    """
    >>> check_text("name", 3)
    Traceback (most recent call last):
    TypeError: name must be a text, got 3
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got {value!r}")
