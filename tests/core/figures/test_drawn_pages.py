"""What the pages' small scripts and a saved page draw and say, in Node: canvas calls, words, and what Python hears."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from canvas_recorder import COLOURS, Drawn, Recorder, shades

from attn_core.figures import colours
from attn_core.views import files
from attn_core.views.given import given_attention
from attn_core.views.view import View


def letters(numbers: Any, kind: str) -> str:
    return base64.b64encode(np.asarray(numbers, kind).tobytes()).decode()


# --- A recording: waveform, spectrogram, cross-attention --------------------------------------------------------------

MEL = np.array([[0, 60, 120], [180, 240, 255]])  # [band, frame]; the lowest band is the first
ROWS = np.array([[255, 10, 0, 0], [20, 255, 90, 0], [0, 0, 128, 255]])  # [token, position]
RECORDING = {
    "seconds": 2.0, "rate": 2, "bands": 2, "chosen": 1, "tokens": ["the", "fo", "x"],
    "wave": letters([-64, -127, -32, 0, 64, 127, 32, 0], "i1"), "mel": letters(MEL, "u1"), "rows": letters(ROWS, "u1"),
    "words": [
        {"label": "the", "begins": 0.0, "ends": 0.5, "first": 0, "end": 1},
        {"label": "fox", "begins": 0.5, "ends": 1.5, "first": 1, "end": 3},
    ],
    "says": {"word": "{word}: {begins} to {ends} s", "words": "words", "picture": "a recording", "wave": "sound",
             "mel": "log-mel", "all": "hear all", "stop": "stop"},
}  # fmt: skip


def test_a_recording_has_its_sound_its_spectrogram_and_a_row_a_token(recorder: Recorder, theme: str) -> None:
    seen = recorder.component("recording", RECORDING, theme=theme)
    roles = {name: colours.roles(theme)[role] for name, role in COLOURS.items()}
    mel, cross = seen.on("stamp")
    left, _, width, _ = mel["box"]
    assert np.array_equal(mel["alphas"], MEL[::-1]) and mel["smooth"]  # high tones on top
    assert np.array_equal(cross["alphas"], ROWS) and not cross["smooth"]
    assert {colour for row in mel["cells"] for colour in row if colour} == {roles["ink"]}
    assert {colour for row in cross["cells"] for colour in row if colour} == {roles["key"]}
    assert cross["box"][:3] == pytest.approx([left, 164, width]) and cross["box"][1] > mel["box"][1] + mel["box"][3]

    def x(at: float) -> float:
        return left + at / 2 * width

    band, *others = seen.on("rect")
    assert (band["colour"], band["alpha"]) == (roles["amber"], 0.16)  # the chosen word, where it was said
    assert band["box"][0] == pytest.approx(x(0.5)) and band["box"][2] == pytest.approx(width / 2)
    wave = others[:4]
    assert [bar["colour"] for bar in wave] == [roles["soft"], roles["amber"], roles["amber"], roles["soft"]]
    assert [bar["box"][0] for bar in wave] == pytest.approx([x(at) for at in (0, 0.5, 1, 1.5)])
    assert [round(bar["box"][3]) for bar in wave] == [28, 56, 14, 1]  # as high as it is loud
    first, second = seen.on("frame")
    assert (first["colour"], second["colour"], first["alpha"]) == (roles["soft"], roles["amber"], 0.55)
    assert second["box"][:2] == pytest.approx([x(0.5) + 0.5, 164 + 20 + 0.5]) and second["box"][3] == 2 * 20 - 1
    words = {text["text"]: text for text in seen.on("text")}
    assert [words[token]["colour"] for token in ("the", "fo", "x")] == [roles["ink"], roles["amber"], roles["amber"]]
    assert [words[token]["at"][1] for token in ("the", "fo", "x")] == [174, 194, 214]
    assert words["x"]["weight"] == "700" and {words[says]["colour"] for says in ("sound", "log-mel")} == {roles["soft"]}
    times = [text for text in seen.on("text") if text["text"].endswith(" s")]
    assert [time["text"] for time in times] == [
        "0 s",
        "0.25 s",
        "0.5 s",
        "0.75 s",
        "1 s",
        "1.25 s",
        "1.5 s",
        "1.75 s",
        "2 s",
    ]
    assert [time["at"][0] for time in times[:-1]] == pytest.approx([x(i / 4) for i in range(8)])


def test_a_word_of_a_recording_is_chosen_by_click_key_and_place(recorder: Recorder) -> None:
    by_key = recorder.component("recording", RECORDING, acts=[["keydown", ".words", {"key": "ArrowLeft"}]])
    assert by_key.told == [["chosen", {"word": 0}]] and by_key.says(".when") == ["the: 0.00 to 0.50 s"]
    by_click = recorder.component("recording", RECORDING, acts=[["click", ".chip:0"]])
    assert by_click.told == by_key.told and by_click.on("frame")[0]["colour"] == colours.roles("light")["accent"]
    by_place = recorder.component("recording", RECORDING, acts=[["click", "canvas:0", {"x": 130, "y": 170}]])
    assert by_place.told == by_key.told  # the first row, at its own time
    assert [chip["aria-label"] for chip in by_click.all(".chip")] == ["the: 0.00 to 0.50 s", "fox: 0.50 to 1.50 s"]
    assert [chip["aria-pressed"] for chip in by_click.all(".chip")] == ["true", "false"]


# --- The film, the words to paint, the strip, the slider --------------------------------------------------------------

FILM = {
    "id": "1", "tokens": ["the", "⏎", "fox", "ran"], "frame": [], "first": 2, "step": 1,
    "rows": letters([[49152, 16384, 0, 0], [6554, 13107, 45874, 0]], "<u2"),
    "steps": [
        {"reads": [["To write ", ""], ["fox", "query"], [", it reads ", ""], ["⏎", "key"]],
         "lookback": "all of the prompt",
         "guesses": [{"word": "⏎", "share": 0.5, "says": "50 %", "why": ""},
                     {"word": "fox", "share": 0.25, "says": "25 %", "why": "2nd"}],
         "parts": [[0, "0 %"], [1, "100 %"], [0, "0 %"]]},
        {"reads": [["then ", ""], ["ran", "query"]], "guesses": [], "parts": [[0, "0 %"], [0.3, "30 %"], [0.7, "70 %"]],
         "lookback": "ratio 0.3"},
    ],
    "says": {"before": "before", "next": "next", "play": "play", "pause": "pause", "slider": "word", "group": "film",
             "where": "word {n} of {all}", "word": "go to {word}", "guesses": "guesses", "parts": "parts",
             "frame": "frame", "prompt": "prompt", "own": "own"},
}  # fmt: skip


def test_a_film_shades_what_was_looked_at_and_reads_line_breaks_aloud(recorder: Recorder) -> None:
    seen = recorder.component("film", FILM, "canvas/numbers.js")
    assert seen.says(".now") == ["fox"] and seen.says(".asks") == ["⏎"] and seen.says(".later") == ["ran"]
    assert [chip["style"]["--w"] for chip in seen.all(".chip")] == ["69%", "40%", "0%", "0%"]  # 80 % of the root
    assert [chip.get("title") for chip in seen.all(".chip")] == ["75 %", "25 %", "go to fox", "go to ran"]
    assert [part["says"] for part in seen.all(".key") + seen.all(".query")] == ["⏎", "fox"]
    aloud = [node["aria-label"] for node in seen.all("span") + seen.all("b") if node.get("role") == "img"]
    assert aloud == ["line break"] * 3  # in the text, among the guesses, in the sentence
    assert [bar["style"]["width"] for bar in seen.all("i") if "width" in bar["style"]] == ["50%", "25%", "0%", "100%"][
        :2
    ] + ["100%", "0%"]
    assert seen.all("input")[0]["aria-valuetext"] == "word 1 of 2: fox"


def test_a_film_goes_on_by_keys_and_by_a_click_on_a_word(recorder: Recorder) -> None:
    for act in (["keydown", ".film", {"key": "ArrowRight"}], ["click", ".chip:3"], ["click", ".go:2"]):
        seen = recorder.component("film", FILM, "canvas/numbers.js", acts=[act])
        assert seen.says(".now") == ["ran"] and seen.says(".where") == ["word 2 of 2"], act
        assert [chip["style"]["--w"] for chip in seen.all(".chip")] == ["25%", "36%", "67%", "0%"]


PAINT = {
    "words": [
        {"text": "the", "special": False, "asks": False, "masked": False, "bar": 0.5, "share": "20 %", "count": None},
        {"text": "⏎", "special": False, "asks": True, "masked": False, "bar": 1.0, "share": "40 %", "count": "3 ×"},
        {"text": "ran", "special": False, "asks": False, "masked": True, "bar": 0.0, "share": "0 %", "count": None},
    ],
    "painted": [0], "most": 1, "open": False,
    "says": {"group": "words", "asks": "asks", "paint": "paint {word}", "wipe": "wipe {word}",
             "masked": "{word}: masked", "told": "{word} {share}", "painted": "painted", "full": "enough"},
}  # fmt: skip


def test_words_to_paint_say_what_they_are_and_are_painted_by_taps(recorder: Recorder) -> None:
    seen = recorder.component("paint_words", PAINT)
    names = [word["aria-label"] for word in seen.all(".word")]
    assert names == ["the 20 %, painted", "line break 40 %", "ran: masked"]
    assert [bar["style"]["width"] for bar in seen.all("i")] == ["50%", "100%", "0%"] and seen.says(".asks") == [
        "⏎asks40 %3 ×"
    ]
    opened = {**PAINT, "open": True, "most": 2}
    tapped = recorder.component("paint_words", opened, acts=[["click", ".word:2"], ["click", ".word:1"]])
    assert tapped.told == [["painted", "0_1"]]  # what is masked is not painted
    assert [word["aria-label"] for word in tapped.all(".word")] == ["wipe the", "wipe line break", "ran: masked"]
    full = recorder.component("paint_words", {**opened, "most": 1}, acts=[["click", ".word:1"]])
    assert full.told == [] and full.says(".status") == ["enough"]


def test_the_strip_of_steps_follows_a_word_and_goes_to_a_step(recorder: Recorder) -> None:
    data = {
        "words": [{"at": 3, "text": "fox", "special": False, "role": "query"},
                  {"at": 4, "text": "⏎", "special": True, "role": "key"}],
        "head": "head 0.3", "step": 2, "all": False,
        "steps": [{"name": f"Step {i}", "short": f"{i}"} for i in range(1, 9)],
        "says": {"sentence": "sentence", "follow": "follow {word}", "part": "{number}. {name}", "branch": "branch",
                 "map": "map", "before": "before", "next": "next", "all": "all", "where": "2 of 8: {name}"},
    }  # fmt: skip
    seen = recorder.component("step_strip", data, acts=[["click", ".key:0"], ["click", ".go:1"], ["click", ".part:6"]])
    assert seen.told == [["followed", {"word": 4}], ["went", {"step": 3}], ["went", {"step": 7}]]
    words = [node for node in seen.all("button") if node["aria-label"].startswith("follow")]
    assert [(word["aria-label"], word["aria-pressed"]) for word in words] == [
        ("follow fox", "true"),
        ("follow line break", "false"),
    ]
    assert [part["says"] for part in seen.all(".part") if "aria-current" in part] == ["2Step 22"]
    assert seen.says(".where") == ["2 of 8: Step 2"]


def test_the_slider_of_a_training_names_its_step_and_moves(recorder: Recorder) -> None:
    data = {
        "steps": ["0", "10", "200"], "at": 1, "change": [2],
        "says": {"play": "Play", "pause": "Pause", "back": "back", "on": "on", "slider": "step",
                 "after": "after {steps} steps"},
    }  # fmt: skip
    seen = recorder.component("training_slider", data)
    assert (
        seen.says(".where") == ["after 10 steps"] and seen.says(".here") == ["10"] and seen.says(".change") == ["200"]
    )
    moved = recorder.component("training_slider", data, acts=[["click", ".go:1"]])
    assert moved.told == [["went", {"at": 2}]] and moved.says(".where") == ["after 200 steps"]
    assert moved.all(".go")[1]["aria-disabled"] == "true"


# --- A saved page -----------------------------------------------------------------------------------------------------

WORDS = ["[CLS]", "a", "السلام", "ox", "[SEP]"]
WEIGHTS = np.random.default_rng(2).dirichlet(np.ones(5), size=(2, 2, 5)).astype(np.float32)  # [layer, head, query, key]


def saved(causal: bool = False, **options: Any) -> tuple[View, str]:
    weights = np.tril(WEIGHTS) if causal else WEIGHTS
    view = View(given_attention(weights / weights.sum(-1, keepdims=True), WORDS), 1, 0, query=3, **options)
    return view, files.html(view)


def grid(seen: Drawn) -> tuple[list[Any], np.ndarray]:
    """The canvas of the opened head, and its colours as they lie."""
    (board,) = seen.all(".board")
    (canvas,) = [node for node in board["inside"] if isinstance(node, dict) and node["tag"] == "canvas"]
    boxes = [record for record in canvas["drawn"] if record["what"] in ("rect", "hatch")]
    down, across = (sorted({round(box["box"][side] + box["box"][2 + side] / 2) for box in boxes}) for side in (1, 0))
    found = np.full((len(down), len(across)), None, object)
    for record in boxes:
        x, y, width, height = record["box"]
        found[down.index(round(y + height / 2)), across.index(round(x + width / 2))] = (
            record["colour"] if record["what"] == "rect" else None
        )
    return canvas["drawn"], found


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
@pytest.mark.parametrize("queries_in", ["rows", "columns"])
def test_a_saved_page_draws_its_head_as_it_was_left(
    recorder: Recorder, theme: str, scale: Any, queries_in: Any
) -> None:
    view, page = saved(scale=scale, queries_in=queries_in)
    seen = recorder.offline(page, theme=theme)
    turned = queries_in == "columns"
    drawn, found = grid(seen)
    shares = view.pattern ** (0.5 if scale == "sqrt" else 1)
    assert shades(found.tolist(), colours.SEQUENTIAL[theme], shares.T if turned else shares)
    roles = colours.roles(theme)
    frames = [record for record in drawn if record["what"] == "frame" and record["colour"] == roles["query"]]
    assert len(frames) == 1 and (frames[0]["box"][3] > frames[0]["box"][2]) == turned  # the whole row of its query
    assert [text["colour"] for text in drawn if text.get("text") == "ox"] == [roles["ink"], roles["query"]][
        :: 1 if turned else -1
    ]
    assert [text["text"] for text in drawn if text.get("text") == WORDS[2]] == [WORDS[2]] * 2
    assert ("√" in seen.says(".legend")[1]) == (scale == "sqrt")
    assert [tile["aria-selected"] for tile in seen.all(".tile")] == ["false", "false", "true", "false"]
    assert seen.says("h2") == ["Every head of every layer", "Head 1.0 as links", "Head 1.0"]
    stamps = [record for canvas in seen.all("canvas") for record in canvas["drawn"] if record["what"] == "stamp"]
    own = stamps[2]["cells"]  # layer 1, head 0
    assert shades(own, colours.SEQUENTIAL[theme], shares)
    (said,) = seen.says(".said")
    best = int(view.pattern[3].argmax())
    who = "itself" if best == 3 else f"{WORDS[best]} ({best})"
    assert said.startswith(f"To update ox (3), head 1.0 looks at {who} ")


def test_a_saved_page_opens_another_head_and_turns_the_picture(recorder: Recorder, theme: str) -> None:
    _, page = saved()
    plain = recorder.offline(page, theme=theme)
    box = plain.all(".tile")[1]["style"]
    place = {"clientX": float(box["left"][:-2]) + 1, "clientY": float(box["top"][:-2]) + 1}  # its first query
    switch = [button["says"] for button in plain.all("button")].index("in columns")
    seen = recorder.offline(page, theme=theme, acts=[["click", ".tile:1", place], ["click", f"button:{switch}"]])
    assert seen.says("h2")[1:] == ["Head 0.1 as links", "Head 0.1"]
    assert "Columns ask (query), rows answer (key). Every column sums to 1." in seen.says(".hint")
    _, found = grid(seen)
    assert shades(found.tolist(), colours.SEQUENTIAL[theme], np.sqrt(WEIGHTS[0, 1]).T)
    assert seen.says(".said")[0].startswith("To update [CLS] (0), head 0.1 looks at ")


def test_masked_is_hatched_in_a_saved_page_and_in_its_numbers(recorder: Recorder, theme: str) -> None:
    view, page = saved(causal=True)
    seen = recorder.offline(page, theme=theme)
    _, found = grid(seen)
    assert np.array_equal(found == None, ~view.may_look)  # noqa: E711
    table = [[cell["says"] for cell in row["inside"]] for row in seen.all("tr")]
    assert len(table) == 6 and table[0] == ["position", "key", "weight"]
    assert sorted(float(row[2]) for row in table[1:5]) == pytest.approx(sorted(view.pattern[3, :4]), abs=2e-5)
    assert table[5] == ["4", "[SEP]", "masked"]
