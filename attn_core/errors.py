"""Everything that can go wrong for a visitor, each with one sentence to show."""


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


class EmptyText(HeadlightError):
    """There is nothing to look at: no text, or text that leaves no token."""
