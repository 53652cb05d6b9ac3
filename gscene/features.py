"""`gscene features`: what the catalogue holds, what a feature means and where it comes from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.clock import SystemClock
from core.errors import ExitCode, GateRefused, GsceneError
from core.months import Month
from core.purpose import Purpose
from gscene.console import Reporter
from gscene.features_as_known import as_known
from gscene.options import MonthType, home_option, json_option

if TYPE_CHECKING:
    from features.catalogue import Feature, FeatureSet
    from features.fact_definition import FactDefinition


@click.group()
def features() -> None:
    """The feature catalogue: list it, explain a feature, trace it to its source columns.

    特征目录：列出、解释、追溯来源。

    \b
    Examples:
      gscene features list
      gscene features list --set resident_monthly --purpose marketing
      gscene features explain si_longest_gap_12m
      gscene features lineage vat_sales_yoy_3m
      gscene features as-known --set enterprise_monthly --as-of 2026-08 --as-known-at 2026-10-31
    """


@features.command("list")
@click.option("--set", "set_name", help="One feature set only, such as resident_monthly.")
@click.option(
    "--purpose", type=click.Choice(["risk", "marketing", "evaluation"]), help="May serve this purpose."
)
@json_option
def list_features(set_name: str | None, purpose: str | None, as_json: bool) -> None:
    """Every feature with its meaning, formula, window, unit, purposes and risk direction.

    列出全部特征。
    """
    from core.purpose import Purpose

    reporter = Reporter(as_json)
    sets = _sets()
    if set_name is not None and set_name not in sets:
        raise GsceneError(f"there is no feature set {set_name}.", f"Choose from {', '.join(sets)}.")
    for name, feature_set in sets.items():
        if set_name not in (None, name):
            continue
        chosen = [f for f in feature_set.features if purpose is None or Purpose(purpose) in f.purposes]
        rows = [
            [f.name, f.title.zh, f.title.en, f.formula, f.window, f.unit, _purposes(f), _SIGNS[f.risk]]
            for f in chosen
        ]
        title = f"{name}: {feature_set.title.zh} / {feature_set.title.en} ({len(rows)})"
        reporter.table(
            title, ["feature", "含义", "meaning", "formula", "months", "unit", "purposes", "risk"], rows
        )
        reporter.result[name] = [_told(f) for f in chosen]
    reporter.finish()


@features.command("explain")
@click.argument("name")
@json_option
def explain(name: str, as_json: bool) -> None:
    """What NAME means, how it is worked out and what its absence means.

    解释一个特征。
    """
    from features.window_kernels import KERNELS
    from features.window_kernels_of_two import KERNELS_OF_TWO

    reporter = Reporter(as_json)
    feature, feature_set = _find(name)
    kernel = (KERNELS | KERNELS_OF_TWO)[feature.formula]
    how = " ".join((kernel.__doc__ or "").split())
    sources = ", ".join(feature_set.source_columns(feature))
    told = _told(feature) | {"feature_set": feature_set.name, "how": how, "source_columns": sources}
    measures = {
        f"{facts}.{measure}": feature_set.facts[facts]
        .measures[measure]
        .model_dump(mode="json", exclude_defaults=True)
        | _carried(feature_set.facts[facts], measure)
        for facts, measure in feature.sides
    }
    rows = [[key, value] for key, value in told.items()]
    reporter.table(name, ["", ""], rows + [[key, spec] for key, spec in measures.items()])
    reporter.result |= told | {"measures": measures}
    reporter.finish()


def _carried(facts: FactDefinition, measure: str) -> dict[str, Any]:
    """Where linked facts have a measure from: whose facts, and what names their subject."""
    from features.linked_facts import LinkedFacts

    if not isinstance(facts, LinkedFacts):
        return {}
    carried = facts.carry[measure]
    told = {
        "of": f"{facts.through.subject} {facts.other.facts}.{carried.measure}",
        "named_by": f"{facts.subject} {facts.link.facts}.{facts.through.measure}",
    }
    return told | ({"against_months_before": carried.against} if carried.against else {})


@features.command("lineage")
@click.argument("name")
@json_option
def lineage(name: str, as_json: bool) -> None:
    """Every contract column behind NAME, and the columns of each platform's files that feed it.

    追溯一个特征的来源字段。
    """
    from expectations.contract import load_contracts
    from features.lineage import lineage_of
    from sources.adapter import load_adapters

    reporter = Reporter(as_json)
    feature, feature_set = _find(name)
    schemas = {table: contract.schema() for table, contract in load_contracts().items()}
    traced = lineage_of(feature, feature_set, schemas, load_adapters(schemas).values())
    rows = [
        [
            f"{column.table}.{column.column}",
            f"{column.type} {column.unit}".strip(),
            column.data_class,
            ", ".join(column.purposes),
            "; ".join(f"{fed.adapter}: {fed.header}" for fed in column.fed_by) or "(no adapter feeds it)",
        ]
        for column in traced.columns
    ]
    title = f"{name} <- {', '.join(traced.measures)}"
    reporter.table(title, ["contract column", "type", "data class", "purposes", "fed by"], rows)
    reporter.result |= asdict(traced)
    reporter.finish()


@features.command("page")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Page to rewrite from its mark on, such as docs/features.md.",
)
@json_option
def page(out: Path | None, as_json: bool) -> None:
    """The whole catalogue as Markdown tables, to read or to keep beside the code.

    把特征目录写成文档。

    \b
    Examples:
      gscene features page
      gscene features page --out docs/features.md
    """
    from features.feature_page import MARK, feature_page
    from features.window_kernels import KERNELS
    from features.window_kernels_of_two import KERNELS_OF_TWO

    reporter = Reporter(as_json)
    sets = _sets()
    made = feature_page(
        sets, {name: kernel.__doc__ or "" for name, kernel in (KERNELS | KERNELS_OF_TWO).items()}
    )
    if out is None:
        if as_json:
            reporter.result["page"] = made
        else:
            click.echo(made, nl=False)
    else:
        before = out.read_text(encoding="utf-8").partition(MARK)[0] if out.exists() else ""
        out.write_text(before + made, encoding="utf-8")
        reporter.results({"page": str(out)})
    reporter.result["features"] = {name: len(feature_set.features) for name, feature_set in sets.items()}
    reporter.finish()


_SIGNS = {1: "raises", -1: "lowers", 0: "-"}


def _sets() -> dict[str, FeatureSet]:
    from expectations.contract import load_contracts
    from features.catalogue import load_catalogue
    from features.fact_definition import load_all_facts

    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    return load_catalogue(load_all_facts(schemas), schemas)


def _find(name: str) -> tuple[Feature, FeatureSet]:
    import difflib

    sets = _sets()
    for feature_set in sets.values():
        for feature in feature_set.features:
            if feature.name == name:
                return feature, feature_set
    every = [feature for feature_set in sets.values() for feature in feature_set.names]
    near = difflib.get_close_matches(name, every, n=3)
    remedy = f"Did you mean {', '.join(near)}? " if near else ""
    error = GsceneError(f"there is no feature {name}.", remedy + "gscene features list shows all.")
    error.exit_code = ExitCode.USAGE
    raise error


def _purposes(feature: Feature) -> str:
    return ", ".join(sorted(feature.purposes))


def _told(feature: Feature) -> dict[str, object]:
    return {
        "name": feature.name,
        "zh": feature.title.zh,
        "en": feature.title.en,
        "formula": feature.formula,
        "months": feature.window,
        "unit": feature.unit,
        "purposes": _purposes(feature),
        "risk": _SIGNS[feature.risk],
        "missing_zh": feature.missing.zh,
        "missing_en": feature.missing.en,
        "fairness": feature.fairness,
        "fairness_why_zh": feature.fairness_why.zh if feature.fairness_why else "",
        "fairness_why_en": feature.fairness_why.en if feature.fairness_why else "",
        "ageing_years": feature.ageing if feature.ageing is not None else "-",
        "phrase": feature.phrase,
        "held_against": feature.per or "-",
    }


@features.command("screen")
@click.option("--set", "set_name", required=True, help="The feature set, such as resident_monthly.")
@click.option("--as-of", type=MonthType(), required=True, help="As-of month whose features are screened.")
@click.option(
    "--model",
    "model_name",
    help="Model whose outcomes count, such as resident_risk; none: no IV, no leak probe.",
)
@click.option(
    "--purpose",
    type=click.Choice(["risk", "marketing"]),
    help="Purpose whose features and subjects are screened; default: that of the model, risk without one.",
)
@home_option("demo")
@json_option
def screen(
    set_name: str, as_of: Month, model_name: str | None, purpose: str | None, home: Path, as_json: bool
) -> None:
    """Gaps, strength, drift (by month and platform), likeness and leak suspects of a feature set, as a page and a table.

    特征筛查：缺失、IV、PSI、相近特征、信息泄漏。

    \b
    Example:
      gscene features screen --set enterprise_monthly --as-of 2026-10 --model enterprise_risk --home var/demo
      gscene features screen --set resident_monthly --as-of 2026-10 --purpose marketing --home var/demo

    Exit code 3 where a single feature is suspected of knowing the outcome.
    """
    from models.screening.monthly_screening import screen_month, write_screening
    from pipelines.workplace import Workplace

    reporter = Reporter(as_json)
    workplace = Workplace.open(home, SystemClock(), reporter)
    sets, models = workplace.blueprint.feature_sets, workplace.blueprint.models
    for name, known, what in ((set_name, sets, "feature set"), (model_name, models, "model")):
        if name is not None and name not in known:
            raise GsceneError(f"there is no {what} {name}.", f"Choose from {', '.join(known)}.")
    model = models[model_name] if model_name is not None else None
    if model is not None and purpose not in (None, model.purpose):
        raise click.UsageError(f"the outcomes of {model_name} are for {model.purpose}, not for {purpose}.")
    with reporter.stage(f"screen {set_name}"):
        asked = None if purpose is None else Purpose(purpose)
        allowed = workplace.entitlements(sets[set_name].subject)
        told = screen_month(workplace.store, workplace.state, sets[set_name], as_of, allowed, model, asked)
    written = write_screening(told, sets[set_name], workplace.settings.out / "reports")
    rows = [
        [
            f.name,
            list(f.missing.values())[-1],
            _shown(f.iv),
            _shown(f.auc),
            ", ".join(f.alarms),
            ", ".join(sorted({found.name for found in f.expected.values()})),
        ]
        for f in sorted(told.features, key=lambda each: -(each.iv or 0.0))
    ]
    reporter.table(set_name, ["feature", "missing", "IV", "AUC", "unexplained drift", "expected break"], rows)
    for suspect in told.suspects:
        reporter.say(
            f"Suspected leak / 疑似泄漏: {suspect.feature}, by its {suspect.by} alone, AUC {suspect.auc:.3f}"
        )
    reporter.results({name: str(path) for name, path in written.items()})
    reporter.result["suspects"] = [suspect.feature for suspect in told.suspects]
    reporter.finish()
    if told.suspects:
        raise GateRefused(
            f"{told.suspects[0].feature} ranks the outcome alone with an AUC of {told.suspects[0].auc:.3f}.",
            "Look at where the column comes from; leave it out or prove that it was known then.",
        )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


features.add_command(as_known)
