"""Part 6: did score, features and ranks stay what they were? Pictures of what the findings measured."""

from __future__ import annotations

from models.report.pictures import feature_psi, gini_by_vintage, score_psi
from models.report_blocks import Block
from models.training_record import TrainingRecord


def stability_pictures(record: TrainingRecord) -> tuple[Block, ...]:
    """PSI of score and features and Gini over vintages, where they were measured."""
    drawn = (score_psi(record.findings), feature_psi(record.findings), gini_by_vintage(record.findings))
    return tuple(picture for picture in drawn if picture is not None)
