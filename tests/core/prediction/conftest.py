"""Models that write: small ones of every causal family beside the library's eager ones, and the shipped decoder."""

from __future__ import annotations

import families
import pytest

import attn_core as ac


@pytest.fixture(scope="module", params=families.CAUSAL)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ac.Model]:
    """(the library's eager model, ours) of one family."""
    folder = tmp_path_factory.mktemp(request.param)
    theirs = families.save(request.param, folder)
    return theirs, ac.load(folder)


@pytest.fixture(scope="module")
def decoder() -> ac.Model:
    return ac.load("tiny-decoder")
