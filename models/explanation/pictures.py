"""Pictures of an explanation as self-contained SVG; the same explanation gives the same bytes. Labels are English."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from models.explanation.explanation import Explanation
from models.report.drawing import BLUE, GRID, INK, ORANGE, SOFT

SHOWN = 15

_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "gscene", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 8, "axes.edgecolor": SOFT,
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": SOFT, "ytick.color": SOFT, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True, "legend.frameon": False,
}  # fmt: skip


def importance_picture(explanation: Explanation) -> bytes:
    """Bars of mean absolute contribution, with the loss of AUC by shuffling beside them."""

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        top = explanation.importance[:SHOWN][::-1]
        names = [each.name for each in top]
        left.barh(names, [each.contribution for each in top], color=BLUE)
        right.barh(names, [each.auc_drop or 0.0 for each in top], color=ORANGE)
        left.set(xlabel="mean |contribution|, log-odds")
        right.set(xlabel="loss of AUC when shuffled")
        left.tick_params(axis="y", labelsize=7)

    return drawn(draw, (8.0, 0.22 * max(6, len(explanation.importance[:SHOWN])) + 0.6))


def profile_picture(explanation: Explanation) -> bytes:
    """One panel a feature: mean PD over its range, the band of individual curves, and a mark where the value is missing."""

    def draw(figure: Any) -> None:
        columns = 3
        rows = max(1, -(-len(explanation.profiles) // columns))
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, told in zip(panels, explanation.profiles, strict=False):
            if told.grid:
                panel.fill_between(told.grid, told.low, told.high, color=BLUE, alpha=0.18, linewidth=0)
                panel.plot(told.grid, told.mean, color=BLUE, linewidth=1.4, marker=".")
            panel.axhline(told.missing[0], color=ORANGE, linewidth=0.9, linestyle="--")
            sign = {1: " (+)", -1: " (-)", 0: ""}[told.sign]
            panel.set_title(told.name + sign, fontsize=7.5)
            panel.set_ylim(bottom=0.0)
            panel.tick_params(labelsize=6)
        for panel in panels[len(explanation.profiles) :]:
            panel.set_visible(False)

    return drawn(draw, (8.4, 1.9 * max(1, -(-len(explanation.profiles) // 3))))


def drawn(draw: Callable[[Any], None], size: tuple[float, float]) -> bytes:
    """What `draw` puts on a figure of `size` inches, as SVG."""
    # Figure without pyplot: no global state and no display, also in a thread.
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
