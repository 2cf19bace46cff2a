"""The hub as seen from here: what was downloaded before, whether it answers, and how its errors read to a person."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attn_core.errors import DamagedModel, HeadlightError, NoNetwork, UnknownModel
from attn_core.models.formats import pickled
from attn_core.models.verification import WEIGHTS, is_whole
from attn_core.settings import is_public, settings

Progress = Callable[..., None]  # called as progress("what happens now", fraction of it or None)

# What is downloaded of a repository: pickled weights only where there are no others, and nothing of its subfolders.
BESIDE_WEIGHTS = ["*.json", "*.txt", "*.model", "*.spm", "*.codes"]
SAFETENSORS = [WEIGHTS, "model-*-of-*.safetensors"]
PICKLED = [pickled.WEIGHTS, "pytorch_model-*-of-*.bin"]
UNWANTED = ["*/*", "*.msgpack*"]
KEEPS_TO_SAFETENSORS = (
    "{called} has its weights as pytorch_model.bin only, and a hosted Headlight keeps to safetensors; a copy on your "
    "own computer opens it."
)
PATIENCE = 4.0  # seconds after which a silent hub counts as unreachable
RECHECK = 60.0  # seconds for which an answer is believed
_COMMIT = re.compile(r"[0-9a-f]{40}")
UNREACHABLE = (
    "The hub cannot be reached from here, so this model cannot be downloaded. The bundled models work without it."
)


def is_downloaded(repo: str, revision: str | None = None) -> bool:
    """Whether a model lies whole in the local cache; asks nobody."""
    return downloaded_folder(repo, revision) is not None


def downloaded_folder(repo: str, revision: str | None = None) -> Path | None:
    """The folder in the local cache where a model lies whole, None if there is none; asks nobody."""
    from huggingface_hub import constants

    own_folder = constants.REPO_ID_SEPARATOR.join(["models", *repo.split("/")])
    if not Path(constants.HF_HUB_CACHE, own_folder).is_dir():
        return None  # the rest of the library is not imported for that: no first picture waits for it
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, "config.json", revision=revision)
    folder = Path(found).parent if isinstance(found, str) else None
    if folder is None or is_whole(folder):
        return folder
    return folder if not is_public() and pickled.is_whole(folder) else None


def snapshot(repo: str, revision: str | None, progress: Progress) -> Path:
    """The folder of a model from the hub. What was downloaded before is used without a question to the hub.

    Raises NoNetwork, UnknownModel or DamagedModel with a sentence for the reader.
    """
    _check_name(repo)
    found = downloaded_folder(repo, revision)
    if found is not None:
        return found
    progress("asking the hub")
    require_network()
    try:
        return _download(repo, revision, progress)
    except Exception as error:
        explained = explain(error, repo)
        if explained is error:
            raise
        raise explained from error


def _download(repo: str, revision: str | None, progress: Progress) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils._paths import filter_repo_objects

    from attn_core.models.downloads import byte_counter, told_in_order, watch_downloads  # it needs the hub's library

    watch_downloads()
    info = HfApi().model_info(repo, revision=revision, files_metadata=True)
    if not _COMMIT.fullmatch(info.sha or ""):  # the library takes it for the name of a folder
        raise ValueError(f"no commit: {info.sha!r}")
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    if "config.json" not in sizes:
        raise _no_model(repo)
    allowed = [*BESIDE_WEIGHTS, *_weights_there(repo, sizes)]
    wanted = list(filter_repo_objects(sizes, allow_patterns=allowed, ignore_patterns=UNWANTED))
    whole = sum(sizes[name] for name in wanted)
    told = told_in_order(progress, whole)
    folder = snapshot_download(
        repo, revision=revision, allow_patterns=allowed, ignore_patterns=UNWANTED, tqdm_class=byte_counter(told)
    )
    told(whole)  # files that were here before are not counted on the way
    return Path(folder)


def _weights_there(repo: str, names: Iterable[str]) -> list[str]:
    """The patterns of the weights to download: safetensors or, in a local run and without them, pickled ones."""
    from huggingface_hub.utils._paths import filter_repo_objects

    names = [name for name in names if "/" not in name]
    if list(filter_repo_objects(names, allow_patterns=SAFETENSORS)):
        return SAFETENSORS
    if not list(filter_repo_objects(names, allow_patterns=PICKLED)):
        raise DamagedModel(
            f"{repo!r} has its weights neither as safetensors nor as {pickled.WEIGHTS}, and Headlight opens no other "
            "kind."
        )
    if is_public():
        raise DamagedModel(KEEPS_TO_SAFETENSORS.format(called=repo))
    return PICKLED


def configuration(repo: str) -> Path:
    """Where a hub model's config.json lies; fetched if it was not downloaded before."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import RemoteEntryNotFoundError

    _check_name(repo)
    found = try_to_load_from_cache(repo, "config.json")
    if isinstance(found, str):
        return Path(found)
    require_network()
    try:
        return Path(hf_hub_download(repo, "config.json"))
    except RemoteEntryNotFoundError:
        raise _no_model(repo) from None
    except Exception as error:
        raise explain(error, repo) from error


def _check_name(repo: str) -> None:
    """Raise UnknownModel for what the hub's library takes for no name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise UnknownModel(f"{repo!r} cannot be the name of a model on the hub.") from None


def _no_model(repo: str) -> DamagedModel:
    return DamagedModel(f"{repo!r} is on the hub, but it is no model: it has no config.json.")


def outlook() -> tuple[bool, str]:
    """Whether a download can be expected to work, from what is known now; looks again in the background."""
    if settings().offline:
        return False, "not downloaded, and the hub is switched off here"
    if _reachability.last_answer() is False:
        return False, "not downloaded, and the hub cannot be reached from here"
    return True, "is downloaded on first use"


def require_network() -> None:
    """Return if the hub answers; raise NoNetwork within a few seconds if it does not."""
    if settings().offline:
        raise NoNetwork("This model was not downloaded before, and the hub is switched off here (HF_HUB_OFFLINE).")
    if not _reachability.answer():
        raise NoNetwork(UNREACHABLE)


class _Reachability:
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


_reachability = _Reachability()


def explain(error: Exception, repo: str) -> Exception:
    """The clear sentence behind an error that came while a model was fetched from the hub, or the error itself."""
    from httpx2 import TooManyRedirects, TransportError
    from huggingface_hub import errors

    causes = list(_causes(error))  # the library wraps what the hub said in its own "cannot find it here either"
    for cause in causes:
        if isinstance(cause, HeadlightError):
            return cause
        if isinstance(cause, errors.GatedRepoError):
            return UnknownModel(f"{repo!r} is on the hub, but only for people who were granted access.")
        if isinstance(cause, errors.RepositoryNotFoundError):
            return UnknownModel(f"There is no model {repo!r} on the hub.")
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status == 429:
            return NoNetwork(f"The hub is asked too often at this moment: try {repo!r} again in a few minutes.")
        if status in (401, 403):
            return UnknownModel(f"The hub does not let this computer have {repo!r}.")
        if isinstance(cause, TooManyRedirects):
            return NoNetwork(f"The hub's answer about {repo!r} leads round in a circle, so nothing can be downloaded.")
    broken = (errors.LocalEntryNotFoundError, TransportError, ConnectionError, TimeoutError)
    if any(isinstance(cause, broken) for cause in causes):
        return NoNetwork(f"The download of {repo!r} broke off. What came is kept: try again to go on from there.")
    if isinstance(error, ValueError):  # a revision that would be a path out of the cache, JSON that is none
        return DamagedModel(f"The hub's answer about {repo!r} makes no sense, so it was not used.")
    return error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
