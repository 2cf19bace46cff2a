"""What every room begins with: page, menu, sentence, model, notes; and the way from a sentence to its trace.

A room in full:

    from ui import frame, widgets
    from ui.state import choice, flag, whole

    room = frame.open_page("delta_e", params=[choice("view", ("rows", "columns")), flag("specials", True)])
    trace = room.trace()                 # waits with visible progress; a problem becomes one clear sentence
    widgets.lead(f"Head {room.layer}.{room.head} adds most to {widgets.query(...)}.", sub=room.badges(trace))
    with widgets.card("picture", "What each head adds", "Rows are heads, columns are words."):
        widgets.stepper("Layer", "layer", trace.n_layers - 1)
        st.plotly_chart(...)

* `open_page(page, params=…)`: `page` is the file's stem ("app" for the front room). `params` are the page's own, see
  `ui.state`; `text`, `model`, `layer`, `head` and `query` (the chosen word; None: the page chooses) are there already.
* `sentence=False` leaves out sentence and examples, `model=False` the picker too; `examples=(…)` gives others
  (a model that Headlight trained brings its own),
  `models=(…)` narrows the picker, `starter=` is the page's own first sentence.
* `room.text`, `room.model_name`, `room.entry` (the catalogue's), `room.layer`, `room.head`, `room.view["…"]`.
* `room.trace(text=None, model=None, **options)`: `options` go to `attn_core.trace` (`target=`, `without=`, …).
* `room.word(trace)` is the chosen query position, clipped to the sentence, or None when the page should choose.
* `room.offer(trace, layer=2, head=3)` puts what the page shows under Save in the menu, as files.
* `frame.go("delta_e", "Follow it to ΔE", layer=2)` is a link into another room.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NoReturn

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.scriptrunner import RerunException, StopException

from attn_core.catalogue import CATALOGUE, availability, entry_of
from attn_core.errors import HeadlightError
from attn_core.settings import is_public
from attn_core.tiny.shipped import examples as fitting
from ui import caches, known_words, saving, sharing, widgets
from ui.state import Param, View, forget, link_params, open_view, whole, words

ROOT = Path(__file__).parent.parent
ROOMS = {
    "app": "All heads",
    "step_by_step": "Step by step",
    "delta_e": "ΔE",
    "word_senses": "Word senses",
    "compare_heads": "Compare",
    "find_heads": "Find heads",
    "cross_attention": "Translate",
    "parameters": "Parameters",
    "lesson": "Lesson",
}
STARTER = "a fluffy blue creature roamed the verdant forest"
EXAMPLES = (
    "one mole of carbon dioxide",
    "the animal didn't cross the street because it was tired",
    "the keys to the cabinet are on the table",
)
log = logging.getLogger("headlight")


@dataclass(frozen=True)
class Room:
    """One page while it is drawn: what its link says, and the way to models and traces."""

    page: str
    view: View
    counter: Any = None  # where the number of tokens goes
    desk: saving.Desk = saving.NOWHERE  # where what can be saved goes

    @property
    def text(self) -> str:
        return str(self.view["text"])

    @property
    def model_name(self) -> str:
        return str(self.view["model"])

    @property
    def entry(self) -> Any:
        return entry_of(self.model_name)

    @property
    def layer(self) -> int:
        return int(self.view["layer"])

    @property
    def head(self) -> int:
        return int(self.view["head"])

    def model(self, name: str | None = None) -> Any:
        """The loaded model; waits with visible progress, and ends the page with a clear sentence if there is none."""
        name = name or self.model_name
        loaded = caches.model(name)
        if loaded is None:
            with _shown_problems():
                _wait_for(caches.open_model(name), entry_of(name).title)
                loaded = caches.model(name)
        return loaded

    def trace(self, text: Any = None, model: str | None = None, **options: Any) -> Any:
        """The trace of the page's sentence, or of `text` (typed words or token ids), through the page's model."""
        loaded = self.model(model)
        with _shown_problems():
            result = caches.trace(loaded, self.text if text is None else text, **options)
        if text is None:
            tokens = result.tokens if "target" not in options else result.tokens_of("encoder")[0]
            self.count(len(tokens), tokens.dropped, loaded.limit)
            known_words.explain_marks(loaded.name, tokens.labels)
        return result

    def problems(self) -> Any:
        """`with room.problems():` turns an error inside into one clear sentence and ends the page there."""
        return _shown_problems()

    def again(self, trace: Any) -> Any:
        """Run a trace's own tokens once more: `room.again(trace)(without=[(0, 3)])`. For `attn_core.effects`."""
        return lambda **options: self.trace(trace.tokens.ids, **options)

    def count(self, n_tokens: int, dropped: int, limit: int) -> None:
        """Say beside the sentence how many tokens it has, and whether some were cut."""
        if self.counter is None:
            return
        if dropped:
            said = f"Cut after {n_tokens} tokens, which is the limit: {dropped} more are not shown."
            self.counter.html(f'<div class="hl-count cut" role="status">{said}</div>')
        else:
            self.counter.html(f'<div class="hl-count">{n_tokens} of {limit} tokens</div>')

    def word(self, trace: Any) -> int | None:
        """The chosen query position; None when nothing was chosen or the sentence has no such position."""
        chosen = self.view["query"]
        return chosen if chosen is not None and chosen < len(trace.tokens) else None

    def offer(self, trace: Any, **shown: Any) -> None:
        """Let the visitor save a pattern of the trace; `shown` says how it is shown, see `attn_core.views.View`."""
        self.desk.lay({"": self.desk.view(trace, **shown)})

    def badges(self, trace: Any, source: str = "live") -> str:
        """Where the numbers come from, and how far they are from the model's own, as HTML for `widgets.lead`."""
        return provenance(source) + parity(caches.beside(trace, "parity", trace.check))


def open_page(
    page: str,
    params: Sequence[Param] = (),
    *,
    sentence: bool = True,
    model: bool = True,
    examples: Sequence[str] = EXAMPLES,
    models: Sequence[str] | None = None,
    starter: str = STARTER,
) -> Room:
    """Draw what every room has, read its link, and hand over the room. Must be the page's first Streamlit call."""
    st.set_page_config(
        page_title=f"{ROOMS[page]} · Headlight", page_icon="🔆", layout="wide", initial_sidebar_state="collapsed"
    )
    st.html(ROOT / "assets" / "style.css")
    st.html(ROOT / "assets" / "menu.css")
    offered = tuple(models or (name for name, entry in CATALOGUE.items() if entry.architecture != "encoder-decoder"))
    view = open_view(page, [*_shared_params(offered, starter if sentence else None), *params])
    desk = _menu(page, view)
    counter = _ask(offered, fitting(view["model"]) or examples, sentence) if model else None
    for remark in view.notes:
        widgets.note(remark)
    return Room(page, view, counter, desk)


def _shared_params(offered: Sequence[str], starter: str | None) -> list[Param]:
    """Model, sentence, layer, head and word; the first screen opens on the lesson's own: creature, in head 0.3."""

    def top(what: str) -> Any:
        return lambda view: getattr(entry_of(view["model"]), what) - 1

    def at_most(wanted: int, what: str) -> Any:
        return lambda view: min(wanted, top(what)(view))

    def first_word(view: Any) -> int | None:
        return 4 if (view["model"], view.get("text")) == ("minilm", STARTER) else None

    return [
        Param("model", offered[0], lambda raw, earlier: _known_model(raw, offered)),
        *([words("text", starter)] if starter is not None else []),
        whole("layer", high=top("n_layers"), default=at_most(0, "n_layers")),
        whole("head", high=top("n_heads"), default=at_most(3, "n_heads")),
        whole("query", high=top("limit"), default=first_word, optional=True),
    ]


def _known_model(name: str, offered: Sequence[str]) -> str:
    """A name on offer or, where anyone may use any model, a folder of one; ValueError says what is wrong."""
    try:
        two_stacks = entry_of(name).architecture == "encoder-decoder"
    except HeadlightError as error:
        raise ValueError(str(error).rstrip(".")) from None
    if name in CATALOGUE and name not in offered:
        raise ValueError("this page has no place for its " + ("two stacks" if two_stacks else "single stack"))
    return name


def _menu(page: str, view: View) -> saving.Desk:
    """The rooms, Save and Share; an embedded view has none of them, only a way to the full one."""
    if st.context.is_embedded:
        sharing.way_back(view)
        return saving.NOWHERE
    with st.container(key="menu", horizontal=True, gap="xsmall", vertical_alignment="center", wrap=False):
        st.html('<div class="hl-logo"><i></i>Headlight</div>', width="content")
        with st.container(key="menu_rooms", horizontal=True, gap="xsmall", vertical_alignment="center"):
            _rooms(page)
        with st.container(key="menu_drawer"), st.popover("Menu"):
            _rooms(page)
        with st.container(key="menu_share", width="content", horizontal=True, gap="xsmall", wrap=False):
            desk = saving.popover(page, view.said, _script)
            sharing.popover(view)
    return desk


def _rooms(page: str) -> None:
    for name, label in ROOMS.items():
        if name == page:
            st.html(f'<div class="hl-here" aria-current="page">{label}</div>', width="content")
        elif _script(name):
            go(name, label)


def _script(page: str) -> Path | None:
    """A room's script, None where there is no such room."""
    script = ROOT / _file(page)
    return script if page in ROOMS and script.exists() else None


def _file(page: str) -> str:
    return "app.py" if page == "app" else f"pages/{page}.py"


def go(page: str, label: str, **overrides: Any) -> None:
    """A link into another room; `overrides` are the parameters that it should open with."""
    try:
        st.page_link(_file(page), label=label, query_params=link_params(page, **overrides))
    except StreamlitAPIException:  # a page that runs by itself has no rooms beside it
        st.html(f"<span>{escape(label)}</span>", width="content")


def _ask(offered: Sequence[str], examples: Sequence[str], sentence: bool) -> Any:
    """The sentence, the model and a few examples; gives the place where the number of tokens is said."""
    if not sentence:
        _pick_model(offered)
        return None
    with st.container(key="ask"):
        left, right = st.columns([79, 21], gap="small")
        with left, st.container(key="sentence", gap="xsmall"):
            st.text_input(
                "Sentence",
                key="text",
                label_visibility="collapsed",
                placeholder="Type a sentence",
                on_change=_new_sentence,
            )
            counter = st.empty()
        with right:
            _pick_model(offered)
    if examples and not st.context.is_embedded:
        with st.container(key="examples", horizontal=True, gap="xsmall", vertical_alignment="center"):
            st.html('<span class="hl-try">Try:</span>', width="content")
            for i, example in enumerate(examples):
                st.button(example, key=f"example_{i}", on_click=_take_example, args=(example,))
            known_words.popover(st.session_state["model"])
    return counter


def _pick_model(offered: Sequence[str]) -> None:
    own = st.session_state["model"]
    st.selectbox(
        "Model",
        [*offered, *([] if own in offered else [own])],
        format_func=_model_label,
        key="model",
        label_visibility="collapsed",
        on_change=_new_sentence,
        accept_new_options=not is_public(),
    )


def _model_label(name: str) -> str:
    """Its title and shape; a model that cannot be had here stays visible, with the reason."""
    if name not in CATALOGUE:
        return name
    entry, (there, reason) = CATALOGUE[name], availability(name)
    layers = f"{entry.n_layers}+{entry.n_decoder_layers}" if entry.n_decoder_layers else entry.n_layers
    if there:
        return f"{entry.title} · {layers} × {entry.n_heads} heads"
    return f"{entry.title} · " + ("hub out of reach" if entry.kind == "hub" else reason)


def _use_model(name: str) -> None:
    st.session_state["model"] = name
    _new_sentence()


def _take_example(example: str) -> None:
    st.session_state["text"] = example
    _new_sentence()


def _new_sentence() -> None:
    """A word chosen in one sentence is not a word of the next."""
    forget("query")
    forget("key")


@contextmanager
def _shown_problems() -> Iterator[None]:
    """Turn an error into one clear sentence and end the page there; what was typed stays above."""
    try:
        yield
    except caches.Busy as error:
        stop_with("One moment", str(error), again=True)
    except HeadlightError as error:
        stop_with("This cannot be shown", str(error), way_out=True)
    except (StopException, RerunException):
        raise
    except Exception:
        log.exception("a page failed")
        stop_with(
            "Something went wrong here",
            "The rest of the app still works: try another sentence or another model.",
            again=True,
        )


def stop_with(title: str, what_to_do: str, again: bool = False, way_out: bool = False) -> NoReturn:
    """End the page with a problem that says what was wrong and what to do, with a button that does it."""
    widgets.problem(title, what_to_do)
    if again:
        st.button("Try again", key="try_again")
    bundled = next(iter(CATALOGUE.values()))
    if way_out and st.session_state.get("model") not in (None, bundled.name):
        st.button(f"Go on with {bundled.title}", key="way_out", on_click=_use_model, args=(bundled.name,))
    st.stop()


def _wait_for(job: caches.Job, title: str) -> None:
    """Show how a model comes, until it is there; nothing below jumps, because its place is kept."""
    place = st.empty()
    with place.container():
        said, bar = st.empty(), st.empty()
        widgets.skeleton(420)
        while not job.done.wait(0.15):
            said.html(f'<div class="hl-sub" role="status">Opening {escape(title)}: {escape(job.message)}</div>')
            bar.progress(min(1.0, job.fraction or 0.0))
    place.empty()
    if job.error is not None:
        raise job.error


def provenance(source: str) -> str:
    """Where the numbers come from, as an HTML badge: "live", "recorded" or "toy"."""
    why = {
        "live": "computed by this model from this sentence, now",
        "recorded": "a real result of this model, stored; the model itself is being opened",
        "toy": "made for teaching, not from a model",
    }
    return widgets.badge(source, "toy" if source == "toy" else "", why[source])


def parity(check: Any) -> str:
    """How far our numbers are from the model's own, as an HTML badge that opens on what was compared with what."""
    compared = (
        ("pattern", check.pattern, "our weights times the values, against what the model's own attention gave"),
        ("ΔE", check.delta, "the sum over heads plus the bias, against what its output projection gave"),
        ("residual", check.residual, "what the block added to E, against the stream that it handed on"),
    )
    worst = scientific(max(error for _, error, _ in compared))
    mark, kind = ("✓ checked:", "ok") if check.ok else ("✕ off by", "bad")
    rows = "".join(f"<div><b>{name} {scientific(error)}</b> {what}</div>" for name, error, what in compared)
    found = widgets.badge(f"{mark} {worst} from the model's own numbers", kind)
    return (
        f'<details class="hl-checked"><summary>{found}</summary>'
        f"<div>Worst relative error of any layer, against tensors that left the model:{rows}</div></details>"
    )


def scientific(value: float) -> str:
    """3e-08 as people write it: 3 × 10⁻⁸."""
    digits, power = f"{value:.0e}".split("e")
    return f"{digits} × 10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}" if value else "0"
