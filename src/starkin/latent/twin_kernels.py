"""Compiled inner loops of the twin search: likelihood ratios of pairs, and exact ranks.

All of them run on one thread and hold no more than a few matrices of one star.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["count_nearer", "marginal_terms", "pair_distances", "pair_ratios"]

# Sums may be reordered (that is what lets the compiler use vector instructions), but NaN and
# infinity keep their meaning.
_SUMS = {"reassoc", "contract"}
#: Stars whose likelihoods are computed at once.
LANES = 16


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _cholesky(matrix):
    """Lower Cholesky factor in place (upper part left as it is); the log determinant.

    NaN when the matrix is not positive definite.
    """
    d = len(matrix)
    log_det = 0.0
    for i in range(d):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i > j:
                matrix[i, j] = total / matrix[j, j]
            else:
                if not total > 0:
                    return np.nan
                matrix[i, i] = np.sqrt(total)
                log_det += np.log(total)
    return log_det


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _forward(factor, vector):
    """Solve ``factor @ x = vector`` in place; the squared norm of x."""
    norm = 0.0
    for i in range(len(vector)):
        total = vector[i]
        for k in range(i):
            total -= factor[i, k] * vector[k]
        total /= factor[i, i]
        vector[i] = total
        norm += total * total
    return norm


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _backward(factor, vector):
    """Solve ``factor.T @ x = vector`` in place."""
    for i in range(len(vector) - 1, -1, -1):
        total = vector[i]
        for k in range(i + 1, len(vector)):
            total -= factor[k, i] * vector[k]
        vector[i] = total / factor[i, i]


@njit(nogil=True, cache=True)
def _add_noise(matrix, covariance):
    """Add a star's covariance, (d, d), or its diagonal, (1, d), to ``matrix``."""
    d = len(matrix)
    if len(covariance) == d and d > 1:
        for i in range(d):
            for j in range(d):
                matrix[i, j] += covariance[i, j]
    else:
        for i in range(d):
            matrix[i, i] += covariance[0, i]


@njit(nogil=True, cache=True)
def marginal_terms(z, covariance, within, between):
    """``-2 log N(z_i; 0, B + W + C_i)`` without its 2 pi term, shape (n,); NaN where undefined."""
    n, d = z.shape
    out = np.empty(n)
    matrix, vector = np.empty((d, d)), np.empty(d)
    for i in range(n):
        matrix[:] = between + within
        _add_noise(matrix, covariance[i])
        log_det = _cholesky(matrix)
        vector[:] = z[i]
        out[i] = log_det + _forward(matrix, vector)
    return out


@njit(nogil=True, cache=True, fastmath={"contract"})
def _normal_terms(matrices, vectors, out):
    """``log det M + v^T M^-1 v`` of several stars at once; NaN where M is not positive.

    ``matrices`` (d, d, lanes), of which the lower parts are used up, and ``vectors``
    (d, lanes). The stars stand in the last dimension, where vector instructions reach them.
    """
    d, _, lanes = matrices.shape
    total, pivot = np.empty(lanes), np.empty(lanes)
    out[:] = 0.0
    for j in range(d):
        for lane in range(lanes):
            total[lane] = matrices[j, j, lane]
        for k in range(j):
            for lane in range(lanes):
                total[lane] -= matrices[j, k, lane] * matrices[j, k, lane]
        for lane in range(lanes):
            # The root of what is not positive is NaN, and so is all that follows.
            out[lane] += np.log(total[lane]) if total[lane] > 0 else np.nan
            pivot[lane] = 1.0 / np.sqrt(total[lane]) if total[lane] > 0 else np.nan
        for i in range(j + 1, d):
            for lane in range(lanes):
                total[lane] = matrices[i, j, lane]
            for k in range(j):
                for lane in range(lanes):
                    total[lane] -= matrices[i, k, lane] * matrices[j, k, lane]
            for lane in range(lanes):
                matrices[i, j, lane] = total[lane] * pivot[lane]
        # Forward substitution goes along: row j is final now.
        for lane in range(lanes):
            total[lane] = vectors[j, lane]
        for k in range(j):
            for lane in range(lanes):
                total[lane] -= matrices[j, k, lane] * vectors[k, lane]
        for lane in range(lanes):
            vectors[j, lane] = total[lane] * pivot[lane]
            out[lane] += vectors[j, lane] * vectors[j, lane]


@njit(nogil=True, cache=True)
def _prediction(z, noise, total, between, mu, predicted):
    """Mean and covariance of a composition given one of its stars; False where undefined.

    ``mu = B T^-1 z`` and ``V = S T^-1 B`` for ``noise`` S and ``total`` T (used up).
    """
    d = len(z)
    if np.isnan(_cholesky(total)):
        return False
    solved = between.copy()
    for c in range(d):  # column c of T^-1 B, kept as a row
        _forward(total, solved[c])
        _backward(total, solved[c])
    for c in range(d):
        mu[c] = 0.0
        for e in range(d):
            mu[c] += solved[c, e] * z[e]
    for a in range(d):
        for b in range(d):
            value = 0.0
            for e in range(d):
                value += noise[a, e] * solved[b, e]
            predicted[a, b] = value
    for a in range(d):
        for b in range(a):
            value = 0.5 * (predicted[a, b] + predicted[b, a])
            predicted[a, b] = value
            predicted[b, a] = value
    return True


@njit(nogil=True, cache=True)
def pair_ratios(z, covariance, marginal, within, between, rows, columns, n_columns):
    """Log likelihood ratios of stars ``rows[r]`` with the first of ``columns[r]``, (m, k).

    log N(z_j | z_i, same) - log N(z_j): given z_i the composition is normal about
    ``mu = B T^-1 z_i`` with covariance ``V = S T^-1 B``, where S = W + C_i and T = B + S, so
    that z_j is normal about mu with covariance V + W + C_j. No two large numbers are
    subtracted. Columns from ``n_columns[r]`` on, and those below 0, give NaN.
    """
    m, k = columns.shape
    d = z.shape[1]
    full = covariance.shape[1] == d and d > 1
    out = np.full((m, k), np.nan)
    noise, predicted, mu = np.empty((d, d)), np.empty((d, d)), np.empty(d)
    matrices, vectors = np.empty((d, d, LANES)), np.empty((d, LANES))
    terms = np.empty(LANES)
    for r in range(m):
        noise[:] = within
        _add_noise(noise, covariance[rows[r]])
        if not _prediction(z[rows[r]], noise, between + noise, between, mu, predicted):
            continue
        predicted += within
        for start in range(0, min(k, n_columns[r]), LANES):
            n = min(LANES, min(k, n_columns[r]) - start)
            for lane in range(LANES):  # Lanes to spare repeat the last star.
                j = max(columns[r, start + min(lane, n - 1)], 0)
                for a in range(d):
                    vectors[a, lane] = z[j, a] - mu[a]
                    for b in range(a + 1):
                        matrices[a, b, lane] = predicted[a, b]
                        if full:
                            matrices[a, b, lane] += covariance[j, a, b]
                    if not full:
                        matrices[a, a, lane] += covariance[j, 0, a]
            _normal_terms(matrices, vectors, terms)
            for lane in range(n):
                j = columns[r, start + lane]
                if j >= 0:
                    out[r, start + lane] = 0.5 * (marginal[j] - terms[lane])
    return out


@njit(nogil=True, cache=True)
def pair_distances(z, covariance, within, rows, columns):
    """``sqrt((z_i - z_j)^T (2 W + C_i + C_j)^-1 (z_i - z_j))``, shape (m, k)."""
    m, k = columns.shape
    d = z.shape[1]
    out = np.full((m, k), np.nan)
    matrix, vector = np.empty((d, d)), np.empty(d)
    for r in range(m):
        for c in range(k):
            j = columns[r, c]
            if j < 0:
                continue
            matrix[:] = within + within
            _add_noise(matrix, covariance[rows[r]])
            _add_noise(matrix, covariance[j])
            if np.isnan(_cholesky(matrix)):
                continue
            for e in range(d):
                vector[e] = z[rows[r], e] - z[j, e]
            out[r, c] = np.sqrt(_forward(matrix, vector))
    return out


# --- exact ranks -------------------------------------------------------------------
# Every distance is the same sequence of roundings, so that two stars with equal latents are
# exactly equally far: a tie is seen as one. (No fast-math here.)
_POINTS, _QUERIES = 2048, 64


@njit(nogil=True, cache=True)
def _add_coordinate(distances, query, points, squared):
    """Add one coordinate's part to the distances of points (n,) from a query."""
    if squared:
        for j in range(len(points)):
            step = query - points[j]
            distances[j] += step * step
    else:
        for j in range(len(points)):
            distances[j] += abs(query - points[j])


@njit(nogil=True, cache=True)
def count_nearer(queries, points, rows, partner, squared):
    """Stars other than ``rows[r]`` and ``partner[r]`` that are no farther than the partner.

    ``queries`` and ``points``, (n_latent, n), one coordinate a row, are the same array for a
    symmetric distance; Euclidean if ``squared``, else the sum of absolute differences. Points
    that are not a number are never counted.
    """
    m, (d, n) = len(rows), points.shape
    out = np.zeros(m, dtype=np.int64)
    distances = np.empty(_POINTS, dtype=points.dtype)
    limits = np.empty(m, dtype=points.dtype)
    for r in range(m):
        distances[0] = 0
        for e in range(d):
            t = partner[r]
            _add_coordinate(distances[:1], queries[e, rows[r]], points[e, t : t + 1], squared)
        limits[r] = distances[0]
    for first in range(0, m, _QUERIES):
        for start in range(0, n, _POINTS):
            stop = min(start + _POINTS, n)
            for r in range(first, min(first + _QUERIES, m)):
                here = distances[: stop - start]
                here[:] = 0
                for e in range(d):
                    _add_coordinate(here, queries[e, rows[r]], points[e, start:stop], squared)
                count = 0
                for j in range(stop - start):
                    count += here[j] <= limits[r]
                for j in (rows[r], partner[r]):
                    if start <= j < stop and here[j - start] <= limits[r]:
                        count -= 1
                out[r] += count
    return out
