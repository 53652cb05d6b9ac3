"""The screening as a page to read and as a table to work with; aggregates only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.definition_file import Bilingual
from models.screening.screen import FeatureScreen, Screening

TEMPLATE = Path(__file__).parent / "page.html.j2"


def page(screening: Screening, titles: dict[str, Bilingual]) -> str:
    """One self-contained HTML page; the same screening gives the same text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    features = sorted(screening.features, key=lambda each: (-(each.iv or 0.0), each.name))
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        screening=screening,
        features=features,
        titles=titles,
        months=list(screening.rows)[1:],
        platforms=sorted({platform for each in features for platform in each.psi_by_platform}),
        alarms=[f"{each.name} ({', '.join(each.alarms)})" for each in features if each.alarms],
        last=lambda values: list(values.values())[-1],
        number=lambda value: "" if value is None else f"{value:.3f}",
        mark=_mark,
    )


def as_json(screening: Screening) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "feature_set": screening.feature_set,
        "purpose": str(screening.purpose),
        "rows": dict(screening.rows),
        "outcomes": screening.outcomes,
        "events": screening.events,
        "suspects": [vars(suspect) for suspect in screening.suspects],
        "alike": [list(group) for group in screening.alike],
        "features": {
            each.name: {
                "missing": dict(each.missing),
                "iv": each.iv,
                "auc": each.auc,
                "auc_gap": each.auc_gap,
                "psi": {month: told.psi for month, told in each.psi.items()},
                "limit": {month: told.limit for month, told in each.psi.items()},
                "psi_by_platform": {name: told.psi for name, told in each.psi_by_platform.items()},
                "alarms": each.alarms,
                "expected": {month: found.name for month, found in each.expected.items()},
            }
            for each in screening.features
        },
    }


def _mark(feature: FeatureScreen, month: str) -> str:
    if not feature.psi[month].moved:
        return ""
    return "expected" if month in feature.expected else "alarm"
