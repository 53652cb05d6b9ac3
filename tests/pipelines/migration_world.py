"""Two platforms that tell one truth, old and new, through real deliveries into one home: the bench of the migration tests.

Rows are made from the contracts, whatever columns they have. Where the pairs come from is one function (`truth_of`) and one pair
of adapters a table, so that other sources can stand in for it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from core.clock import FixedClock
from core.months import CHINA_TIME, Month, knowledge_cutoff, month_range
from core.state import ModelVersion
from core.subject import SubjectKind
from core.table_schema import Column, ColumnType, TableSchema
from features.feature_store import write_features
from models.artefact import write_bundle
from models.definition import ModelDefinition
from models.sample import Sample
from models.training import train
from models.training_record import TrainingInputs
from pipelines import workplace as workplace_module
from pipelines.catch_up import take_in_waiting
from pipelines.trial_intake import take_in_trial
from pipelines.workplace import Blueprint, Workplace, blueprint
from sources.adapter import Adapter
from sources.arrivals import Arrival, receive
from sources.delivery import write_manifest
from sources.migration.acts import MigrationDesk
from sources.migration.definition import MigrationDefinition, definition_file, load_migration

KIND = SubjectKind.ENTERPRISE
FIRMS = 700
FIRST, DUAL_FIRST, DUAL_LAST, CUT_OVER = Month(2025, 4), Month(2026, 1), Month(2026, 3), Month(2026, 4)
MIGRATED = ("tax_vat_return", "si_employer_month", "util_bill")
REGISTERS = ("consent_register", "suppression")
NAME = "city_to_province"

#: Features that the champion may read, by how their names begin: levels and movements of sales, which is what faults that are
#: meant for scores and lists bend.
CHAMPION_READS = "vat_sales_"
PLANNER, CHECKER, SIGNER = "李工 Li", "王敏 Wang", "陈行长 Chen"

#: A name per firm and key, as an HMAC would give it.
PROTECTED = 20

Frame = pd.DataFrame
Change = Callable[[Frame, str, Month], Frame]


def old_id(firm: int) -> str:
    return "k1:" + hashlib.sha256(f"old{firm}".encode()).hexdigest()[:40]


def new_id(firm: int) -> str:
    return "k2:" + hashlib.sha256(f"new{firm}".encode()).hexdigest()[:40]


def account(side: str, firm: int) -> str:
    """The pseudonym of a firm's meter: accounts change key too."""
    return ("k1:" if side == "old" else "k2:") + hashlib.sha256(f"{side} meter {firm}".encode()).hexdigest()[
        :40
    ]


OLD_IDS, NEW_IDS = np.array([old_id(f) for f in range(FIRMS)]), np.array([new_id(f) for f in range(FIRMS)])


# -- one truth ---------------------------------------------------------------------------------------------------------


def truth_of(schema: TableSchema, month: Month) -> Frame:
    """Canonical rows of one month: `firm` and every column of the contract but subject and period."""
    seed = int.from_bytes(hashlib.sha256(f"{schema.table}{month}".encode()).digest()[:4])
    draw = np.random.default_rng(seed)
    firms = np.flatnonzero(draw.random(FIRMS) < 0.97)
    level = np.random.default_rng(5).normal(0, 1, FIRMS)[firms]
    columns: dict[str, Any] = {"firm": firms}
    for column in schema.columns:
        if column.name not in ("subject_id", "period"):
            columns[column.name] = _values(column, draw, level, month, firms, schema.table)
    return pd.DataFrame(columns)


def _values(
    column: Column, draw: np.random.Generator, level: np.ndarray, month: Month, firms: np.ndarray, table: str
) -> Any:
    count = len(firms)
    missing = draw.random(count) < (0.05 if column.nullable else 0.0)
    match column.type:
        case ColumnType.MONEY:
            top = min(column.maximum or 1e9, 1e9)
            values = np.round(
                np.clip(np.exp(9 + level + draw.normal(0, 0.4, count)), column.minimum or 0.0, top), 2
            )
        case ColumnType.FLOAT:
            values = np.round(
                np.clip(np.exp(4 + level + draw.normal(0, 0.4, count)), 0, column.maximum or 1e9), 2
            )
        case ColumnType.INT | ColumnType.LONG:
            low, high = column.minimum or 0, column.maximum or 100
            values = draw.integers(int(low), int(min(high, low + 100)) + 1, count)
        case ColumnType.CODE:
            # One code a firm where codes are part of the key, so that a month has each key once.
            values = np.array(column.codes)[np.minimum(firms % 4, len(column.codes) - 1)]
        case ColumnType.BOOL:
            values = draw.random(count) < 0.2
        case ColumnType.DATE | ColumnType.TIME:
            days = draw.integers(0, 28, count)
            values = np.array([f"{month.first_day + timedelta(days=int(day))}" for day in days])
        case ColumnType.SUBJECT:
            values = OLD_IDS[draw.integers(0, FIRMS, count)]
        case ColumnType.MONTH:
            values = np.full(count, str(month))
        case _ if column.data_class == "pseudonym":
            values = np.array([account("old", firm) for firm in firms])
        case _:
            values = np.array([f"{table[:1]}{firm}" for firm in firms])
    return pd.Series(values, dtype=object).mask(missing, None).to_numpy()


def consents_of(schema: TableSchema, month: Month) -> Frame:
    """Every firm has agreed to both purposes; ten have taken it back."""
    frame = truth_of(schema, month)
    frames = []
    for purpose in ("risk", "marketing"):
        one = pd.DataFrame({"firm": np.arange(FIRMS)}).merge(frame, on="firm", how="left")
        told: dict[str, Any] = {
            "consent_id": [f"{purpose}{firm}" for firm in one["firm"]], "purpose": purpose, "kind": "written",
            "granted_at": str(FIRST.first_day), "valid_to": None, "source_codes": '["tax", "si", "util"]', "version_no": 1,
            "withdrawn_at": np.where(one["firm"] % 70 == 3, str(month.first_day), None),
        }  # fmt: skip
        frames.append(_whole(one, told, schema, frame))
    return pd.concat(frames, ignore_index=True)


def suppressions_of(schema: TableSchema, month: Month) -> Frame:
    """A few firms don't want to be approached."""
    frame = truth_of(schema, month)
    one = frame[frame["firm"] % 70 == 7].reset_index(drop=True)
    told = {"scope": "all", "reason": "do_not_contact", "from_date": str(FIRST.first_day), "to_date": None}
    return _whole(one, told, schema, frame)


def _whole(one: Frame, told: Mapping[str, Any], schema: TableSchema, sample: Frame) -> Frame:
    """Columns that the test decides, and whatever the contract asks beside them."""
    names = [c.name for c in schema.columns if c.name not in ("subject_id", "period")]
    one = one.assign(**{name: value for name, value in told.items() if name in names})
    for name in names:
        one[name] = one[name].where(
            one[name].notna() | pd.Series(name in told, index=one.index), sample[name].iloc[0]
        )
    return one[["firm", *names]]


# -- as delivered ------------------------------------------------------------------------------------------------------


def adapter(schema: TableSchema, source: str, lost: tuple[str, ...] = ()) -> Adapter:
    """An adapter for files whose columns are canonical already; `lost` columns are sent and not mapped."""
    rules: dict[str, Any] = {}
    for column in schema.columns:
        if column.name == "subject_id" or column.name in lost:
            continue
        rule: dict[str, Any] = {"from": column.name}
        if column.type is ColumnType.MONEY:
            rule["unit"] = "CNY"
        if column.type is ColumnType.BOOL:
            rule["codes"] = {"1": True, "0": False}
        if column.type in (ColumnType.DATE, ColumnType.MONTH, ColumnType.TIME):
            rule["parse"] = ["%Y-%m"] if column.type is ColumnType.MONTH else ["%Y-%m-%d"]
        rules[column.name] = rule
    return Adapter.model_validate(
        {
            "adapter": f"{source}_{schema.table}", "version": 1, "title": {"zh": source, "en": source}, "source": source,
            "subject": str(KIND), "target": schema.table, "file": {"encoding": "utf-8", "delimiter": ","},
            "key": {"from": "subject"}, "columns": rules, "ignore": list(lost),
        }
    )  # fmt: skip


def plan_with(lost: tuple[str, ...] = ()) -> Blueprint:
    """The shipped definitions and the adapters of both made-up platforms and the bank."""
    plan = blueprint()
    schemas = plan.schemas
    made = [adapter(schemas[table], "city_x") for table in MIGRATED]
    made += [
        adapter(schemas[table], "prov_x", lost if table == "tax_vat_return" else ()) for table in MIGRATED
    ]
    made += [adapter(schemas[table], "bank_x") for table in REGISTERS]
    return replace(plan, adapters={**plan.adapters, **{one.adapter: one for one in made}})


@dataclass
class MigrationWorld:
    """One home and what tests do with it. `ids`: pseudonyms of the firms by side."""

    home: Path
    clock: FixedClock

    def __post_init__(self) -> None:
        self.workplace = Workplace.open(self.home, self.clock)
        self.store, self.state = self.workplace.store, self.workplace.state

    @property
    def desk(self) -> MigrationDesk:
        return MigrationDesk(self.state, self.clock, self.home)

    @property
    def schemas(self) -> dict[str, TableSchema]:
        return self.workplace.blueprint.schemas

    def at(self, moment: datetime) -> MigrationWorld:
        """The same home at another moment."""
        self.clock = self.workplace.clock = FixedClock(moment)
        return self

    def send(
        self,
        source: str,
        table: str,
        month: Month,
        frame: Frame,
        ids: np.ndarray,
        *,
        days: float = 10,
        revision: int = 1,
    ) -> int:
        """Lay one delivery in the source's inbox and receive it `days` after the month's end."""
        schema = self.schemas[table]
        folder = self.home / "inbox" / source / f"{KIND}.{table}" / f"{month}-r{revision}"
        folder.mkdir(parents=True)
        lines = frame.assign(subject=ids[frame["firm"].to_numpy(dtype=int)], period=str(month)).drop(
            columns="firm"
        )
        for column in schema.columns:
            if column.type is ColumnType.BOOL:
                lines[column.name] = lines[column.name].map({True: "1", False: "0"})
            if column.type is ColumnType.MONEY:
                lines[column.name] = lines[column.name].map(
                    lambda v: "" if v is None or v != v else f"{float(v):.2f}"
                )
        data = folder / "data.csv"
        lines.to_csv(data, index=False)
        # The made-up adapters list the key first, then the columns as the contract has them.
        order = self.workplace.blueprint.adapters[f"{source}_{table}"].source_columns
        lines[list(order)].to_csv(data, index=False)
        write_manifest(
            data, source=source, adapter=f"{source}_{table}", subject=KIND, table=table, period=str(month),
            rows=len(lines), revision=revision,
        )  # fmt: skip
        end = datetime.combine(
            month.last_day + timedelta(days=1), datetime.min.time(), CHINA_TIME
        ).astimezone(UTC)
        arrival = Arrival(folder, end + timedelta(days=days), "replayed")
        return receive(arrival, self.workplace.settings.archive, self.state, self.clock)

    def old_side(self, first: Month, last: Month) -> None:
        for month in month_range(first, last):
            for table in MIGRATED:
                self.send("city_x", table, month, truth_of(self.schemas[table], month), OLD_IDS)

    def new_side(self, first: Month, last: Month, change: Change | None = None, **how: Any) -> None:
        """The same truth under the new key; `change` bends a table's month."""
        for month in month_range(first, last):
            for table in MIGRATED:
                frame = truth_of(self.schemas[table], month)
                frame = frame if change is None else change(frame, table, month)
                self.send("prov_x", table, month, rekeyed(frame, self.schemas[table]), NEW_IDS, **how)

    def registers(self, month: Month) -> None:
        for table, made in (("consent_register", consents_of), ("suppression", suppressions_of)):
            self.send("bank_x", table, month, made(self.schemas[table], month), OLD_IDS, days=0.5)

    # -- the migration -----------------------------------------------------------------------------------------------

    def define(self, pairs: Frame | None = None, **changes: Any) -> MigrationDefinition:
        """Lay the crosswalk and write the definition; `pairs` (old, new firm numbers) are all of them where left out."""
        file = definition_file(self.home, NAME)
        file.parent.mkdir(parents=True, exist_ok=True)
        both = pd.DataFrame({"old": np.arange(FIRMS), "new": np.arange(FIRMS)}) if pairs is None else pairs
        laid = file.parent / "crosswalk.csv"
        meters = [(account("old", firm), account("new", firm)) for firm in range(FIRMS)]
        told = [*zip(OLD_IDS[both["old"]], NEW_IDS[both["new"]], strict=True), *meters]
        lines = pd.DataFrame(told, columns=["old_subject_id", "new_subject_id"]).assign(
            valid_from="2026-01-01"
        )
        lines.to_csv(laid, index=False)
        body: dict[str, Any] = {
            "migration": NAME,
            "title": {"zh": "市平台迁至省平台", "en": "City platform to provincial platform"},
            "tables": [
                {
                    "table": table, "subject": str(KIND),
                    "old": [{"source": "city_x", "adapter": f"city_x_{table}"}],
                    "new": [{"source": "prov_x", "adapter": f"prov_x_{table}"}],
                }
                for table in MIGRATED
            ],
            "dual_run": {"first": str(DUAL_FIRST), "last": str(DUAL_LAST)},
            "cut_over": str(CUT_OVER),
            "rollback_window_days": 60,
            "key_ver": {"old": "k1", "new": "k2"},
            "crosswalk": [{"file": laid.name, "sha256": hashlib.sha256(laid.read_bytes()).hexdigest()}],
            "dual_key": ["bank_x"],
            "list_size": 100,
        }  # fmt: skip
        file.write_text(
            yaml.safe_dump({**body, **changes}, allow_unicode=True, sort_keys=False), encoding="utf-8"
        )
        return load_migration(file, self.workplace.blueprint.adapters, self.schemas)

    def take_in_everything(self) -> None:
        take_in_waiting(self.workplace)
        with self.state.session() as session:
            from sources.migration.states import definition_of, find

            definition = definition_of(find(session, NAME))
        take_in_trial(self.workplace, definition)


def rekeyed(frame: Frame, schema: TableSchema) -> Frame:
    """Other pseudonyms in a row change key with the subject's own."""
    change = dict(zip(OLD_IDS, NEW_IDS, strict=True))
    change |= {account("old", firm): account("new", firm) for firm in range(FIRMS)}
    names = [c.name for c in schema.columns if c.data_class == "pseudonym" and c.name != "subject_id"]
    return frame.assign(**{name: frame[name].map(change) for name in names})


#: A day on which both sides have delivered the whole dual run.
CHECK_DAY = datetime(2026, 4, 20, 2, tzinfo=UTC)


def build_base(home: Path) -> None:
    """A home with two years of the old side, registers, history of the new side on trial, a champion, and a planned migration."""
    world = MigrationWorld(home, FixedClock(CHECK_DAY))
    world.desk.plan(world.define(), PLANNER)
    world.old_side(FIRST, DUAL_LAST)
    world.registers(DUAL_LAST)
    world.new_side(FIRST, DUAL_FIRST.plus(-1))
    world.take_in_everything()
    train_champion(world.workplace, DUAL_LAST, columns=14, reads=CHAMPION_READS)


def train_champion(
    world: Workplace,
    as_of: Month,
    model: str = "enterprise_risk",
    coverage: float = 0.9,
    columns: int = 6,
    reads: str = "",
) -> None:
    """A small champion from real features of the old side, those whose names begin with `reads`, and made-up outcomes."""
    plan = world.blueprint
    feature_set = plan.feature_sets[plan.models[model].feature_set]
    write_features(world.store, feature_set, as_of)
    frame = world.store.read(feature_set.table, [str(as_of)]).to_pandas()
    told = [
        name
        for name in feature_set.names
        if name.startswith(reads) and frame[name].notna().mean() > coverage and frame[name].nunique() > 50
    ]
    told = [name for name in told if name in feature_set.for_purpose(plan.models[model].purpose)][:columns]
    x = frame[told].rank(pct=True).fillna(0.5).to_numpy()
    odds = 3.0 * (x.mean(axis=1) - 0.5) - 1.0
    y = (np.random.default_rng(3).random(len(frame)) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    definition = ModelDefinition.model_validate(
        plan.models[model].model_dump(mode="json")
        | {
            "label": {"kind": "bank_outcome", "version": 1}, "split": {"kind": "repeated_cv", "folds": 3, "repeats": 1},
            "scorecard": {"max_features": 6, "max_bins": 5, "prior_rows": 5.0}, "min_bads": 10,
            "lightgbm": {"rounds": 10, "learning_rate": 0.1, "num_leaves": 4, "min_data_in_leaf": 20},
            # Every feature counts: scores must move where one of them does.
            "selection": None, "tuning": None,
        }
    )  # fmt: skip
    sample = Sample(frame[told], frame["subject_no"].to_numpy(), np.full(len(frame), str(as_of)), y)
    signs = dict.fromkeys(told, 0)
    record = train(
        definition, sample, signs, TrainingInputs(str(as_of), {feature_set.table: 1}, feature_set.sha256)
    )
    folder = world.settings.bundles / model
    sha256 = write_bundle(record, folder)
    with world.state.session() as session:
        session.add(
            ModelVersion(
                name=model, training_month=str(as_of), bundle=str(folder.relative_to(world.settings.home)), bundle_sha256=sha256,
                ships=str(record.ships), metrics={}, trained_at=world.clock.now(),
            )
        )  # fmt: skip


@pytest.fixture(scope="session")
def made_up_adapters() -> Any:
    """The made-up platforms' adapters stand beside the shipped ones."""
    with pytest.MonkeyPatch.context() as patch:
        plan = plan_with()
        patch.setattr(workplace_module, "blueprint", lambda: plan)
        yield plan


@pytest.fixture(scope="session")
def base(made_up_adapters: Blueprint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once for all modules that take this fixture over; tests start from copies."""
    home = tmp_path_factory.getbasetemp() / "migration_base" / "home"
    if not home.exists():
        build_base(home)
    return home


@pytest.fixture
def world(base: Path, tmp_path: Path) -> MigrationWorld:
    """A copy of the base."""
    shutil.copytree(base, tmp_path / "home")
    return MigrationWorld(tmp_path / "home", FixedClock(CHECK_DAY))


def cutoff_after(month: Month) -> datetime:
    """A minute after a month's knowledge cutoff."""
    return knowledge_cutoff(month) + timedelta(minutes=1)
