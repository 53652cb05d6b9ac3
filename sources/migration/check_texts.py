"""What each check asks, in words for whoever decides: `checks.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from core.definition_file import Bilingual, Definition, load_definition
from sources.migration.finding import ParityFinding

FILE = Path(__file__).parent / "checks.yaml"


class CheckText(Definition):
    """One check: its question, and where the answer is no, what to do and whom to call."""

    title: Bilingual
    question: Bilingual
    remedy: Bilingual
    call: Bilingual


class MeasureText(Bilingual):
    """One statistic: its name, how its number is written, and what to do where that is something else than the check says."""

    form: Literal["share", "ratio", "days", "months", "count"]
    remedy: Bilingual | None = None


class CheckTexts(Definition):
    """The whole file."""

    checks: dict[str, CheckText]
    measures: dict[str, MeasureText]

    def remedy(self, finding: ParityFinding) -> Bilingual:
        """What to do about a finding."""
        return self.measures[finding.measure].remedy or self.checks[finding.check].remedy

    def number(self, finding: ParityFinding, value: float | None) -> Bilingual:
        """A statistic or limit of a finding as people read it."""
        form = self.measures[finding.measure].form
        if value is None:
            return Bilingual(zh="—", en="—")
        if form == "share":
            return _both(percent(value))
        if form == "ratio":
            return _both(f"{value:.4f}")
        if form == "count":
            return _both(f"{value:,.0f}")
        return Bilingual(zh=f"{value:.3g} {'天' if form == 'days' else '个月'}", en=f"{value:.3g} {form}")

    def limits(self, finding: ParityFinding) -> Bilingual:
        """The limits of a finding as people read them; empty where there are none."""
        low, high = (None if v is None else self.number(finding, v) for v in (finding.low, finding.high))
        if low is not None and high is not None:
            return Bilingual(zh=f"{low.zh} … {high.zh}", en=f"{low.en} … {high.en}")
        if low is not None:
            return Bilingual(zh=f"≥ {low.zh}", en=f"≥ {low.en}")
        return Bilingual(zh="", en="") if high is None else Bilingual(zh=f"≤ {high.zh}", en=f"≤ {high.en}")


@cache
def check_texts() -> CheckTexts:
    """Read once a process."""
    return load_definition(FILE, CheckTexts)


def percent(share: float) -> str:
    """At most three digits after the point; nothing but 1 is written as 100 %, and nothing but 0 as 0 %."""
    text = f"{100 * share:.3f}".rstrip("0").rstrip(".")
    if text == "100" and share < 1:
        return "> 99.999 %"
    return "< 0.001 %" if text in ("0", "-0") and share else f"{text} %"


def _both(text: str) -> Bilingual:
    return Bilingual(zh=text, en=text)
