"""`gscene models reasons` and `phrases` as people use them: what they tell, refuse and leave in the audit chain."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import select

from core.state import AuditEvent
from models.bundle_trial import tried_bundle
from models.explanation.phrases import SHIPPED
from models.scoring import score
from tests.gscene.command import Said, gscene
from tests.models.explanation.asked_home import AS_OF, TOKENS, AskedHome, made, matrix, order, small_plan
from tests.models.signing import NAME

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AskedHome]:
    with small_plan():
        yield made(tmp_path_factory.mktemp("asked") / "home")


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    file = tmp_path / "asked.txt"
    file.write_text("subject_id\n" + "\n".join([*TOKENS[:40], "k1:nobody"]) + "\n", encoding="utf-8")
    return file


def ask(capsys: Capture, home: AskedHome, asked: Path, *more: str | Path) -> Said:
    told = ("--subjects", asked, "--as", "Wang Fang", "--reason", "request 17", "--home", home.home)
    return gscene(capsys, "models", "reasons", NAME, *told, *more)


def events(home: AskedHome, action: str) -> list[AuditEvent]:
    with home.state.session() as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.action == action)))


def test_nothing_is_told_in_sentences_that_nobody_reviewed(
    home: AskedHome, asked: Path, capsys: Capture
) -> None:
    said = ask(capsys, home, asked)
    assert said.code == 3 and "haven't been reviewed" in said.err and not events(home, "reasons.told")


def test_reviewed_they_are_told_and_the_question_is_noted(
    home: AskedHome, asked: Path, tmp_path: Path, capsys: Capture
) -> None:
    at = ("--home", home.home)
    assert gscene(capsys, "models", "phrases", "enterprise", "--review", "all", *at).code == 2
    done = gscene(
        capsys, "models", "phrases", "enterprise", "--review", "all", "--as", "Zhao Lin", "--reason", "minutes", *at, "--json"
    )  # fmt: skip
    assert done.code == 0 and all(line["reviewed by"] == "Zhao Lin" for line in done.json["phrases"])
    said = ask(capsys, home, asked, "--json")
    assert said.code == 0, said.err
    told = said.json
    assert (told["asked"], told["explained"], told["as_of"]) == (41, 40, str(AS_OF))
    codes = [{r["code"] for r in s.get("reasons", [])} for s in told["subjects"]]
    assert (
        {"INV_VOID", "INV_SALES"}
        <= set().union(*codes)
        <= {"INV_VOID", "INV_SALES", "INV_GROWTH", "INV_CUSTOMERS"}
    )
    worst = max((s for s in told["subjects"] if "pd" in s), key=lambda s: s["pd"])
    assert worst["reasons"] and all(
        r["zh"] and r["en"] and r["pd_at_reference"] < worst["pd"] for r in worst["reasons"]
    )
    assert (
        told["subjects"][-1]["status"]["en"] == "not a known subject"
        and "reasons" not in told["subjects"][-1]
    )
    # Asked again, the same is told, as a file for Excel too.
    assert ask(capsys, home, asked, "--json").json == told
    out = tmp_path / "answer.csv"
    assert ask(capsys, home, asked, "--out", out).code == 0
    assert out.stat().st_mode & 0o077 == 0 and out.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8-sig"))))
    assert [row["reason_1_code"] for row in rows[:-1]] == [
        (s["reasons"][0]["code"] if s["reasons"] else "") for s in told["subjects"][:-1]
    ]
    noted = events(home, "reasons.told")
    assert len(noted) == 3 and noted[0].actor == "Wang Fang" and noted[0].details["asked"] == 41
    kept = json.dumps([event.details for event in noted])
    assert not any(token in kept for token in TOKENS[:40]) and "INV_VOID" not in kept


def test_reasons_belong_to_the_score_that_is_published(home: AskedHome, asked: Path, capsys: Capture) -> None:
    """PD, points and grade are those of scoring, to the bit."""
    version, signed = home.gate(AS_OF)
    bundle = tried_bundle(home.settings.home / version.bundle, signed.bundle_sha256)
    x, _ = matrix(260, seed=2)
    scored = score(bundle, pd.DataFrame(x, columns=order()).assign(subject_no=range(260)))
    told = ask(capsys, home, asked, "--json").json["subjects"][:40]
    assert [s["pd"] for s in told] == scored["pd"].tolist()[:40]
    assert [s["points"] for s in told] == scored["points"].tolist()[:40]
    assert [s["grade"] for s in told] == scored["grade"].tolist()[:40]


def test_a_changed_sentence_waits_for_another_review(home: AskedHome, asked: Path, capsys: Capture) -> None:
    own = home.home / "reason_phrases" / "enterprise.yaml"
    own.parent.mkdir()
    shipped = (SHIPPED / "enterprise.yaml").read_text(encoding="utf-8")
    own.write_text(shipped.replace("作废发票较多", "作废发票占比偏高"), encoding="utf-8")
    said = ask(capsys, home, asked)
    own.write_text(shipped, encoding="utf-8")
    assert said.code == 3 and "1 sentences" in said.err and "INV_VOID" in said.err
    assert ask(capsys, home, asked).code == 0
    own.write_text(shipped.replace("作废发票较多", "作废发票12张"), encoding="utf-8")
    said = ask(capsys, home, asked)
    own.unlink()
    assert said.code == 1 and "without numbers" in said.err


@pytest.mark.parametrize(
    ("body", "told"), [("k1:0001, k1:0002\n", "not one pseudonym"), ("=1+1\n", "not one pseudonym"), ("", "0 subjects asked")]
)  # fmt: skip
def test_odd_questions_are_refused(
    home: AskedHome, tmp_path: Path, body: str, told: str, capsys: Capture
) -> None:
    file = tmp_path / "odd.txt"
    file.write_text(body, encoding="utf-8")
    said = ask(capsys, home, file)
    assert said.code == 1 and told in said.err and "k1:0001" not in said.err


def test_an_answer_stays_outside_of_the_home(home: AskedHome, asked: Path, capsys: Capture) -> None:
    said = ask(capsys, home, asked, "--out", home.home / "out" / "answer.csv")
    assert said.code == 1 and "outside of the home" in said.err


def test_help_teaches_in_two_languages(capsys: Capture) -> None:
    for command in ("reasons", "phrases"):
        said = gscene(capsys, "models", command, "--help")
        assert said.code == 0 and "Examples:" in said.out and any("\u4e00" <= c <= "\u9fff" for c in said.out)
