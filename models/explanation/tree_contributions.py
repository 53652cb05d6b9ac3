"""Shapley values of LightGBM's trees for many rows at a time: the numbers of `pred_contrib`, for a fraction of its CPU.

A leaf's share in feature i's Shapley value is v (o_i - z_i) times the integral over t from 0 to 1 of the product over its other
features j of (o_j t + z_j (1 - t)), where o_j says whether the row meets the leaf's conditions on j, and z_j is the share of
training rows that do (path-dependent TreeSHAP, Lundberg et al., Nature Machine Intelligence 2 (2020) 56-67; the integral is the
multilinear form of the Shapley value, Owen, Management Science 18 (1972) P64-P79). The integrand is a polynomial, so
Gauss-Legendre quadrature with half as many nodes as the leaf has features is exact. The result depends on the row only through
which conditions it meets: a leaf is worked out once for each such pattern among the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from features.window_kernels import compiled

#: Rows that share worked-out patterns. More rows share more, but have to stay in the processor's cache.
_BLOCK = 2_048

#: Features of one leaf up to which patterns are kept; 2^12 patterns of 12 numbers take 400 kB.
_KEPT = 12

#: Deeper leaves than that nobody trains here; LightGBM itself explains those.
_MOST = 30

#: What LightGBM takes for zero.
_ZERO = float(np.float32(1e-35))
_LOWEST = float(np.finfo(np.float64).min)
_MISSING_ZERO, _MISSING_NAN = 1, 2


@dataclass(frozen=True)
class ContributionTrees:
    """Leaves one after another. Leaf k has value `value[k]` and conditions first[k]..first[k+1]: on `feature`, `low` < x <=
    `high`, whether a missing value meets them, and the share `cover` of rows that do."""

    features: int
    value: np.ndarray
    first: np.ndarray
    feature: np.ndarray
    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray
    cover: np.ndarray

    def contributions(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """(n, p) Shapley values in raw log-odds of an (n, p) matrix; a row's numbers don't depend on the rows beside it."""
        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        out = np.zeros((len(rows), self.features))
        deepest = int(np.diff(self.first).max(initial=0))
        nodes, weights = np.polynomial.legendre.leggauss(max(1, (deepest + 1) // 2))
        nodes, weights = (nodes + 1.0) / 2.0, weights / 2.0
        starts = range(0, len(rows), _BLOCK)

        def explain(start: int) -> None:
            _explain(
                rows[start : start + _BLOCK], self.value, self.first, self.feature, self.low, self.high, self.missing,
                self.cover, nodes, weights, out[start : start + _BLOCK],
            )  # fmt: skip

        if threads < 2:
            for start in starts:
                explain(start)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(explain, starts))
        return out


def contribution_trees(text: str) -> ContributionTrees | None:
    """The leaves of a checked LightGBM text; None where only LightGBM itself can explain it: counts of rows are missing, zeros
    are sent another way than their value, or a leaf stands on more features than any does here."""
    values: list[float] = []
    first, conditions = [0], _Conditions([], [], [], [], [])
    head, _, body = text.partition("end of trees\n")[0].partition("\nTree=0\n")
    features = len(next(line for line in head.split("\n") if line.startswith("feature_names=")).split())
    for block in body.split("\nTree="):
        tree = dict(line.split("=", 1) for line in block.split("\n") if "=" in line)
        leaves = _paths(tree)
        if leaves is None:
            return None
        for value, path in leaves:
            if not conditions.extend(path):
                return None
            values.append(value)
            first.append(len(conditions.feature))
            if first[-1] - first[-2] > _MOST:
                return None
    return ContributionTrees(
        features=features,
        value=np.array(values),
        first=np.array(first, dtype=np.int64),
        feature=np.array(conditions.feature, dtype=np.int64),
        low=np.array(conditions.low),
        high=np.array(conditions.high),
        missing=np.array(conditions.missing, dtype=np.bool_),
        cover=np.array(conditions.cover),
    )


@dataclass(frozen=True)
class _Step:
    """One split on the way to a leaf: the side taken, whether missing values take it too, and the share of rows that do."""

    feature: int
    cut: float
    left: bool
    missing: bool
    cover: float


@dataclass(frozen=True)
class _Conditions:
    feature: list[int]
    low: list[float]
    high: list[float]
    missing: list[bool]
    cover: list[float]

    def extend(self, path: list[_Step]) -> bool:
        """Add a leaf: its steps on one feature become one condition. False where a step holds no rows: nothing is known of it."""
        for feature in sorted({step.feature for step in path}):
            steps = [step for step in path if step.feature == feature]
            self.feature.append(feature)
            self.low.append(max((step.cut for step in steps if not step.left), default=-np.inf))
            self.high.append(min((step.cut for step in steps if step.left), default=np.inf))
            self.missing.append(all(step.missing for step in steps))
            self.cover.append(float(np.prod([step.cover for step in steps])))
            if self.cover[-1] <= 0.0:
                return False
        return True


def _paths(tree: dict[str, str]) -> list[tuple[float, list[_Step]]] | None:
    """Value and path of every leaf; None where the tree can't be read this way."""
    values = [float(value) for value in tree["leaf_value"].split()]
    left, right = _whole(tree, "left_child"), _whole(tree, "right_child")
    if not left:
        return [(values[0], [])]
    leaf_rows, node_rows = _whole(tree, "leaf_count"), _whole(tree, "internal_count")
    if len(leaf_rows) != len(values) or len(node_rows) != len(left) or min(node_rows) <= 0:
        return None
    cuts = [float(cut) for cut in tree["threshold"].split()]
    kinds, split = _whole(tree, "decision_type"), _whole(tree, "split_feature")
    if any(
        kind >> 2 & 3 == _MISSING_ZERO and (cut >= 0.0) != bool(kind & 2)
        for kind, cut in zip(kinds, cuts, strict=True)
    ):
        return None  # fmt: skip

    def walk(node: int, path: list[_Step]) -> Iterator[tuple[float, list[_Step]]]:
        if node < 0:
            yield values[~node], path
            return
        cut, kind = cuts[node], kinds[node]
        missing_left = bool(kind & 2) if kind >> 2 & 3 == _MISSING_NAN else cut >= 0.0
        for child, is_left in ((left[node], True), (right[node], False)):
            rows = node_rows[child] if child >= 0 else leaf_rows[~child]
            step = _Step(split[node], cut, is_left, missing_left == is_left, rows / node_rows[node])
            yield from walk(child, [*path, step])

    return list(walk(0, []))


def _whole(tree: dict[str, str], key: str) -> list[int]:
    return [int(part) for part in tree.get(key, "").split()]


@compiled
def _explain(rows, value, first, feature, low, high, missing, cover, nodes, weights, out):  # type: ignore[no-untyped-def]
    n = len(rows)
    # Feature by feature: a comparison of one column with one cut is a vector instruction.
    columns, added = np.empty((rows.shape[1], n)), np.zeros((rows.shape[1], n))
    for r in range(n):
        for f in range(rows.shape[1]):
            x = rows[r, f]
            # An open lower end is -inf, which nothing may equal.
            columns[f, r] = _LOWEST if x == -np.inf else 0.0 if abs(x) <= _ZERO else x
    pattern = np.empty(n, np.int64)
    kept, known, told = np.empty((1 << _KEPT, _KEPT)), np.full(1 << _KEPT, -1, np.int64), np.empty(_MOST)
    for leaf in range(len(value)):
        start, count = first[leaf], first[leaf + 1] - first[leaf]
        shares = cover[start : start + count]
        pattern[:] = 0
        for k in range(count):
            column, below, above = columns[feature[start + k]], low[start + k], high[start + k]
            absent = missing[start + k]
            for r in range(n):
                x = column[r]
                met = ((x > below) & (x <= above)) | (absent & (x != x))
                pattern[r] = pattern[r] << 1 | int(met)
        if count > _KEPT:
            for r in range(n):
                _leaf(value[leaf], pattern[r], shares, nodes, weights, told)
                for k in range(count):
                    added[feature[start + k], r] += told[k]
            continue
        for r in range(n):
            if known[pattern[r]] != leaf:
                _leaf(value[leaf], pattern[r], shares, nodes, weights, kept[pattern[r]])
                known[pattern[r]] = leaf
        for k in range(count):
            target = added[feature[start + k]]
            for r in range(n):
                target[r] += kept[pattern[r], k]
    for r in range(n):
        for f in range(rows.shape[1]):
            out[r, f] = added[f, r]


@compiled
def _leaf(value, pattern, cover, nodes, weights, told):  # type: ignore[no-untyped-def]
    """Shapley values of one leaf for one pattern of met conditions, the first of them in the highest bit."""
    count = len(cover)
    told[:count] = 0.0
    for q in range(len(nodes)):
        t, product = nodes[q], value * weights[q]
        for k in range(count):
            product *= (t if pattern >> (count - 1 - k) & 1 else 0.0) + cover[k] * (1.0 - t)
        for k in range(count):
            told[k] += product / ((t if pattern >> (count - 1 - k) & 1 else 0.0) + cover[k] * (1.0 - t))
    for k in range(count):
        told[k] *= (1.0 if pattern >> (count - 1 - k) & 1 else 0.0) - cover[k]
