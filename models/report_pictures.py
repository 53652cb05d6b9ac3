"""Pictures of the review report as SVG data URIs. Labels are English: a picture can't rely on Chinese fonts
being installed.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from models.candidates import CandidateKind
from models.training_record import TrainingRecord

INK, SOFT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, ORANGE = "#1f5fa8", "#d9822b"

_COLOURS = {CandidateKind.SCORECARD: BLUE, CandidateKind.LIGHTGBM: ORANGE}
_NAMES = {CandidateKind.SCORECARD: "Scorecard", CandidateKind.LIGHTGBM: "LightGBM"}

#: Features shown in the picture and the table of the report.
TOP_FEATURES = 15


def pictures(record: TrainingRecord) -> dict[str, str]:
    """`roc`, `distribution`, `calibration`, `features`: data URIs; the same record gives the same bytes."""
    import matplotlib

    settings: dict[Any, Any] = {
        "svg.hashsalt": "gscene", "font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": SOFT,
        "axes.labelcolor": INK, "text.color": INK, "xtick.color": SOFT, "ytick.color": SOFT, "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True, "legend.frameon": False,
    }  # fmt: skip
    with matplotlib.rc_context(settings):
        return {
            "roc": _draw(_roc, record),
            "distribution": _draw(_distribution, record),
            "calibration": _draw(_calibration, record),
            "features": _draw(_features, record),
        }


def _draw(draw: Any, record: TrainingRecord) -> str:
    # Figure without pyplot: no global state and no display, also in a thread.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    draw(figure.add_subplot(), record)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _roc(axes: Any, record: TrainingRecord) -> None:
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
    for kind, candidate in record.candidates.items():
        measured = candidate.performance.get(record.judged_on)
        if measured is not None:
            label = f"{_NAMES[kind]}  AUC {measured.auc.auc:.3f}"
            axes.plot(*zip(*candidate.roc, strict=True), color=_COLOURS[kind], linewidth=1.6, label=label)
            axes.legend(loc="lower right")
    axes.set(
        xlabel="share of non-events flagged", ylabel="share of events flagged", xlim=(0, 1), ylim=(0, 1.01)
    )


def _distribution(axes: Any, record: TrainingRecord) -> None:
    bands = record.score_bands
    if bands:
        others, events = (max(1, sum(band[i] for band in bands)) for i in (1, 2))
        width = bands[1][0] - bands[0][0] if len(bands) > 1 else 20.0
        starts = [band[0] for band in bands]
        axes.bar(
            starts,
            [b[1] / others for b in bands],
            width,
            align="edge",
            color=BLUE,
            alpha=0.55,
            label="no event",
        )
        axes.bar(
            starts,
            [b[2] / events for b in bands],
            width,
            align="edge",
            color=ORANGE,
            alpha=0.55,
            label="event",
        )
        axes.legend()
    axes.set(xlabel="points", ylabel="share of its group")


def _calibration(axes: Any, record: TrainingRecord) -> None:
    grades = [grade for grade in record.grades if grade.rows]
    numbers = [grade.grade for grade in grades]
    low = [max(0.0, grade.observed - grade.low) for grade in grades]
    high = [max(0.0, grade.high - grade.observed) for grade in grades]
    axes.errorbar(
        numbers, [grade.observed for grade in grades], yerr=[low, high], fmt="o", color=ORANGE, capsize=3, label="observed, 90 %"
    )  # fmt: skip
    axes.plot(
        numbers, [grade.predicted for grade in grades], "_-", color=BLUE, markersize=12, label="predicted"
    )
    axes.set(xlabel="grade (1 = best)", ylabel="event rate", xticks=range(1, record.scale.count + 1))
    axes.set_ylim(bottom=0.0)
    axes.legend()


def _features(axes: Any, record: TrainingRecord) -> None:
    top = sorted(record.features, key=lambda feature: -feature.iv)[:TOP_FEATURES][::-1]
    colours = [BLUE if feature.in_scorecard else "#a9c4e4" for feature in top]
    axes.barh([feature.name for feature in top], [feature.iv for feature in top], color=colours)
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel="information value (dark: in the scorecard)")
