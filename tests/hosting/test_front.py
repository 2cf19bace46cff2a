"""nginx before two instances, one of which stands still or is gone: visitors go on, and no log says what they typed."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from hosted import NGINX, behind_nginx, hosted

pytestmark = pytest.mark.skipif(
    not Path(NGINX).exists(), reason="nginx is not installed (Debian: apt-get install nginx-light)"
)
SECRET = "volcano"


def asked(address: str, cookie: str = "") -> tuple[float, int, list[str], str]:
    """(seconds, status, the instances that were tried, the cookie) of a page with a sentence in its address."""
    request = urllib.request.Request(f"{address}/?text=the+{SECRET}", headers={"Cookie": cookie} if cookie else {})
    start = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:
        took = time.monotonic() - start
        own = (answer.headers["Set-Cookie"] or "").partition(";")[0]
        tried = [address.rpartition(":")[2] for address in answer.headers["X-Instance"].split(", ")]
        return took, answer.status, tried, own


def test_a_frozen_and_then_a_dead_instance_lose_nobody_and_no_log_holds_a_sentence(tmp_path: Path) -> None:
    with ExitStack() as running, ThreadPoolExecutor() as at_once:
        starting = [at_once.submit(running.enter_context, hosted(tmp_path)) for _ in range(2)]
        one, other = (server.result() for server in starting)
        address = running.enter_context(behind_nginx(tmp_path, [one.port, other.port], waits="4s"))
        _, _, (first,), cookie = asked(address)
        here, there = (one, other) if str(one.port) == first else (other, one)
        assert asked(address, cookie)[2] == [first]  # a visitor stays

        os.kill(here.process.pid, signal.SIGSTOP)
        for took, status, tried, _ in at_once.map(asked, [address] * 2, [cookie] * 2):
            assert status == 200 and tried == [first, str(there.port)]
            assert 3 < took < 60  # proxy_read_timeout, not the hour that a session's stream may be quiet
        # After its second failure nobody is sent there for a while.
        assert asked(address, cookie)[2] == [str(there.port)]

        here.kill()
        assert asked(address, cookie)[2][-1] == str(there.port)
        there.kill()
        with pytest.raises(urllib.error.HTTPError) as nobody:
            asked(address, cookie)
        assert nobody.value.code == 502 and "Your view is in the address" in nobody.value.read().decode()
        assert "default-src 'none'" in nobody.value.headers["Content-Security-Policy"]
    told = "".join(file.read_text() for file in tmp_path.glob("*.log"))
    assert '"status":"502"' in told and SECRET not in told and '"client"' not in told
