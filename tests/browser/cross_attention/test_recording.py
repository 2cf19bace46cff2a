"""Transcribing in a real browser, on a hosted server: the picture, each word to hear, keys, and the microphone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import families
import pytest
import soundfile
from hosted import ROOT, hosted
from playwright.sync_api import Browser, Locator, Page, expect
from server import PATIENCE, launched, watch
from visiting import Visit, no_sideways_scroll

from attn_core import settings
from attn_core.models import conversion, packages
from attn_core.models.catalogue import CATALOGUE

pytestmark = pytest.mark.browser
SPEECH = ROOT / "assets" / "data" / "speech" / "keys.flac"
MODEL = CATALOGUE["whisper-tiny.en"]
# What is played: from when, for how long, and how loud that is; and the inks of a strip of the picture.
LISTEN = """() => {
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, from, seconds) {
  const [first, end] = [from, from + seconds].map((at) => Math.round(at * this.buffer.sampleRate));
  const loudness = this.buffer.getChannelData(0).subarray(first, end).map(Math.abs);
  window.played.push([from, seconds, Math.max(...loudness)]);
  return start.call(this, when, from, seconds);
};
}"""
INKS = """(canvas, [top, bottom]) => {
  const { width } = canvas, sharp = devicePixelRatio;
  const seen = canvas.getContext("2d").getImageData(0, top * sharp, width, (bottom - top) * sharp).data;
  return new Set(new Uint32Array(seen.buffer)).size;
}"""


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A hosted server whose cache has a tiny random Whisper in the place of the fetched one."""
    folder = tmp_path_factory.mktemp("listening")

    def build(into: Path, _: Path) -> str:
        families.save_whisper(into)
        return MODEL.weights

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADLIGHT_CACHE", str(folder / "cache"))
        settings.read_again()
        key = packages.conversion_of_package(MODEL, lambda *_: None).key
        conversion.convert_once(conversion.Conversion(key, build, MODEL.title, 0))
    settings.read_again()
    with hosted(folder, HEADLIGHT_CACHE=str(folder / "cache"), HEADLIGHT_MODEL_MB="400") as server:
        yield server.address


def words_of(page: Page) -> Locator:
    """The written words, once they are there; the policy of a hosted page lets nothing be waited for by a script."""
    expect(page.locator(".hl-badge", has_text="live").first).to_be_visible()
    rests(page)
    return page.get_by_role("group", name="What was written, word by word").locator(".chip")


def times_of(word: Locator) -> tuple[float, float]:
    """When a word begins and ends, as its button says: "fox: 0.42 to 0.98 s"."""
    begins, ends = (word.get_attribute("aria-label") or "").rsplit(": ", 1)[1].removesuffix(" s").split(" to ")
    return float(begins), float(ends)


def rests(page: Page) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def link_says(page: Page, word: int) -> None:
    expect(page).to_have_url(re.compile(rf"[?&]said={word}(&|$)"))
    rests(page)


def played(page: Page, times: int) -> tuple[float, float, float]:
    """What was played last, once something was played so many times."""
    page.wait_for_function("times => window.played.length >= times", arg=times, timeout=PATIENCE)
    assert len(said := page.evaluate("window.played")) == times
    return tuple(said[-1])


def test_a_recording_is_seen_and_every_word_is_heard(open_page: Visit, listening: str) -> None:
    asked = {"task": "transcribe", "recording": "keys", "said": 2}
    page = open_page("cross_attention", at=listening, width=390, scheme="dark", **asked)
    words = words_of(page)
    expect(page.locator("h1.hl-lead")).to_contain_text("of what the 2 alignment heads look at while writing it")
    expect(words.nth(2)).to_have_attribute("aria-pressed", "true")
    picture = page.get_by_role("img", name="Waveform, spectrogram and cross-attention of the 2 alignment heads")
    bands = {"sound": [4, 60], "log-mel": [66, 156], "cross-attention": [164, 164 + 12 * words.count()]}
    assert {name: picture.evaluate(INKS, band) > 20 for name, band in bands.items()} == dict.fromkeys(bands, True)
    no_sideways_scroll(page)
    page.set_viewport_size({"width": 1280, "height": 1500})
    page.emulate_media(color_scheme="light")
    rests(page)
    assert {name: picture.evaluate(INKS, band) > 20 for name, band in bands.items()} == dict.fromkeys(bands, True)
    no_sideways_scroll(page)

    page.evaluate(LISTEN)
    words.nth(5).click()
    begins, ends = times_of(words.nth(5))
    start, seconds, loudest = played(page, 1)
    assert start == pytest.approx(begins, abs=0.006) and seconds == pytest.approx(max(ends - begins, 0.1), abs=0.011)
    assert loudest > 0
    link_says(page, 5)
    expect(page.locator("h1.hl-lead")).to_contain_text(f"{words.nth(5).inner_text()} was said from {begins:.2f} to")

    page.keyboard.press("ArrowRight")
    expect(words.nth(6)).to_be_focused()
    page.keyboard.press("Enter")
    assert played(page, 2)[0] == pytest.approx(times_of(words.nth(6))[0], abs=0.006)
    page.keyboard.press("Home")
    expect(words.nth(0)).to_be_focused()
    link_says(page, 0)

    whole = page.get_by_role("button", name="Play all")
    whole.click()
    assert played(page, 3)[:2] == (0, pytest.approx(len(soundfile.read(SPEECH)[0]) / 16_000))
    page.get_by_role("button", name="Stop").click()
    expect(whole).to_be_visible()


def test_the_microphone_is_heard_under_the_servers_own_headers(
    any_browser: Browser, listening: str, tmp_path: Path
) -> None:
    """A Chromium whose microphone hears a recording again and again; no policy of the page may forbid it."""
    soundfile.write(tmp_path / "said.wav", *soundfile.read(SPEECH), subtype="PCM_16")
    hears = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={tmp_path / 'said.wav'}")
    wrong: list[str] = []
    with launched(any_browser.browser_type, *hears) as browser:
        page = browser.new_context(permissions=["microphone"]).new_page()
        page.set_default_timeout(PATIENCE)
        watch(page, wrong, lambda url: url.startswith((listening, listening.replace("http", "ws"), "data:", "blob:")))
        page.goto(f"{listening}/cross_attention?task=transcribe&sound=microphone", timeout=PATIENCE)
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.get_by_test_id("stAudioInputWaveformTimeCode")).to_contain_text(re.compile(r"00:(0[1-9]|[1-5]\d)"))
        page.get_by_role("button", name="Stop recording").click()
        words = words_of(page)
        expect(page.get_by_text("Your recording stays in this session")).to_be_visible()
        page.evaluate(LISTEN)
        page.get_by_role("button", name="Play all").click()
        start, seconds, loudest = played(page, 1)
        assert start == 0 and 0.5 < seconds < 61 and loudest > 0.05 and words.count() > 1
    assert wrong == []
