"""Everything that can go wrong for a visitor, each with one sentence to show, and the one check of an index."""

from attn_core.options import check_whole


class HeadlightError(Exception):
    """The base of all errors whose message is written for the person at the screen."""


class UnknownModel(HeadlightError):
    """The name is neither in the catalogue nor a folder; the message offers the nearest names."""


class UnsupportedFamily(HeadlightError):
    """The architecture does not call the library's attention interface, so nothing true could be drawn."""


class DamagedModel(HeadlightError):
    """The folder is no model, a file is cut or altered, or weights are missing."""


class NoNetwork(HeadlightError):
    """The weights are on the hub and the hub cannot be reached."""


class CannotFetch(HeadlightError):
    """A model cannot be fetched or kept here: no pip, no index that has it, or no room on the disk."""


class Cancelled(HeadlightError):
    """Somebody ended the fetching of a model before it was there."""


class EmptyText(HeadlightError):
    """There is nothing to look at: no text, or text that leaves no token."""


class TextWasCut(UserWarning):
    """A text is longer than its model or its limit allows, so what is shown is of its beginning."""


class NoModel(HeadlightError):
    """A trace was opened from a file without its model, and what is asked for needs the model's weights."""


class DoesNotAddUp(HeadlightError):
    """The parts of a sum miss what the model computed, so they explain nothing and are not handed out."""


def check_index(axis: str, index: int, size: int, owner: str = "this trace") -> None:
    """Raise IndexError, naming the range, where `index` is not 0 to `size` − 1; negative ones are refused too, and so,
    by TypeError, is what is no whole number.

    >>> check_index("head", 12, 12)
    Traceback (most recent call last):
    IndexError: head 12 is out of range: this trace has head 0 to 11
    """
    check_whole(axis, index)
    if not 0 <= index < size:
        raise IndexError(f"{axis} {index} is out of range: {owner} has {axis} 0 to {size - 1}")
