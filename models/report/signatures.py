"""Part 12: who has signed what, on which evidence, until when, under which conditions; and the lines still to be signed."""

from __future__ import annotations

from core.definition_file import Bilingual
from models.lifecycle import ModelState
from models.report.circumstances import Standing
from models.report.words import ROLES, STATES, both, same
from models.report_blocks import Block, Cell, Paragraph, Table

_TO_SIGN = both("（待签）________", "(to sign) ________")

#: To be filled in by hand where the report is signed on paper.
_LINE = same("________")


def signature_blocks(standing: Standing) -> tuple[Block, ...]:
    """State, lines to sign, the approval that counts, conditions, history."""
    blocks: list[Block] = [Paragraph(_state(standing)), _lines(standing)]
    if standing.approval is not None:
        blocks.append(_approval(standing))
    if standing.conditions:
        blocks.append(_conditions(standing))
    else:
        blocks.append(Paragraph(both("没有附带条件。", "There are no conditions.")))
    if standing.acts:
        blocks.append(_history(standing))
    return tuple(blocks)


def _state(standing: Standing) -> Bilingual:
    state = STATES[standing.state]
    told = {
        ModelState.DEV: both(
            "尚未签署；未经独立验证和审批的版本不能用于评分。",
            "Not signed; no version scores before it is validated and approved by others than its author.",
        ),
        ModelState.RETIRED: both("已退役，签署失效。", "Retired: its signatures are void."),
    }.get(ModelState(standing.state), both("以下签署现时有效。", "The signatures below count now."))
    return both(f"状态：{state.zh}。{told.zh}", f"State: {state.en}. {told.en}")


def _lines(standing: Standing) -> Table:
    """One line a role: who signed, or empty cells to sign in."""
    rows: list[tuple[Cell, ...]] = []
    for act, role in ROLES.items():
        done = [each for each in standing.acts if each.act == act and each.counts]
        if done:
            last = done[-1]
            names = "、".join(dict.fromkeys(each.actor for each in done))
            rows.append((role, names, same(str(last.day)), last.reason, last.evidence_sha256[:12]))
        else:
            rows.append((role, _TO_SIGN, _LINE, _LINE, _LINE))
    columns = (
        both("职责", "role"), both("姓名", "name"), both("日期", "day"), both("意见", "reason"),
        both("证据哈希", "evidence hash"),
    )  # fmt: skip
    note = both("作者不得担任验证人或审批人。", "No author is validator or approver.")
    return Table(both("签署", "Signatures"), columns, tuple(rows), note=note)


def _approval(standing: Standing) -> Table:
    signed = standing.approval
    assert signed is not None
    rows: tuple[tuple[Cell, ...], ...] = (
        (both("审批人", "approver"), signed.approver),
        (both("性质", "kind"), signed.kind),
        (both("有效至", "until"), same(str(signed.expires_on))),
        (both("影响评估", "impact assessment"), signed.pia or None),
        (both("证据哈希", "evidence sha256"), signed.evidence_sha256),
        (both("政策哈希", "policy sha256"), signed.policy_sha256),
        (both("签署密钥", "promotion key"), signed.key_id),
    )
    return Table(
        both("有效审批", "The approval that counts"), (both("项目", "item"), both("值", "value")), rows
    )


def _conditions(standing: Standing) -> Table:
    rows = tuple(
        (
            each.number, each.text, same(str(each.due_on)), each.opened_by,
            both(f"已关闭（{each.closed_by}）", f"closed ({each.closed_by})")
            if each.closed_by
            else both("逾期", "overdue") if each.overdue else both("未关闭", "open"),
        )
        for each in standing.conditions
    )  # fmt: skip
    columns = (
        both("编号", "no."), both("条件", "condition"), both("到期", "due"), both("提出人", "asked by"), both("状态", "state"),
    )  # fmt: skip
    return Table(both("条件", "Conditions"), columns, rows, ("d", "", "", "", ""))


def _history(standing: Standing) -> Table:
    rows = tuple(
        (
            same(each.act), same(each.role), each.actor, same(str(each.day)), STATES[each.to_state], each.reason,
            each.evidence_sha256[:12], each.counts,
        )
        for each in standing.acts
    )  # fmt: skip
    columns = (
        both("行为", "act"), both("职责", "role"), both("人员", "who"), both("日期", "day"), both("状态", "to"),
        both("理由", "why"), both("证据哈希", "evidence hash"), both("现时有效", "counts"),
    )  # fmt: skip
    return Table(both("历史", "History"), columns, rows, folded=True)
