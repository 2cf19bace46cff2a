"""Every room on one sheet, at desk and phone width, light and dark: docs/contact-sheet.png; the light desk pictures
also go into docs/pictures/, for the read-me.

python docs/contact_sheet.py                                   # every room
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

from serving import PATIENCE, chromium, is_live, serve, settled  # noqa: E402

from ui.frame import ROOMS  # noqa: E402

WIDTHS = {1280: 1600, 390: 2600}  # what is shown of a page: width, at most this height
SCHEMES = ("light", "dark")
TILE, GAP = 400, 24  # of the sheet, in pixels: width of a desk picture, and the space around


def rooms() -> list[str]:
    """The rooms that exist, in the menu's order."""
    return [room for room in ROOMS if room == "app" or (ROOT / "pages" / f"{room}.py").exists()]


def pictures(address: str, wanted: list[str], folder: Path) -> dict[str, list[Path]]:
    """Every room at every width, light and dark, one browser window each."""
    files: dict[str, list[Path]] = {room: [] for room in wanted}
    with chromium() as browser:
        for width, tallest in WIDTHS.items():
            for scheme in SCHEMES:
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page = context.new_page()
                page.set_default_timeout(PATIENCE)
                for room in wanted:
                    file = folder / f"{room.split('?')[0]}-{scheme}-{width}.png"
                    take(page, f"{address}/{room.removeprefix('app')}", tallest, file)
                    files[room].append(file)
                context.close()
    return files


def take(page: Page, url: str, tallest: int, file: Path) -> None:
    """One page as it looks when all of it has arrived, down to its end or to `tallest`."""
    width = page.viewport_size["width"]  # type: ignore[index]
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(url, timeout=PATIENCE)
    page.locator(".hl-lead, .hl-problem, .hl-badge, [data-testid=stException]").first.wait_for()
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
    """A row for each room: desk light, desk dark, phone light, phone dark."""
    scale = TILE / 1280
    rows = []
    for row in files.values():
        small = [Image.open(file).convert("RGB") for file in row]
        rows.append([image.resize((round(image.width * scale), round(image.height * scale))) for image in small])
    width = max(sum(image.width + GAP for image in row) for row in rows) + GAP
    height = sum(max(image.height for image in row) + GAP for row in rows) + GAP
    paper = Image.new("RGB", (width, height), "#d8d3c8")
    y = GAP
    for row in rows:
        x = GAP
        for image in row:
            paper.paste(image, (x, y))
            x += image.width + GAP
        y += max(image.height for image in row) + GAP
    return paper


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("rooms", nargs="*", help="with parameters, if you like; default: all")
    arguments.add_argument("--into", type=Path, help="keep the single pictures in this folder and make no sheet")
    asked = arguments.parse_args()
    with serve() as address, tempfile.TemporaryDirectory() as passing:
        folder = asked.into or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        files = pictures(address, asked.rooms or rooms(), folder)
        if asked.into is None:
            small(sheet(files)).save(ROOT / "docs" / "contact-sheet.png", optimize=True)
            (ROOT / "docs" / "pictures").mkdir(exist_ok=True)
            for desk, *_ in files.values():
                small(Image.open(desk)).save(ROOT / "docs" / "pictures" / desk.name, optimize=True)


def small(image: Image.Image) -> Image.Image:
    """The same picture in 200 colours, about a third of the bytes."""
    return image.convert("RGB").quantize(200, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
