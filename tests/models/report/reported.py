"""One validated training by time, and the circumstances of its report, that the tests of this folder share."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from core.definition_file import Bilingual
from models.report.circumstances import Circumstances
from models.report.document import Report
from models.report.parts import build_report
from models.sign_off_policy import InventoryEntry
from models.training import train_judged
from models.training_record import TrainingRecord
from models.validation.of_training import Surroundings, validate_training
from tests.models.test_training import BY_TIME, INPUTS, PLAN, panel
from tests.models.worlds import NAMES, SIGNS, definition

#: A title, a segment and a limit that would be markup if nobody escaped them, and a formula if Excel believed them.
EVIL = Bilingual(zh="近6个月<次数>", en="late & <b>often</b>")
SEGMENT = "=1+1 <i>"
LIMIT = Bilingual(zh="只有已放款企业有表现标签。", en="Only approved accounts have outcomes.")

CIRCUMSTANCES = Circumstances(
    titles={"late_6m": EVIL},
    sources=("bk_account_month", "tx_vat_return"),
    entry=InventoryEntry(
        tier=2,
        owner=Bilingual(zh="风险管理部", en="Risk management"),
        use=Bilingual(zh="测试用途", en="For tests"),
    ),
    review_every_days=180,
    bundle_sha256="a" * 64,
    notice=Bilingual(zh="未经人工审批（演示）", en="not approved by people (demo)"),
)


@cache
def record() -> TrainingRecord:
    """Trained by time, with findings on segments and on a protected group."""
    told = definition(split=BY_TIME, known_limits=[LIMIT.model_dump()])
    trained, judged = train_judged(told, panel(1_500), SIGNS, INPUTS, plan=PLAN)
    rows = np.arange(len(judged.sample))
    around = Surroundings(
        sources={"late": NAMES[:1], "tax": NAMES[1:]},
        money=["sales_12m"],
        segments={"region": np.array([SEGMENT, "B", "C"])[rows % 3]},
        groups={"sex": np.array(["M", "F"])[rows % 2]},
    )
    return replace(trained, findings=tuple(validate_training(trained, judged, around)))


@cache
def report() -> Report:
    """Its report."""
    return build_report(record(), CIRCUMSTANCES)
