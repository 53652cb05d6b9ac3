"""`python -m benchmarks.report`: the full report of one model beside its training, in one run; goal: at most twice the time.

Both run on one thread in this process: first the training, then its validation, then the report in every form that is written.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

import click
import numpy as np
import pandas as pd

from core.months import Month, month_range
from core.telemetry import quiet
from models.definition import ModelDefinition
from models.report.circumstances import Circumstances
from models.report.files import training_files
from models.sample import Sample
from models.training import train_judged
from models.training_record import TrainingInputs
from models.validation.of_training import Surroundings, validate_training
from models.vintages import VintagePlan

#: Report time over training time that is promised.
GOAL = 2.0

_MONTHS = month_range(Month(2025, 1), Month(2025, 10))
PLAN = VintagePlan(tuple(_MONTHS[:6]), tuple(_MONTHS[7:]))


@dataclass(frozen=True)
class ReportResult:
    """Wall seconds of each; `report`: all forms of the report, `written`: their bytes by name."""

    rows: int
    features: int
    training: float
    validation: float
    report: float
    written: dict[str, int]

    @property
    def ratio(self) -> float:
        """Validation and report over training."""
        return (self.validation + self.report) / self.training


def definition() -> ModelDefinition:
    """A model as the shipped ones are: 300 rounds at most, ten features in the scorecard."""
    return ModelDefinition.model_validate(
        {
            "name": "bench_risk", "title": {"zh": "基准模型", "en": "Benchmark"}, "subject": "enterprise", "purpose": "risk",
            "feature_set": "bench", "label": {"kind": "bank_outcome", "version": 1},
            "split": {
                "kind": "by_time", "training_vintages": 6, "out_of_time_vintages": 3, "gap_months": 1, "holdout_share": 0.3,
                "folds": 5,
            },
            "lightgbm": {
                "rounds": 300, "early_stopping_rounds": 30, "learning_rate": 0.05, "num_leaves": 6, "min_data_in_leaf": 30,
                "lambda_l2": 10.0, "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1,
            },
            "scorecard": {"max_features": 10, "max_bins": 8, "prior_rows": 10.0},
            "min_bads": 20,
        }
    )  # fmt: skip


def panel(subjects: int, features: int) -> Sample:
    """Ten vintages of the same subjects; a third of the features drive the outcome, a tenth of cells is missing."""
    draw = np.random.default_rng(1)
    base = draw.normal(size=(subjects, features))
    odds = 0.5 * base[:, ::3].sum(axis=1) / np.sqrt(features / 30) - 2.5
    y = (draw.random(subjects) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int8)
    months = [str(month) for month in _MONTHS]
    x = np.concatenate([base + 0.2 * draw.normal(size=base.shape) for _ in months])
    x[draw.random(x.shape) < 0.1] = np.nan
    names = [f"f{place:03d}" for place in range(features)]
    return Sample(
        pd.DataFrame(x, columns=names),
        np.tile(np.arange(subjects), len(months)),
        np.repeat(months, subjects),
        np.tile(y, len(months)),
    )


def run(subjects: int, features: int) -> ReportResult:
    """Train, validate, report, on one thread."""
    sample = panel(subjects, features)
    signs = {name: 1 if place % 3 == 0 else 0 for place, name in enumerate(sample.names)}
    started = time.perf_counter()
    inputs = TrainingInputs("2025-10", {"features/enterprise/bench": 1}, "f" * 64)
    record, judged = train_judged(definition(), sample, signs, inputs, plan=PLAN)
    trained = time.perf_counter()
    regions = np.array([f"R{number:02d}" for number in range(16)])
    around = Surroundings(
        sources={f"source{number}": sample.names[number::8] for number in range(8)},
        segments={"region": regions[judged.sample.subject_no % 16]},
    )
    record = replace(record, findings=tuple(validate_training(record, judged, around)))
    validated = time.perf_counter()
    files = training_files(record, Circumstances(bundle_sha256="a" * 64))
    ended = time.perf_counter()
    written = {name: len(body) for name, body in files.items()}
    return ReportResult(
        len(sample), features, trained - started, validated - trained, ended - validated, written
    )


@click.command()
@click.option("--subjects", default=2_000, show_default=True, help="Subjects in each of ten vintages.")
@click.option("--features", default=120, show_default=True, help="Features.")
def main(subjects: int, features: int) -> None:
    """Seconds of training, validation and report, and their ratio; exit code 1 where it misses the goal."""
    quiet(os.environ)
    result = run(subjects, features)
    click.echo(f"{result.rows:,} rows x {result.features} features, one thread, one run")
    click.echo("| step | wall s |\n|---|---:|")
    for step in ("training", "validation", "report"):
        click.echo(f"| {step} | {getattr(result, step):.2f} |")
    for name, size in result.written.items():
        click.echo(f"{name}: {size / 1e3:,.0f} kB")
    click.echo(f"validation and report over training: {result.ratio:.2f} (goal {GOAL:g})")
    raise SystemExit(0 if result.ratio <= GOAL else 1)


if __name__ == "__main__":
    main()
