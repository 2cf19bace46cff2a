"""The palette, judged by CIE L*a*b* (not the space it was made in), WCAG's contrast and Machado's colour blindness."""

import re

import numpy as np
import pytest

from attn_core.figures import colours

THEMES = ("light", "dark")
# Machado, Oliveira and Fernandes (2009), severity 1: on linear RGB.
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = [c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in xyz / [0.9505, 1.0, 1.089]]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    high, low = sorted((linear(c) @ [0.2126, 0.7152, 0.0722] for c in (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_is_a_full_hex_triple(theme):
    scales = [colours.SEQUENTIAL, colours.DIVERGING, colours.CATEGORIES]
    every = [*colours.ROLES[theme].values(), *(c for scale in scales for c in scale[theme])]
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in every)


@pytest.mark.parametrize("theme", THEMES)
def test_weights_run_evenly_from_light_to_deep(theme):
    lightness = np.array([lab(linear(c))[0] for c in colours.SEQUENTIAL[theme]])
    steps = np.diff(lightness)
    assert (steps < 0).all() if theme == "light" else (steps > 0).all()
    assert np.abs(steps).max() < 1.6 * np.abs(steps).min()


@pytest.mark.parametrize("theme", THEMES)
def test_signed_data_are_neutral_in_the_middle_and_even_on_both_sides(theme):
    scale = colours.DIVERGING[theme]
    assert scale[len(scale) // 2] == colours.ROLES[theme]["card"]
    away = np.array([np.linalg.norm(lab(linear(c)) - lab(linear(scale[5]))) for c in scale])
    assert (np.diff(away[5:]) > 0).all() and (np.diff(away[:6]) < 0).all()
    assert abs(away[0] - away[-1]) < 0.25 * away.max()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("blindness", [DEUTERANOPIA, PROTANOPIA])
def test_sign_and_size_are_seen_by_colour_blind_people(theme, blindness):
    def seen(colour):
        return lab(np.clip(np.array(blindness) @ linear(colour), 0, 1))

    scale = colours.DIVERGING[theme]
    assert all(np.linalg.norm(seen(scale[i]) - seen(scale[10 - i])) > 15 for i in range(5))
    lightness = np.diff([seen(c)[0] for c in colours.SEQUENTIAL[theme]])
    assert (lightness < 0).all() or (lightness > 0).all()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("role", ["ink", "soft", "accent", "query", "key", "value", "delta", "embedding"])
def test_text_in_a_role_is_readable(theme, role):
    roles = colours.roles(theme)
    assert min(contrast(roles[role], roles[back]) for back in ("background", "card")) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_categories_stand_out_from_the_card(theme):
    assert all(contrast(c, colours.ROLES[theme]["card"]) >= 3 for c in colours.CATEGORIES[theme])


def test_a_square_root_scale_bends_the_colours_and_not_the_numbers():
    scaled = colours.sequential("light", "sqrt")
    assert [colour for _, colour in scaled] == colours.SEQUENTIAL["light"]
    assert [position for position, _ in scaled] == pytest.approx([(i / 10) ** 2 for i in range(11)])


def test_a_shade_lies_where_it_is_asked_for() -> None:
    steps = ["#000000", "#0a0a0a", "#ffffff"]
    assert [colours.shade(steps, share) for share in (-1, 0, 0.25, 0.5, 0.75, 1, 2)] == [
        *("#000000", "#000000", "#050505", "#0a0a0a", "#858585", "#ffffff", "#ffffff")
    ]


def test_ink_is_dark_on_light_cells_and_light_on_dark_ones() -> None:
    assert [colours.ink_on(cell) for cell in ("#ffffff", "#000000", "#ffd682", "#26205c")] == [
        *(colours.INKS[0], colours.INKS[1], colours.INKS[0], colours.INKS[1])
    ]
