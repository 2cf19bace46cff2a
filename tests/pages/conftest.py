"""What holds for every test of a page: what Streamlit looks up anew for each page is looked up once, a test waits for
its page without asking each millisecond, and a model that is loaded has nobody look through all objects."""

from collections.abc import Iterator

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import local_script_runner
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from ui.server import loading

SET_ASIDE = loading._set_aside


@pytest.fixture(scope="session", autouse=True)
def components_are_looked_for_once() -> Iterator[None]:
    """Every page that AppTest opens asks each installed package whether it brings components, which costs as much as
    the page itself; a server asks once, when it starts."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture(scope="session", autouse=True)
def a_page_is_waited_for_until_it_ends() -> Iterator[None]:
    """AppTest looks a thousand times a second whether a script has ended, which is a tenth of what a page costs."""
    asks_again_and_again = local_script_runner.require_widgets_deltas

    def waits(runner: LocalScriptRunner, timeout: float = 3) -> None:
        assert runner._script_thread is not None
        runner._script_thread.join(timeout)
        if not runner.script_stopped():
            asks_again_and_again(runner, timeout=0.0)  # which says that it took too long

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_script_runner, "require_widgets_deltas", waits)
        yield


@pytest.fixture(scope="session", autouse=True)
def what_was_collected_stays_set_aside() -> Iterator[None]:
    """A server that has loaded a model looks through all objects once; here a hundred models are loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_set_aside", lambda: None)
        yield


@pytest.fixture
def models_are_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server does it."""
    monkeypatch.setattr(loading, "_set_aside", SET_ASIDE)
