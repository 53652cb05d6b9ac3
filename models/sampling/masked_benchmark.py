"""Would reject inference have helped? Outcomes of known rows are hidden under a made-up accept rule; the guess is held to them.

A tenth of the rows teach an old policy, four tenths learn, half judge. Of the learning rows the old policy accepts the safest
share, and the outcomes of all others are masked. Each method refits the same scorecard; of judging rows, accepted or not, every
outcome is known.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from core.definition_file import Bilingual
from core.errors import TooFewOutcomes
from core.telemetry import quiet
from models.definition import ScorecardParameters
from models.discrimination import auc
from models.points import probability
from models.report_blocks import Block, Paragraph, Table
from models.sampling.reject_inference import METHODS, Method, accepts_only
from models.scorecard import bin_features, fit_scorecard

#: Repeats that commands ask for: 9 CPU-s with 30,000 rows of 24 features.
BENCHMARK_REPEATS = 6

#: Rows looked at, spread evenly: a gain is then known to a few ten thousandths of log-loss.
ROWS = 50_000

#: Events that must be left among accepted rows.
LEAST_EVENTS = 30

Verdict = Literal["helped", "hurt", "no difference told"]


@dataclass(frozen=True)
class MethodResult:
    """Means over repeats on judging rows: AUC and log-loss of all, AUC and observed / expected of those that the rule rejects.

    `gain`: log-loss saved against accepts only, with a 95 % interval over repeats (0 for accepts only itself).
    """

    method: str
    auc_all: float
    auc_rejected: float
    observed_over_expected: float
    log_loss: float
    gain: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True)
class MaskedBenchmark:
    """`rule`: what the old policy saw. `oracle_log_loss`: that of the same scorecard with nothing masked: the most to be won."""

    rule: str
    accepted_share: float
    repeats: int
    accepted_rate: float
    rejected_rate: float
    results: tuple[MethodResult, ...]
    oracle_log_loss: float

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def helped(self) -> tuple[str, ...]:
        """Methods that helped."""
        return tuple(each.method for each in self.results if each.verdict == "helped")


def masked_benchmark(
    matrix: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    signs: Mapping[str, int],
    rules: ScorecardParameters,
    *,
    accepted_share: float = 0.6,
    hidden: Sequence[str] = (),
    repeats: int = 10,
    seed: int = 0,
) -> MaskedBenchmark:
    """From decided rows: (n, p) features and 0/1 targets, one row a subject.

    The old policy is a scorecard on a tenth of all rows, which nobody else sees, with all features. Those in `hidden` it has and
    the new scorecard hasn't: then acceptance tells of the outcome beyond the features (missing not at random), as where
    a clerk decided. TooFewOutcomes where too few events are accepted to learn from.
    """
    some = np.unique(np.linspace(0, len(target) - 1, min(len(target), ROWS)).astype(np.int64))
    matrix, target = matrix[some], target[some]
    seen = [place for place, name in enumerate(names) if name not in set(hidden)]
    runs = [
        _run(
            matrix,
            target,
            names,
            dict(signs),
            rules,
            seen,
            accepted_share,
            np.random.default_rng([seed, repeat]),
        )
        for repeat in range(repeats)
    ]
    results = tuple(_result(name, [run[0] for run in runs]) for name in ("accepts only", *METHODS))
    return MaskedBenchmark(
        rule="features that the new model doesn't have" if hidden else "features that the new model has",
        accepted_share=accepted_share,
        repeats=repeats,
        accepted_rate=float(np.mean([run[1] for run in runs])),
        rejected_rate=float(np.mean([run[2] for run in runs])),
        results=results,
        oracle_log_loss=float(np.mean([run[0]["oracle"][3] for run in runs])),
    )


#: AUC of all, AUC of rejected, observed / expected of rejected, log-loss of all.
_Measures = tuple[float, float, float, float]


def _run(
    matrix: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    signs: dict[str, int],
    rules: ScorecardParameters,
    seen: list[int],
    accepted_share: float,
    draw: np.random.Generator,
) -> tuple[dict[str, _Measures], float, float]:
    """Measures by method, and the event rates of accepted and rejected learning rows."""
    order = draw.permutation(len(target))
    old, learn, judge = np.split(order, [len(order) // 10, len(order) // 2])
    policy = fit_scorecard(matrix[old], target[old], names, signs, rules)
    # Ties are broken by chance: a policy of few bins would accept far more or far fewer than its share.
    risk = policy.log_odds(matrix, names) + 1e-9 * draw.random(len(target))
    limit = float(np.quantile(risk[learn], accepted_share))
    taken = risk[learn] <= limit
    accepted, rejected = learn[taken], learn[~taken]
    if target[accepted].sum() < LEAST_EVENTS:
        raise TooFewOutcomes(
            f"{int(target[accepted].sum())} events among accepted rows; the benchmark needs {LEAST_EVENTS}.",
            "Accept a larger share, or bring more rows with outcomes.",
        )
    own, told = [names[place] for place in seen], matrix[:, seen]
    first = _Fit(told[accepted], target[accepted], np.ones(len(accepted)), own, signs, rules)
    own_pd, other_pd = first.pd(told[accepted]), first.pd(told[rejected])
    both = np.concatenate([accepted, rejected])
    methods: dict[str, Method] = {"accepts only": accepts_only, **METHODS}
    found = {}
    for name, method in methods.items():
        rows = method(own_pd, target[accepted], other_pd, draw)
        fit = _Fit(told[both[rows.rows]], rows.target, rows.weight, own, signs, rules)
        found[name] = _measure(fit.pd(told[judge]), target[judge], risk[judge] > limit)
    whole = _Fit(told[learn], target[learn], np.ones(len(learn)), own, signs, rules)
    found["oracle"] = _measure(whole.pd(told[judge]), target[judge], risk[judge] > limit)
    return found, float(target[accepted].mean()), float(target[rejected].mean())


class _Fit:
    """The scorecard's bins and features on the rows as they stand, its coefficients on their weights."""

    def __init__(
        self,
        matrix: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        names: Sequence[str],
        signs: dict[str, int],
        rules: ScorecardParameters,
    ) -> None:
        quiet(os.environ)
        from sklearn.linear_model import LogisticRegression

        plain = fit_scorecard(
            matrix, target, names, signs, rules, bin_features(matrix, target, names, signs, rules)
        )
        self.bins, self.names = plain.bins, list(names)
        self.base = float(np.average(target, weights=weight))
        self.model = LogisticRegression(C=rules.inverse_penalty, solver="newton-cholesky", max_iter=200)
        if self.bins:
            self.model.fit(self._woe(matrix), target, sample_weight=weight)

    def pd(self, matrix: np.ndarray) -> np.ndarray:
        """Event probability (n,)."""
        if not self.bins:
            return np.full(len(matrix), self.base)
        return probability(self.model.decision_function(self._woe(matrix)))

    def _woe(self, matrix: np.ndarray) -> np.ndarray:
        return np.column_stack(
            [-each.transform(matrix[:, self.names.index(each.name)]) for each in self.bins]
        )


def _measure(pd: np.ndarray, target: np.ndarray, rejected: np.ndarray) -> _Measures:
    safe = np.clip(pd, 1e-6, 1.0 - 1e-6)
    loss = -float(np.mean(target * np.log(safe) + (1 - target) * np.log1p(-safe)))
    y, p = target[rejected], pd[rejected]
    return auc(target, pd), auc(y, p), float(y.sum() / p.sum()), loss


def _result(name: str, runs: list[dict[str, _Measures]]) -> MethodResult:
    """Means, and the gain with Student's t interval over repeats.

    Repeats share rows, so the plain interval is too narrow: variance is taken times 1/J + test/train (Nadeau and Bengio, Machine
    Learning 52 (2003) 239-281), here 1/J + 1.
    """
    from scipy.stats import t

    measures = np.array([run[name] for run in runs])
    gains = np.array([run["accepts only"][3] - run[name][3] for run in runs])
    reach = float(t.ppf(0.975, len(gains) - 1) * np.sqrt((1.0 / len(gains) + 1.0) * gains.var(ddof=1)))
    gain = float(gains.mean())
    low, high = gain - reach, gain + reach
    verdict: Verdict = "helped" if low > 0.0 else "hurt" if high < 0.0 else "no difference told"
    mean = measures.mean(axis=0)
    auc_all, auc_rejected, ratio, loss = (float(value) for value in mean)
    return MethodResult(name, auc_all, auc_rejected, ratio, loss, gain, low, high, verdict)


_ZH = {"helped": "有帮助", "hurt": "有害", "no difference told": "看不出差别"}


def benchmark_blocks(found: MaskedBenchmark) -> tuple[Block, ...]:
    """What the benchmark says, in both languages."""
    names = ", ".join(found.helped) or "none"
    text = Bilingual(
        zh=f"掩蔽基准（{found.repeats} 次）：模拟规则通过 {found.accepted_share:.0%}，通过者事件率 {found.accepted_rate:.1%}，"
        f"被拒者 {found.rejected_rate:.1%}。有帮助的方法：{'、'.join(found.helped) or '无'}。拒绝推断仅报告，不用于模型。",
        en=f"Masked benchmark ({found.repeats} repeats): a made-up rule on {found.rule} accepts {found.accepted_share:.0%}; "
        f"event rate {found.accepted_rate:.1%} among the accepted, {found.rejected_rate:.1%} among the rejected. Methods that "
        f"helped: {names}. Reject inference is reported, never used in the model.",
    )
    columns = (
        Bilingual(zh="方法", en="method"),
        Bilingual(zh="AUC（全部）", en="AUC, all"),
        Bilingual(zh="AUC（被拒）", en="AUC, rejected"),
        Bilingual(zh="被拒者实际/预测", en="observed / expected, rejected"),
        Bilingual(zh="对数损失", en="log-loss"),
        Bilingual(zh="改善", en="gain"),
        Bilingual(zh="下限", en="low"),
        Bilingual(zh="上限", en="high"),
        Bilingual(zh="结论", en="verdict"),
    )
    rows = tuple(
        (each.method, each.auc_all, each.auc_rejected, each.observed_over_expected, each.log_loss, each.gain,
         each.low, each.high, Bilingual(zh=_ZH[each.verdict], en=each.verdict))
        for each in found.results
    )  # fmt: skip
    title = Bilingual(zh="拒绝推断的掩蔽基准", en="Masked benchmark of reject inference")
    formats = ("", ".3f", ".3f", ".2f", ".4f", "+.4f", "+.4f", "+.4f", "")
    note = Bilingual(
        zh=f"不掩蔽时的对数损失 {found.oracle_log_loss:.4f}。",
        en=f"Log-loss with nothing masked: {found.oracle_log_loss:.4f}.",
    )
    return (Paragraph(text), Table(title, columns, rows, formats, note))
