"""How well the score ranks: AUC, Gini, KS, the first few flagged, divergence, and what was lost since development."""

from __future__ import annotations

import numpy as np

from core.definition_file import Bilingual
from models.discrimination import (
    auc_interval,
    clustered_auc_interval,
    discrimination,
    kolmogorov_smirnov,
    roc_points,
)
from models.judged_tables import wilson_interval
from models.screening.stability import bin_counts, bin_edges, stability
from models.validation.declared import judge, unmeasured
from models.validation.finding import Cell, Finding, Interval, Table
from models.validation.scored_sample import ScoredSample, log_odds_of

#: Shares of good subjects that may be flagged, at which the share of bad ones found is told.
FALSE_RATES = (0.001, 0.005, 0.01)

ONE_OUTCOME = Bilingual(
    zh="样本中只有一种结果，无法衡量。", en="The rows hold one outcome only; nothing can be measured."
)

#: Two-sided normal quantile at 95 %.
Z95 = 1.959963984540054


def discrimination_findings(sample: ScoredSample, reference: ScoredSample | None = None) -> list[Finding]:
    """All of this family. `reference`: the same score on the development side (out of fold), for what was lost since."""
    if not sample.both:
        return [unmeasured("discrimination.auc", ONE_OUTCOME, len(sample), sample.events)]
    found = [auc(sample), gini(sample), ks(sample)]
    found += [true_rate_at(sample, rate) for rate in FALSE_RATES]
    found += [top_decile(sample), divergence(sample), information_value(sample)]
    if reference is not None and reference.both:
        found += [auc_drop(sample, reference), ks_drop(sample, reference)]
    return found


def auc(sample: ScoredSample) -> Finding:
    """AUC = P(score of an event > score of a non-event) + half the ties.

    Bamber, J. Math. Psychology 12 (1975) 387-415; interval by DeLong where each subject has one row, else by Obuchowski
    (1997), which knows that vintages of a subject hang together. Why this and not accuracy: it needs no cut-off and doesn't
    change with the base rate. It says nothing of calibration: doubling every PD leaves it as it is.
    """
    plain = auc_interval(sample.outcome, sample.pd)
    clustered = clustered_auc_interval(sample.outcome, sample.pd, sample.subject_no)
    alone = len(np.unique(sample.subject_no)) == len(sample)
    used = plain if alone else clustered
    rows = tuple(
        (name, each.auc, each.standard_error, each.low, each.high)
        for name, each in (("DeLong", plain), ("Obuchowski", clustered))
    )
    return judge(
        "discrimination.auc",
        used.auc,
        n=len(sample),
        events=sample.events,
        interval=Interval(used.low, used.high, used.confidence),
        details=(Table("intervals", ("method", "auc", "standard_error", "low", "high"), rows), _by_vintage(sample)),
    )  # fmt: skip


def gini(sample: ScoredSample) -> Finding:
    """Gini = AR = 2 AUC - 1 (Engelmann, Hayden and Tasche, Bundesbank discussion paper 2003-01, eq. 9).

    The same information as AUC on the scale that supervisors read: 0 is chance.
    """
    estimate = clustered_auc_interval(sample.outcome, sample.pd, sample.subject_no)
    return judge(
        "discrimination.gini",
        2.0 * estimate.auc - 1.0,
        n=len(sample),
        events=sample.events,
        interval=Interval(2.0 * estimate.low - 1.0, 2.0 * estimate.high - 1.0),
    )


def ks(sample: ScoredSample) -> Finding:
    """KS = max |F(score of events) - F(score of non-events)| (BCBS WP 14, 2005, ch. III).

    Why beside AUC: it looks at the best single cut-off, AUC at all of them; a model may have a high KS and rank badly at the
    ends. As a maximum over cut-offs it lies too high in small samples, so two KS compare only at like sizes.
    """
    return judge(
        "discrimination.ks",
        kolmogorov_smirnov(sample.outcome, sample.pd),
        n=len(sample),
        events=sample.events,
    )


def true_rate_at(sample: ScoredSample, false_rate: float) -> Finding:
    """Share of events found while at most `false_rate` of non-events is flagged; Wilson's interval at that cut-off.

    Pepe, The Statistical Evaluation of Medical Tests (2003), ch. 5. Why beside AUC: rule overlays and vetoes act on the worst
    few, where AUC weighs little. Ties are not cut: the next cut-off below is taken, so the share is never flattered. The
    interval holds the cut-off fixed; it is a little too narrow where few non-events lie above it.
    """
    name = f"discrimination.tpr_at_{round(false_rate * 1000)}_in_1000"
    others = len(sample) - sample.events
    if others * false_rate < 1.0:
        few = Bilingual(
            zh=f"非事件只有 {others:,}，该误报率下不足一行。",
            en=f"{others:,} non-events: less than one row at that false positive rate.",
        )
        return unmeasured(name, few, len(sample), sample.events)
    of_others, of_events = roc_points(sample.outcome, sample.pd)
    found = float(of_events[of_others <= false_rate].max())
    low, high = wilson_interval(round(found * sample.events), sample.events, Z95)
    return judge(name, found, n=len(sample), events=sample.events, interval=Interval(low, high))


def top_decile(sample: ScoredSample) -> Finding:
    """Event rate of the tenth of rows with the highest score, with Wilson's interval and the lift over the base rate.

    Siddiqi (2017), ch. 11. Why beside AUC: it is what a reviewer meets when the worst tenth is looked at by hand.
    """
    measured = discrimination(sample.outcome, sample.pd)
    assert measured is not None
    rows = max(1, len(sample) // 10)
    low, high = wilson_interval(round(measured.top_decile_rate * rows), rows, Z95)
    base = sample.events / len(sample)
    lift = (
        rows,
        measured.top_decile_rate,
        base,
        measured.top_decile_rate / base,
        measured.top_decile_capture,
    )
    return judge(
        "discrimination.top_decile",
        measured.top_decile_rate,
        n=len(sample),
        events=sample.events,
        interval=Interval(low, high),
        details=(Table("top_decile", ("rows", "observed", "base_rate", "lift", "captured"), (lift,)),),
    )


def divergence(sample: ScoredSample) -> Finding:
    """(mean of events - mean of non-events)^2 / ((variance of events + variance of non-events) / 2), of log-odds.

    Thomas, Edelman and Crook, Credit Scoring and Its Applications (2002), ch. 4.5. Why beside AUC: it is in units of spread
    and never saturates, but unlike AUC it changes with any curved transformation of the score and assumes bell shapes.
    """
    z = log_odds_of(sample.pd)
    events, others = z[sample.outcome == 1], z[sample.outcome == 0]
    spread = (float(events.var()) + float(others.var())) / 2.0
    value = (float(events.mean()) - float(others.mean())) ** 2 / spread if spread > 0 else None
    return judge("discrimination.divergence", value, n=len(sample), events=sample.events)


def information_value(sample: ScoredSample) -> Finding:
    """Sum over ten score bins of (share of goods - share of bads) ln(share of goods / share of bads) (Siddiqi 2017, ch. 10).

    The divergence of Kullback both ways: as the PSI, but between goods and bads instead of then and now. Empty bins count
    as half a row.
    """
    edges = bin_edges(sample.pd)
    goods, bads = (bin_counts(sample.pd[sample.outcome == side], edges) for side in (0, 1))
    return judge(
        "discrimination.information_value", stability(goods, bads).psi, n=len(sample), events=sample.events
    )


def auc_drop(sample: ScoredSample, reference: ScoredSample) -> Finding:
    """AUC at development minus AUC now, normal interval from both clustered errors.

    ECB, Instructions for reporting the validation results of internal models (2019), sec. 2.5.4 and annex 1. Why an interval
    and not their one-sided test of the point: with many rows any loss is proven, so the whole interval must pass the limit.
    The two sides hold different subjects, so the errors add.
    """
    now = clustered_auc_interval(sample.outcome, sample.pd, sample.subject_no)
    then = clustered_auc_interval(reference.outcome, reference.pd, reference.subject_no)
    loss = then.auc - now.auc
    reach = Z95 * float(np.hypot(now.standard_error, then.standard_error))
    return judge(
        "discrimination.auc_drop",
        loss,
        n=len(sample),
        events=sample.events,
        interval=Interval(loss - reach, loss + reach),
    )


def ks_drop(sample: ScoredSample, reference: ScoredSample) -> Finding:
    """KS at development (out of fold) minus KS now: a limit of the house (0.05), not of a regulator.

    Why beside the drop of AUC: cut-offs are set where KS is reached, and it is there that the loss costs money.
    """
    loss = kolmogorov_smirnov(reference.outcome, reference.pd) - kolmogorov_smirnov(sample.outcome, sample.pd)
    return judge("discrimination.ks_drop", loss, n=len(sample), events=sample.events)


def _by_vintage(sample: ScoredSample) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for number, month in enumerate(sample.vintages):
        here = sample.vintage_no == number
        target, score = sample.outcome[here], sample.pd[here]
        if target.min() == target.max():
            rows.append((month, int(here.sum()), int(target.sum()), None, None, None))
        else:
            each = auc_interval(target, score)
            rows.append((month, int(here.sum()), int(target.sum()), each.auc, each.low, each.high))
    return Table("by_vintage", ("vintage", "rows", "events", "auc", "low", "high"), tuple(rows))
