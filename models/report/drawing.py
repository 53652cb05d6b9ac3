"""One drawing, two forms: SVG for pages, PNG for Word. Labels are English: a picture can't rely on Chinese fonts being installed.

Figures are made without pyplot: no global state and no display, also in a thread. The same numbers give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.definition_file import Bilingual
from models.report_blocks import Picture

INK, SOFT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, ORANGE, PALE = "#1f5fa8", "#d9822b", "#a9c4e4"

#: Pixels an inch of the PNG: 5.2 inches wide, it is sharp across a page of A4.
DPI = 160

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "gscene", "font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": SOFT,
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": SOFT, "ytick.color": SOFT, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True, "legend.frameon": False,
}  # fmt: skip


def draw(
    title: Bilingual, alt: Bilingual, onto: Callable[[Any], None], size: tuple[float, float] = (5.2, 3.6)
) -> Picture:
    """A picture of what `onto` draws on one pair of matplotlib axes; `size` in inches."""
    return draw_figure(title, alt, lambda figure: onto(figure.add_subplot()), size)


def draw_figure(
    title: Bilingual, alt: Bilingual, onto: Callable[[Any], None], size: tuple[float, float]
) -> Picture:
    """A picture of what `onto` draws on a whole figure."""
    with _figure(onto, size) as figure:
        svg, png = io.BytesIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        # Laid out by the first; laying it out again would take as long as drawing.
        figure.set_layout_engine("none")
        figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return Picture(title, svg.getvalue(), alt, png.getvalue())


def svg_of(onto: Callable[[Any], None], size: tuple[float, float]) -> bytes:
    """What `onto` draws on a whole figure, for pages that need no other form."""
    with _figure(onto, size) as figure:
        svg = io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return svg.getvalue()


@contextmanager
def _figure(onto: Callable[[Any], None], size: tuple[float, float]) -> Iterator[Any]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        onto(figure)
        yield figure
