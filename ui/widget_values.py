"""What a browser says that a widget holds, checked where it comes in: anybody can send anything in its place.

Streamlit reads a value only when a page or a callback asks for it, and trusts it: the wrong kind of value, or JSON that
is none, ends in the middle of the page. `check_as_they_come` has such a value count as not sent.

It replaces two methods of Streamlit's session state, because Streamlit 1.67 offers no other place: a widget takes no
check of its own, a built-in widget's deserializer is made inside its call, and both `key=` and callbacks get the value
only after it was read. `tests/pages/test_forged_values.py` fails when a later version calls these methods no more.
"""

from __future__ import annotations

import math
from typing import Any

from streamlit.elements.widgets.multiselect import MultiSelectSerde
from streamlit.elements.widgets.number_input import NumberInputSerde
from streamlit.elements.widgets.selectbox import SelectboxSerde
from streamlit.elements.widgets.slider import SliderSerde
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.state.common import WidgetMetadata, unpack_widget_state_value
from streamlit.runtime.state.session_state import Serialized, WStates

DEEPEST = 16  # brackets in one another; a selection in a table or a chart has six

# What a browser sends where it is not the kind that the widget declares: a field of whole numbers sends them as such.
SENT_AS = {"double_value": ("double_value", "int_value")}


def fits(sent: WidgetState, widget: WidgetMetadata[object]) -> bool:
    """Whether a widget could have sent this: its kind of value, one that it can read, and one of its options."""
    kind = sent.WhichOneof("value")
    if kind is None:
        return True  # emptied
    sent_as = SENT_AS.get(widget.value_type, (widget.value_type,))
    if kind not in sent_as or (kind.startswith("json") and _is_deep(getattr(sent, kind))):
        return False
    reader = getattr(widget.deserializer, "__self__", None)
    try:
        raw = unpack_widget_state_value(sent)
        value = widget.deserializer(raw)
    except Exception:  # Streamlit's own readers raise whatever the text of a stranger leads them to
        return False
    return _is_in_range(raw, reader) and _is_offered(value, reader)


def check_as_they_come() -> None:
    """From now on, and in every session of this process, a value that does not fit counts as not sent."""
    if WStates.__getitem__ is not _checked:
        WStates.__getitem__ = _checked  # type: ignore[method-assign]
        WStates.set_widget_from_proto = _taken  # type: ignore[method-assign, assignment]


_unchecked, _take = WStates.__getitem__, WStates.set_widget_from_proto


def _taken(self: WStates, sent: WidgetState) -> None:
    """A value comes in; that of a widget which is not there yet is checked when it is asked for."""
    widget = self.widget_metadata.get(sent.id)
    if widget is None or fits(sent, widget):
        _take(self, sent)


def _checked(self: WStates, widget_id: str) -> object:
    state, widget = self.states.get(widget_id), self.widget_metadata.get(widget_id)
    if isinstance(state, Serialized) and widget is not None and not fits(state.value, widget):
        raise KeyError(widget_id)  # as for a widget that nobody has touched
    return _unchecked(self, widget_id)


def _is_deep(text: str) -> bool:
    """Whether brackets lie in one another so deep that reading them could fail; what stands in quotes counts, too."""
    depth = 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if depth > DEEPEST:
            return True
    return False


def _is_in_range(raw: Any, widget: object) -> bool:
    """Whether numbers lie between a field's or slider's ends; Streamlit would take the widget's start for them."""
    if not isinstance(widget, NumberInputSerde | SliderSerde):
        return True
    numbers = [raw] if isinstance(raw, int | float) else list(raw)  # a slider sends a list of one or two
    return all(math.isfinite(n) and widget.min_value <= n <= widget.max_value for n in numbers)


def _is_offered(value: object, widget: object) -> bool:
    """Whether a selection is among the options; where these are words, new ones may be typed into some boxes."""
    if isinstance(widget, MultiSelectSerde):
        return isinstance(value, list) and all(each in widget.options for each in value)
    if isinstance(widget, SelectboxSerde) and len(widget.options) and not isinstance(widget.options[0], str):
        return value is None or value in widget.options
    return True
