"""nginx before two instances, one of which stands still or is gone: visitors go on, and no log says what they typed."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hosted import NGINX, behind_nginx, hosted

pytestmark = pytest.mark.skipif(
    not Path(NGINX).exists(), reason="nginx is not installed (Debian: apt-get install nginx-light)"
)
SECRET = "volcano"


def asked(address: str, cookie: str = "") -> tuple[float, int, str, str]:
    """(seconds, the answer's status, which instance gave it, its cookie) of a page with a sentence in its address."""
    request = urllib.request.Request(f"{address}/?text=the+{SECRET}", headers={"Cookie": cookie} if cookie else {})
    start = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:
        took = time.monotonic() - start
        own = (answer.headers["Set-Cookie"] or "").partition(";")[0]
        return took, answer.status, answer.headers["X-Instance"].rsplit(":", 1)[-1], own


def test_a_frozen_and_then_a_dead_instance_lose_nobody_and_no_log_holds_a_sentence(tmp_path: Path) -> None:
    with hosted(tmp_path) as one, hosted(tmp_path) as other, behind_nginx(tmp_path, [one.port, other.port]) as address:
        _, _, first, cookie = asked(address)
        here = one if str(one.port) == first else other
        assert asked(address, cookie)[2] == first  # a visitor stays

        os.kill(here.process.pid, signal.SIGSTOP)
        took, status, instance, _ = asked(address, cookie)
        assert status == 200 and instance != first
        assert 8 < took < 25  # proxy_read_timeout, not the hour that a session's stream may be quiet
        asked(address, cookie)
        assert asked(address, cookie)[0] < 5  # after its second failure nobody is sent there for a while

        here.kill()
        assert asked(address, cookie)[2] != first
        other_one = other if here is one else one
        other_one.kill()
        with pytest.raises(urllib.error.HTTPError) as nobody:
            asked(address, cookie)
        assert nobody.value.code == 502 and "Your view is in the address" in nobody.value.read().decode()
        assert "default-src 'none'" in nobody.value.headers["Content-Security-Policy"]
    told = "".join(file.read_text() for file in tmp_path.glob("*.log"))
    assert '"status":"502"' in told and SECRET not in told and '"client"' not in told
