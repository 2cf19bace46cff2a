"""`make load`: twenty visitors for two minutes on this machine, each answer checked against precomputed truth.

Four visitors drive a real Chromium, sixteen speak Streamlit's own protocol over a WebSocket, all to one server. Every
visitor has sentences of its own, changes heads and pages, and looks at each answer: a headline of another visitor's
sentence would be found. Afterwards twenty visitors bring a thousand different sentences, one in twenty of them as long
as can be, and the server's memory must stay flat. The server is the hosted one, with the container's own settings.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import threading
import time
from collections.abc import Sequence
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.tables import report

ROOT = Path(__file__).parents[1]
NOUNS = ("fox", "hill", "tree", "river", "king", "apple", "tower", "mole", "forest", "creature")
LAYERS, HEADS = 6, 12
LONG = 20  # one sentence in so many is as long as can be


def sentence(visitor: int, turn: int) -> str:
    """A sentence that no other visitor and no other turn has."""
    first, second = NOUNS[visitor % 10], NOUNS[(turn * 3 + visitor) % 10]
    return f"the {first} number {visitor} saw the {second} for the {turn} time"


def truth(visitor: int, turn: int) -> tuple[str, int, int, str]:
    """(sentence, layer, head, the headline that the page All heads must show)."""
    import attn_core as ac
    from attn_core.heads.salience import most_salient_query
    from attn_core.views import headlines
    from attn_core.views.arrangement import arrange

    text, layer, head = sentence(visitor, turn), (visitor + turn) % LAYERS, (visitor * 5 + turn) % HEADS
    trace = ac.trace(_minilm(), text)
    shown = arrange(trace.tokens, causal=False)
    pattern = shown.pattern(trace.pattern(layer, head))
    row = most_salient_query(pattern, shown.special)
    labels = headlines.disambiguated_labels(shown.labels, [place[0] for place in shown.places])
    said = headlines.lead(pattern[row], labels, shown.special, row, f"head {layer}.{head}")
    return text, layer, head, plain("".join(words for words, _ in said))


@cache
def _minilm() -> Any:
    import attn_core as ac

    return ac.load("minilm")


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", text)).replace("\xa0", " ")).strip()


class Visits:
    """What all visitors saw, added up."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.times: dict[str, list[float]] = {}
        self.wrong: list[str] = []
        self.lock = threading.Lock()

    def saw(self, how: str, seconds: float, lead: str, wanted: str) -> None:
        with self.lock:
            self.times.setdefault(how, []).append(seconds)
            if wanted not in lead:
                self.wrong.append(f"{how}: wanted {wanted!r}, saw {lead!r}")


class Visitor:
    """A visitor without a browser: one session of the server, from an address of its own where a proxy would say so.

    As a browser does, it keeps large messages of its last two answers and tells the server so, which then sends their
    names alone.
    """

    def __init__(self, address: str, comes_from: str = "") -> None:
        from websockets.sync.client import connect

        host = address.removeprefix("http://")
        self.socket = connect(
            f"ws://{host}/_stcore/stream",
            subprotocols=["streamlit"],
            origin=address,
            additional_headers={"X-Forwarded-For": comes_from} if comes_from else None,
            max_size=None,
            ping_interval=None,
            legacy=True,
            close_timeout=1,  # of a server that has ended a session already, nothing more is waited for
        )
        self.received = 0  # bytes
        self.session_id = ""
        self.widgets: set[str] = set()  # the ids of all that were on a page
        self.kept: dict[str, tuple[int, Any]] = {}  # large messages by their name, with the last answer that had them
        self.messages: list[Any] = []  # of the last answer, …
        self.whole: list[Any] = []  # … and those of them that did not come as a name
        self.answers = 0
        self.link = ""  # what stands in the address bar
        self.page_name = ""

    def session(self) -> str:
        """The session's id, out of the first message of a run that was asked for."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        while True:
            message = ForwardMsg()
            message.ParseFromString(self.socket.recv(timeout=300))
            if message.WhichOneof("type") == "new_session":
                return str(message.new_session.initialize.session_id)

    def ask(self, page_name: str = "", holds: Sequence[Any] = (), **view: object) -> str:
        """Open a view, with what widgets hold (`WidgetState`s), and give all that the page says as HTML."""
        self.link = urlencode({"v": 1, "model": "minilm", **view})
        return self._answer(page_name, holds)

    def click(self, key: str, event: str, tells: object) -> str:
        """A click on a picture of ours, as a browser sends it: its event, beside the address as the server wrote it."""
        from streamlit.components.v2.bidi_component.main import _make_trigger_id
        from streamlit.proto.WidgetStates_pb2 import WidgetState

        told = json.dumps([{"event": event, "value": tells}])
        name = self.widget(key)
        holds = [
            WidgetState(id=name, json_value="{}"),
            WidgetState(id=_make_trigger_id(name, "events"), json_trigger_value=told),
        ]
        return self._answer(self.page_name, holds)

    def _answer(self, page_name: str, holds: Sequence[Any]) -> str:
        from streamlit.proto.BackMsg_pb2 import BackMsg

        wish = BackMsg()
        wish.rerun_script.query_string = self.link
        wish.rerun_script.page_name = self.page_name = page_name
        wish.rerun_script.widget_states.widgets.extend(holds)
        wish.rerun_script.cached_message_hashes.extend(self.kept)
        self.socket.send(wish.SerializeToString())
        said = []
        self.messages, self.whole = [], []
        self.answers += 1
        while True:
            message = self._next_message()
            kind = message.WhichOneof("type")
            if kind == "script_finished" and message.script_finished != message.FINISHED_EARLY_FOR_RERUN:
                self.kept = {name: (last, m) for name, (last, m) in self.kept.items() if last > self.answers - 2}
                return "\n".join(said)
            if kind == "new_session":
                self.session_id = message.new_session.initialize.session_id
            elif kind == "page_info_changed":
                self.link = message.page_info_changed.query_string
            self._note_widget(message)
            element = message.delta.new_element
            if element.WhichOneof("type") == "html":
                said.append(element.html.body)

    def _next_message(self) -> Any:
        """The next message; one that was sent before comes as its name alone."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        message = ForwardMsg()
        data = self.socket.recv(timeout=300)
        self.received += len(data)
        message.ParseFromString(data)
        name = message.ref_hash if message.WhichOneof("type") == "ref_hash" else message.hash
        if message.WhichOneof("type") == "ref_hash":
            message = self.kept[name][1]
        else:
            self.whole.append(message)
        self.messages.append(message)
        if message.metadata.cacheable:
            self.kept[name] = (self.answers, message)
        return message

    def _note_widget(self, message: Any) -> None:
        for place in (message.delta.new_element, message.delta.add_block):
            kind = place.WhichOneof("type")
            name = getattr(getattr(place, kind), "id", "") if kind else ""
            if name:
                self.widgets.add(name)

    def widget(self, key: str) -> str:
        """The id of the widget with this key, that was on a page."""
        return next(name for name in self.widgets if name.endswith(f"-{key}"))


def by_protocol(visitor: Visitor, turns: list[tuple[str, int, int, str]], visits: Visits) -> None:
    turn = 0
    while time.monotonic() < visits.end:
        text, layer, head, wanted = turns[turn % len(turns)]
        start = time.perf_counter()
        lead = headline(visitor.ask(text=text, layer=layer, head=head, query="auto"))
        visits.saw("All heads", time.perf_counter() - start, lead, wanted)
        start = time.perf_counter()
        said = plain(visitor.ask("delta_e", text=text, layer=layer, head=head, query=2))
        visits.saw("ΔE page", time.perf_counter() - start, said, text.split()[1])
        turn += 1


def headline(html: str) -> str:
    leads = re.findall(r'<h1 class="hl-lead">(.*?)</h1>', html)
    return plain(leads[-1]) if leads else f"no headline, but: {plain(html)[-200:]}"


def by_browser(browser: Any, address: str, visitors: range, turns: dict[int, Any], visits: Visits) -> None:
    pages = {visitor: browser.new_context(viewport={"width": 1280, "height": 900}).new_page() for visitor in visitors}
    turn = 0
    while time.monotonic() < visits.end:
        for visitor, page in pages.items():
            text, layer, head, wanted = turns[visitor][turn % len(turns[visitor])]
            start = time.perf_counter()
            query = urlencode({"v": 1, "model": "minilm", "text": text, "layer": layer, "head": head})
            page.goto(f"{address}/?{query}", timeout=180_000)
            page.get_by_role("heading", name=f"Layer {layer} · head {head}", exact=True).wait_for(timeout=180_000)
            page.locator(".hl-badge", has_text="live").first.wait_for(timeout=180_000)
            lead = plain(page.locator(".hl-lead").inner_text())
            visits.saw("Chromium, a new page", time.perf_counter() - start, lead, wanted)
        turn += 1


def resident(process: int) -> int:
    """Megabytes of a process in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found.group(1)) // 1024 if found else 0


def memory(visitors: list[Visitor], process: int, sentences: int) -> tuple[list[int], int]:
    """The server's memory after a tenth, a half and all of many different sentences, and the most it ever was."""
    sizes, most = [], 0
    for i in range(sentences):
        text = sentence(i % len(visitors), 100 + i // len(visitors))
        visitors[i % len(visitors)].ask(text=" ".join([text] * 60) if i % LONG == LONG // 2 else text)
        most = max(most, resident(process))
        if i + 1 in (sentences // 10, sentences // 2, sentences):
            sizes.append(resident(process))
    return sizes, most


def public_settings() -> dict[str, str]:
    """What the container sets."""
    container = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lasting = "\n".join(re.findall(r"^ENV (.*)", container, re.M))  # not what one RUN sets for itself
    return dict(re.findall(r"((?:HEADLIGHT|OMP|HF)_\w+)=(\S+)", lasting))


def main(seconds: float = 120, visitors: int = 20, in_chromium: int = 4, sentences: int = 1000) -> None:
    from playwright.sync_api import sync_playwright

    from benchmarks.browser import ARGS, CHROMIUM, app

    turns = {visitor: [truth(visitor, turn) for turn in range(6)] for visitor in range(visitors)}
    with app("serve.py", **public_settings()) as (address, _, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        Visitor(address).ask()  # wakes the model
        sessions = {visitor: Visitor(address) for visitor in range(in_chromium, visitors)}
        visits = Visits(seconds)
        threads = [threading.Thread(target=by_protocol, args=(s, turns[v], visits)) for v, s in sessions.items()]
        for thread in threads:
            thread.start()
        by_browser(browser, address, range(in_chromium), turns, visits)
        for thread in threads:
            thread.join()
        browser.close()
        sizes, most = memory([*sessions.values(), *(Visitor(address) for _ in range(in_chromium))], process, sentences)
    rows: list[dict[str, object]] = [
        {"what": how, "answers": len(t), "median s": statistics.median(t), "slowest s": max(t)}
        for how, t in visits.times.items()
    ]
    notes = [
        f"{visitors} visitors, {in_chromium} of them in Chromium, {seconds:.0f} s; wrong or mixed answers: "
        f"{len(visits.wrong)}.",
        f"The server's memory after {sentences // 10}, {sentences // 2} and {sentences} different sentences: "
        f"{' MB, '.join(map(str, sizes))} MB; one in {LONG} had 512 tokens. The most it ever was: {most} MB.",
    ]
    report("load", "Twenty visitors at once", rows, [*notes, *visits.wrong[:5]])
    if visits.wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--sentences", type=int, default=1000)
    own = parser.parse_args()
    main(own.seconds, sentences=own.sentences)
