"""What happens to the score when a source fails, comes late or changes its unit. A scorer is any function of features to PD."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.definition_file import Bilingual
from models.discrimination import auc
from models.screening.stability import MATERIAL, bin_counts, bin_edges, stability
from models.validation.declared import judge, unmeasured
from models.validation.discrimination import ONE_OUTCOME
from models.validation.finding import Finding, Table

Scorer = Callable[[np.ndarray], np.ndarray]

#: Wrong units that deliveries of money have had: yuan as fen or the reverse, and 万元 as yuan or the reverse.
UNIT_ERRORS = (100.0, 10_000.0, 0.01, 0.0001)

NO_SOURCES = Bilingual(zh="没有给出特征来源。", en="The sources of the features weren't given.")


@dataclass(frozen=True)
class StressedFeatures:
    """What a scorer is tried on. `matrix` (n, p), NaN missing, columns `names`.

    `sources`: source -> its features. `signs`: feature -> +1 or -1 where the PD must not fall or rise with it. `money`: features
    in money. `earlier`: months back -> the matrix of the same rows so many months before, rows of NaN where there is none.
    """

    matrix: np.ndarray
    names: Sequence[str]
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    signs: Mapping[str, int] = field(default_factory=dict)
    money: Sequence[str] = ()
    earlier: Mapping[int, np.ndarray] = field(default_factory=dict)

    def columns(self, names: Sequence[str]) -> list[int]:
        """Their places."""
        place = {name: i for i, name in enumerate(self.names)}
        return [place[name] for name in names]


@dataclass(frozen=True)
class _Trial:
    """One stressed score beside the true one."""

    name: str
    rows: int
    auc_loss: float
    mean_ratio: float
    moved: float
    psi: float

    @property
    def row(self) -> tuple[str, int, float, float, float, float, str]:
        """A line of the table."""
        return (
            self.name, self.rows, self.auc_loss, self.mean_ratio, self.moved, self.psi,
            "alarm" if self.psi > MATERIAL else "silent",
        )  # fmt: skip


COLUMNS = ("stress", "rows", "auc_loss", "mean_pd_ratio", "decile_moves", "score_psi", "drift_alarm")


def stress_findings(
    scorer: Scorer, features: StressedFeatures, outcome: np.ndarray, pd: np.ndarray, seed: int = 0
) -> list[Finding]:
    """Missing, shuffled and late sources and wrong units; `pd` (n,) is the score of the features as they are."""
    if outcome.min() == outcome.max():
        return [unmeasured("stress.missing_source", ONE_OUTCOME, len(outcome))]
    return [
        missing_source(scorer, features, outcome, pd),
        dropped_source(scorer, features, outcome, pd, seed),
        *late_source(scorer, features, outcome, pd),
        unit_error(scorer, features, outcome, pd),
    ]


def missing_source(
    scorer: Scorer, features: StressedFeatures, outcome: np.ndarray, pd: np.ndarray
) -> Finding:
    """AUC lost when all features of one source are missing at scoring, source by source; the worst is judged.

    Domain choices sec. 7.2 (drop-one-source). Why beside the shuffled source: this is the outage itself, so it also tells
    where the mean PD goes when a feed doesn't come; a model can be robust to noise and still read "missing" as good news.
    """
    if not features.sources:
        return unmeasured("stress.missing_source", NO_SOURCES, len(outcome))
    trials = []
    for source, names in features.sources.items():
        stressed = features.matrix.copy()
        stressed[:, features.columns(names)] = np.nan
        trials.append(_trial(source, scorer(stressed), outcome, pd))
    return _worst("stress.missing_source", trials, outcome)


def dropped_source(
    scorer: Scorer, features: StressedFeatures, outcome: np.ndarray, pd: np.ndarray, seed: int = 0
) -> Finding:
    """AUC lost when the rows of one source's features are shuffled together: how much the model leans on it.

    Fisher, Rudin and Dominici, JMLR 20 (2019) 177 (model reliance), by group of features. Why not LightGBM's gain: gain
    counts splits on the training rows and splits credit between alike features; shuffling a whole source measures
    on unseen rows what ranking would lose. Why not training again without it: the retrained model would be another model.
    """
    if not features.sources:
        return unmeasured("stress.dropped_source", NO_SOURCES, len(outcome))
    order = np.random.default_rng(seed).permutation(len(outcome))
    trials = []
    for source, names in features.sources.items():
        places = features.columns(names)
        stressed = features.matrix.copy()
        stressed[:, places] = features.matrix[order][:, places]
        trials.append(_trial(source, scorer(stressed), outcome, pd))
    return _worst("stress.dropped_source", trials, outcome)


def late_source(
    scorer: Scorer, features: StressedFeatures, outcome: np.ndarray, pd: np.ndarray
) -> list[Finding]:
    """AUC lost when one source still shows the values of k months ago, on the rows that have them; one finding for each k.

    Domain fault catalogue (late deliveries). Why beside the missing source: a late feed isn't empty, so nothing looks wrong.
    """
    found = []
    for months, before in sorted(features.earlier.items()):
        there = np.isfinite(before).any(axis=1)
        usable = outcome[there]
        name = f"stress.late_source_{months}m"
        if not there.any() or usable.min() == usable.max() or not features.sources:
            none = Bilingual(
                zh="没有足够的早期取值。", en="There are too few rows with values of so many months ago."
            )
            found.append(unmeasured("stress.late_source", none, int(there.sum()), about=f"{months} m"))
            continue
        trials = []
        for source, names in features.sources.items():
            places = features.columns(names)
            stressed = features.matrix[there].copy()
            stressed[:, places] = before[there][:, places]
            trials.append(_trial(source, scorer(stressed), usable, pd[there]))
        worst = max(trials, key=lambda trial: trial.auc_loss)
        found.append(
            judge(
                "stress.late_source",
                worst.auc_loss,
                n=len(usable),
                events=int(usable.sum()),
                about=f"{months} m, {worst.name}",
                details=(Table(name.partition(".")[2], COLUMNS, tuple(trial.row for trial in trials)),),
            )
        )
    return found


def unit_error(scorer: Scorer, features: StressedFeatures, outcome: np.ndarray, pd: np.ndarray) -> Finding:
    """AUC lost when one money feature comes in another unit (x100, x10,000 and back), where the score's PSI stays below 0.1.

    Domain fault catalogue (units). Judged is the worst error that drift monitoring of the score would not show; the
    table has all of them. A loud error is stopped before scores are used, a silent one is not.
    """
    if not features.money:
        none = Bilingual(zh="没有金额特征。", en="No feature is an amount of money.")
        return unmeasured("stress.unit_error", none, len(outcome))
    trials = []
    stressed = features.matrix.copy()
    for name, place in zip(features.money, features.columns(features.money), strict=True):
        for factor in UNIT_ERRORS:
            stressed[:, place] = features.matrix[:, place] * factor
            trials.append(_trial(f"{name} x{factor:g}", scorer(stressed), outcome, pd))
        stressed[:, place] = features.matrix[:, place]
    silent = [trial for trial in trials if trial.psi <= MATERIAL]
    worst = max(silent, key=lambda trial: trial.auc_loss, default=None)
    loud = Bilingual(
        zh=f"{len(trials)} 种单位错误中 {len(trials) - len(silent)} 种会触发分数漂移告警。",
        en=f"{len(trials) - len(silent)} of {len(trials)} unit errors would raise the score's drift alarm.",
    )
    shown = sorted(trials, key=lambda trial: (-trial.moved, trial.name))[:20]
    return judge(
        "stress.unit_error",
        worst.auc_loss if worst is not None else 0.0,
        n=len(outcome),
        events=int(outcome.sum()),
        about=worst.name if worst is not None else "",
        details=(Table("unit_errors", COLUMNS, tuple(trial.row for trial in shown)),),
        note=loud,
    )


def _trial(name: str, stressed: np.ndarray, outcome: np.ndarray, pd: np.ndarray) -> _Trial:
    edges = bin_edges(pd)
    before, after = (np.searchsorted(edges, scores, side="left") for scores in (pd, stressed))
    return _Trial(
        name,
        len(outcome),
        auc(outcome, pd) - auc(outcome, stressed),
        float(stressed.mean() / pd.mean()),
        float((before != after).mean()),
        stability(bin_counts(pd, edges), bin_counts(stressed, edges)).psi,
    )


def _worst(name: str, trials: Sequence[_Trial], outcome: np.ndarray) -> Finding:
    worst = max(trials, key=lambda trial: trial.auc_loss)
    return judge(
        name,
        worst.auc_loss,
        n=len(outcome),
        events=int(outcome.sum()),
        about=worst.name,
        details=(Table(name.partition(".")[2], COLUMNS, tuple(trial.row for trial in trials)),),
    )
