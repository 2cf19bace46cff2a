"""The pictures of step by step: what is packed or written is exactly what was given, and text stays text."""

import math
import re
from html import unescape

import numpy as np
import pytest

from attn_core.figures.canvas.matrix import Side, pack_cells
from attn_core.figures.canvas.packet import unpack
from attn_core.figures.html.bar_table import Column, bars
from attn_core.figures.html.dot_product import dot_product
from attn_core.figures.html.matrix_shapes import value_matrices
from attn_core.figures.html.rotary_dials import clocks
from attn_core.figures.html.vector_arrows import Arrow, arrows
from attn_core.text.numbers import signed

HOSTILE = "<img src=x onerror=alert(1)> & $x$"


def test_cells_are_exact_and_masked_ones_stay_masked() -> None:
    numbers = np.array([[1.5, -2.25], [np.nan, -np.inf]], np.float32)
    packet = pack_cells(numbers, Side(["a", "b"], "query"), Side(["c", HOSTILE]), says="{row} {value}", alt="two")
    header, body = unpack(packet)
    np.testing.assert_array_equal(np.frombuffer(body, "<f4").reshape(2, 2), numbers)
    assert header["limit"] == 2.25 and header["shape"] == [2, 2] and header["chosen"] == [-1, -1]
    assert header["columns"]["texts"][1] == HOSTILE  # the canvas writes text, never markup
    assert set(header["palette"]) == {"light", "dark"}


def test_cells_say_where_their_colours_end() -> None:
    header, _ = unpack(pack_cells(np.ones((1, 2)), Side(), Side(), says="", alt="", limit=0.5, chosen=(0, None)))
    assert header["limit"] == 0.5 and header["chosen"] == [0, -1]
    with pytest.raises(ValueError, match="3 labels for 2 columns"):
        pack_cells(np.ones((1, 2)), Side(), Side(["a", "b", "c"]), says="", alt="")


def test_bars_are_as_long_as_their_numbers_and_escape_their_words() -> None:
    html = bars([HOSTILE, "b"], [Column("share", [0.25, 0.5], ["25 %", "50 %"])], marks={1: ("key", "your guess")})
    assert re.findall(r"width:([\d.]+)%", html) == ["50.00", "100.00"]
    assert "<img" not in html and HOSTILE in unescape(html)
    assert 'class="key"' in html and "your guess" in html
    assert html.count("<tr") == 3 and html.count('scope="row"') == 2


def test_negative_bars_go_the_other_way() -> None:
    html = bars(["a", "b"], [Column("score", [-1.0, 2.0], ["−1", "2"])])
    below = re.findall(r'class="below">(<i[^>]*></i>)?<', html)
    assert [bool(bar) for bar in below] == [True, False]
    assert re.findall(r"width:([\d.]+)%", html) == ["50.00", "100.00"]


def test_bars_of_nothing_have_no_length() -> None:
    html = bars(["a", "b"], [Column("share", [math.nan, 0.0], ["masked", "0 %"])])
    assert re.findall(r"width:([\d.]+)%", html) == ["0.00", "0.00"] and "masked" in html


def test_a_dot_product_shows_every_number_of_its_sum() -> None:
    q, k = np.array([1.0, -2.0, 0.5]), np.array([2.0, 3.0, 0.0])
    html = dot_product(q, k, HOSTILE, "fluffy")
    assert "<img" not in html
    titles = re.findall(r'title="([^"]*)"', html)
    assert titles[:3] == [f"{i}: {signed(q[i])} × {signed(k[i])} = {signed(q[i] * k[i])}" for i in range(3)]
    heights = [float(h) for h in re.findall(r"height:([\d.]+)%", html)]
    np.testing.assert_allclose(heights[:3], 50 * np.abs(q) / 3, atol=0.06)  # one scale for q and k
    np.testing.assert_allclose(heights[6:], 50 * np.abs(q * k) / 6, atol=0.06)
    sides = re.findall(r'<i class="(up|down)"', html)
    assert sides == ["up", "down", "up", "up", "up", "up", "up", "down", "up"]
    assert "the largest from number 1: −2 × +3 = −6; together −4" in html


LINE = re.compile(r"left:(\S+)px;top:(\S+)px;width:(\S+)px;transform:rotate\((\S+)deg\)")


def test_arrows_are_to_scale_and_close_their_triangle() -> None:
    """E, ΔE from its tip, and the sum: the sum must end where ΔE ends."""
    e, turn = 4.0, 90.0
    drawn = [
        Arrow(e, 0.0, "embedding", "E"),
        Arrow(3.0, turn, "delta", "ΔE", start=0),
        Arrow(5.0, math.degrees(math.atan2(3, 4)), "soft", "sum"),
    ]
    lines = np.array(LINE.findall(arrows(drawn, "three")), float)  # left, top, width, angle
    lengths, angles = lines[:, 2], np.radians(lines[:, 3])
    ends = lines[:, :2] + lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(lengths / lengths[0], [1, 0.75, 1.25], rtol=1e-2)
    np.testing.assert_allclose(ends[1], ends[2], atol=0.3)
    assert all(0 <= x <= 320 and 0 <= y <= 170 for x, y in ends)


def test_clock_hands_turn_by_the_angle_that_is_said() -> None:
    html = clocks(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([math.pi / 2, -math.pi / 4]))
    turned = [float(angle) for angle in re.findall(r"rotate\((-?[\d.]+)deg\)", html)]
    assert turned == [0, -90, -90, -45]  # on screen y points down
    assert "90°" in html and "-45°" in html.replace("−", "-")


def test_value_matrices_are_drawn_to_scale_and_counted() -> None:
    html = value_matrices(384, 32)
    sides = [(float(w), float(h)) for w, h in re.findall(r"width:(\d+)px;height:(\d+)px", html)]
    np.testing.assert_allclose(sides[0][0] / sides[0][1], 32 / 384, atol=0.01)
    assert sides[0] == sides[1][::-1] and sides[2][0] == sides[2][1] == sides[0][1]
    assert html.count("12,288") == 2 and "147,456" in html
