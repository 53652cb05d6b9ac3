"""Words of the report that stand for codes of a record: candidates, rows, steps of the sample, kinds of parameters."""

from __future__ import annotations

from core.definition_file import Bilingual
from core.subject import SubjectKind
from models.candidates import CandidateKind

NAMES = {
    CandidateKind.SCORECARD: Bilingual(zh="评分卡", en="Scorecard"),
    CandidateKind.LIGHTGBM: Bilingual(zh="LightGBM", en="LightGBM"),
}

ROWS = {
    "out_of_time": Bilingual(zh="时间外、未见主体", en="out of time, unseen subjects"),
    "out_of_fold": Bilingual(zh="训练侧折外", en="training side, out of fold"),
    "cross_validation": Bilingual(
        zh="重复交叉验证（折外均值）", en="repeated cross-validation (mean out of fold)"
    ),
}

PURPOSES = {
    "risk": Bilingual(zh="信用风险", en="credit risk"),
    "marketing": Bilingual(zh="获客营销", en="customer acquisition"),
}

TIERS = {
    1: Bilingual(zh="1 级：参与授信决定", en="1: decides about credit"),
    2: Bilingual(zh="2 级：支持决定", en="2: supports decisions"),
    3: Bilingual(zh="3 级：不参与授信决定", en="3: neither"),
}

ROLES = {
    "submit": Bilingual(zh="开发（提交）", en="author (submits)"),
    "validate": Bilingual(zh="独立验证", en="independent validator"),
    "approve": Bilingual(zh="审批", en="approver"),
    "promote": Bilingual(zh="上线", en="operator (promotes)"),
}

STATES = {
    "dev": Bilingual(zh="开发", en="dev"),
    "validated": Bilingual(zh="已验证", en="validated"),
    "approved": Bilingual(zh="已审批", en="approved"),
    "live": Bilingual(zh="上线", en="live"),
    "monitored": Bilingual(zh="监测中", en="monitored"),
    "retired": Bilingual(zh="退役", en="retired"),
}

SIGNS = {
    1: Bilingual(zh="↑ 升高", en="↑ raises"),
    -1: Bilingual(zh="↓ 降低", en="↓ lowers"),
    0: Bilingual(zh="不限", en="free"),
}

_STEPS = {
    "outcomes": "有结果的主体·月",
    "left out: excluded": "剔除：不属建模人群",
    "left out: immature": "剔除：表现期未满",
    "left out: no features": "剔除：没有特征",
    "rows": "样本行数",
    "subjects": "主体数",
    "events": "事件（坏/响应）",
    "non-events": "非事件",
    "indeterminate": "不确定（不参与拟合，计入校准）",
    "split: rows": "切分前行数",
    "split: left out: vintage not in the plan": "剔除：不在计划月份",
    "split: left out: held-out subject in a training vintage": "剔除：留出主体的训练月份",
    "split: left out: training subject in an out-of-time vintage": "剔除：训练主体的时间外月份",
    "split: training rows": "训练行数",
    "split: training events": "训练事件数",
    "split: out-of-time rows": "时间外行数",
    "split: out-of-time events": "时间外事件数",
    "split: folds": "折数",
    "split: repeats": "重复次数",
}

_METHODS = {
    "paired DeLong difference on out-of-time rows of held-out subjects": "留出主体时间外样本上的配对 DeLong 差",
    "corrected resampled t interval over the folds of repeated cross-validation": "重复交叉验证各折的修正重抽样 t 区间",
}

_BARRED = "feature rows without entitlement: "


def step(name: str) -> Bilingual:
    """A step of the sample in both languages; one that has no Chinese name stands as it is."""
    if name.startswith(_BARRED):
        return Bilingual(zh=f"剔除：没有授权（{name.removeprefix(_BARRED)}）", en=name)
    return Bilingual(zh=_STEPS.get(name, name), en=name)


def method(name: str) -> Bilingual:
    """How two candidates were compared."""
    return Bilingual(zh=_METHODS.get(name, name), en=name)


def subject_word(kind: str) -> Bilingual:
    """Residents or enterprises."""
    return Bilingual(zh=SubjectKind(kind).zh, en=kind)


def both(zh: str, en: str) -> Bilingual:
    """Short for a text in both languages."""
    return Bilingual(zh=zh, en=en)


def same(text: str) -> Bilingual:
    """A text that is the same in both languages: a symbol, a name, a code."""
    return Bilingual(zh=text, en=text)
