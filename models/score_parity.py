"""PC13: does the champion score subjects alike from either side's features?"""

from __future__ import annotations

import numpy as np

from features.stability import spearman
from sources.migration.finding import ParityFinding, Verdict, judged
from sources.migration.tolerances import Tolerances

DECILES = 10


def score_parity(
    old_pd: np.ndarray,
    new_pd: np.ndarray,
    old_grade: np.ndarray,
    new_grade: np.ndarray,
    model: str,
    limits: Tolerances,
    worst_grade: int | None = None,
) -> list[ParityFinding]:
    """Four statistics over the same subjects in the same order: rank correlation of PD; share that moves a decile or more (both
    cut at the old side's deciles); share that crosses the cut-off between grades up to `worst_grade` and worse (None: no
    cut-off); ratio of mean PD."""
    subjects = {"subjects": len(old_pd)}
    moved = float((deciles(old_pd, old_pd) != deciles(old_pd, new_pd)).mean()) if len(old_pd) else 0.0
    mean = float(new_pd.mean() / old_pd.mean()) if len(old_pd) and old_pd.mean() else 1.0
    findings = [
        judged(
            "PC13", model, "spearman", spearman(old_pd, new_pd), low=limits.pc13_spearman, counts=subjects
        ),
        judged("PC13", model, "decile_moves", moved, high=limits.pc13_decile_moves, counts=subjects),
        judged(
            "PC13",
            model,
            "mean_pd_ratio",
            mean,
            low=limits.pc13_mean_low,
            high=limits.pc13_mean_high,
            counts=subjects,
        ),
    ]
    if worst_grade is not None:
        crossed = (
            float(((old_grade <= worst_grade) != (new_grade <= worst_grade)).mean())
            if len(old_grade)
            else 0.0
        )
        counts = {**subjects, "worst_grade_accepted": worst_grade}
        findings.append(
            judged("PC13", model, "cut_off_moves", crossed, high=limits.pc13_cut_off_moves, counts=counts)
        )
    return findings


def no_champion(model: str) -> ParityFinding:
    """There is no trained model whose scores could change: whoever signs must name it."""
    return ParityFinding("PC13", model, "no_champion", Verdict.WARN)


def deciles(edges_of: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Decile (0-9) of each value among `edges_of`."""
    edges = np.quantile(edges_of, np.linspace(0, 1, DECILES + 1)[1:-1])
    return np.searchsorted(edges, values, side="left")
