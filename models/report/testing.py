"""Part 4: how the model was tested: on which rows, with which seed, how both candidates were compared."""

from __future__ import annotations

from models.report.words import ROWS, both, method
from models.report_blocks import Block, Paragraph
from models.training_record import TrainingRecord


def design_blocks(record: TrainingRecord) -> tuple[Block, ...]:
    """The design of the test in words; without findings also that there are none."""
    choice, where = record.choice, ROWS[record.judged_on]
    compared = method(choice.method)
    told = both(
        f"两个候选模型在同样的行上评判：{where.zh}。比较方法：{compared.zh}，置信度 {choice.confidence:.0%}。随机种子 "
        f"{record.definition.seed} 固定。泄漏、标签与压力检验在保存后重新装载的模型包上进行。",
        f"Both candidates are judged on the same rows: {where.en}. Compared by: {compared.en}, confidence "
        f"{choice.confidence:.0%}. The seed {record.definition.seed} is fixed. Leaks, labels and stress are tried on the "
        "bundle as it is kept and loaded again.",
    )
    if record.findings:
        return (Paragraph(told),)
    none = both(
        "没有附带泄漏与压力检验的结果。", "No results of leak and stress tests came with this training."
    )
    return (Paragraph(told), Paragraph(none))
