"""What was changed in a pass as JSON, and back; each value is checked when it is read.

Readers raise KeyError, TypeError or ValueError for what cannot have been written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attn_core.places import OF_A_HEAD, OF_A_STREAM, Place
from attn_core.tolerances import TOLERANCES
from attn_core.traces.changes import IN_ITS_PLACE, Changes, Donor, HeadName, Patch, as_lists


def changes_to_json(changes: Changes, numbers: bool = True) -> dict[str, Any]:
    """Changes for a file: "without" [[stream, layer, head]], "replacement", "forced" [{"head", "pattern"}] and
    "patches" [{"place", "rule", "numbers", "donor"}]; without `numbers`, those stand elsewhere in the file."""
    return {
        "without": [list(head) for head in changes.without],
        "replacement": changes.replacement,
        "forced": [{"head": list(one.head), "pattern": one.as_lists() if numbers else None} for one in changes.forced],
        "patches": [_patch_to_json(one, numbers) for one in changes.patches],
    }


def changes_from_json(said: Mapping[str, Any]) -> Changes:
    """What `changes_to_json` wrote."""
    if said["replacement"] not in IN_ITS_PLACE:
        raise ValueError("no replacement of that name")
    edit = {_read_head(one["head"]): one["pattern"] for one in said["forced"]}
    if any(np.ndim(cells) != 2 for cells in edit.values()):
        raise ValueError("no pattern")
    patches = [_patch_from_json(one) for one in said["patches"]]
    return Changes.of([_read_head(head) for head in said["without"]], said["replacement"], edit, patches)


def _patch_to_json(patch: Patch, numbers: bool) -> dict[str, Any]:
    donor, put = patch.donor, as_lists(patch.array) if numbers and patch.rule is None else None
    from_pass = None if donor is None else {**vars(donor), "changes": changes_to_json(donor.changes)}
    return {"place": list(patch.place), "rule": patch.rule, "numbers": put, "donor": from_pass}


def _patch_from_json(said: Mapping[str, Any]) -> Patch:
    place, donor, rule = _read_place(said["place"]), said["donor"], said["rule"]
    if rule is not None:
        if not isinstance(rule, str) or donor is not None:
            raise TypeError("no rule")
        return Patch.of(place, rule)
    if donor is not None:
        model_name, text, target = donor["model_name"], donor["text"], donor["target"]
        if not (isinstance(model_name, str) and isinstance(text, str) and isinstance(target, str | None)):
            raise TypeError("no pass that a patch could be from")
        ids, target_ids = _read_ids(donor.get("ids")), _read_ids(donor.get("target_ids"))
        wrapped = donor.get("wrapped", False)
        if type(wrapped) is not bool:
            raise TypeError("neither wrapped nor loaded")
        pair = donor.get("second"), donor.get("second_text", "")
        if type(pair[0]) not in (int, type(None)) or not isinstance(pair[1], str):
            raise TypeError("no pair that a patch could be from")
        dtype = donor.get("dtype", "float32")
        if dtype not in TOLERANCES:
            raise ValueError("no number type of that name")
        changes = changes_from_json(donor["changes"])
        donor = Donor(model_name, text, target, changes, ids, target_ids, wrapped, *pair, dtype)
    if np.ndim(said["numbers"]) not in (1, 2):
        raise ValueError("no rows of numbers")
    return Patch.of(place, said["numbers"], donor)


def _read_ids(said: Any) -> tuple[int, ...] | None:
    if said is not None and not all(type(i) is int for i in said):
        raise TypeError("no token ids")
    return None if said is None else tuple(said)


def _read_place(said: Sequence[Any]) -> Place:
    kind, stream, layer, head, position = said
    numbers = [layer, *(n for n in (head, position) if n is not None)]
    if not (kind in (OF_A_HEAD if head is not None else OF_A_STREAM) and isinstance(stream, str)):
        raise ValueError("no place")
    if not all(type(n) is int and n >= 0 for n in numbers):
        raise TypeError("no place")
    return Place(kind, stream, layer, head, position)


def _read_head(said: Sequence[Any]) -> HeadName:
    stream, layer, head = said
    if not (isinstance(stream, str) and type(layer) is int and type(head) is int):
        raise TypeError("no name of a head")
    return stream, layer, head
