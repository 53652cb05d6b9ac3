"""The report as PDF by WeasyPrint (extra `pdf`): the page as it prints in one language; no browser, no network."""

from __future__ import annotations

from typing import Any

from core.errors import GsceneError
from models.report.cell_text import Lang
from models.report.document import Report
from models.report.page import render_page


def pdf_bytes(report: Report, lang: Lang = "zh") -> bytes:
    """The PDF; the same report gives the same bytes. GsceneError where WeasyPrint or its Pango isn't installed."""
    weasyprint = _weasyprint()
    # Pictures lie inside the page; nothing is fetched from anywhere else.
    inside = weasyprint.urls.URLFetcher(allowed_protocols={"data"})
    return bytes(weasyprint.HTML(string=render_page(report, lang), url_fetcher=inside).write_pdf())


def _weasyprint() -> Any:
    try:
        import weasyprint
        import weasyprint.urls
    except (ImportError, OSError) as error:
        # OSError: the package is there, the system's Pango isn't.
        raise GsceneError(
            f"PDF needs WeasyPrint and Pango, and one of them isn't installed ({type(error).__name__}).",
            "Install the extra: pip install 'gscene[pdf]' and apt-get install libpango-1.0-0 libpangoft2-1.0-0; or open the HTML "
            "in a browser and print it: it paginates on A4.",
        ) from None
    return weasyprint
