"""Settings are checked when they are read: a typing error is named, never guessed at."""

import os
import subprocess
import sys

import pytest

from attn_core import settings


@pytest.mark.parametrize("said", ["0", "-1", "many", "1.5", "9999999", "٣"])
def test_a_number_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("HEADLIGHT_PASSES", said)
    with pytest.raises(ValueError, match=f"HEADLIGHT_PASSES is '{said}'"):
        settings.number("HEADLIGHT_PASSES", 2)


def test_numbers_have_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADLIGHT_PASSES", raising=False)
    assert settings.number("HEADLIGHT_PASSES", 2) == 2
    monkeypatch.setenv("HEADLIGHT_PASSES", " 7 ")
    assert settings.number("HEADLIGHT_PASSES", 2) == 7


def test_models_offered_are_those_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MODELS", "b, c")
    assert settings.offered(["a", "b", "c"]) == ["b", "c"]
    monkeypatch.setenv("HEADLIGHT_MODELS", "")
    assert settings.offered(["a", "b"]) == ["a", "b"]
    monkeypatch.setenv("HEADLIGHT_MODELS", "a,nobody")
    with pytest.raises(ValueError, match="nobody"):
        settings.offered(["a", "b"])


def test_a_server_offers_fewer_models_and_reads_fewer_tokens_when_told_to() -> None:
    script = (
        "import attn_core as ac; from attn_core.models.catalogue import CATALOGUE; m = ac.load('minilm'); "
        "t = ac.trace(m, 'one two three four five six seven eight nine ten'); "
        "print(list(CATALOGUE), m.limit, CATALOGUE['minilm'].limit, len(t.tokens), t.tokens.dropped)"
    )
    own = os.environ | {"HEADLIGHT_MODELS": "tiny-decoder", "HEADLIGHT_TOKENS": "8"}
    said = subprocess.run([sys.executable, "-c", script], env=own, capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[0] == "['minilm', 'tiny-decoder'] 8 8 8 4"
