"""Which functions fill which of the twelve parts, in order, and what a part says that nobody has filled.

To show something new in the report: write a function of the training record that returns blocks, and put it into `PARTS`.
"""

from __future__ import annotations

from collections.abc import Callable

from core.definition_file import Bilingual
from models.explanation.blocks import explanation_blocks
from models.report.circumstances import Circumstances, Standing
from models.report.data import source_blocks, time_blocks, waterfall_blocks
from models.report.document import Report, ReportPart, checked
from models.report.findings import family_blocks, findings_blocks, verdict_text
from models.report.implementation import implementation_blocks
from models.report.limits import declared_limits, measured_limits
from models.report.outcomes import (
    band_blocks,
    calibration_blocks,
    grade_blocks,
    performance_blocks,
    segment_pictures,
)
from models.report.purpose import head_facts, purpose_blocks
from models.report.signatures import signature_blocks
from models.report.soundness import choice_blocks, feature_blocks, method_blocks
from models.report.stability import stability_pictures
from models.report.testing import design_blocks
from models.report.words import both
from models.report_blocks import Block, Paragraph, Part
from models.sampling.sample_blocks import sample_blocks
from models.training_blocks import training_blocks
from models.training_record import TrainingRecord
from models.validation.finding import worst

OfRecord = Callable[[TrainingRecord], tuple[Block, ...]]
OfCircumstances = Callable[[TrainingRecord, Circumstances], tuple[Block, ...]]


def _of_sample(record: TrainingRecord) -> tuple[Block, ...]:
    return waterfall_blocks(record) if record.sample is None else sample_blocks(record.sample)


def _explanation(record: TrainingRecord, circumstances: Circumstances) -> tuple[Block, ...]:
    return () if record.explanation is None else explanation_blocks(record.explanation, circumstances.titles)


#: What is told of the record alone.
PARTS: dict[Part, tuple[OfRecord, ...]] = {
    Part.PURPOSE: (),
    Part.DATA: (time_blocks, _of_sample),
    Part.SOUNDNESS: (method_blocks, choice_blocks, training_blocks),
    Part.TESTING: (design_blocks, family_blocks("leakage", "stress")),
    Part.OUTCOMES: (
        performance_blocks,
        calibration_blocks,
        grade_blocks,
        band_blocks,
        segment_pictures,
        family_blocks("discrimination", "calibration", "segments"),
    ),
    Part.STABILITY: (stability_pictures, family_blocks("stability")),
    Part.EXPLANATION: (family_blocks("sensitivity"),),
    Part.FAIRNESS: (family_blocks("fairness"),),
    Part.LIMITS: (declared_limits, measured_limits),
    Part.IMPLEMENTATION: (),
    Part.FINDINGS: (findings_blocks,),
    Part.SIGNATURES: (),
}

#: What needs more than the record; it comes last in its part.
ABOUT: dict[Part, tuple[OfCircumstances, ...]] = {
    Part.PURPOSE: (purpose_blocks,),
    Part.DATA: (source_blocks,),
    Part.SOUNDNESS: (feature_blocks,),
    Part.EXPLANATION: (_explanation,),
    Part.IMPLEMENTATION: (implementation_blocks,),
    Part.SIGNATURES: (lambda _, circumstances: signature_blocks(circumstances.standing),),
}

TITLES = {
    Part.PURPOSE: both("目的与等级", "Purpose and tier"),
    Part.DATA: both("数据", "Data"),
    Part.SOUNDNESS: both("方法的合理性", "Conceptual soundness"),
    Part.TESTING: both("检验", "Testing"),
    Part.OUTCOMES: both("结果", "Outcomes"),
    Part.STABILITY: both("稳定性", "Stability"),
    Part.EXPLANATION: both("可解释性", "Explanation"),
    Part.FAIRNESS: both("公平性", "Fairness"),
    Part.LIMITS: both("局限", "Limits"),
    Part.IMPLEMENTATION: both("实施核对", "Implementation check"),
    Part.FINDINGS: both("验证发现", "Findings"),
    Part.SIGNATURES: both("签署", "Signatures"),
}

_NO_VALIDATION = both(
    "本次训练没有附带验证结果：这些检验由 gscene run 在训练后自动进行；只训练而不验证的记录没有结果可列。",
    "No validation came with this training: gscene run tests each training at once; a record that was trained alone has nothing "
    "to show here.",
)

#: Why a part has nothing to say: never silently absent.
SILENT: dict[Part, Bilingual] = {
    Part.STABILITY: _NO_VALIDATION,
    Part.EXPLANATION: _NO_VALIDATION,
    Part.FAIRNESS: both(
        "未做公平性检验：没有验证结果，或评价保险库中没有合法的群体属性。没有结果不等于公平。",
        "Fairness wasn't tested: no validation came with this training, or the evaluation vault holds no lawful group attribute. "
        "That nothing stands here doesn't say that the model is fair.",
    ),
    Part.FINDINGS: _NO_VALIDATION,
}


def build_report(record: TrainingRecord, circumstances: Circumstances | None = None) -> Report:
    """All twelve parts. The same record and circumstances give the same report."""
    circumstances = circumstances or Circumstances()
    return Report(
        title=record.definition.title,
        month=record.inputs.training_month,
        facts=head_facts(record),
        verdict=verdict_text(record),
        gravest=str(worst(record.findings)) if record.findings else "",
        notice=circumstances.notice,
        parts=tuple(_part(part, record, circumstances) for part in Part),
    )


def signature_part(standing: Standing) -> ReportPart:
    """Part 12 as it stands: the one part that changes after a training."""
    blocks = tuple(checked(block) for block in signature_blocks(standing))
    return ReportPart(Part.SIGNATURES, TITLES[Part.SIGNATURES], blocks)


def _part(part: Part, record: TrainingRecord, circumstances: Circumstances) -> ReportPart:
    blocks = [block for of_record in PARTS[part] for block in of_record(record)]
    blocks += [block for about in ABOUT.get(part, ()) for block in about(record, circumstances)]
    if not blocks:
        blocks = [Paragraph(SILENT[part])]
    return ReportPart(part, TITLES[part], tuple(checked(block) for block in blocks))
