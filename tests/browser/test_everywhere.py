"""Every page at every width, in both themes and on paper: nothing cut, no sideways scroll, nothing axe finds wrong."""

from __future__ import annotations

import pytest
from axe import OF_COLOURS, faults, show_in
from paper import CONTROLS, CUT, INK, PAPER, on_paper
from playwright.sync_api import Page
from server import PATIENCE, settled
from views import EVERY_PAGE, OTHERS, View
from visiting import Visit, no_sideways_scroll

from ui.sentences import MOLES

pytestmark = pytest.mark.browser
WIDTHS = (320, 360, 390, 768, 1024, 1280, 1920, 2560)
# Neither the page nor a choice or a card stands out of the screen; the cards that a view names are there.
FITS = """(named) => ['[data-testid=stMain]', 'html'].every(where =>
    [...document.querySelectorAll(where)].every(part => part.scrollWidth <= part.clientWidth + 1))
    && [...document.querySelectorAll('[data-testid=stButtonGroup] button')].every(choice =>
        !choice.checkVisibility() || choice.getBoundingClientRect().right <= innerWidth)
    && [...document.querySelectorAll("[class*='st-key-card_']")].every(card => {
        const box = card.getBoundingClientRect();
        return !box.width || (box.left >= 0 && box.right <= innerWidth); })
    && [...document.querySelectorAll('[data-testid=stMain] canvas')].every(picture =>
        !picture.checkVisibility() || picture.closest('.scroll, [data-testid=stDataFrame]')
        || picture.getBoundingClientRect().left >= 0)
    && named.every(name => document.querySelector(`.st-key-card_${name}`)?.getBoundingClientRect().width > 0)"""

# Each page is opened once for both of its tests: they come one after the other, and neither changes it.
each_page = pytest.mark.parametrize("view", EVERY_PAGE, ids=str, scope="module")


def whole(page: Page, view: View) -> Page:
    """Wait until a page has all that it shows."""
    page.locator(".hl-lead, .hl-stop-number").first.wait_for(timeout=PATIENCE)
    if view.page not in ("parameters", "about", "teachers_kit"):  # which have no sentence of their own
        page.locator(".hl-badge", has_text="live").first.wait_for(timeout=PATIENCE)
    return settled(page)


def fits(page: Page, view: View) -> None:
    """A page fits every width, with all that a view names."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS, arg=view.cards.split(), timeout=PATIENCE)


def links_look_alike(page: Page, many: int) -> None:
    """Links into other pages are amber, with an arrow that no label writes itself, and all stand together."""
    links = page.locator("[class*='st-key-page_links'] [data-testid=stPageLink-NavLink] p")
    seen = links.evaluate_all(
        "all => all.map(p => [getComputedStyle(p).color, getComputedStyle(p, '::after').content, p.textContent])"
    )
    assert len(seen) == many
    assert all(colour == "rgb(180, 83, 9)" and "→" in arrow and "→" not in said for colour, arrow, said in seen)
    elsewhere = "a => !a.closest('.st-key-menu, .st-key-ways_in, [class*=st-key-page_links]')"
    lost = page.locator("[data-testid=stMain] [data-testid=stPageLink-NavLink]").evaluate_all(
        f"all => all.filter({elsewhere}).length"
    )
    assert lost == 0


@each_page
def test_a_page_fits_every_width_and_has_no_fault_of_ours(look_at: Visit, view: View) -> None:
    page = whole(look_at(view.page, **view.asked), view)
    fits(page, view)
    if view.links:
        links_look_alike(page, view.links)
    show_in(page, "light")
    assert faults(page) == []
    show_in(page, "dark")
    assert faults(page, *OF_COLOURS) == []


@each_page
def test_a_page_prints_white_whole_and_without_controls(look_at: Visit, view: View) -> None:
    page = whole(look_at(view.page, scheme="dark", **view.asked), view)
    show_in(page, "dark")
    on_paper(settled(page))
    assert page.evaluate(CONTROLS) == []
    assert page.evaluate(CUT, PAPER) == []
    no_sideways_scroll(page)
    assert page.evaluate(INK)["paper"] == 3 * 255 and page.evaluate(INK)["lead"] < 150
    shows = page.locator(".stMainBlockContainer").get_attribute("data-shows") or ""
    if view.page == "delta_e":
        assert "a fluffy blue creature" in shows and "MiniLM" in shows
    if view.page == "word_senses":  # whose sentences stand in boxes of their own
        assert all(f"“{mole}”" in shows for mole in MOLES)


@pytest.mark.parametrize("view", OTHERS, ids=str)
def test_another_view_of_a_page_fits_every_width(open_page: Visit, view: View) -> None:
    page = whole(open_page(view.page, **view.asked), view)
    fits(page, view)
    if view.links:
        links_look_alike(page, view.links)


def test_motion_stops_for_whoever_asks(open_page: Visit) -> None:
    page = open_page()
    page.locator(".hl-lead").wait_for(timeout=PATIENCE)
    moves = """() => {
        const sheet = document.createElement('div');
        sheet.className = 'hl-skeleton';
        document.querySelector('.stApp').append(sheet);
        const motion = getComputedStyle(sheet).animationName;
        sheet.remove();
        return motion;
    }"""
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moves) != "none"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moves) == "none"
