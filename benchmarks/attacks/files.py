"""Attacks by files: downloads, uploads, and a saved view that is hard to read."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

from benchmarks.attacks.client import LETTERS, Stop, backmsg
from benchmarks.load import Visitor


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


def uploads_as_much_as_it_may(address: str, stop: Stop) -> None:
    body = _form(bytes(15_000_000))
    visitor = Visitor(address)
    visitor.socket.send(backmsg())
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
