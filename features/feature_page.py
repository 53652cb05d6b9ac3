"""The catalogue as a page of tables in Markdown: one row per entry, its windows together."""

from __future__ import annotations

from collections.abc import Mapping

from core.definition_file import Bilingual
from features.catalogue import Feature, FeatureSet
from features.feature_entry import FeatureEntry

#: Everything after this line of the page is generated.
MARK = "<!-- Generated from the catalogue by `gscene features page`: change the YAML, not this. -->"

_SIGNS = {1: "+", -1: "-", 0: ""}
_CLASSES = {"none": "", "review": "review", "excluded_from_reasons": "not as a reason"}


def feature_page(sets: Mapping[str, FeatureSet], formulas: Mapping[str, str]) -> str:
    """Formulas (name and what it works out) and all sets, from the mark on."""
    lines = [MARK, "", "## Formulas", "", "| formula | what it works out |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(' '.join(told.split()))} |" for name, told in formulas.items()]
    for feature_set in sets.values():
        lines += [
            "",
            f"## {_both(feature_set.title)}",
            "",
            f"`{feature_set.name}`: {len(feature_set.features)} features.",
        ]
        section: object = MARK
        for entry, first in _entries(feature_set):
            if first.section != section:
                section = first.section
                lines += [
                    "",
                    *([f"### {_both(first.section)}", ""] if first.section is not None else []),
                    *_HEAD,
                ]
            lines.append(_row(entry, first, feature_set))
        lines += _concerns(feature_set)
    return "\n".join(lines) + "\n"


_HEAD = (
    "| feature | 含义 | meaning | worked out as | unit | risk | purposes | fairness | ageing | missing means |",
    "|---|---|---|---|---|:-:|---|---|---|---|",
)


def _row(entry: FeatureEntry, first: Feature, feature_set: FeatureSet) -> str:
    windows = ", ".join(str(window) for window in entry.windows)
    name = entry.name.replace("{w}", "{" + windows + "}" if len(entry.windows) > 1 else windows)
    # Where a window isn't part of the texts, it is told with the formula.
    shown = "w" if len(entry.windows) > 1 else windows
    sides = ", ".join(f"{facts}.{measure}" for facts, measure in first.sides)
    cells = [
        f"`{name}`",
        entry.zh.replace("{w}", shown),
        entry.en.replace("{w}", shown),
        f"`{entry.formula}({sides})` over {windows} months{_tables_named(first, feature_set)}",
        entry.unit,
        _SIGNS[entry.risk],
        ", ".join(sorted(entry.purposes)),
        _CLASSES[entry.fairness],
        f"{entry.years} years" if entry.years is not None else "",
        entry.missing.en,
    ]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _tables_named(feature: Feature, feature_set: FeatureSet) -> str:
    """Both tables of a feature that is told of another subject."""
    named = [
        feature_set.facts[facts].tables for facts, _ in feature.sides if feature_set.facts[facts].upstream
    ]
    return "".join(
        f", of the {tables[-1][0]} in `{tables[-1][1]}` that `{tables[0][1]}` names" for tables in named[:1]
    )


def _concerns(feature_set: FeatureSet) -> list[str]:
    """Why features are for review or kept out of reasons, each reason once."""
    told: dict[tuple[str, str], list[str]] = {}
    for entry, _ in _entries(feature_set):
        if entry.fairness_why is not None:
            told.setdefault((_CLASSES[entry.fairness], _both(entry.fairness_why)), []).append(entry.name)
    if not told:
        return []
    rows = [
        f"| {kind} | {_cell(why)} | {', '.join(f'`{name}`' for name in names)} |"
        for (kind, why), names in told.items()
    ]
    return ["", "| fairness | why | features |", "|---|---|---|", *rows]


def _entries(feature_set: FeatureSet) -> list[tuple[FeatureEntry, Feature]]:
    """Entries in order, each with the first feature made of it."""
    found: list[tuple[FeatureEntry, Feature]] = []
    for feature in feature_set.features:
        if feature.entry is not None and not (found and found[-1][0] is feature.entry):
            found.append((feature.entry, feature))
    return found


def _both(text: Bilingual) -> str:
    return f"{text.en} / {text.zh}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
