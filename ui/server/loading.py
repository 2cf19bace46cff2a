"""From a name to a shared model: loaded in the background, once for all visitors, with progress for whoever waits.

job = loading.open_model("minilm")
job.done.is_set(), job.message, job.fraction, job.error
loading.model("minilm")                  # a handle of the model, if it is there now
loading.checkpoint("tiny-decoder", 5)    # as it was while it learnt
loading.random_weights(model)            # its architecture with random weights, made once for all visitors, too
"""

from __future__ import annotations

import gc
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from attn_core.errors import HeadlightError
from attn_core.settings import settings
from ui import words
from ui.server import shared
from ui.server.cache import key_of
from ui.server.handles import ModelHandle
from ui.server.shared import Job, SharedState

if TYPE_CHECKING:
    from attn_core import Model

WORDS = words.beside(__file__)
log = logging.getLogger("headlight")


def model(name: str) -> ModelHandle | None:
    """The loaded model, as a handle that reads like it, or None while it is not here."""
    loaded = _loaded(name)
    return None if loaded is None else ModelHandle(name, loaded, partial(_bring, name))


def random_weights(model: ModelHandle, seed: int = 0) -> ModelHandle:
    """A shared model's architecture with random weights, made once for all who ask, as a handle.

    It counts among the models: it is as large as one, and would push every trace out of their budget.
    """
    from attn_core.heads import baselines

    key = ("random weights", key_of(model), seed)

    def bring() -> Model:
        make = partial(baselines.random_weights, model.value(), seed)
        return shared.STATE.models.get_or_compute(key, make, lambda made: made.n_bytes)

    return ModelHandle(key, bring(), bring)


def checkpoint(name: str, at: int) -> ModelHandle:
    """A shipped model as it was at one of the kept steps of its training, made once for all who ask, as a handle."""
    from attn_core.models import history

    key = ("checkpoint", name, at)

    def bring() -> Model:
        return shared.STATE.models.get_or_compute(key, partial(history.checkpoint, name, at), lambda made: made.n_bytes)

    return ModelHandle(key, bring(), bring)


def gone(name: str) -> HeadlightError:
    """What to say where a model that was loaded is not there: others needed its place."""
    return HeadlightError(WORDS.text("loading.gone", name=name))


def job(name: str) -> Job | None:
    """The last attempt to load a model, going on or ended, or None."""
    return shared.STATE.jobs.get(name)


def open_model(name: str) -> Job:
    """Start loading a model in the background, unless it is here or on its way; a failed one is tried again."""
    state = shared.STATE
    with state.lock:
        job = state.jobs.get(name)
        if job is None or (job.done.is_set() and state.models.get(name) is None):
            job = state.jobs[name] = Job(name)
            threading.Thread(target=_load, args=(state, job), name=f"load {name}", daemon=True).start()
    return job


def _load(state: SharedState, job: Job) -> None:
    try:
        from attn_core.models.startup import lean_imports

        lean_imports.leave_out()
        from attn_core.models.loading import load

        loaded = load(job.name, progress=job.report, limit=settings().tokens)
        state.models.put(job.name, loaded, loaded.n_bytes)
        _set_aside()
    except HeadlightError as error:
        log.warning("a model could not be loaded", extra={"numbers": {"model": job.name, "why": str(error)}})
        job.error = error
    except Exception:
        log.exception("loading %s failed", job.name)
        job.error = HeadlightError(WORDS.text("loading.failed"))
    finally:
        job.done.set()


def _set_aside() -> None:
    """Exclude long-lived objects from garbage collection, which would look through all of torch each time, 0.2 s.

    Objects that were excluded before are collected once more, or a visitor's page of that moment would stay for ever.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _loaded(name: str) -> Model | None:
    return shared.STATE.models.get(name)


def _bring(name: str) -> Model:
    """A model that has left the cache, loaded again."""
    loaded = _loaded(name)
    if loaded is not None:
        return loaded
    job = open_model(name)
    job.done.wait()
    loaded = _loaded(name)
    if loaded is None:
        raise job.error or gone(name)
    return loaded
