"""Directions in the residual stream: lengths, angles, and honest flat pictures of a space of hundreds of dimensions.

A projection loses most of what it is given, so `Projection` always says which points it was fitted on and how much of
their variance it keeps; the true lengths and angles come from `norm`, `cosine` and `angle`, in the full space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def norm(vectors: Array) -> Array:
    """Length of each vector, float64 [...]: the last axis is the vector.

    >>> float(norm(np.array([3.0, 4.0])))
    5.0
    """
    result: Array = np.linalg.norm(np.asarray(vectors, dtype=np.float64), axis=-1)
    return result


def unit(vector: Array) -> Array:
    """The direction of each vector, with length 1; a vector without length stays zero, since it has no direction."""
    length = norm(vector)[..., None]  # [...] → [..., 1]
    return np.divide(vector, length, out=np.zeros(np.shape(vector)), where=length > 0)


def cosine(a: Array, b: Array) -> Array:
    """Cosine of the angle between vectors along the last axis; NaN where one of them has no length.

    >>> float(cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0]))).__round__(4)
    0.7071
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    lengths = norm(a) * norm(b)
    dots = np.sum(a * b, axis=-1)
    result: Array = np.divide(dots, lengths, out=np.full(np.shape(dots), np.nan), where=lengths > 0)
    return result


def angle(a: Array, b: Array) -> Array:
    """Angle between vectors in degrees, 0 to 180; NaN where one of them has no length.

    2·atan2(|u − v|, |u + v|) of the unit vectors, which stays exact near 0° and 180° where arccos(cosine) loses half
    its digits (Kahan 2006, "How Futile are Mindless Assessments of Roundoff", section 12).

    >>> round(float(angle(np.array([1.0, 0.0]), np.array([1.0, 1.0]))), 6)
    45.0
    """
    u, v = unit(np.asarray(a, dtype=np.float64)), unit(np.asarray(b, dtype=np.float64))
    degrees = np.degrees(2 * np.arctan2(norm(u - v), norm(u + v)))
    return np.where((norm(u) > 0) & (norm(v) > 0), degrees, np.nan)


def along(vectors: Array, direction: Array) -> Array:
    """How far each vector goes in a direction: its dot product with the direction's unit vector, [..., d] → [...].

    >>> float(along(np.array([3.0, 4.0]), np.array([0.0, 10.0])))
    4.0
    """
    return np.asarray(vectors, dtype=np.float64) @ unit(np.asarray(direction, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Projection:
    """A flat view of the full space: `centre` [d_model] and orthonormal `axes` [axis, d_model].

    `explained` [axis] is the share of the fitted points' variance that each axis keeps, and `fitted_on` says in words
    which points those were.
    """

    centre: Array
    axes: Array
    explained: Array
    fitted_on: str

    def points(self, points: Array) -> Array:
        """Where points land: [..., d_model] → [..., axis]."""
        return (np.asarray(points, dtype=np.float64) - self.centre) @ self.axes.T

    def arrows(self, vectors: Array) -> Array:
        """How differences land, which know no centre: [..., d_model] → [..., axis]. Never longer than the vector."""
        return np.asarray(vectors, dtype=np.float64) @ self.axes.T


def fit_projection(points: Array, n_axes: int, fitted_on: str) -> Projection:
    """Principal components of `points` [point, d_model]; `explained` falls from axis to axis.

    The right singular vectors of the centred points (Jolliffe, Principal Component Analysis, 2002, section 3.5); the
    squares of the singular values are in proportion to the variances. With fewer points than axes, or points that all
    coincide, the axes that do not exist are zero and explain nothing. The sign of an axis is arbitrary: its largest
    component is made positive, so that it does not flip.
    """
    points = np.asarray(points, dtype=np.float64)
    possible = min(n_axes, *points.shape)
    axes, explained = np.zeros((n_axes, points.shape[1])), np.zeros(n_axes)
    centre = points.mean(axis=0)
    if norm(points - centre).max() > 0:
        _, lengths, found = np.linalg.svd(points - centre, full_matrices=False)  # [axis], [axis, d_model]
        largest = np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1)  # [axis, 1]
        axes[:possible] = (found * np.sign(largest))[:possible]
        explained[:possible] = (lengths**2 / (lengths**2).sum())[:possible]
    return Projection(centre, axes, explained, fitted_on)


@dataclass(frozen=True, eq=False)
class Dimensions:
    """A [token, d_model] picture made narrow enough to draw: `values` [token, bin] and the `members` of every bin."""

    values: Array
    members: Sequence[NDArray[np.integer]]

    @property
    def per_bin(self) -> int:
        """How many dimensions share a column; 1 where every column is one dimension."""
        return max(len(m) for m in self.members)


def dimensions(vectors: Array, *, by_variance: bool = False, at_most: int = 384) -> Dimensions:
    """Order and, where there are more than `at_most`, bin the dimensions of [token, d_model].

    `by_variance` puts the dimensions that differ most between tokens first. A bin holds the mean of its neighbours in
    that order, so that bins keep the unit and the sign of the values.
    """
    vectors = np.asarray(vectors)
    size = vectors.shape[1]
    order = np.argsort(-vectors.var(axis=0), kind="stable") if by_variance else np.arange(size)
    per_bin = -(-size // at_most)
    members = [order[start : start + per_bin] for start in range(0, size, per_bin)]
    values = vectors if per_bin == 1 and not by_variance else np.stack([vectors[:, m].mean(1) for m in members], axis=1)
    return Dimensions(values, members)
