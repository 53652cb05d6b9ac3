"""What assets tell the Dagster pages: numbers as numbers, one small table, one small picture, links. Never rows of data."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from features.entitlement import REASONS
from features.ineligible import Ineligible

#: A picture in the event log is kept for ever; 40 kB is a small chart.
PICTURE_LIMIT = 40_000


def numbers(values: Mapping[str, float | int | None]) -> dict[str, Any]:
    """Numbers that Dagster can plot over months; missing ones are left out."""
    return {
        name: int(value) if isinstance(value, int) else float(value)
        for name, value in values.items()
        if value is not None
    }


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> dict[str, Any]:
    """A small table (counts, reasons, metrics)."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return {title: dg.MetadataValue.md("\n".join(lines))}


def ineligible(told: Ineligible) -> dict[str, Any]:
    """How many subjects had no consent for what: numbers of subjects, by purpose, source and reason."""
    rows = [
        [purpose, source or "(no row / 整行剔除)", f"{REASONS[reason].en} / {REASONS[reason].zh}", subjects]
        for purpose, source, reason, subjects in told.rows
    ]
    counted = numbers({"subjects_without_entitlement": told.without_any})
    return counted | (
        table("not entitled", ["purpose", "source", "reason", "subjects"], rows) if rows else {}
    )


def bars(title: str, labels: Sequence[str], values: Sequence[float]) -> dict[str, Any]:
    """A bar chart of a few counts, as a picture of at most 40 kB."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 2.2), dpi=80)
    axes = figure.subplots()
    axes.bar(range(len(values)), values, color="#2f6f8f")
    step = max(1, len(labels) // 12)
    axes.set_xticks(
        range(0, len(labels), step),
        [str(label) for label in labels][::step],
        fontsize=7,
        rotation=45,
    )
    axes.tick_params(axis="y", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return {title: picture(buffer.getvalue())}


def picture(png: bytes) -> dg.MetadataValue:
    """A PNG as inline Markdown; ValueError above the limit."""
    if len(png) > PICTURE_LIMIT:
        raise ValueError(f"a picture of {len(png)} bytes is too large for metadata (limit {PICTURE_LIMIT})")
    return dg.MetadataValue.md(f"![]({'data:image/png;base64,' + base64.b64encode(png).decode()})")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
