"""What holds for every test of a page: what Streamlit looks up anew for each page is looked up once."""

from collections.abc import Iterator

import pytest
from streamlit.components.v2 import manifest_scanner


@pytest.fixture(scope="session", autouse=True)
def components_are_looked_for_once() -> Iterator[None]:
    """Every page that AppTest opens asks each installed package whether it brings components, which costs as much as
    the page itself; a server asks once, when it starts."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield
