"""The page About: the ways in for good, the video, the licence, privacy, and every term."""

from page_driver import html, open_page, text

from ui import glossary

WAYS = ["New to attention?", "Explore a sentence", "Prepare a class"]


def test_it_keeps_the_ways_in() -> None:
    assert all(way in text(open_page("about")) for way in WAYS)


def test_it_names_the_video_the_licence_and_what_happens_to_a_sentence() -> None:
    page = open_page("about")
    assert all(said in text(page) for said in ("3Blue1Brown", "MIT licence", "nobody is followed", "57,982,058,496"))
    assert 'href="https://www.3blue1brown.com/lessons/attention"' in html(page)


def test_every_term_stands_here() -> None:
    said = text(open_page("about"))
    assert all(term["term"] in said and term["says"] in said for term in glossary.terms())
