"""Lengths, angles and projections, judged by numpy's own decompositions and by figures drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_core.residual import geometry

RNG = np.random.default_rng(0)


def test_cosine_and_angle_of_hand_drawn_vectors():
    east, north, west = np.array([2.0, 0.0]), np.array([0.0, 5.0]), np.array([-1.0, 0.0])
    assert geometry.cosine(east, north) == 0
    assert geometry.cosine(east, west) == -1
    assert geometry.angle(east, north) == pytest.approx(90)
    assert geometry.angle(east, west) == pytest.approx(180)
    assert geometry.angle(east, 3 * east) == 0


def test_an_angle_of_a_millionth_of_a_degree_is_not_lost():
    tiny = np.radians(1e-6)
    measured = geometry.angle(np.array([1.0, 0.0]), np.array([np.cos(tiny), np.sin(tiny)]))
    assert measured == pytest.approx(1e-6, rel=1e-6)  # arccos of the cosine gives 0 or 1.2e-6


def test_no_length_means_no_angle():
    assert np.isnan(geometry.cosine(np.zeros(3), np.ones(3)))
    assert np.isnan(geometry.angle(np.ones(3), np.zeros(3)))
    assert not geometry.unit(np.zeros(3)).any()


def test_cosine_works_along_the_last_axis():
    a, b = RNG.normal(size=(4, 5, 16)), RNG.normal(size=(4, 5, 16))
    by_hand = [
        [a[i, j] @ b[i, j] / np.linalg.norm(a[i, j]) / np.linalg.norm(b[i, j]) for j in range(5)] for i in range(4)
    ]
    np.testing.assert_allclose(geometry.cosine(a, b), by_hand, rtol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_lengths_along_orthonormal_directions_are_the_whole_length(seed):
    rng = np.random.default_rng(seed)
    vector, axes = rng.normal(size=6), np.linalg.qr(rng.normal(size=(6, 6)))[0]
    parts = np.array([geometry.along(vector, 7 * axis) for axis in axes])
    assert np.sqrt((parts**2).sum()) == pytest.approx(np.linalg.norm(vector))


def test_the_projection_is_the_principal_components_of_the_stated_points():
    points = 3 + RNG.normal(size=(40, 8)) * np.array([9, 4, 1, 1, 1, 1, 1, 1])
    plane = geometry.fit_projection(points, 2, "forty points")
    values, vectors = np.linalg.eigh(np.cov(points.T))  # ascending
    np.testing.assert_allclose(plane.explained, values[::-1][:2] / values.sum(), rtol=1e-10)
    for axis, expected in zip(plane.axes, vectors.T[::-1][:2], strict=True):
        assert abs(axis @ expected) == pytest.approx(1)
    assert plane.fitted_on == "forty points"
    np.testing.assert_allclose(plane.points(points).mean(axis=0), 0, atol=1e-12)


def test_points_and_arrows_agree():
    points, moves = RNG.normal(size=(12, 8)), RNG.normal(size=(12, 8))
    plane = geometry.fit_projection(points, 3, "these")
    np.testing.assert_allclose(plane.points(points + moves), plane.points(points) + plane.arrows(moves), atol=1e-12)
    assert (geometry.norm(plane.arrows(moves)) <= geometry.norm(moves)).all()


def test_a_full_basis_keeps_every_distance():
    points = RNG.normal(size=(30, 4))
    flat = geometry.fit_projection(points, 4, "all").points(points)
    np.testing.assert_allclose(geometry.norm(flat[3] - flat[7]), geometry.norm(points[3] - points[7]))


@pytest.mark.parametrize("points", [np.ones((1, 8)), np.ones((5, 8)), RNG.normal(size=(2, 8))])
def test_too_few_points_leave_axes_that_explain_nothing(points):
    solid = geometry.fit_projection(points, 3, "few")
    assert solid.points(points).shape == (len(points), 3)
    assert np.isfinite(solid.points(points)).all()
    assert solid.explained[1:].sum() == pytest.approx(0)
    assert solid.explained.sum() == pytest.approx(1 if len(points) == 2 else 0)


def test_axes_do_not_flip_when_the_points_come_in_another_order():
    points = RNG.normal(size=(20, 6))
    there, back = geometry.fit_projection(points, 2, ""), geometry.fit_projection(points[::-1], 2, "")
    np.testing.assert_allclose(there.axes, back.axes, atol=1e-10)


def test_dimensions_keep_every_value_until_they_must_be_binned():
    vectors = RNG.normal(size=(5, 12))
    whole = geometry.dimensions(vectors, at_most=12)
    assert whole.per_bin == 1
    np.testing.assert_array_equal(whole.values, vectors)
    binned = geometry.dimensions(vectors, at_most=5)  # bins of three
    assert binned.per_bin == 3
    np.testing.assert_allclose(binned.values[:, 1], vectors[:, 3:6].mean(axis=1))
    assert [d for m in binned.members for d in m] == list(range(12))


def test_dimensions_by_variance_start_with_the_most_different():
    vectors = RNG.normal(size=(50, 4)) * np.array([1, 9, 3, 5])
    ordered = geometry.dimensions(vectors, by_variance=True)
    assert [int(m[0]) for m in ordered.members] == [1, 3, 2, 0]
    np.testing.assert_array_equal(ordered.values, vectors[:, [1, 3, 2, 0]])
    uneven = geometry.dimensions(vectors[:, :3], by_variance=True, at_most=2)  # a last bin may be smaller
    np.testing.assert_allclose(uneven.values[:, 0], vectors[:, [1, 2]].mean(axis=1))
    np.testing.assert_allclose(uneven.values[:, 1], vectors[:, 0])
