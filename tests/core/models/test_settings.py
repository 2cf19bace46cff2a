"""Settings are read together, once, and checked: a typing error is named, never guessed at."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attn_core import settings


@pytest.mark.parametrize("said", ["0", "-1", "many", "1.5", "9999999", "٣"])
def test_a_number_that_is_none_is_named(said: str) -> None:
    with pytest.raises(ValueError, match=f"HEADLIGHT_PASSES is '{said}'"):
        settings.read({"HEADLIGHT_PASSES": said})


def test_numbers_have_defaults() -> None:
    assert settings.read({}).passes == 2
    assert settings.read({"HEADLIGHT_PASSES": " 7 "}).passes == 7
    assert settings.read({"HEADLIGHT_PASSES": " "}).passes == 2


@pytest.mark.parametrize("name", [name for name, v in settings.variables().items() if not v.one_of])
def test_every_setting_comes_from_its_own_variable(name: str) -> None:
    variable, default = settings.variables()[name], getattr(settings.Settings(), name)
    said = "1" if isinstance(default, bool) else "9" if isinstance(default, int) else "word"
    changed = settings.read({variable.name: said})
    value = True if isinstance(default, bool) else 9 if isinstance(default, int) else said
    assert getattr(changed, name) == ((value,) if isinstance(default, tuple) else value)
    assert dataclasses.replace(changed, **{name: default}) == settings.Settings()
    if isinstance(default, int) and not isinstance(default, bool):
        for wrong in (variable.least - 1, variable.most + 1):
            with pytest.raises(ValueError, match=variable.name):
                settings.read({variable.name: str(wrong)})


def test_settings_are_read_once_until_they_are_read_again(operator_sets: Callable[..., None]) -> None:
    before = settings.settings()
    os.environ["HEADLIGHT_QUEUE"] = "5"
    try:
        assert settings.settings() is before
    finally:
        del os.environ["HEADLIGHT_QUEUE"]
    operator_sets(HEADLIGHT_QUEUE="5")
    assert settings.settings().queue == 5


def test_models_offered_are_those_that_are_named(operator_sets: Callable[..., None]) -> None:
    operator_sets(HEADLIGHT_MODELS="b, c")
    assert settings.offered(["a", "b", "c"]) == ["b", "c"]
    operator_sets(HEADLIGHT_MODELS="")
    assert settings.offered(["a", "b"]) == ["a", "b"]
    operator_sets(HEADLIGHT_MODELS="a,nobody")
    with pytest.raises(ValueError, match="nobody"):
        settings.offered(["a", "b"])


def test_a_server_offers_fewer_models_and_reads_fewer_tokens_when_told_to() -> None:
    script = (
        "import attn_core as ac; from attn_core.models.catalogue import CATALOGUE; from ui.server import loading; "
        "loading.open_model('minilm').done.wait(); m = loading.model('minilm').value(); "
        "t = ac.trace(m, 'one two three four five six seven eight nine ten'); "
        "print(list(CATALOGUE), m.limit, CATALOGUE['minilm'].limit, len(t.tokens), t.tokens.dropped)"
    )
    own = os.environ | {"HEADLIGHT_MODELS": "tiny-decoder", "HEADLIGHT_TOKENS": "8"}
    said = subprocess.run([sys.executable, "-c", script], env=own, capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[0] == "['minilm', 'tiny-decoder'] 8 8 8 4"


@pytest.mark.house
@pytest.mark.parametrize("name", settings.variables())
def test_the_documentation_says_of_each_setting_what_the_code_says(name: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()
    variable, default = settings.variables()[name], getattr(settings.Settings(), name)
    shown = "all" if default == () else "" if default is False else f"`{default}`"
    assert f"| `{variable.name}` | {shown} | {variable.meaning} |".replace("|  |", "| |") in page.splitlines()


@pytest.mark.house
def test_nobody_else_reads_the_environment_for_a_setting() -> None:
    root = Path(__file__).parents[3]
    names = [variable.name for variable in settings.variables().values()]
    files = [f for part in ("attn_core", "ui", "pages", "hosting") for f in (root / part).rglob("*.py")]
    texts = {file: file.read_text() for file in files if file != root / "attn_core" / "settings.py"}
    reading = {file: text for file, text in texts.items() if "os.environ" in text or "getenv" in text}
    assert [file for file, text in reading.items() if any(f'"{name}"' in text for name in names)] == []
