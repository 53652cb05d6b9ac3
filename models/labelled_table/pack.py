"""The whole pack on one table: sample report, both candidates, choice, calibration, validation. Nothing is read or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.definition_file import Bilingual
from core.progress import Progress
from models.explanation.explain import explain
from models.labelled_table.question import Question
from models.labelled_table.table_sample import TableSample, build_table_sample
from models.labelled_table.trusted_labels import flips_against_trusted
from models.points import points_of, probability
from models.sample import Sample
from models.sampling.overlap import overlap
from models.sampling.sample_report import sample_report
from models.training import JudgedRows, train_judged
from models.training_record import TrainingInputs, TrainingRecord
from models.validation.finding import Finding
from models.validation.of_training import Surroundings, validate_training

#: Texts of the `trusted` column that mean yes.
YES = ("1", "1.0", "true", "True", "TRUE", "yes", "是")


@dataclass(frozen=True)
class TablePack:
    """The record with its sample report and findings, what the columns became, and aggregates aside the judged rows."""

    record: TrainingRecord
    made: TableSample
    judged: JudgedRows

    def titles(self) -> dict[str, Bilingual]:
        """Feature -> the column, with its value where it is one of several."""
        told = {}
        for each in self.made.encoding.features:
            text = each.column if each.value is None else f"{each.column} = {each.value}"
            told[each.name] = Bilingual(zh=text, en=text)
        return told

    def once_a_subject(self) -> Sample:
        """The first row of each subject and vintage."""
        return self.made.sample.take(_first(self.made.sample))

    def scores(self) -> pd.DataFrame:
        """One row per judged row of the table: row (the header is row 1), rows judged as, pd, points, grade."""
        wanted = self.record.definition.event_is_wanted
        sides = [(self.record.judged_on, self.judged.sample, self.judged.calibrated)]
        if self.judged.development is not None and self.judged.out_of_fold is not None:
            sides.append(("out_of_fold", self.judged.development, self.judged.out_of_fold))
        pieces = [
            pd.DataFrame(
                {
                    "row": sample.features.index.to_numpy() + 2,
                    "judged_as": side,
                    "pd": probability(calibrated),
                    "points": points_of(calibrated, wanted),
                    "grade": self.record.scale.of(calibrated),
                }
            )
            for side, sample, calibrated in sides
        ]
        return pd.concat(pieces, ignore_index=True).sort_values("row", kind="stable")


def train_on_table(
    table: pd.DataFrame, table_sha256: str, asked: Question, *, threads: int = 1, progress: Progress
) -> TablePack:
    """Everything in one go. Raises Refusal where table or question are wrong, TooFewOutcomes with fewer than ten events."""
    with progress.stage("columns and sample", 1) as stage:
        made = build_table_sample(table, asked)
        stage.advance()
    newest = max(map(str, np.unique(made.sample.as_of)), default=str(asked.month))
    inputs = TrainingInputs(str(newest), {asked.file.name: 1}, table_sha256)
    record, judged = train_judged(
        made.definition, made.sample, dict(made.signs), inputs, plan=made.plan, threads=threads, progress=progress
    )  # fmt: skip
    with progress.stage("sample report, explanation and validation", 3) as stage:
        record = _with_sample(record, made, threads)
        stage.advance()
        record = replace(record, explanation=explain(record, judged, threads))
        stage.advance()
        once, around = _once_a_subject(judged, made.codes)
        found = validate_training(record, once, around, threads)
        if "trusted" in made.codes:
            found = _against_trusted(found, once, made.codes)
        stage.advance()
    return TablePack(replace(record, findings=tuple(found)), made, judged)


def _with_sample(record: TrainingRecord, made: TableSample, threads: int) -> TrainingRecord:
    """The record with its sample report; everybody without an outcome is compared with everybody who has one."""
    sample, seed = made.sample, record.definition.seed
    kinds = np.where(sample.target == 1, "bad", "good")
    outcomes = pd.DataFrame({"subject_no": sample.subject_no, "as_of": sample.as_of, "outcome": kinds})
    keys = pd.MultiIndex.from_arrays([sample.subject_no[:0], sample.as_of[:0]], names=["subject_no", "as_of"])
    nobody = pd.DataFrame(columns=sample.names, index=keys, dtype=np.float64)
    told = sample_report(
        record.definition.label, sample, outcomes, record.steps, plan=made.plan, population=nobody, seed=seed
    )  # fmt: skip
    if len(made.unlabelled):
        others = made.unlabelled.to_numpy(dtype=np.float64)
        numbers = (sample.subject_no, made.unlabelled_subjects)
        selection = overlap(sample.matrix, others, sample.names, numbers, seed, threads)
        told = replace(told, population="table", overlap=selection)
    return replace(record, sample=told)


def _once_a_subject(judged: JudgedRows, codes: Mapping[str, np.ndarray]) -> tuple[JudgedRows, Surroundings]:
    """The first row of each subject and vintage: tests take rows as independent, and a table may repeat an id."""
    first = _first(judged.sample)
    sample = judged.sample.take(first)
    development, out_of_fold = judged.development, judged.out_of_fold
    if development is not None and out_of_fold is not None:
        own = _first(development)
        development, out_of_fold = development.take(own), out_of_fold[own]
    rows = sample.features.index.to_numpy()
    at = {role: values[rows] for role, values in codes.items()}
    segments = {"region": at["segment"]} if "segment" in at else {}
    # Validation knows branches as the batches that outcomes come in.
    segments |= {"branch": at["batch"]} if "batch" in at else {}
    groups = {"group": at["group"]} if "group" in at else {}
    return JudgedRows(sample, judged.calibrated[first], development, out_of_fold), Surroundings(
        segments, groups
    )


def _first(sample: Sample) -> np.ndarray:
    keys = pd.MultiIndex.from_arrays([sample.subject_no, sample.as_of])
    return ~np.asarray(keys.duplicated())


def _against_trusted(
    found: list[Finding], judged: JudgedRows, codes: Mapping[str, np.ndarray]
) -> list[Finding]:
    """The finding on flipped labels anew where some labels are verified and some aren't."""
    trusted = np.isin(codes["trusted"][judged.sample.features.index.to_numpy()], YES)
    if trusted.all() or not trusted.any():
        return found
    told = flips_against_trusted(judged.calibrated, judged.sample.target, trusted)
    return [told if each.name == told.name else each for each in found]
