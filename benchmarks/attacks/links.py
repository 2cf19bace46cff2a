"""Attacks by links: each asks a page for as much as a link can ask for."""

from __future__ import annotations

import itertools
import json
import socket
import time

from benchmarks.attacks.client import Stop, backmsg, rotated, staying, stays_with
from benchmarks.load import Visitor


def opens_links_to_shuffled_words(address: str, stop: Stop) -> None:
    _compares(address, stop, "shuffled")


def opens_links_to_random_weights(address: str, stop: Stop) -> None:
    _compares(address, stop, "random")


def compares_four_long_sentences(address: str, stop: Stop) -> None:
    _compares(address, stop, "head", distinct=True)


def _compares(address: str, stop: Stop, shows: str, *, distinct: bool = False) -> None:
    """A link of 4 kB: four panels of 509 words, in visits that stay open."""
    turn = 0
    with staying() as opened:
        while not stop():
            turn += 1
            panels = {f"text_{letter}": rotated(turn + i * distinct) for i, letter in enumerate("bcd")}
            panels |= {f"shows_{letter}": shows for letter in "abcd"}
            opened.append(Visitor(address))
            said = opened[-1].ask("compare_heads", text=rotated(turn), panels=4, **panels)
            assert "is not known on this page" not in said  # or the link would ask for less than it means
            if len(opened) > 60:  # one address has 80 places
                opened.pop(0).socket.close()


def opens_twelve_long_senses(address: str, stop: Stop) -> None:
    turn = 0
    visitor = Visitor(address)
    while not stop():
        turn += 1
        sentences = [f"{rotated(turn + i)[:-4]} fox" for i in range(12)]
        board = [[first, second, 0] for first, second in zip(sentences[::2], sentences[1::2], strict=True)]
        visitor.ask("word_senses", word="fox", board=json.dumps(board))


def asks_why_of_long_sentences(address: str, stop: Stop) -> None:
    """A score of the last layer, each time of other words, of which every writer is split."""
    visitor = Visitor(address)
    for turn in itertools.count():
        if stop():
            return
        said = visitor.ask("why_there", text=rotated(turn), layer=5, head=turn % 12, query=300)
        assert "of this server computes" in said  # or heads would be taken out of it


def asks_for_flows_and_cards(address: str, stop: Stop) -> None:
    """The flow behind a word of a text as long as a page follows, and the card of another head each time."""
    visitor = Visitor(address)
    for turn in itertools.count():
        for view in (
            {"why": "flow", "text": " ".join(rotated(turn).split()[:180]), "query": turn % 100},
            {"why": "card", "layer": turn // 12 % 6, "head": turn % 12},
        ):
            if stop():
                return
            visitor.ask("why_there", **view)


def asks_for_every_costly_view(address: str, stop: Stop) -> None:
    """Flows, cards of heads, kinds of heads, each head switched off in turn, and translations."""
    from streamlit.proto.WidgetStates_pb2 import WidgetState

    visitor = Visitor(address)
    for turn in itertools.count():
        short = " ".join(rotated(turn).split()[:85])
        for page, view in (
            ("why_there", {"why": "flow", "text": rotated(turn)[:380]}),
            ("why_there", {"why": "card", "text": short, "layer": turn % 6, "head": turn % 12}),
            ("find_heads", {"find": "kinds", "text": short}),
            ("find_heads", {"find": "matter", "text": short}),
            ("cross_attention", {"source": f"the small blue car sees {'my red horse and ' * 15}a cat {turn}"}),
        ):
            if stop():
                return
            assert "more than one page" not in visitor.ask(page, **view)
        asked = WidgetState(id=visitor.widget("ask_effects"), trigger_value=True)
        visitor.ask("find_heads", holds=[asked], find="matter", text=short)


def leaves_long_views_open(address: str, stop: Stop) -> None:
    """What a session keeps, as many times as one address has sessions."""
    pages = itertools.cycle(("", "step_by_step", "delta_e", "why_there", "compare_heads", "find_heads"))
    stays_with(address, stop, lambda visitor, turn: visitor.ask(next(pages), text=rotated(turn)))


def leaves_saves_open(address: str, stop: Stop) -> None:
    """What a session's buttons hold: Save stands open over long sentences."""
    from streamlit.proto.WidgetStates_pb2 import WidgetState

    def opens(visitor: Visitor, turn: int) -> None:
        visitor.ask(text=rotated(turn))
        visitor.ask(text=rotated(turn), holds=[WidgetState(id=visitor.widget("save_open"), bool_value=True)])

    stays_with(address, stop, opens)


def keeps_long_texts(address: str, stop: Stop) -> None:
    """Almost a megabyte typed in each place of each session; with one emoji in it Python takes four."""
    from streamlit.proto.WidgetStates_pb2 import WidgetState

    places = (
        ("", "text"),
        ("cross_attention", "source"),
        ("cross_attention", "translation"),
        ("compare_heads", "text_b"),
    )

    def types(visitor: Visitor, turn: int) -> None:
        for page, name in places:
            visitor.ask(page)
            field = WidgetState(id=visitor.widget(name), string_value=f"🤗 {turn}" + " fox" * 235_000)
            visitor.ask(page, holds=[field])
            if stop():
                return

    stays_with(address, stop, types)


def asks_for_much_and_reads_nothing(address: str, stop: Stop) -> None:
    def asks(visitor: Visitor, turn: int) -> None:
        visitor.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for again in range(3):
            visitor.socket.send(backmsg(query_string=f"v=1&tiles=delta&text={rotated(turn + again)}"))
            time.sleep(0.05)

    stays_with(address, stop, asks)


def names_models_that_are_none(address: str, stop: Stop) -> None:
    """Folders and hub models: strangers get neither, and nothing of them is read."""
    visitor = Visitor(address)
    for name in itertools.cycle(
        ("/etc", "../../etc/passwd", "owner/a-million-layers", "file:///etc/shadow", "a" * 90_000)
    ):
        if stop():
            return
        for page in ("", "parameters", "compare_heads"):
            visitor.ask(page, model=name, model_b=name)
