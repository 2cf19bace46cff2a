"""What every page begins with: page, menu, sentence, model, notes; and the way from a sentence to its trace.

A page in full:

    from ui.drawing import controls, widgets
    from ui.page import open_page
    from ui.param import flag
    from ui.shared_params import LAYER

    SPECIALS = flag("specials", True, label="special tokens")
    page = open_page("delta_e", params=[SPECIALS])
    trace = page.trace()                 # waits with visible progress; a problem becomes one clear sentence
    widgets.lead(f"Head {page.layer}.{page.head} adds most to {markup.query(...)}.", sub=page.badges(trace))
    with widgets.card("picture", "What each head adds", "Rows are heads, columns are words."):
        controls.stepper(LAYER, trace.n_layers - 1)
        controls.toggle(SPECIALS)
        st.plotly_chart(...)

* `open_page(page, params=…)`: `page` is the file's stem ("all_heads" for app.py). `params` are the page's own
  (`ui.param`, `ui.shared_params`); `text`, `model`, `layer`, `head` and `query` (the chosen word; None: the
  page chooses) are there already.
* `sentence=False` leaves out sentence and examples, `model=False` the picker too; `examples=(…)` gives others
  (a model that Headlight trained brings its own),
  `models=(…)` narrows the picker, `starter=` is the page's own first sentence, `pairs=True` offers a second one,
  `chats=True` a chat.
* `page.text`, `page.sentence` (what is read: it, or it and `page.second` as a pair), `page.how_read` (in which frame),
  `page.model_name`,
  `page.entry` (the catalogue's), `page.layer`, `page.head`, `page.state["…"]`.
* `page.trace(text=None, model=None, **options)`: `options` go to `attn_core.trace` (`target=`, `without=`, …).
* `with page.remarks:` is the place for a note about what was typed; nothing below it moves when it comes or goes.
* `page.word(trace)` is the chosen query position, clipped to the sentence, or None when the page should choose.
* `page.offer(trace, layer=2, head=3)` puts what the page shows under Save in the menu, as files; and a page ends with
  `page.offer_pictures()`, which lets every picture be saved that was drawn with `gallery.plot` or on a canvas with a
  `picture=` name.
* `ui.shell.menu.go("delta_e", "Follow it to ΔE", layer=2)` is a link into another page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st
from markupsafe import Markup
from streamlit.delta_generator import DeltaGenerator

from attn_core.figures.paper.caption import caption
from attn_core.models.cards import card_of
from attn_core.models.catalogue import CATALOGUE, entry_of
from attn_core.models.entry import Entry, Example
from attn_core.settings import VERSION
from attn_core.text.chat import messages_of, parse_turns
from attn_core.text.tokens import CHARACTERS_PER_TOKEN
from ui import words
from ui.drawing import gallery, widgets
from ui.followed_word import chosen_word, followed_word
from ui.link import LinkState, open_link_state
from ui.param import Param
from ui.sentences import EXAMPLES
from ui.server import cache, loading, passes
from ui.server.line import network_of
from ui.shared_params import (
    CARD,
    FRAME,
    HEAD,
    LARGE,
    LAYER,
    MOST_TURNS,
    QUERY,
    SECOND_TEXT,
    STARTER,
    TURNS,
    model_param,
    single_stacks,
    text_param,
)
from ui.shell import fetching, folds, known_words, menu, newcomer, own_sentence, save, save_files, styles
from ui.shell.badges import of_traces
from ui.shell.inputs import ask, chat_roles, take_back
from ui.shell.menu import TITLES
from ui.shell.progress import shown_problems, wait_for
from ui.state_lookup import look_up_one_by_one
from ui.widget_values import check_as_they_come

if TYPE_CHECKING:
    from attn_core.text.tokens import Tokens
    from attn_core.traces.parity import Parity
    from attn_core.traces.reader import Readable, TraceReader
    from attn_core.traces.trace import Trace
    from attn_core.views.derived_checks import DerivedCheck
    from ui.server.handles import ModelHandle, OneStreamHandle, TraceHandle

WORDS = words.beside(__file__)
check_as_they_come()
look_up_one_by_one()


@dataclass(frozen=True)
class Page:
    """One page while it is drawn: what its link says, and the way to models and traces."""

    name: str
    state: LinkState
    remarks: DeltaGenerator  # a place of its own under the sentence: what comes and goes there shifts nothing below
    counter: DeltaGenerator | None = None  # where the number of tokens goes
    save_menu: save.SaveMenu = save.NO_SAVE_MENU  # where what can be saved goes

    @property
    def text(self) -> str:
        return str(self.state["text"])

    @property
    def second(self) -> str:
        """The second sentence; "" where there is one alone, or the page has no place for another."""
        second = str(self.state.get("second_text", ""))
        return second if second.strip() else ""

    @property
    def sentence(self) -> str | tuple[str, str] | None:
        """What is read: the sentence, or it and the second one as a pair; None where `how_read` says messages."""
        if self.messages is not None:
            return None
        return (self.text, self.second) if self.second else self.text

    @property
    def messages(self) -> list[dict[str, str]] | None:
        """What is said in the chat as which the sentence is read; None where it is read as a text."""
        is_chat = self.state.get("frame") == "chat" and "turns" in self.state and bool(chat_roles(self.model_name))
        return messages_of(parse_turns(self.state["turns"], MOST_TURNS), self.text) if is_chat else None

    @property
    def how_read(self) -> dict[str, Any]:
        """How the sentence is read, as options of `attn_core.trace`: its frame, or a chat's `messages`.

        A pair always has its model's own frame.
        """
        if self.messages is not None:
            return {"messages": self.messages}
        return {"frame": "typed"} if self.state.get("frame") == "typed" and not self.second else {}

    @property
    def said(self) -> list[str]:
        """What was typed, for captions: a sentence, both of a pair, or who says what in a chat."""
        if self.messages is not None:
            return [f"{turn['role']}: {turn['content']}" for turn in self.messages]
        return list(filter(None, (self.state.get("text"), self.second)))

    @property
    def model_name(self) -> str:
        return str(self.state["model"])

    @property
    def entry(self) -> Entry:
        return entry_of(self.model_name)

    @property
    def layer(self) -> int:
        return int(self.state["layer"])

    @property
    def head(self) -> int:
        return int(self.state["head"])

    def model(self, name: str | None = None) -> ModelHandle:
        """The loaded model; waits with visible progress, and ends the page with a clear sentence if there is none."""
        name = name or self.model_name
        loaded = loading.model(name)
        if loaded is None:
            with shown_problems():
                with self.remarks:
                    fetching.ask_before(name)
                    wait_for(loading.open_model(name), entry_of(name).title)
                loaded = loading.model(name)
                if loaded is None:
                    raise loading.gone(name)
        return loaded

    def trace(self, text: passes.Text | None = None, model: str | None = None, **options: Any) -> TraceHandle:
        """The trace of the page's sentence, or of `text` (typed words or token ids), through the page's model."""
        loaded = self.model(model)
        options |= self.how_read if text is None else {}
        with shown_problems():
            result = passes.trace(loaded, self.sentence if text is None else text, **options)
        if text is None:
            tokens, written = (result.tokens, []) if "target" not in options else _both(result)
            self.count(tokens, loaded.limit)
            with self.remarks:
                known_words.explain_marks(loaded.name, [*tokens.labels, *written])
                known_words.explain_language(self.entry, tokens)
                known_words.explain_doubled(tokens)
                if self.state.get("frame") == "chat" and self.messages is None:
                    known_words.explain_no_chat(self.entry.title)
                known_words.explain_head(loaded.head_left_aside)
                save_files.explain_weights(loaded, tokens.text)
        return result

    def problems(self) -> AbstractContextManager[None]:
        """`with page.problems():` turns an error inside into one clear sentence and ends the page there."""
        return shown_problems()

    def again(self, trace: TraceHandle) -> Callable[..., Trace]:
        """Run a trace's own tokens once more: `page.again(trace)(without=[(0, 3)])`. For `attn_core.heads.ablation`."""
        loaded = self.model()

        def run(**changes: Any) -> Trace:
            with shown_problems():
                return passes.trace_again(loaded, trace, **changes).value()

        return run

    def count(self, tokens: Tokens, limit: int) -> None:
        """Say beside the sentence how many tokens it has, and whether some were cut."""
        if self.counter is None:
            return
        typing = _while_typing(CHARACTERS_PER_TOKEN * limit, "chat" if tokens.messages else "text")
        if tokens.is_cut:
            said = WORDS.text("page.cut", limit=tokens.cut_after, left_out=tokens.left_out)
            self.counter.html(f'<div class="hl-count cut" {typing} role="status">{said}</div>')
        else:
            said = WORDS.text("page.count", n=len(tokens), limit=limit, frame=_frame_of(tokens))
            self.counter.html(f'<div class="hl-count" {typing}>{said}</div>')

    def word(self, trace: TraceReader) -> int | None:
        """The chosen query position; None when nothing was chosen or the sentence has no such position."""
        return chosen_word(self.state, trace.tokens)

    def followed(self, tokens: Tokens, salient: Callable[[], int], side: str = "") -> int:
        """The query position that the page follows; see `ui.followed_word`."""
        return followed_word(self.state, tokens, salient, side)

    def offer(self, trace: Readable, **shown: Any) -> None:
        """Let the visitor save a pattern; `shown` says how it is shown, see `attn_core.views.view.View`."""
        self.save_menu.add_views({"": self.save_menu.view(trace, **shown)})

    def offer_pictures(
        self,
        *parts: str,
        sentences: Sequence[str] | None = None,
        model: str = "",
        pattern_first: bool = False,
        lines: str = "",
    ) -> None:
        """The page's end: let the visitor save every picture that it drew, and copy `lines` of Python for its numbers.

        Every caption ends with the model, the `parts` (default: layer and head), the `sentences` (default: the
        page's), and every other parameter that is not as usual.
        """
        said = self.said if sentences is None and "text" in self.state else sentences or []
        model = model or self.model_name
        about = [model, *(parts or (f"head {self.layer}.{self.head}",))]
        text = caption(about, said, self.state.for_caption(), VERSION)
        self.save_menu.add_code(lines)
        self.save_menu.add_figures(text, model, pattern_first=pattern_first)

    def badges(
        self,
        *traces: OneStreamHandle[Any],
        source: str = "live",
        models: Iterable[str] = (),
        also: Sequence[Parity] = (),
        derived: Sequence[DerivedCheck] = (),
    ) -> str:
        """Where the numbers come from, and how far they are from the model's own, as HTML for `widgets.lead`.

        `traces` are all that the page shows something of, each counted once; `also`, checks of passes that were not
        kept; `derived`, of what the page computes from its traces, see `ui.server.derived`. How weights were kept is
        said of the traces' models and of further `models`.
        """
        return of_traces(traces, source, models, also, derived)


def open_page(
    page: str,
    params: Sequence[Param] = (),
    *,
    sentence: bool = True,
    model: bool = True,
    examples: Sequence[str] = EXAMPLES,
    models: Sequence[str] | None = None,
    starter: str = STARTER,
    pairs: bool = False,
    chats: bool = False,
    asks: Callable[[LinkState], bool] = lambda state: True,
) -> Page:
    """Draw what every page has, read its link, and hand over the page. Must be the page's first Streamlit call.

    `pairs` says whether a second sentence can be read with the first, by models that read pairs, and whether the frame
    around a sentence can be left out; `chats`, whether it can be read as a chat, by models that have a template.
    `asks` says whether sentence and model are shown, for a page that may have no use for them.
    """
    cache.begin_page(network_of(st.context.ip_address or ""))
    gallery.reset()
    st.set_page_config(
        page_title=f"{TITLES[page]} · Headlight", page_icon="🔆", layout="wide", initial_sidebar_state="collapsed"
    )
    styles.draw()
    offered = tuple(models or single_stacks())
    which_model = model_param(offered)
    typed_text = text_param(starter) if sentence else None
    second, frame = (SECOND_TEXT, FRAME) if pairs else (None, None)
    said_by = TURNS if chats else None
    shared = [which_model, *filter(None, (typed_text, second, frame, said_by)), LAYER, HEAD, QUERY, LARGE, folds.FOLDS]
    embedded = [CARD] if st.context.is_embedded else []
    view = open_link_state(page, [*shared, *params, *embedded])
    folds.follow(view)
    if embedded and view["card"]:
        widgets.only_card(view["card"])
    menu.whole_page()
    if view["large"]:
        styles.enlarge()
    save_menu = menu.draw(page, view)
    newcomer.arrive(page, is_bare=not st.query_params)
    if page == "all_heads" and not st.context.is_embedded:
        newcomer.welcome()
    shown = model and asks(view)
    tried = _examples(view["model"]) or examples
    counter = ask(which_model, typed_text, offered, tried, starter, second, chats) if shown else None
    remarks = st.container(key="remarks")
    with remarks:
        for remark in view.notes:
            widgets.note(remark)
        if shown:
            own_sentence.offer(view, take_back)
    return Page(page, view, remarks, counter, save_menu)


def _examples(model: str) -> Sequence[str | Example]:
    """A model's own examples, where it has some."""
    return (CATALOGUE[model].examples if model in CATALOGUE else ()) or card_of(model).examples


def _both(translated: TraceHandle) -> tuple[Tokens, list[str]]:
    """The tokens of a source, and how those of its target are read."""
    return translated.tokens_of("encoder")[0], translated.tokens_of("decoder")[0].labels


def _frame_of(tokens: Tokens) -> str:
    """What stands around a text, to be said beside its count: ", 2 of its frame"; "" where nothing does."""
    n = sum(tokens.special)
    return "" if tokens.frame == "own" and not n else ", " + WORDS.text("page.frame", tokens.frame, n=n)


def _while_typing(most: int, what: str) -> Markup:
    """What the number of tokens gives way to while somebody types, as attributes for assets/app/whole_page.js.

    A "text" that is too long is cut, and a "chat" is not read at all.
    """
    within = WORDS.text("page.typing", size="{size}", most="{most}", keys="{keys}", line="{line}")
    beyond = WORDS.text("page.typing_beyond", what, size="{size}", most="{most}", line="{line}")
    return Markup('data-most="{}" data-within="{}" data-beyond="{}"').format(most, within, beyond)
