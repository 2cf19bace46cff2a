"""Every page on one sheet, at desk and phone width, light and dark: docs/contact-sheet.png; the light desk pictures
that the read-me shows also go into docs/pictures/.

python docs/contact_sheet.py                                   # every page
python docs/contact_sheet.py --into /tmp/look app "delta_e?layer=2"    # only these, one picture each, no sheet
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from server import PATIENCE, chromium, is_live, serve, settled  # noqa: E402

from ui.shell.menu import PAGES  # noqa: E402
from ui.shell.newcomer import COOKIE  # noqa: E402

WIDTHS = {1280: 1600, 390: 1600}  # what is shown of a page: width, at most this height
SCHEMES = ("light", "dark")
SCALE, GAP, ABREAST = 0.34, 20, 2  # of the sheet: how small, space around in pixels, pages in a row


VIEWS = {  # of a page that has several, those that its address alone does not open: file name and address
    "why_there_flow": "why_there?v=1&why=flow&query=4",
    "why_there_card": "why_there?v=1&why=card&model=tiny-decoder&layer=1&head=3",
    "find_heads_kinds": "find_heads?v=1&find=kinds",
    "find_heads_matter": "find_heads?v=1&find=matter&off=0.3",
    "cross_attention_recording": "cross_attention?v=1&task=transcribe",
    "predict_first_class": "predict_first?v=1&teacher=1",
    "predict_first_uncovered": "predict_first?v=1&painted=2_3&uncovered=1",
    "teachers_kit_worksheet": "teachers_kit?v=1&sheet=1",
}
NAMES = {address: name for name, address in VIEWS.items()}


def page_names() -> list[str]:
    """The pages that exist, in the menu's order, each followed by its other views."""
    return [
        name for page in PAGES for name in (page, *(view for view in VIEWS.values() if view.startswith(f"{page}?")))
    ]


def file_name(page_name: str) -> str:
    """ "why_there_flow" for a view, the page's own name for a page."""
    return NAMES.get(page_name, page_name.partition("?")[0])


def pictures(address: str, wanted: list[str], folder: Path) -> dict[str, list[Path]]:
    """Every page at every width, light and dark, one browser window each."""
    files: dict[str, list[Path]] = {page_name: [] for page_name in wanted}
    with chromium() as browser:
        for width, tallest in WIDTHS.items():
            for scheme in SCHEMES:
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                been_here = {"name": COOKIE, "value": "1", "url": address}  # as the pages look after the first visit
                context.add_cookies([been_here])
                page = context.new_page()
                page.set_default_timeout(PATIENCE)
                for page_name in wanted:
                    file = folder / f"{file_name(page_name)}-{scheme}-{width}.png"
                    take(page, f"{address}/{page_name.removeprefix('all_heads')}", tallest, file)
                    files[page_name].append(file)
                context.close()
    return files


def take(page: Page, url: str, tallest: int, file: Path) -> None:
    """One page as it looks when all of it has arrived, down to its end or to `tallest`."""
    width = page.viewport_size["width"]  # type: ignore[index]
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(url, timeout=PATIENCE)
    page.locator(".hl-lead, .hl-sheet, .hl-problem, .hl-badge, [data-testid=stException]").first.wait_for()
    if page.get_by_test_id("stException").count():
        raise RuntimeError(f"{url} has failed; the server's log says why")
    settled(page)
    if page.locator(".hl-badge", has_text="recorded").count():
        is_live(page)
    whole = page.locator("[data-testid=stMain]").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(whole, tallest)})
    page.wait_for_timeout(1500)  # pictures take their new size
    settled(page)
    page.screenshot(path=file)
    print(file.name, flush=True)


def sheet(files: dict[str, list[Path]]) -> Image.Image:
    """Two pages abreast, each as desk light, desk dark, phone light, phone dark."""
    strips = [_strip(row) for row in files.values()]
    width, height = (max(strip.size[side] for strip in strips) + GAP for side in (0, 1))
    paper = Image.new("RGB", (ABREAST * width + GAP, -(-len(strips) // ABREAST) * height + GAP), "#d8d3c8")
    for i, strip in enumerate(strips):
        paper.paste(strip, (GAP + i % ABREAST * width, GAP + i // ABREAST * height))
    return paper


def _strip(row: list[Path]) -> Image.Image:
    """The pictures of one page side by side, made small."""
    pictures = [Image.open(file).convert("RGB") for file in row]
    small = [picture.resize((round(picture.width * SCALE), round(picture.height * SCALE))) for picture in pictures]
    strip = Image.new("RGB", (sum(s.width + GAP for s in small) - GAP, max(s.height for s in small)), "#d8d3c8")
    x = 0
    for picture in small:
        strip.paste(picture, (x, 0))
        x += picture.width + GAP
    return strip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("pages", nargs="*", help="with parameters, if you like; default: all")
    arguments.add_argument("--into", type=Path, help="keep the single pictures in this folder and make no sheet")
    asked = arguments.parse_args()
    with serve() as address, tempfile.TemporaryDirectory() as passing:
        folder = asked.into or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        files = pictures(address, asked.pages or page_names(), folder)
        if asked.into is None:
            # 256 colours: a third of the size, and no difference to be seen
            few = sheet(files).quantize(256, dither=Image.Dither.NONE)
            few.save(ROOT / "docs" / "contact-sheet.png", optimize=True)
            shown = "".join((ROOT / file).read_text(encoding="utf-8") for file in ("README.md", "docs/pages.md"))
            for desk in (desk for desk, *_ in files.values() if desk.name in shown):
                Image.open(desk).convert("RGB").save(ROOT / "docs" / "pictures" / desk.name, optimize=True)


if __name__ == "__main__":
    main()
