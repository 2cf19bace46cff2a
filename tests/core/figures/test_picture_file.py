"""How a visitor's browser makes a picture's file, in Node: what it fetches, draws, saves and says, and its faults."""

from __future__ import annotations

from typing import Any

import pytest
from canvas_recorder import Recorder

from attn_core.figures import scripts

# A browser as far as this script needs one: what it makes and asks for is written down.
BROWSER = """
const log = [], saved = [], said = { textContent: "" }, failing = new Set(given.failing);
const texts = new Proxy(said, { set: (own, name, value) => (log.push(value), (own[name] = value), true) });
const parentElement = { querySelector: () => texts };
for (const name of ["headlightDrawn", "headlightFaces", "headlightPlotly"]) delete globalThis[name];
const blobs = new Map();
class Blob { constructor(parts, { type }) { Object.assign(this, { text: parts.join(""), type }); } }
class Image { async decode() { if (failing.has("image")) throw new Error("no room"); } }
class FontFace {
  constructor(family, source, { weight }) { Object.assign(this, { family, source, weight }); }
  async load() { return this; }
}
const URL = {
  createObjectURL: (blob) => (blobs.set(`blob:${blobs.size}`, blob), `blob:${blobs.size - 1}`),
  revokeObjectURL: (address) => log.push(`forget ${address}`),
};
const setTimeout = () => {};
const Plotly = {
  toImage: async (figure, size) => {
    log.push(["plotly", figure, size]);
    return `data:image/svg+xml,${encodeURIComponent(given.svg)}`;
  },
};
const fetch = async (address) => (log.push(`fetch ${address}`), {
  ok: !failing.has(address), json: async () => given.answers[address],
});
const made = {
  script: () => ({}),
  a: () => ({ click() { saved.push({ name: this.download, ...blobs.get(this.href) }); } }),
  canvas: () => ({
    getContext: () => ({ drawImage: (image, ...box) => log.push(["image", blobs.get(image.src).text, box]) }),
    toBlob(then, type) { then(failing.has("png") ? null : { type, pixels: [this.width, this.height] }); },
  }),
};
const document = {
  createElement: (tag) => made[tag](),
  fonts: { add: (face) => log.push(["face", face.family, face.source, face.weight]) },
  head: { append: (tag) => {
    log.push(`script ${tag.src}`);
    globalThis.Plotly = Plotly;
    queueMicrotask(() => (failing.has(tag.src) ? tag.onerror() : tag.onload()));
  } },
};
"""
ASK = """
const wish = async (data) => {
  component({ data, key: "picture_file", parentElement });
  await new Promise((then) => globalThis.setTimeout(then, 5));
};
return (async () => {
  for (const each of given.wishes) {
    if (each === "mended") failing.clear();
    else await wish(each);
  }
  return { log, saved, says: said.textContent };
})();
"""
SAYS = {"drawing": "drawing", "done": "done", "failed": "failed: {error}", "no_script": "no script", "gone": "gone"}
SVG = '<?xml version="1.0"?><svg width="9"><text font-family="Own">a</text></svg>'
WITH_FACE = SVG.replace(
    '<svg width="9">',
    '<svg width="9"><style>@font-face{font-family:"Own";font-weight:400 700;src:url(data:own)}</style>',
)
SIZE = {"width": 100, "height": 50, "scale": 1.5}


def wish(number: int = 1, **more: Any) -> dict[str, Any]:
    given = {"script": "/plotly", "faces": "/faces", "kind": "png", "name": "a.png", "size": SIZE, "says": SAYS}
    return {"number": number, "spec": '{"data": []}', **given, **more}


def file(recorder: Recorder, *wishes: Any, failing: tuple[str, ...] = ()) -> dict[str, Any]:
    own = "\n".join(map(scripts.asset, ("app/faces.js", "app/picture_file.js")))
    script = BROWSER + own.replace("export default function (", "function component(") + ASK
    faces = {"Own": "data:own", "Other": "data:other"}
    answers = {"/faces": faces, "/figure": {"data": ["long"]}}
    found: dict[str, Any] = recorder.run(
        script, {"svg": SVG, "answers": answers, "wishes": wishes, "failing": list(failing)}
    )
    return found


def test_a_png_has_the_pixels_of_its_size_and_the_faces_that_it_names(recorder: Recorder) -> None:
    found = file(recorder, None, wish())
    assert found["saved"] == [{"name": "a.png", "type": "image/png", "pixels": [150, 75]}]
    assert [each for each in found["log"] if each[0] == "face"] == [
        ["face", "Own", "url(data:own)", "400 700"],
        ["face", "Other", "url(data:other)", "400 700"],
    ]
    assert ["plotly", {"data": []}, {**SIZE, "format": "svg"}] in found["log"]
    assert ["image", WITH_FACE, [0, 0, 150, 75]] in found["log"]
    assert found["log"][0] == "drawing" and found["says"] == "done" and "forget blob:0" in found["log"]


def test_an_svg_is_the_drawing_itself_and_a_long_figure_is_fetched(recorder: Recorder) -> None:
    found = file(recorder, wish(spec=None, address="/figure", kind="svg", name="a.svg"))
    assert found["saved"] == [{"name": "a.svg", "type": "image/svg+xml", "text": WITH_FACE}]
    assert "fetch /figure" in found["log"] and ["plotly", {"data": ["long"]}, {**SIZE, "format": "svg"}] in found["log"]


def test_one_wish_is_drawn_once_and_what_all_need_is_fetched_once(recorder: Recorder) -> None:
    found = file(recorder, wish(), wish(), wish(2, name="b.png"))
    assert [each["name"] for each in found["saved"]] == ["a.png", "b.png"]
    assert [found["log"].count(each) for each in ("fetch /faces", "script /plotly")] == [1, 1]


@pytest.mark.parametrize(
    ("failing", "says"),
    [("/plotly", "no script"), ("/figure", "gone"), ("image", "failed: no room"), ("png", "failed: ")],
)
def test_what_goes_wrong_is_said_and_the_next_wish_tries_again(recorder: Recorder, failing: str, says: str) -> None:
    asked = wish(spec=None, address="/figure")
    broken = file(recorder, asked, failing=(failing,))
    assert broken["says"] == says and broken["saved"] == []
    mended = file(recorder, asked, "mended", {**asked, "number": 2}, failing=(failing,))
    assert mended["says"] == "done" and len(mended["saved"]) == 1


def test_without_its_faces_a_picture_is_drawn_in_the_next_ones(recorder: Recorder) -> None:
    found = file(recorder, wish(kind="svg"), "mended", wish(2, kind="svg"), failing=("/faces",))
    assert [each["text"] for each in found["saved"]] == [SVG.replace('"9">', '"9"><style></style>'), WITH_FACE]
