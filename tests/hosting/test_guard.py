"""The guard between the network and Streamlit, driven without a network: what passes, what waits, what is dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from hosting import limits as bounds
from hosting import sockets, uploads
from hosting.files import PART
from hosting.guard import FULL, Guard
from hosting.limits import AddressBuckets, Limits, address_of
from hosting.sockets import TOO_LARGE, TOO_LONG

LIMITS = Limits(sockets=100, sockets_per_address=60, runs_at_once=100, runs_at_once_per_address=100)


class Streamlit:
    """Stands where Streamlit stands: takes messages until the visitor goes, and remembers them."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.times: list[float] = []
        self.left: list[int] = []
        self.paths: list[str] = []
        self.open = self.most_open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                self.heard.append(message["bytes"])
                self.times.append(time.monotonic())
        self.left.append(message["code"])
        self.open -= 1
        await send({"type": "websocket.send", "bytes": b"too late"})


class Visitor:
    """One socket: says its messages as fast as they are taken, keeps what it is sent, and leaves."""

    def __init__(
        self,
        messages: Iterable[Any],
        address: str = "192.0.2.1",
        stays: float | asyncio.Event = 0.1,
        origin: str = "",
    ) -> None:
        self.messages = iter([{"type": "websocket.connect"}, *map(self._message, messages)])
        self.address, self.stays, self.origin = address, stays, origin
        self.sent: list[dict[str, Any]] = []

    @staticmethod
    def _message(said: Any) -> dict[str, Any]:
        return {"type": "websocket.receive", "bytes" if isinstance(said, bytes) else "text": said}

    async def receive(self) -> Any:
        message = next(self.messages, None)
        if message is None:
            await (self.stays.wait() if isinstance(self.stays, asyncio.Event) else asyncio.sleep(self.stays))
            return {"type": "websocket.disconnect", "code": 1001}
        return message

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def visit(self, guard: Guard) -> Visitor:
        headers = [(b"host", b"headlight.example:8501")]
        headers += [(b"origin", self.origin.encode())] if self.origin else []
        scope: Any = {"type": "websocket", "path": "/_stcore/stream", "headers": headers, "client": (self.address, 1)}
        scope["extensions"] = {"websocket.http.response": {}}
        await guard(scope, self.receive, self.send)
        return self


async def request(guard: Guard, path: str, method: str = "GET", address: str = "192.0.2.1") -> tuple[int, str]:
    """An HTTP answer of the guarded app: its status and its body."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"accept", b"text/html,*/*")]
    scope = {"type": "http", "path": path, "method": method, "headers": headers, "client": (address, 1)}
    await guard(scope, receive, send)
    return sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:]).decode()


def rerun(text: str = "") -> bytes:
    wish = BackMsg()
    wish.rerun_script.query_string = f"text={text}"
    return wish.SerializeToString()


def of_kind(kind: str) -> bytes:
    message = BackMsg()
    field = BackMsg.DESCRIPTOR.fields_by_name[kind]
    if field.message_type is None:
        setattr(message, kind, True)
    else:
        getattr(message, kind).SetInParent()
    return message.SerializeToString()


def test_a_rerun_passes_as_it_came() -> None:
    inside = Streamlit()
    asyncio.run(Visitor([rerun("a fox"), rerun("a hill")]).visit(Guard(inside, LIMITS)))
    assert inside.heard == [rerun("a fox"), rerun("a hill")] and inside.left == [1001]


def test_nobody_can_empty_what_all_share() -> None:
    inside = Streamlit()
    kinds = [field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields]
    assert "clear_cache" in kinds
    asyncio.run(Visitor(of_kind(kind) for kind in kinds).visit(Guard(inside, LIMITS)))
    passed = {kind for kind in kinds if of_kind(kind) in inside.heard}
    assert passed == {"rerun_script", "stop_script", "file_urls_request", "app_heartbeat"}


def test_a_download_and_a_table_pass_and_nothing_is_installed() -> None:
    def parcel(operation: str) -> bytes:
        message = BackMsg()
        getattr(message.backend_operation_request, operation).SetInParent()
        return message.SerializeToString()

    operations = [f.name for f in BackMsg().backend_operation_request.DESCRIPTOR.oneofs[0].fields]
    assert "install_skills" in operations
    inside = Streamlit()
    asyncio.run(Visitor(map(parcel, operations), stays=1.5).visit(Guard(inside, LIMITS)))
    assert inside.heard == [parcel("deferred_file"), parcel("dataframe_chunk")]


def test_downloads_cost_more_than_clicks() -> None:
    message = BackMsg()
    message.backend_operation_request.deferred_file.SetInParent()
    fast = replace(LIMITS, messages_per_second=100.0, messages_at_once=20.0)
    inside = Streamlit()
    asyncio.run(Visitor([message.SerializeToString()] * 7, stays=1.0).visit(Guard(inside, fast)))
    assert len(inside.heard) == 7
    assert inside.times[-1] - inside.times[0] > 0.3  # half a second: two at once, and ten a second


def test_what_is_too_large_is_answered_with_a_sentence_and_the_socket_stays() -> None:
    inside = Streamlit()
    visitor = asyncio.run(Visitor([rerun("x" * 1_000_000), rerun("a fox")]).visit(Guard(inside, LIMITS)))
    assert inside.heard == [rerun("a fox")]
    message = ForwardMsg.FromString(visitor.sent[0]["bytes"])
    assert message.delta.new_element.toast.body == TOO_LARGE
    assert list(message.metadata.delta_path)[0] == 2  # over the page, not in it


def test_what_sessions_keep_of_long_texts_is_bounded_for_an_address_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eighty sessions with a megabyte typed in each would fill the memory; a session outlives its socket."""
    monkeypatch.setattr(sockets, "STAYS", 1234.5)
    inside, long = Streamlit(), rerun("x" * 900_000)
    few = replace(LIMITS, bytes_typed=4_000_000, bytes_typed_per_address=2_000_000)

    async def visits() -> list[str]:
        guard, loop = Guard(inside, few), asyncio.get_running_loop()
        said, forgotten, later = [], list[Callable[[], object]](), loop.call_later

        def note(seconds: float, call: Any, *what: Any) -> Any:
            return forgotten.append(partial(call, *what)) if seconds == 1234.5 else later(seconds, call, *what)

        monkeypatch.setattr(loop, "call_later", note)
        for address in "aaabbbcd":
            visitor = await Visitor([long, rerun("a fox"), long], f"192.0.2.{ord(address)}", stays=0.01).visit(guard)
            said.append("".join(str(parts_of(message)) for message in visitor.sent[:1]))
        for forget in forgotten:
            forget()
        await Visitor([long], "192.0.2.97").visit(guard)
        return said

    said = asyncio.run(visits())
    assert [TOO_LONG in each for each in said] == [False, False, True, False, False, True, True, True]
    assert inside.heard.count(long) == 2 * 4 + 1 and inside.heard.count(rerun("a fox")) == 8


def parts_of(message: dict[str, Any]) -> str:
    try:
        return str(ForwardMsg.FromString(message["bytes"]).delta.new_element.toast.body)
    except Exception:
        return ""


def test_who_asks_and_reads_nothing_is_cut_and_who_reads_is_not() -> None:
    """What Streamlit has sent lies in memory until it is read."""

    class Talks:
        """Answers every message with a megabyte."""

        def __init__(self) -> None:
            self.left: list[int] = []

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.receive":
                    await send({"type": "websocket.send", "bytes": bytes(1_000_000)})
                    await asyncio.sleep(0.001)
            self.left.append(message["code"])

    class Deaf(Visitor):
        async def send(self, message: Any) -> None:
            await asyncio.sleep(30)

    async def crowd() -> tuple[list[int], int]:
        inside = Talks()
        guard = Guard(inside, replace(LIMITS, bytes_unread=5_000_000))
        reads = Visitor([rerun()] * 12, address="192.0.2.9", stays=0.2)
        deaf = Deaf([rerun()] * 12, stays=30)
        await asyncio.wait_for(asyncio.gather(reads.visit(guard), deaf.visit(guard)), 29)
        assert not guard.all_sockets.open
        return inside.left, len(reads.sent)

    left, read = asyncio.run(crowd())
    assert sorted(left) == [1001, 1008] and read == 12


def test_files_leave_in_parts_and_few_bytes_wait_for_slow_readers() -> None:
    """The same file waits once, however many read it."""
    content = bytes(range(256)) * 4_000  # a megabyte

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": content})

    limits = replace(LIMITS, file_bytes_unread=2_500_000, file_bytes_unread_per_address=1_500_000, file_within=1.0)

    async def crowd() -> None:
        guard = Guard(app, limits)
        slow = [asyncio.create_task(read(guard, path, "192.0.2.1", pause=30)) for path in ("/media/a", "/media/a")]
        await asyncio.sleep(0.05)
        assert (await read(guard, "/media/b", "192.0.2.1"))[0] == 503  # a second file for one address
        status, body, longest = await read(guard, "/media/a", "192.0.2.1")
        assert (status, body, longest) == (200, content, PART)
        assert (await read(guard, "/media/b", "192.0.2.2"))[1] == content
        assert (await read(guard, "/", "192.0.2.1"))[1] == content
        await asyncio.wait_for(asyncio.gather(*slow), 29)  # who reads too slowly is cut off
        assert len(guard.files) == 0

    async def read(guard: Guard, path: str, address: str, pause: float = 0.0) -> tuple[int, bytes, int]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) > 1:
                await asyncio.sleep(pause)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        await guard(
            {"type": "http", "path": path, "method": "GET", "headers": [], "client": (address, 1)}, receive, send
        )
        bodies = [message.get("body", b"") for message in sent[1:]]
        return sent[0]["status"], b"".join(bodies), max(map(len, bodies))

    asyncio.run(crowd())


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        ("https://headlight.example:8501", True),
        ("", True),
        ("http://localhost:9", False),
        ("https://evil.example", False),
        ("null", False),
    ],
)
def test_a_page_of_another_site_opens_no_socket(origin: str, let_in: bool) -> None:
    inside = Streamlit()
    visitor = asyncio.run(Visitor([rerun()], origin=origin).visit(Guard(inside, LIMITS)))
    assert (len(inside.heard) == 1) is let_in
    assert let_in or visitor.sent[0]["status"] == 403


def test_a_storm_of_reruns_waits() -> None:
    fast = replace(LIMITS, messages_per_second=100.0, messages_at_once=20.0)
    inside = Streamlit()
    asyncio.run(Visitor([rerun()] * 70, stays=1.0).visit(Guard(inside, fast)))
    assert len(inside.heard) == 70  # nothing is lost: what comes last is what the visitor wants
    assert inside.times[-1] - inside.times[0] > 0.3  # half a second: 20 at once, 50 more at 100 a second


def test_who_sends_thousands_at_once_is_cut() -> None:
    inside = Streamlit()
    visitor = asyncio.run(Visitor([rerun()] * 3000, stays=30).visit(Guard(inside, LIMITS)))
    assert len(inside.heard) <= LIMITS.messages_at_once + 1
    assert inside.left == [1008] and visitor.sent == [{"type": "websocket.close", "code": 1008}]


def test_nobody_works_on_what_a_visitor_sent_who_has_gone() -> None:
    slow = replace(LIMITS, messages_per_second=1.0, messages_at_once=2.0)
    inside = Streamlit()
    asyncio.run(Visitor([rerun()] * 50).visit(Guard(inside, slow)))
    assert inside.left == [1001] and len(inside.heard) < 25


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.002)


def test_many_sockets_of_one_address_share_its_rate_and_others_do_not_wait() -> None:
    shared = replace(LIMITS, messages_per_second_per_address=100.0, messages_at_once_per_address=20.0)
    inside = Streamlit()

    async def storm() -> None:
        guard = Guard(inside, shared)
        seven = asyncio.gather(*(Visitor([rerun()] * 10, stays=1.0).visit(guard) for _ in range(7)))
        await until(lambda: bool(inside.heard))
        await Visitor([rerun("other")] * 5, address="192.0.2.9").visit(guard)
        await seven

    asyncio.run(storm())
    others = [number for number, said in enumerate(inside.heard) if said == rerun("other")]
    assert len(inside.heard) == 75 and len(others) == 5 and others[-1] < 65, "before the seventy have had their turns"
    assert inside.times[-1] - inside.times[0] > 0.3  # half a second: 20 at once, 50 more at 100 a second


def test_one_page_of_an_address_is_drawn_at_a_time_and_others_do_not_wait_for_it() -> None:
    """Whoever asks in many windows would have as much of the interpreter's time as all others together."""

    class Draws(Streamlit):
        """Takes 50 ms for a page, and says then that it is drawn; what was drawn anew at once has not ended."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.receive":
                    self.heard.append(message["bytes"])
                    self.open += 1
                    self.most_open = max(self.open, self.most_open)
                    for status in (ForwardMsg.FINISHED_EARLY_FOR_RERUN, ForwardMsg.FINISHED_SUCCESSFULLY):
                        await asyncio.sleep(0.025)
                        self.open -= status == ForwardMsg.FINISHED_SUCCESSFULLY
                        ended = ForwardMsg(script_finished=status)
                        await send({"type": "websocket.send", "bytes": ended.SerializeToString()})

    async def crowd() -> None:
        guard, over = Guard(inside, replace(LIMITS, runs_at_once_per_address=1)), asyncio.Event()
        many = [asyncio.create_task(Visitor([rerun()], stays=over).visit(guard)) for _ in range(8)]
        gone = asyncio.create_task(Visitor([rerun("gone")], stays=0.01).visit(guard))  # before it is its turn
        other = asyncio.create_task(Visitor([rerun("other")], address="192.0.2.9", stays=over).visit(guard))
        await until(lambda: len(inside.heard) == 9 and inside.open == 0)
        over.set()
        await asyncio.gather(*many, gone, other)
        assert len(guard.all_sockets.runs) == 0

    inside = Draws()
    asyncio.run(crowd())
    assert inside.heard.index(rerun("other")) <= 1 and len(inside.heard) == 9
    assert inside.most_open == 2  # one of each address


def test_who_leaves_before_its_page_is_drawn_gives_its_turn_back() -> None:
    async def leaves() -> int:
        guard = Guard(Streamlit(), LIMITS)
        await Visitor([rerun()]).visit(guard)
        return len(guard.all_sockets.runs)

    assert asyncio.run(leaves()) == 0


@pytest.mark.parametrize(("said", "code"), [("a text frame", 1002), (b"\xff\xff\xff", 1002)])
def test_what_is_no_message_ends_the_socket_quietly(said: Any, code: int) -> None:
    inside = Streamlit()
    visitor = asyncio.run(Visitor([said, rerun()]).visit(Guard(inside, LIMITS)))
    assert inside.heard == [] and inside.left == [code]
    assert visitor.sent == [{"type": "websocket.close", "code": code}]  # and what Streamlit still sends is not sent


def test_who_opens_a_socket_and_says_nothing_is_cut() -> None:
    inside = Streamlit()
    visitor = Visitor([], stays=30)
    asyncio.run(asyncio.wait_for(visitor.visit(Guard(inside, replace(LIMITS, first_message_within=0.05))), 29))
    assert inside.left == [1008] and visitor.sent == [{"type": "websocket.close", "code": 1008}]


def test_who_has_spoken_may_be_quiet() -> None:
    inside = Streamlit()
    quiet = replace(LIMITS, first_message_within=0.3)
    asyncio.run(Visitor([rerun()], stays=0.5).visit(Guard(inside, quiet)))
    assert inside.left == [1001]


def test_sessions_are_capped_in_all_and_for_each_address() -> None:
    inside = Streamlit()

    async def crowd() -> list[Visitor]:
        guard, over = Guard(inside, replace(LIMITS, sockets=5, sockets_per_address=3)), asyncio.Event()
        one = [Visitor([rerun()], stays=over) for _ in range(4)]
        other = [Visitor([rerun()], address="192.0.2.2", stays=over) for _ in range(3)]
        waiting = [asyncio.create_task(visitor.visit(guard)) for visitor in (*one, *other)]
        await until(lambda: len(inside.heard) == 5)
        assert await request(guard, "/", address="192.0.2.3") == (503, _page_of(guard))
        assert await request(guard, "/_stcore/health", address="192.0.2.3") == (200, "ok")
        over.set()
        await asyncio.gather(*waiting)
        assert (await request(guard, "/", address="192.0.2.3")) == (200, "ok")
        again = await Visitor([rerun()]).visit(guard)
        assert again.sent[-1]["type"] == "websocket.send"
        return [*one, *other]

    visitors = asyncio.run(crowd())
    assert inside.most_open == 5
    refused = [v for v in visitors if v.sent and v.sent[0]["type"] == "websocket.http.response.start"]
    assert [v.address for v in refused] == ["192.0.2.1", "192.0.2.2"]
    assert [v.sent[0]["status"] for v in refused] == [429, 503]  # too many of one address; too many in all
    assert all(FULL.encode() in v.sent[1]["body"] for v in refused)


def _page_of(guard: Guard) -> str:
    from hosting.guard import BUSY_PAGE

    assert FULL in BUSY_PAGE
    return BUSY_PAGE


@pytest.mark.parametrize(
    "path", ["/_stcore/metrics", "/_stcore/agent/interact", "/_stcore/agent/mcp", "/_stcore/script-health-check"]
)
def test_what_is_for_the_operator_is_not_for_visitors(path: str) -> None:
    inside = Streamlit()
    assert asyncio.run(request(Guard(inside, LIMITS), path))[0] == 404
    assert inside.paths == []


def test_few_uploads_come_at_a_time_and_a_slow_one_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "make_room", lambda: None)  # no Streamlit runs here

    class Slow:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(30)

    async def crowd() -> list[Any]:
        guard = Guard(Slow(), replace(LIMITS, uploads_per_address=2, upload_within=0.8))
        first = [asyncio.create_task(request(guard, "/_stcore/upload_file/a/b", "PUT")) for _ in range(2)]
        await asyncio.sleep(0.05)
        third = await request(guard, "/_stcore/upload_file/a/b", "PUT")
        await asyncio.wait(first, timeout=29)
        assert [task.result()[0] for task in first] == [408, 408]
        assert len(guard.uploads) == 0
        return list(third)

    assert asyncio.run(crowd()) == [429, FULL]


def test_uploads_together_have_a_budget_and_the_greediest_session_pays() -> None:
    manager = MemoryUploadedFileManager("/_stcore/upload_file")
    for session, name in [("modest", "a"), *(("greedy", str(i)) for i in range(8))]:
        manager.add_file(session, UploadedFileRec(name, "view.html", "text/html", bytes(3_000_000)))
    uploads.make_room(manager, budget=10_000_000)
    assert [*manager.file_storage["modest"], *manager.file_storage["greedy"]] == ["a", "6", "7"]


def test_one_network_of_ipv6_is_one_visitor() -> None:
    assert address_of({"client": ("2001:db8:1:2:3::4", 9)}) == address_of({"client": ("2001:db8:1:2::9", 7)})
    assert address_of({"client": ("2001:db8:1:3::4", 9)}) != address_of({"client": ("2001:db8:1:2::9", 7)})
    assert address_of({"client": ("::ffff:192.0.2.1", 9)}) == "192.0.2.1"
    assert address_of({"client": None}) == address_of({"client": ("a name", 1)}) == "unknown"


def test_the_number_of_remembered_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "KNOWN", 10)
    buckets = AddressBuckets(1.0, 1.0)
    for i in range(50):
        assert buckets.take(f"192.0.2.{i}") == 0
    assert len(buckets._buckets) == 10
