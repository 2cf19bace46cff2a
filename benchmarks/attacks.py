"""What `make siege` tries: each attack is one anonymous client, and goes on until it is told to stop."""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import WebSocketException

from benchmarks.load import Visitor

LETTERS = " ".join(chr(97 + i % 26) for i in range(509))
Stop = Callable[[], bool]


def _backmsg(kind: str = "rerun_script", **fields: str) -> bytes:
    from streamlit.proto.BackMsg_pb2 import BackMsg

    message = BackMsg()
    if kind == "rerun_script":
        message.rerun_script.SetInParent()
    if kind == "clear_cache":
        message.clear_cache = True
    for name, value in fields.items():
        setattr(message.rerun_script, name, value)
    return bytes(message.SerializeToString())


def clears_the_cache(address: str, stop: Stop) -> None:
    visitor = Visitor(address)
    while not stop():
        visitor.socket.send(_backmsg("clear_cache"))
        time.sleep(0.05)


def sends_giant_texts(address: str, stop: Stop) -> None:
    while not stop():
        visitor = Visitor(address)
        for size in (950_000, 2_000_000, 20_000_000):
            visitor.socket.send(_backmsg(query_string="text=" + "fox " * (size // 4)))
        time.sleep(0.5)
        visitor.socket.close()


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


@contextmanager
def staying() -> Iterator[list[Visitor]]:
    """Visitors who stay, and leave at the end of the attack: else the next one would find no place."""
    opened: list[Visitor] = []
    try:
        yield opened
    finally:
        for visitor in opened:
            visitor.socket.close()


def rotated(by: int) -> str:
    """509 words, another sentence for each turn."""
    words = LETTERS.split()
    return " ".join(words[by % 26 :] + words[: by % 26])


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
        if stop():
            return
        visitor.ask("why_there", why="flow", text=" ".join(rotated(turn).split()[:180]), query=turn % 100)
        visitor.ask("why_there", why="card", layer=turn // 12 % 6, head=turn % 12)


def leaves_long_views_open(address: str, stop: Stop) -> None:
    """What a session keeps, as many times as one address has sessions."""
    pages = itertools.cycle(("", "step_by_step", "delta_e", "why_there", "compare_heads", "find_heads"))
    _stays_with(address, stop, lambda visitor, turn: visitor.ask(next(pages), text=rotated(turn)))


def leaves_saves_open(address: str, stop: Stop) -> None:
    """What a session's buttons hold: Save stands open over long sentences."""
    from streamlit.proto.WidgetStates_pb2 import WidgetState

    def opens(visitor: Visitor, turn: int) -> None:
        visitor.ask(text=rotated(turn))
        visitor.ask(text=rotated(turn), holds=[WidgetState(id=visitor.widget("save_open"), bool_value=True)])

    _stays_with(address, stop, opens)


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

    _stays_with(address, stop, types)


def asks_for_much_and_reads_nothing(address: str, stop: Stop) -> None:
    def asks(visitor: Visitor, turn: int) -> None:
        visitor.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for again in range(3):
            visitor.socket.send(_backmsg(query_string=f"v=1&tiles=delta&text={rotated(turn + again)}"))
            time.sleep(0.05)

    _stays_with(address, stop, asks)


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


def _stays_with(address: str, stop: Stop, does: Callable[[Visitor, int], object]) -> None:
    """As many sessions as one address has, each of which does something and stays."""
    with staying() as opened:
        while not stop():
            if len(opened) == 75:  # one address has 80 places
                time.sleep(0.1)
                continue
            opened.append(Visitor(address))
            does(opened[-1], len(opened))


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


class Saver(Visitor):
    """A visitor who remembers the files that a page offers, by the labels of their buttons."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.files: dict[str, str] = {}

    def _note_widget(self, message: Any) -> None:
        super()._note_widget(message)
        button = message.delta.new_element.download_button
        if button.deferred_file_id:
            self.files[button.label] = button.deferred_file_id

    def download(self, label: str) -> None:
        from streamlit.proto.BackMsg_pb2 import BackMsg

        wish = BackMsg()
        wish.backend_operation_request.request_id = "1"
        wish.backend_operation_request.session_id = self.session_id
        wish.backend_operation_request.deferred_file.file_id = self.files[label]
        self.socket.send(wish.SerializeToString())

    def arrived(self) -> str:
        """The address of the file, or nothing where it was refused."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        while True:
            message = ForwardMsg.FromString(self.socket.recv(timeout=120))
            if message.WhichOneof("type") == "backend_operation_response":
                return str(message.backend_operation_response.deferred_file.url)


def downloads_eight_files_at_once(address: str, stop: Stop) -> None:
    """The largest that are made here: all heads of 270 words are 21 MB."""
    from streamlit.proto.WidgetStates_pb2 import WidgetState

    savers = [Saver(address) for _ in range(8)]
    text = " ".join(LETTERS.split()[:270])
    for saver in savers:
        saver.ask(text=text)
        saver.ask(text=text, holds=[WidgetState(id=saver.widget("save_open"), bool_value=True)])
    while not stop():
        for saver in savers:
            saver.download("NPZ")
        for saver in savers:
            url = saver.arrived()
            if url:
                urllib.request.urlopen(address + url, timeout=60).read()
    for saver in savers:
        saver.socket.close()


def forges_what_widgets_hold(address: str, stop: Stop) -> None:
    from streamlit.proto.WidgetStates_pb2 import WidgetState

    visitor, deep = Visitor(address), "[" * 300_000
    for page in itertools.cycle(("", "compare_heads", "step_by_step", "find_heads", "delta_e")):
        if stop():
            return
        visitor.ask(page)
        wrong: dict[str, object] = {"json_value": "{", "json_trigger_value": '[{"event":"opened","value":{}}]'}
        wrong |= {"string_value": "x", "int_value": 10**9, "bool_value": True}
        for kind, value in wrong.items():
            visitor.ask(page, holds=[WidgetState(id=name, **{kind: value}) for name in visitor.widgets])
        visitor.ask(page, holds=[WidgetState(id=name, json_value=deep) for name in sorted(visitor.widgets)[:2]])


def opens_a_saved_view_of_many_openers(address: str, stop: Stop) -> None:
    """A file that a regular expression once read for an hour and a half."""
    from streamlit.proto.WidgetStates_pb2 import WidgetState

    opener = b'<script type="application/json" id="headlight-view">'
    body = _form(opener * (5_500_000 // len(opener)))
    number = 0
    while not stop():
        visitor, number = Visitor(address), number + 1
        visitor.ask()
        menu = WidgetState(id=visitor.widget("save_open"), bool_value=True)
        visitor.ask(holds=[menu])
        place = f"/_stcore/upload_file/{visitor.session_id}/{number}"
        _upload(address + place, body)
        file = WidgetState(id=visitor.widget("saved_view_0"))
        info = file.file_uploader_state_value.uploaded_file_info.add(file_id=str(number), name="a.html", size=len(body))
        info.file_urls.upload_url = info.file_urls.delete_url = place
        info.file_urls.file_id = str(number)
        visitor.ask(holds=[menu, file])
        visitor.socket.close()


def storms_with_reruns(address: str, stop: Stop) -> None:
    visitor = Visitor(address)
    for _ in range(3000):
        if stop():
            return
        visitor.socket.send(_backmsg(query_string="text=a+fox"))


def opens_sockets_and_says_nothing(address: str, stop: Stop) -> None:
    opened = []
    for _ in range(150):
        if stop():
            break
        with suppress(WebSocketException, OSError):
            opened.append(Visitor(address))
    while not stop():
        time.sleep(0.1)
    for visitor in opened:
        visitor.socket.close()


def sends_what_is_no_message(address: str, stop: Stop) -> None:
    while not stop():
        with suppress(WebSocketException, OSError):
            visitor = Visitor(address)
            visitor.socket.send(os.urandom(2000))
            visitor.socket.recv(timeout=2)


def uploads_as_much_as_it_may(address: str, stop: Stop) -> None:
    body = _form(bytes(15_000_000))
    visitor = Visitor(address)
    visitor.socket.send(_backmsg())
    session = visitor.session()
    number = 0
    while not stop():
        number += 1
        _upload(f"{address}/_stcore/upload_file/{session}/{number}", body)
        time.sleep(0.2)


def _form(content: bytes) -> bytes:
    """A file as a browser sends it."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.html"\r\nContent-Type: text/html\r\n\r\n'
    return head + content + b"\r\n--x--\r\n"


def _upload(to: str, body: bytes) -> None:
    wish = urllib.request.Request(to, body, method="PUT")
    wish.add_header("Content-Type", "multipart/form-data; boundary=x")
    with suppress(urllib.error.URLError, OSError):
        urllib.request.urlopen(wish, timeout=10).close()


def opens_connections_slowly(address: str, stop: Stop) -> None:
    host, port = address.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port)), timeout=5) for _ in range(60)]
    while not stop():
        for connection in slow:
            with suppress(OSError):
                connection.send(b"G")
        time.sleep(0.5)
    for connection in slow:
        connection.close()


ATTACKS: tuple[Callable[[str, Stop], None], ...] = (
    clears_the_cache,
    sends_giant_texts,
    opens_links_to_shuffled_words,
    opens_links_to_random_weights,
    compares_four_long_sentences,
    opens_twelve_long_senses,
    asks_why_of_long_sentences,
    asks_for_flows_and_cards,
    asks_for_every_costly_view,
    leaves_long_views_open,
    leaves_saves_open,
    keeps_long_texts,
    asks_for_much_and_reads_nothing,
    names_models_that_are_none,
    downloads_eight_files_at_once,
    forges_what_widgets_hold,
    opens_a_saved_view_of_many_openers,
    storms_with_reruns,
    opens_sockets_and_says_nothing,
    sends_what_is_no_message,
    uploads_as_much_as_it_may,
    opens_connections_slowly,
)
