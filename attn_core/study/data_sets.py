"""Sentences of a data set of the hub by its name, read with the library `datasets` as far as they are needed.

data_set("nyu-mll/glue", "sst2", "validation", most=1000)    # columns, for `texts.sentences`
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from attn_core.errors import HeadlightError, NoNetwork
from attn_core.models import hub
from attn_core.settings import is_public
from attn_core.study.batches import MOST
from attn_core.study.texts import MOST_COLUMNS, Table, as_texts

MISSING = "Data sets by name need the package datasets: pip install headlight-attention[datasets]. A file does not."


def data_set(name: str, subset: str = "", split: str = "", most: int = MOST) -> Table:
    """The first rows of a data set of the hub, by column, as texts; nothing beyond them is downloaded.

    Without a `split` the first one is read; labels that are numbers are read by their names. Raises NoNetwork where the
    hub cannot be reached, and HeadlightError where `datasets` is missing, on a hosted server, and with the library's
    own reason for a data set, subset or split that is not there.
    """
    if is_public():
        raise HeadlightError("A hosted Headlight brings no data sets; a copy on your own computer does.")
    if not name.strip():
        raise HeadlightError("Name a data set, such as nyu-mll/glue.")
    library = _library()
    try:
        hub.require_network()
    except NoNetwork:
        raise NoNetwork(
            f"The hub cannot be reached from here, so the data set {name} cannot be read. A file or a folder can."
        ) from None
    try:
        found = library.load_dataset(name.strip(), subset or None, split=split or None, streaming=True)
        if isinstance(found, Mapping):
            found = next(iter(found.values()))
        return _columns(list(islice(found, most)), found.features or {})
    except HeadlightError:
        raise
    except ConnectionError:
        raise NoNetwork(f"The data set {name} cannot be read: the connection to the hub broke off.") from None
    except Exception as error:  # whatever a file of somebody else's brings about in the library
        raise HeadlightError(f"The data set {name} cannot be read: {error or type(error).__name__}") from None


def _library() -> Any:
    try:
        import datasets  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise HeadlightError(MISSING) from None
    return datasets


def _columns(rows: list[dict[str, Any]], features: Mapping[str, Any]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) > MOST_COLUMNS:
        raise HeadlightError(f"This data set has more than {MOST_COLUMNS} columns.")
    labels = {name: getattr(features.get(name), "names", None) or () for name in names}
    return {name: as_texts((row.get(name) for row in rows), labels[name]) for name in names}
