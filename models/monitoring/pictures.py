"""Monitoring over months as SVG: what moved, what was expected, what came true. Labels are English: fonts may lack Chinese."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.definition_file import Bilingual
from models.monitoring.measure import Measure, Monitored
from models.report import drawing
from models.report.drawing import BLUE, ORANGE, SOFT
from models.report_blocks import Picture

History = Mapping[str, Monitored]

#: Inches.
SIZE = (7.2, 2.8)


def draw(
    title: Bilingual, alt: Bilingual, painter: Callable[[Any, History], None], history: History
) -> Picture:
    """A picture over months; the same months give the same bytes."""

    def onto(axes: Any) -> None:
        # Text axes stand in the order in which months are first seen: all of them, before anything is drawn.
        vintages = {told.about for each in history.values() for told in each.of("vintage_observed")}
        axes.xaxis.update_units(sorted(vintages | set(history)) if painter in OF_VINTAGES else list(history))
        painter(axes, history)

    return drawing.draw(title, alt, onto, SIZE)


def drift_over_months(axes: Any, history: History) -> None:
    """PSI of scores against reference and last month, with the limit of chance."""
    for name, colour, label in (
        ("score_psi_reference", BLUE, "scores against reference"),
        ("score_psi_previous", ORANGE, "scores against last month"),
    ):
        _line(axes, {month: each.one(name) for month, each in history.items()}, colour, label)
    chance = {
        month: told.chance for month, each in history.items() if (told := each.one("score_psi_reference"))
    }
    known = {month: value for month, value in chance.items() if value is not None}
    axes.plot(list(known), list(known.values()), color=SOFT, linestyle=":", label="chance alone (1 %)")
    axes.set(ylabel="PSI")
    _finish(axes, history)


def performance_over_months(axes: Any, history: History) -> None:
    """Expected AUC of the months, realised AUC of the mature vintages, both with 95 %."""
    expected = {month: each.one("expected_auc") for month, each in history.items()}
    _line(axes, expected, BLUE, "expected (CBPE)", band=True)
    newest = list(history.values())[-1]
    _line(
        axes,
        {each.about: each for each in newest.of("vintage_auc")},
        ORANGE,
        "realised, by vintage",
        band=True,
    )
    axes.set(ylabel="AUC")
    _finish(axes, {**history, **{each.about: newest for each in newest.of("vintage_auc")}})


def rates_over_months(axes: Any, history: History) -> None:
    """Mean PD of the months, observed rate of the mature vintages with 95 %."""
    _line(
        axes,
        {month: each.one("mean_pd") for month, each in history.items()},
        BLUE,
        "mean PD of everyone scored",
    )
    newest = list(history.values())[-1]
    _line(
        axes,
        {each.about: each for each in newest.of("vintage_predicted")},
        SOFT,
        "mean PD, labelled of vintage",
    )
    observed = {each.about: each for each in newest.of("vintage_observed")}
    _line(axes, observed, ORANGE, "observed, by vintage", band=True)
    axes.set(ylabel="rate")
    axes.set_ylim(bottom=0.0)
    _finish(axes, {**history, **dict.fromkeys(observed, newest)})


def grades_over_months(axes: Any, history: History) -> None:
    """Share of subjects by grade, 1 below."""
    from matplotlib import colormaps

    months = list(history)
    grades = [each.about for each in list(history.values())[-1].of("grade_share")]
    bottom = [0.0] * len(months)
    colours = colormaps["RdYlGn_r"]
    for place, grade in enumerate(grades):
        shares = [
            next((told.value or 0.0 for told in each.of("grade_share") if told.about == grade), 0.0)
            for each in history.values()
        ]
        axes.bar(
            months,
            shares,
            bottom=bottom,
            color=colours(place / max(len(grades) - 1, 1)),
            width=0.8,
            label=grade,
        )
        bottom = [a + b for a, b in zip(bottom, shares, strict=True)]
    axes.set(ylabel="share by grade (1 = best)", ylim=(0, 1))
    _finish(axes, history, legend=False)


def _line(axes: Any, told: Mapping[str, Measure | None], colour: str, label: str, band: bool = False) -> None:
    known = {
        month: each for month, each in sorted(told.items()) if each is not None and each.value is not None
    }
    if not known:
        return
    axes.plot(
        list(known), [each.value for each in known.values()], "o-", color=colour, markersize=3.5, label=label
    )
    if band and all(each.low is not None and each.high is not None for each in known.values()):
        axes.fill_between(
            list(known),
            [each.low for each in known.values()],
            [each.high for each in known.values()],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )


def _finish(axes: Any, months: Mapping[str, object], legend: bool = True) -> None:
    shown = sorted(months)
    axes.set_xticks(shown[:: max(1, len(shown) // 8)])
    axes.tick_params(axis="x", labelsize=7)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7)


#: Pictures whose months are as-of months and mature vintages.
OF_VINTAGES = (performance_over_months, rates_over_months)
