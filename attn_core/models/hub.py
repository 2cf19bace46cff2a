"""The hub as seen from here: what was downloaded before, whether it answers, and how its errors read to a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attn_core.errors import DamagedModel, NoNetwork, UnknownModel
from attn_core.settings import is_offline

Progress = Callable[..., None]  # called as progress("what happens now", fraction of it or None)

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")  # whole, or the list of their parts
PATIENCE = 4.0  # seconds after which a silent hub counts as unreachable
RECHECK = 60.0  # seconds for which an answer is believed
UNREACHABLE = (
    "The hub cannot be reached from here, so this model cannot be downloaded. The bundled models work without it."
)


def is_downloaded(repo: str, revision: str | None = None) -> bool:
    """Whether configuration and weights lie in the local cache; asks nobody."""
    return all(any(downloaded_file(repo, file, revision) for file in files) for files in (("config.json",), WEIGHTS))


def downloaded_file(repo: str, file: str, revision: str | None = None) -> Path | None:
    """Where a file of the hub lies in the local cache, None if it was not downloaded."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def configuration(repo: str) -> Path:
    """Where a hub model's config.json lies; fetched if it was not downloaded before."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise UnknownModel(f"{repo!r} cannot be the name of a model on the hub.") from None
    found = downloaded_file(repo, "config.json")
    if found is not None:
        return found
    require_network()
    try:
        return Path(hf_hub_download(repo, "config.json"))
    except RemoteEntryNotFoundError:
        raise DamagedModel(f"{repo!r} is on the hub, but it is no model: it has no config.json.") from None
    except Exception as error:
        raise explain(error, repo) from error


def outlook() -> tuple[bool, str]:
    """Whether a download can be expected to work, from what is known now; looks again in the background."""
    if is_offline():
        return False, "not downloaded, and the hub is switched off here"
    if _door.last_answer() is False:
        return False, "not downloaded, and the hub cannot be reached from here"
    return True, "is downloaded on first use"


def require_network() -> None:
    """Return if the hub answers; raise NoNetwork within a few seconds if it does not."""
    if is_offline():
        raise NoNetwork("This model was not downloaded before, and the hub is switched off here (HF_HUB_OFFLINE).")
    if not _door.answer():
        raise NoNetwork(UNREACHABLE)


def require_safetensors(repo: str, revision: str | None = None) -> None:
    """Raise DamagedModel where a repository has none; left alone, the library would ask a third party to make some."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import RemoteEntryNotFoundError

    for file in WEIGHTS:
        try:
            get_hf_file_metadata(hf_hub_url(repo, file, revision=revision))
            return
        except RemoteEntryNotFoundError:
            continue
    raise DamagedModel(f"{repo!r} has no weights as safetensors, and Headlight opens no other kind.")


class _Door:
    """Remembers for a minute whether the hub answered. Asking happens in a thread, so that a slow one blocks nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer: bool | None = None
        self._asked = -RECHECK
        self._done = threading.Event()  # set while nobody looks
        self._done.set()

    def last_answer(self) -> bool | None:
        """What was found last, None before the first answer; starts a new look when that is too long ago."""
        with self._lock:
            if self._done.is_set() and time.monotonic() - self._asked >= RECHECK:
                self._start()
        return self._answer

    def answer(self) -> bool:
        """What is found now; a hub that was silent a moment ago is asked again, for the cable may be back in."""
        with self._lock:
            if self._done.is_set():
                self._start()
        self._done.wait(PATIENCE)
        return bool(self._answer)

    def _start(self) -> None:
        self._asked, self._done = time.monotonic(), threading.Event()
        threading.Thread(target=self._look, args=(self._done,), name="look for the hub", daemon=True).start()

    def _look(self, done: threading.Event) -> None:
        self._answer = _answers()
        done.set()


def _answers() -> bool:
    import ssl
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    from huggingface_hub import constants

    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=PATIENCE).close()
    except HTTPError:
        return True  # it answered
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # it is there; certificates are the download's own business
    except OSError:
        return False
    return True


_door = _Door()


def bar_for(progress: Progress) -> type:
    """A progress bar, as the hub's library wants it, that prints nothing and tells `progress` the bytes so far."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            self.so_far, self.whole, self.bytes = (
                kwargs.get("initial") or 0,
                kwargs.get("total"),
                kwargs.get("unit") == "B",
            )
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self.so_far += n or 0
            if self.bytes and self.whole:
                said = f"downloading, {self.so_far / 1e6:.0f} of {self.whole / 1e6:.0f} MB"
                progress(said, min(1.0, self.so_far / self.whole))
            return super().update(n)

    return Bar


def explain(error: Exception, repo: str) -> Exception:
    """The clear sentence behind an error that came while a model was fetched from the hub, or the error itself."""
    from httpx2 import TransportError
    from huggingface_hub import errors

    for cause in _causes(error):
        if isinstance(cause, errors.GatedRepoError):
            return UnknownModel(f"{repo!r} is on the hub, but only for people who were granted access.")
        if isinstance(cause, errors.RepositoryNotFoundError):
            return UnknownModel(f"There is no model {repo!r} on the hub.")
        if isinstance(cause, errors.LocalEntryNotFoundError | TransportError | ConnectionError | TimeoutError):
            return NoNetwork(f"The download of {repo!r} broke off. What came is kept: try again to go on from there.")
    return error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
