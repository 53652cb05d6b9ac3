"""The report as one self-contained page in Chinese and English."""

from __future__ import annotations

import os
from pathlib import Path

from core.definition_file import Bilingual
from sources.deidentification.release import Release
from sources.deidentification.report import Report

_TEMPLATE = Path(__file__).with_name("page.html.j2")
_RELEASES = {
    Release.INTERNAL: Bilingual(zh="在行内使用", en="inside the bank"),
    Release.MARKETING: Bilingual(zh="交给营销人员", en="to marketers"),
    Release.PUBLIC: Bilingual(zh="对外公开", en="to the public"),
}


def write_page(report: Report, path: Path) -> None:
    """Write the page; it appears whole or not at all."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        r=report, release=_RELEASES[report.asked.release], threshold=report.asked.threshold
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(page, encoding="utf-8")
    os.replace(part, path)
