"""The findings as one section of a report, in both languages; a whole page includes it as it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from core.definition_file import Bilingual
from models.validation.declared import declared
from models.validation.finding import GRAVITY, VERDICT_WORDS, Finding, Verdict, number, worst

TEMPLATE = Path(__file__).parent / "section.html.j2"


def render_section(findings: Sequence[Finding]) -> str:
    """HTML of the section, "" without findings; the same findings give the same text."""
    from jinja2 import Environment, StrictUndefined

    if not findings:
        return ""
    told = declared()
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "cell": number,
        "word_zh": partial(_word, lang="zh"),
        "word_en": partial(_word, lang="en"),
        "verdict_zh": lambda verdict: VERDICT_WORDS[verdict].zh,
        "verdict_en": lambda verdict: VERDICT_WORDS[verdict].en,
    }
    families = []
    for name, title in told.families.items():
        own = [each for each in findings if each.family == name]
        if own:
            families.append((title, worst(own), VERDICT_WORDS[worst(own)], own))
    counts = [
        (verdict, VERDICT_WORDS[verdict], sum(each.verdict is verdict for each in findings))
        for verdict in reversed(GRAVITY)
    ]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        families=families, counts=counts, sha256=told.sha256
    )


def findings_table(findings: Sequence[Finding]) -> list[list[str]]:
    """Family, pass, warn, fail, unproven, not measured: one row a family, for small pages such as Dagster's."""
    rows = []
    for name, title in declared().families.items():
        own = [each.verdict for each in findings if each.family == name]
        if own:
            kinds = (Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNPROVEN, Verdict.UNMEASURED)
            rows.append([f"{title.zh} {title.en}", *(str(own.count(kind)) for kind in kinds)])
    return rows


def _word(word: str, lang: str) -> str:
    """A word of a table: declared, or `to_3`, `by_region`, `late_source_2m`, which are made as they come."""
    known = declared().words.get(word)
    if known is None:
        stem, _, rest = word.partition("_")
        made = {
            "to": Bilingual(zh=f"到 {rest}", en=f"to {rest}"),
            "by": Bilingual(zh=f"按 {rest}", en=f"by {rest}"),
            "late": Bilingual(
                zh=f"来源迟到 {rest.rpartition('_')[2]}", en=f"late by {rest.rpartition('_')[2]}"
            ),
        }
        known = made[stem]
    return known.zh if lang == "zh" else known.en
