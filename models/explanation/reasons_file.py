"""Reasons for a file that leaves the home, CSV for Excel or JSON, in both languages; and the question from a file."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from core.errors import Refusal
from models.explanation.asked_reasons import AskedReasons, SubjectReasons
from models.explanation.reasons import MOST
from models.explanation.reference import STATED

CODE = "REFUSED/QUESTION"

#: A pseudonym as the gateway makes it, or a provider's own; nothing that a spreadsheet would run.
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.+/=-]{0,199}")

MOST_BYTES = 4 * 1024 * 1024


def read_question(path: Path) -> list[str]:
    """Pseudonyms, one a line; a first line `subject_id` is a heading. Refusal with the line for anything else."""
    if path.stat().st_size > MOST_BYTES:
        raise Refusal(
            CODE, "the list is larger than 4 MB.", file=str(path), remedy="Ask about at most 10,000 subjects."
        )
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise Refusal(
            CODE, "the list is not UTF-8 text.", file=str(path), remedy="Save it as UTF-8."
        ) from None
    tokens = []
    for number, line in enumerate(lines, 1):
        token = line.strip()
        if not token or (number == 1 and token == "subject_id"):
            continue
        if _TOKEN.fullmatch(token) is None:
            raise Refusal(
                CODE, "this line is not one pseudonym.", file=str(path), line=number,
                remedy="Give pseudonyms (subject_id), one a line and nothing else.",
            )  # fmt: skip
        tokens.append(token)
    return tokens


def as_csv(asked: AskedReasons) -> bytes:
    """One line a subject, UTF-8 with byte-order mark as Excel wants it."""
    header = [
        "subject_id",
        "as_of",
        "model_version",
        "status_zh",
        "status_en",
        "pd",
        "points",
        "grade",
        "told_share",
    ]
    for place in range(1, MOST + 1):
        header += [f"reason_{place}_{part}" for part in ("code", "zh", "en", "points")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    for subject in asked.subjects:
        writer.writerow(_line(asked, subject))
    return text.getvalue().encode("utf-8-sig")


def _line(asked: AskedReasons, subject: SubjectReasons) -> list[str]:
    told = [subject.subject_id, str(asked.as_of), asked.model_version, subject.status.zh, subject.status.en]
    if subject.reasons is None:
        return told + [""] * (4 + 4 * MOST)
    told += [
        f"{subject.reasons.pd:.6f}",
        str(subject.points),
        str(subject.grade),
        f"{subject.reasons.told_share:.2f}",
    ]
    for reason in subject.reasons.reasons:
        text = asked.texts[reason.code]
        told += [reason.code, text.zh, text.en, f"{reason.points:.1f}"]
    return told + [""] * (4 * (MOST - len(subject.reasons.reasons)))


def as_plain(asked: AskedReasons) -> dict[str, Any]:
    """For JSON, with the reference that the reasons are told against."""
    return {
        "model_version": asked.model_version,
        "as_of": str(asked.as_of),
        "sentences_reviewed": not asked.drafts,
        "reference": {"zh": STATED.zh, "en": STATED.en, "rows": asked.reference.rows},
        "subjects": [_plain(asked, subject) for subject in asked.subjects],
    }


def as_json(asked: AskedReasons) -> bytes:
    """`as_plain` as text."""
    return (json.dumps(as_plain(asked), ensure_ascii=False, indent=1) + "\n").encode()


def _plain(asked: AskedReasons, subject: SubjectReasons) -> dict[str, Any]:
    told: dict[str, Any] = {"subject_id": subject.subject_id, "status": subject.status.model_dump()}
    if subject.reasons is None:
        return told
    return told | {
        "pd": subject.reasons.pd,
        "points": subject.points,
        "grade": subject.grade,
        "told_share": round(subject.reasons.told_share, 4),
        "reasons": [
            {
                "code": reason.code,
                **asked.texts[reason.code].model_dump(),
                "points": reason.points,
                "pd_at_reference": reason.pd_at_reference,
            }
            for reason in subject.reasons.reasons
        ],
    }
