"""Does the PD move the right way, and by how much, when one feature moves and the others stay."""

from __future__ import annotations

import numpy as np

from core.definition_file import Bilingual
from models.validation.declared import judge, unmeasured
from models.validation.finding import Finding, Table
from models.validation.stress import Scorer, StressedFeatures

#: Rows that are moved: the share of violations is then known to half a percent.
ROWS = 2_000

#: Quantiles of the feature that a row is moved to, in order.
STEPS = (0.05, 0.25, 0.5, 0.75, 0.95)

#: Differences of probability below it are rounding.
ROUNDING = 1e-12

SHOWN = 20


def sensitivity_findings(scorer: Scorer, features: StressedFeatures) -> list[Finding]:
    """The sweep over constrained features, and the tornado over all."""
    return [monotonicity(scorer, features), *tornado(scorer, features)]


def monotonicity(scorer: Scorer, features: StressedFeatures) -> Finding:
    """Share of moves (row, feature, step to the next quantile) in which the PD goes against the declared sign.

    Ceteris-paribus sweep (Goldstein et al., J. Computational and Graphical Statistics 24 (2015) 44-65, ICE). Why, where
    LightGBM is trained with monotone constraints: the promise is about the whole score, calibration and scorecard
    included, and is tested here on the artefact that scores. Missing cells are left alone: a constraint says nothing of them.
    """
    names = [name for name in features.names if features.signs.get(name, 0)]
    rows = _rows(len(features.matrix))
    if not names or not len(rows):
        none = Bilingual(zh="没有声明方向的特征。", en="No feature has a declared sign.")
        return unmeasured("sensitivity.monotonicity", none, len(rows))
    told, wrong, moves = [], 0, 0
    for name, place in zip(names, features.columns(names), strict=True):
        base = features.matrix[rows]
        base = base[np.isfinite(base[:, place])]
        levels = _levels(features.matrix[:, place])
        if not len(base) or len(levels) < 2:
            continue
        scores = np.column_stack([_moved(scorer, base, place, level) for level in levels])
        steps = np.diff(scores, axis=1) * features.signs[name]
        against = int((steps < -ROUNDING).sum())
        told.append((name, features.signs[name], int(steps.size), against, float(max(0.0, -steps.min()))))
        wrong, moves = wrong + against, moves + steps.size
    told.sort(key=lambda row: (-row[3], row[0]))
    if not moves:
        none = Bilingual(zh="受约束的特征没有变化。", en="The constrained features don't vary.")
        return unmeasured("sensitivity.monotonicity", none, len(rows))
    columns = ("feature", "sign", "moves", "against", "largest_against")
    return judge(
        "sensitivity.monotonicity",
        wrong / moves,
        n=len(rows),
        about=str(told[0][0]) if wrong else "",
        details=(Table("monotonicity", columns, tuple(told[:SHOWN])),),
    )


def tornado(scorer: Scorer, features: StressedFeatures) -> list[Finding]:
    """Mean PD with one feature set to its 5 % and 95 % quantile for all rows; the share of the widest feature and source.

    Saltelli et al., Global Sensitivity Analysis (2008), ch. 1 (one at a time). Why beside the shuffled source: it shows the
    size and direction in PD of one input; it can't see effects that need two inputs to move together.
    """
    names = ("sensitivity.widest_feature", "sensitivity.widest_source")
    rows = _rows(len(features.matrix))
    told = []
    for place, name in enumerate(features.names):
        levels = _levels(features.matrix[:, place])
        if len(levels) < 2 or not len(rows):
            continue
        low, high = (
            float(_moved(scorer, features.matrix[rows], place, levels[end]).mean()) for end in (0, -1)
        )
        told.append((name, low, high, abs(high - low)))
    total = sum(row[3] for row in told)
    if total <= 0.0:
        none = Bilingual(zh="没有特征使分数变动。", en="No feature moves the score.")
        return [unmeasured(name, none, len(rows)) for name in names]
    told.sort(key=lambda row: (-row[3], row[0]))
    columns = ("feature", "mean_pd_low", "mean_pd_high", "swing")
    found = [
        judge(
            names[0],
            told[0][3] / total,
            n=len(rows),
            about=told[0][0],
            details=(Table("tornado", columns, tuple(told[:SHOWN])),),
        )
    ]
    swing = {row[0]: row[3] for row in told}
    shares = [
        (source, sum(swing.get(name, 0.0) for name in own) / total)
        for source, own in features.sources.items()
    ]
    if shares:
        shares.sort(key=lambda row: (-row[1], row[0]))
        found.append(
            judge(
                names[1],
                shares[0][1],
                n=len(rows),
                about=shares[0][0],
                details=(Table("sources", ("source", "share"), tuple(shares)),),
            )
        )
    return found


def _rows(n: int) -> np.ndarray:
    """At most ROWS places, evenly spread: the same ones each time."""
    return np.unique(np.linspace(0, n - 1, min(n, ROWS)).astype(int)) if n else np.empty(0, dtype=int)


def _levels(column: np.ndarray) -> np.ndarray:
    known = column[np.isfinite(column)]
    return np.unique(np.quantile(known, STEPS)) if len(known) else np.empty(0)


def _moved(scorer: Scorer, rows: np.ndarray, place: int, level: float) -> np.ndarray:
    moved = rows.copy()
    moved[:, place] = level
    return scorer(moved)
