"""The scorecard candidate: a few binned features, logistic regression on their weight of evidence, plain JSON
in and out.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import Refusal
from core.telemetry import quiet
from models.binning import FeatureBins, fit_bins
from models.definition import ScorecardParameters
from models.points import FACTOR

#: Rows looked at for correlations between features; all rows are used for everything else.
CORRELATION_ROWS = 100_000

FORMAT = "gscene-scorecard/1"


@dataclass(frozen=True)
class Scorecard:
    """Event log-odds = intercept - sum of coefficient * WoE over the features; coefficients are never
    negative.
    """

    intercept: float
    coefficients: tuple[float, ...]
    bins: tuple[FeatureBins, ...]

    @property
    def names(self) -> list[str]:
        """Features used, strongest first."""
        return [bins.name for bins in self.bins]

    def log_odds(self, matrix: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Event log-odds (n,) of an (n, p) matrix whose columns are `names`; NumPy only, the same for any
        chunking.
        """
        places = {name: place for place, name in enumerate(names)}
        # Added up feature by feature: a matrix product may round differently for different numbers of rows.
        total = np.full(len(matrix), self.intercept)
        for coefficient, bins in zip(self.coefficients, self.bins, strict=True):
            total -= coefficient * bins.transform(matrix[:, places[bins.name]])
        return total

    def points_table(self) -> list[dict[str, Any]]:
        """Points by feature and bin, relative to the base rate (uncalibrated), for people to read."""
        return [
            {
                "feature": bins.name,
                "upper_edges": list(bins.edges),
                "points": [round(FACTOR * coefficient * woe, 1) for woe in bins.woe],
                "missing_points": round(FACTOR * coefficient * bins.missing_woe, 1),
            }
            for coefficient, bins in zip(self.coefficients, self.bins, strict=True)
        ]


def bin_features(
    matrix: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    signs: dict[str, int],
    rules: ScorecardParameters,
) -> list[FeatureBins]:
    """Bins of every column of an (n, p) matrix against a 0/1 target."""
    return [
        fit_bins(np.ascontiguousarray(matrix[:, place]), target, name, signs.get(name, 0), rules)
        for place, name in enumerate(names)
    ]


def fit_scorecard(
    matrix: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    signs: dict[str, int],
    rules: ScorecardParameters,
    bins: list[FeatureBins] | None = None,
) -> Scorecard:
    """Fit on decided rows: `matrix` (n, p) float64, `target` (n,) 0/1. `bins` saves binning again when it is
    there.

    Features are taken by falling IV (at least `min_iv`), none correlated in WoE above `max_correlation` with
    one taken before, at most `max_features`. No stepwise search: it overfits and hides its tests. A feature
    whose coefficient comes out against its own WoE is dropped and the rest refitted. With nothing left the
    scorecard is the base rate.
    """
    bins = bin_features(matrix, target, names, signs, rules) if bins is None else bins
    chosen, columns = _select(matrix, bins, names, rules)
    while chosen:
        intercept, coefficients = _logistic(np.column_stack(columns), target, rules.inverse_penalty)
        keep = [i for i, coefficient in enumerate(coefficients) if coefficient > 0.0]
        if len(keep) == len(chosen):
            return Scorecard(intercept, tuple(coefficients), tuple(chosen))
        chosen, columns = [chosen[i] for i in keep], [columns[i] for i in keep]
    base = float(target.mean())
    return Scorecard(math.log(base / (1.0 - base)), (), ())


def scorecard_to_json(scorecard: Scorecard) -> str:
    """The scorecard as JSON text; floats survive the round trip to the bit."""
    plain = {"format": FORMAT, "points": scorecard.points_table(), **asdict(scorecard)}
    return json.dumps(plain, indent=1, sort_keys=True, allow_nan=False) + "\n"


def scorecard_from_json(text: str) -> Scorecard:
    """Read and check a scorecard; anything odd is a Refusal REFUSED/MODEL."""
    try:
        plain = json.loads(text, parse_constant=_no_constants)
        if plain["format"] != FORMAT:
            raise ValueError("unknown format")
        bins = tuple(_bins(entry) for entry in plain["bins"])
        coefficients = tuple(_finite(value) for value in plain["coefficients"])
        if len(bins) != len(coefficients) or len({b.name for b in bins}) != len(bins):
            raise ValueError("coefficients and features don't match")
        return Scorecard(_finite(plain["intercept"]), coefficients, bins)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal(
            "REFUSED/MODEL",
            f"the scorecard is not well formed: {type(error).__name__}.",
            remedy="Train again or fetch the bundle from where it was signed off.",
        ) from None


def _select(
    matrix: np.ndarray, bins: list[FeatureBins], names: Sequence[str], rules: ScorecardParameters
) -> tuple[list[FeatureBins], list[np.ndarray]]:
    places = {name: place for place, name in enumerate(names)}
    stride = max(1, len(matrix) // CORRELATION_ROWS)
    chosen: list[FeatureBins] = []
    columns: list[np.ndarray] = []
    thin: list[np.ndarray] = []
    for candidate in sorted(bins, key=lambda entry: (-entry.iv, entry.name)):
        if len(chosen) == rules.max_features or candidate.iv < rules.min_iv:
            break
        woe = candidate.transform(matrix[:, places[candidate.name]])
        short = woe[::stride] - woe[::stride].mean()
        length = float(np.sqrt((short**2).sum()))
        if length < 1e-12:
            continue
        short = short / length
        if all(abs(float(short @ other)) <= rules.max_correlation for other in thin):
            chosen.append(candidate)
            columns.append(woe)
            thin.append(short)
    return chosen, columns


def _logistic(woe: np.ndarray, target: np.ndarray, inverse_penalty: float) -> tuple[float, list[float]]:
    """Intercept and coefficients of event log-odds on negated WoE, L2-penalised; a coefficient of 1 trusts a
    bin fully.
    """
    quiet(os.environ)  # scikit-learn brings its own OpenMP
    from sklearn.linear_model import LogisticRegression

    # Newton steps: a handful of features, and 62 rows take a tenth of the time that L-BFGS needs.
    model = LogisticRegression(C=inverse_penalty, solver="newton-cholesky", tol=1e-9, max_iter=200)
    model.fit(-woe, target)
    return float(model.intercept_[0]), [float(value) for value in model.coef_[0]]


def _bins(entry: dict[str, Any]) -> FeatureBins:
    edges = tuple(_finite(value) for value in entry["edges"])
    woe = tuple(_finite(value) for value in entry["woe"])
    goods, bads = tuple(_count(v) for v in entry["goods"]), tuple(_count(v) for v in entry["bads"])
    if any(a >= b for a, b in zip(edges, edges[1:], strict=False)):
        raise ValueError("edges must rise")
    if not len(edges) + 1 == len(woe) == len(goods) == len(bads):
        raise ValueError("every bin needs a WoE and counts")
    if entry["sign"] not in (-1, 0, 1) or not isinstance(entry["name"], str):
        raise ValueError("name or sign")
    return FeatureBins(
        name=entry["name"],
        sign=entry["sign"],
        edges=edges,
        woe=woe,
        goods=goods,
        bads=bads,
        missing_woe=_finite(entry["missing_woe"]),
        missing_goods=_count(entry["missing_goods"]),
        missing_bads=_count(entry["missing_bads"]),
        iv=_finite(entry["iv"]),
        low=_finite(entry["low"]),
        high=_finite(entry["high"]),
    )


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a finite number")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not a count")
    return value


def _no_constants(_text: str) -> float:
    raise ValueError("NaN and Infinity are not JSON")
