"""Does something know the outcome that shouldn't, are the outcomes right, and is the served score the validated one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.definition_file import Bilingual
from models.score_parity import score_parity
from models.screening.leak_probe import suspects
from models.validation.declared import judge, unmeasured
from models.validation.discrimination import ONE_OUTCOME
from models.validation.finding import Finding, Interval, Table
from models.validation.flipped_labels import fit_flips
from models.validation.grades import holm
from models.validation.scored_sample import ScoredSample, log_odds_of
from sources.migration.tolerances import Tolerances

#: Rows looked at for leaks: with 200 events among them the interval of a leaking feature lies well above the limit.
ROWS = 50_000

NO_RANK = Bilingual(
    zh="分数在这些行上不能区分好坏（或完全区分），无法判断。",
    en="On these rows the score doesn't rank the outcomes, or separates them: flips can't be told.",
)

#: Events and non-events from which a feature can be accused.
LEAST_EVENTS = 20

#: Parts of names that tell of the outcome or of what the bank did after it.
AFTER_THE_FACT = (
    "dpd",
    "overdue_after",
    "writeoff",
    "write_off",
    "default",
    "collection",
    "outcome",
    "target",
    "label",
)


def leakage_findings(
    sample: ScoredSample,
    matrix: np.ndarray | None,
    names: Sequence[str],
    reference_pd: np.ndarray | None = None,
    batches: Mapping[str, np.ndarray] | None = None,
) -> list[Finding]:
    """Suspect features (n, p), flipped labels by `reference_pd` (by default the model's own pd), and odd batches of labels."""
    found = [] if matrix is None else [suspect_features(sample, matrix, names), suspect_names(names)]
    believed = sample.pd if reference_pd is None else reference_pd
    return [
        *found,
        flipped_labels(sample, believed),
        odd_batches(sample, believed, batches or {"vintage": sample.vintage}),
    ]


def suspect_features(sample: ScoredSample, matrix: np.ndarray, names: Sequence[str]) -> Finding:
    """Number of features that alone (value, or being missing) rank the outcome with a whole 99 % interval above 0.85.

    See `models.screening.leak_probe`. Why beside importance: a leak may be shared by two features and look small in each. With
    fewer than LEAST_EVENTS of either outcome nothing is said: DeLong's interval has no width where a feature happens to
    separate them.
    """
    if not sample.both:
        return unmeasured("leakage.suspect_features", ONE_OUTCOME, len(sample))
    step = max(1, len(sample) // ROWS)
    target = sample.outcome[::step]
    if target.min() == target.max():
        return unmeasured("leakage.suspect_features", ONE_OUTCOME, len(target))
    if min(int(target.sum()), int((target == 0).sum())) < LEAST_EVENTS:
        few = Bilingual(zh=f"好或坏不足 {LEAST_EVENTS} 个。", en=f"Fewer than {LEAST_EVENTS} of one outcome.")
        return unmeasured("leakage.suspect_features", few, len(target), int(target.sum()))
    told = suspects(list(names), matrix[::step], target)
    rows = tuple((each.feature, each.by, each.auc, each.low) for each in told)
    return judge(
        "leakage.suspect_features",
        len(told),
        n=len(target),
        events=int(target.sum()),
        about=", ".join(each.feature for each in told[:3]),
        details=(Table("suspects", ("feature", "by", "auc", "low"), rows),) if rows else (),
    )


def suspect_names(names: Sequence[str]) -> Finding:
    """Number of features whose name tells of what is known only after the outcome (days past due, write-off, collection).

    Kaufman et al., ACM TKDD 6 (2012) 15 (legitimacy of the source). Why beside the AUC of a feature: a leak may be weak in this
    sample and strong in the next; whether it may be known is a matter of what it is, not of how strong it is.
    """
    told = [name for name in names if any(part in name.lower() for part in AFTER_THE_FACT)]
    return judge("leakage.suspect_names", len(told), n=len(names), about=", ".join(told[:3]))


def flipped_labels(sample: ScoredSample, reference_pd: np.ndarray) -> Finding:
    """Share f of outcomes that were turned round: P(y = 1) = f + (1 - 2f) P(a + b logit(pd)), by maximum likelihood.

    Copas, J. Royal Statistical Society B 50 (1988) 225-265; Hausman, Abrevaya and Scott-Morton, J. Econometrics 87 (1998)
    239-269. Interval by profile likelihood, p from half the chi-square with 1 degree of freedom as f can't be negative. Why not
    confident learning (Northcutt et al., JAIR 70 (2021) 1373-1411), which counts rows whose label contradicts a confident
    prediction: at 5 % bad rate and AUC 0.8 most true bads contradict it, so its count is mostly honest rows. Bads
    among the very best scores are what flips leave behind; docs/validation.md has the measured power. `reference_pd` must come
    from labels that are trusted: a model trained on the poisoned ones learns f as its floor and sees nothing.
    """
    one = sample.independent()
    believed = reference_pd if one is sample else reference_pd[_rows_of(sample, one)]
    fit = fit_flips(log_odds_of(believed), one.outcome) if one.both else None
    if fit is None:
        return unmeasured("leakage.flipped_labels", NO_RANK, len(one), one.events)
    return judge(
        "leakage.flipped_labels",
        fit.share,
        n=len(one),
        events=one.events,
        interval=Interval(fit.low, fit.high, 0.95),
        p_value=fit.p_value,
    )


def odd_batches(sample: ScoredSample, reference_pd: np.ndarray, batches: Mapping[str, np.ndarray]) -> Finding:
    """Batches of outcomes (vintage, platform, branch, …) with too many or too few events for their pd; smallest Holm p.

    z = (sum y - r sum pd) / sqrt(r sum pd (1 - pd)), r the ratio over all rows, so that a wrong level alone accuses nobody.
    Poison comes in deliveries, not evenly: 2 % of all labels inside a tenth of them are a fifth of that tenth. Why beside the
    evenly flipped: this one sees a batch in rows where the score has no power. It can't tell poison from a branch
    that is truly worse, so a person must look. Rows are taken as independent: only one vintage of a subject is used
    within a batch kind other than the vintage itself.
    """
    from scipy.stats import norm

    rows, p = [], []
    for kind, codes in batches.items():
        one = sample if kind == "vintage" else sample.independent()
        place = np.arange(len(sample)) if one is sample else _rows_of(sample, one)
        told, pd = codes[place], reference_pd[place]
        ratio = one.events / max(float(pd.sum()), 1e-12)
        names, group = np.unique(told, return_inverse=True)
        if len(names) < 2:
            continue
        size, hits = np.bincount(group.ravel()), np.bincount(group.ravel(), one.outcome)
        believed = ratio * np.bincount(group.ravel(), pd)
        spread = np.sqrt(ratio * np.bincount(group.ravel(), pd * (1.0 - pd)))
        for i, name in enumerate(names):
            z = (hits[i] - believed[i]) / spread[i] if spread[i] > 0 else 0.0
            if size[i] >= 10:
                rows.append((kind, str(name), int(size[i]), int(hits[i]), float(believed[i]), float(z)))
                p.append(float(2.0 * norm.sf(abs(z))))
    if not rows:
        none = Bilingual(zh="只有一个批次。", en="There is only one batch.")
        return unmeasured("leakage.odd_batches", none, len(sample), sample.events)
    adjusted = holm(np.array(p))
    worst = int(np.argmin(adjusted))
    order = np.argsort(p, kind="stable")[:20]
    table = tuple((*rows[i], float(adjusted[i])) for i in order)
    columns = ("kind", "batch", "rows", "events", "expected", "z", "holm_p")
    return judge(
        "leakage.odd_batches",
        abs(rows[int(np.argmin(p))][5]),
        n=len(sample),
        events=sample.events,
        p_value=float(adjusted[worst]),
        about=" ".join(rows[int(np.argmin(p))][:2]),
        details=(Table("batches", columns, table),),
    )


def served_parity(
    validated_pd: np.ndarray, served_pd: np.ndarray, validated_grade: np.ndarray, served_grade: np.ndarray
) -> Finding:
    """Largest difference between the pd that was validated and the pd that the kept bundle serves, on the same rows.

    Breck et al., IEEE Big Data (2017) (training/serving skew). Why beside a rank correlation: skew of a single rare category
    leaves that at 0.9999; the same program on the same rows must give the same number. The table repeats the statistics of the
    migration check (`models.score_parity`).
    """
    told = score_parity(validated_pd, served_pd, validated_grade, served_grade, "served", Tolerances())
    moved = float((validated_grade != served_grade).mean()) if len(served_grade) else 0.0
    rows = [(each.measure, each.statistic) for each in told] + [("grade_moves", moved)]
    largest = float(np.abs(validated_pd - served_pd).max()) if len(served_pd) else None
    return judge(
        "leakage.served_parity",
        largest,
        n=len(served_pd),
        details=(Table("parity", ("measure", "value"), tuple(rows)),),
    )


def _rows_of(sample: ScoredSample, one: ScoredSample) -> np.ndarray:
    """Positions in `sample` of the one vintage that `sample.independent()` gave."""
    return np.flatnonzero(sample.vintage == one.vintage[0]) if len(one) else np.empty(0, dtype=int)
