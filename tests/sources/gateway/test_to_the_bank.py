"""From a provider's file with ids to rows in the bank: one subject whatever way its id was written, and no id on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import Refusal
from core.months import Month
from sources.gateway.hand_over import data_name, folder_for, hand_over, staging_of
from sources.gateway.plan import Plan
from sources.gateway.pseudonymise import pseudonymise
from tests.sources.bench import HEADER, Bench, text_of
from tests.sources.gateway.plans import KEY
from tests.sources.identity import planted

PLAN = Plan.model_validate(
    {
        "plan": "city_si",
        "source": "city",
        "purpose": "risk",
        "ids": {"grbh": {"kind": "resident"}},
        "keep": [name for name in HEADER.split(",") if name != "grbh"],
        "delivery": {
            "adapter": "city_si",
            "subject": "resident",
            "table": "si_person_month",
            "control_sums": ["js"],
        },
    }
)


def hand_in(bench: Bench, texts: list[str], period: str) -> int:
    """What the provider does: the file through the gateway into the inbox."""
    source = bench.root / "provider.csv"
    source.write_text(text_of(texts), encoding="utf-8")
    folder = folder_for(bench.root / "inbox", PLAN, Month.parse(period), 1)
    outcome = pseudonymise(source, staging_of(folder) / data_name(PLAN), PLAN, KEY)
    hand_over(folder, PLAN, outcome, Month.parse(period), 1)
    return bench.receive(folder)


def row(who: str, month: str) -> str:
    return f"{who},{month},110,8000.50,2026-10-12,12,是,备注,0"


def test_one_person_is_one_subject_whatever_way_the_id_is_written(bench: Bench) -> None:
    """F01 and F24: full width, lower case, blanks, and 15 for 18 digits."""
    rng = np.random.default_rng(12)
    people = [number for number in (planted.resident(rng) for _ in range(200)) if number[6:8] == "19"][:40]
    ways = [str, str.lower, planted.full_width, lambda n: f" {n} ", lambda n: n[:6] + n[8:17]]
    first = [row(number, "202609") for number in people]
    second = [row(ways[place % len(ways)](number), "202610") for place, number in enumerate(people)]
    assert bench.take_in(hand_in(bench, first, "2026-09")).accepted == 40
    assert bench.take_in(hand_in(bench, second, "2026-10")).accepted == 40
    subjects = [set(bench.rows(month).column("subject_no").to_pylist()) for month in ("2026-09", "2026-10")]
    assert subjects[0] == subjects[1] and len(subjects[0]) == 40
    kept = [path for path in bench.root.rglob("*") if path.is_file() and path.name != "provider.csv"]
    assert kept and not any(number.encode() in path.read_bytes() for path in kept for number in people)


@pytest.mark.parametrize(
    "cell",
    [
        "联系13900001234",
        "0731-84512345转13900001234",
        "当事人张三丰因逾期未缴被处罚",
        "法定代表人：李明",
        "湖南省宁乡市金洲镇龙桥村3组12号",
        "湘A12345",
        "li.ming@example.com",
    ],
)
def test_what_slips_into_notes_stops_at_the_gateway_and_again_at_the_bank(bench: Bench, cell: str) -> None:
    """F22: a telephone in a landline field, names in the basis of a penalty, and what else people write down."""
    number = planted.resident(np.random.default_rng(3))
    with pytest.raises(Refusal, match="REFUSED/IDENTITY"):
        hand_in(bench, [row(number, "202610").replace("备注", cell)], "2026-10")
    token = KEY.subkey(PLAN.purpose, "city").token(f"risk|city|resident|{number}")
    with pytest.raises(Refusal) as caught:
        bench.deliver(text_of([row(token, "202610").replace("备注", cell)]), period="2026-10")
    assert (caught.value.code, caught.value.column, caught.value.line) == ("REFUSED/IDENTITY", "bz", 2)
    assert cell not in str(caught.value)


def test_the_inbox_holds_the_data_and_its_manifest_alone(bench: Bench, tmp_path: Path) -> None:
    hand_in(bench, [row(planted.resident(np.random.default_rng(3)), "202610")], "2026-10")
    folder = folder_for(bench.root / "inbox", PLAN, Month.parse("2026-10"), 1)
    assert sorted(path.name for path in folder.iterdir()) == ["data.csv", "manifest.json"]
