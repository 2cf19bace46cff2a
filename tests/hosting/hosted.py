"""Start what the container would start: the image's files in a folder of their own, its environment, its command."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
LONGEST = 120.0  # seconds: a busy machine is slow, and only a wrong server takes this long


def dockerfile() -> str:
    """The Dockerfile with its broken lines joined."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def image_environment() -> dict[str, str]:
    """What `ENV` says about the app."""
    words = " ".join(re.findall(r"^ENV (.*)$", dockerfile(), re.MULTILINE)).split()
    own = dict(word.split("=", 1) for word in words)
    return {name: value for name, value in own.items() if name.startswith(("HEADLIGHT", "HF", "OMP", "STREAMLIT"))}


def image_command(port: int) -> list[str]:
    """`CMD` with this port, on this machine alone."""
    (line,) = re.findall(r"^CMD (.*)$", dockerfile(), re.MULTILINE)
    program, *options = json.loads(line)
    own = {"--server.port": str(port), "--server.address": "127.0.0.1"}
    told = [f"{o.split('=')[0]}={own.get(o.split('=')[0], o.split('=')[1])}" if "=" in o else o for o in options]
    return [str(Path(sys.executable).with_name(program)), *told]


def copy_image(to: Path) -> Path:
    """Put the files that the Dockerfile copies into a folder, and nothing else."""
    to.mkdir(parents=True, exist_ok=True)
    hidden = shutil.ignore_patterns("__pycache__")
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    for line in re.findall(r"^COPY (.*)$", dockerfile(), re.MULTILINE):
        *sources, target = [word for word in line.split() if not word.startswith("--")]
        for source in sources:
            assert source in let_in, f".dockerignore hides {source} from the build"
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to / target, ignore=hidden)
            else:
                shutil.copy(ROOT / source, to / target)
    return to


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running hosted app."""

    port: int
    process: subprocess.Popen[bytes]
    log_file: Path
    lines_seen: int = field(default=0)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def resident(self) -> int:
        """Megabytes of the process in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def hosted(folder: Path, *, at: Path = ROOT, ready: bool = True, port: int = 0, **environment: str) -> Iterator[Server]:
    """The hosted app from the files in `at`, with the container's settings; its log goes into `folder`."""
    port = port or free_port()
    log = folder / f"log-{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            image_command(port),
            cwd=at,
            env={**os.environ, **image_environment(), **environment},
            stdout=out,
            stderr=out,
        )
    server = Server(port, process, log)
    try:
        wait_for(f"{server.address}/{'ready' if ready else '_stcore/health'}", process)
        yield server
    finally:
        server.kill()


@contextmanager
def behind_nginx(
    folder: Path, ports: list[int], *, tls: bool = False, more: str = "", waits: str = "10s"
) -> Iterator[str]:
    """The shipped nginx files with this machine's ports, and a header that tells which instance answered.

    `more` is put into the server block; an instance that says nothing is left after `waits`.
    """
    conf, port = folder / "nginx", free_port()
    shutil.copytree(ROOT / "deploy" / "nginx", conf)
    text = (conf / "nginx.conf").read_text()
    first, second = re.findall(r"        server headlight-\d:8501.*\n", text)
    servers = "".join(first.replace("headlight-1:8501", f"127.0.0.1:{own}") for own in ports)
    text = text.replace(first + second, servers)
    text = text.replace("/tmp/nginx", f"{folder}/nginx-").replace("/dev/stdout", f"{folder}/access.log")
    text = text.replace("error_log stderr", f"error_log {folder}/error.log")
    text = text.replace("worker_rlimit_nofile 8192;", "")  # only root may
    if os.geteuid() == 0:  # as root nginx would work as a user who may not enter a test's folder
        text = "user root;\n" + text
    (conf / "nginx.conf").write_text(text)
    front = (conf / ("tls.conf" if tls else "http.conf")).read_text()
    listens = ("listen 8443", f"listen 127.0.0.1:{port}") if tls else ("listen 8080", f"listen 127.0.0.1:{port}")
    front = front.replace(*listens).replace("listen 8080", f"listen 127.0.0.1:{free_port()}")
    (conf / "front.conf").write_text(front)
    places = (conf / "locations.conf").read_text()
    assert "proxy_read_timeout 10s;" in places
    places = places.replace("proxy_read_timeout 10s;", f"proxy_read_timeout {waits};")
    places = places.replace("add_header Set-Cookie", "add_header X-Instance $upstream_addr;\nadd_header Set-Cookie")
    (conf / "locations.conf").write_text(places + more)
    if tls:
        own_certificate(conf / "tls")
    process = subprocess.Popen([NGINX, "-c", str(conf / "nginx.conf"), "-g", "daemon off;"])
    try:
        address = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        if not tls:
            wait_for(f"{address}/ready", process)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def own_certificate(folder: Path) -> None:
    """A certificate for this machine that nobody trusts."""
    folder.mkdir(exist_ok=True)
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*make, "-days", "2", *names, *files], check=True, capture_output=True)


def answer(url: str) -> tuple[int, dict[str, str]]:
    """Status and headers of an address, 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers)
    except OSError:
        return 0, {}


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until an address answers 200; a process that ends first is an error."""
    end = time.monotonic() + LONGEST
    while answer(url)[0] != 200:
        assert process.poll() is None, f"it ended with {process.returncode}"
        assert time.monotonic() < end, f"{url} did not answer"
        time.sleep(0.2)
