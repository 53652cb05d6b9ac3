"""The golden world: rows of every source, kept as files, some late, restated or withdrawn; and every feature of the catalogue
worked out by SQL that was written from the catalogue's words, apart from the engine.

The SQL stands in `golden/`: what is known (`known_rows.sql`), monthly measures by source (`measures.sql`), formulas over windows
(`formulas.sql`). A feature of a source or measure that the SQL doesn't tell of is named by `NOT_COVERED`; a formula never is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from core.months import Month, month_range
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.contract import load_contracts
from features.as_of import feature_table
from features.catalogue import Feature, FeatureSet, load_catalogue
from features.fact_definition import FactDefinition, load_all_facts
from features.fold import fold_month
from features.linked_facts import LinkedFacts
from features.linked_fold import Numbering, fold_linked
from features.look_back import RawMonth, fold_looking_back
from features.windows import FORMULAS, OF_TWO
from sources.versions import KnownDelivery, Resolver

GOLDEN = Path(__file__).parent / "golden"
AS_OF = Month(2026, 8)
#: A month within the files: what came later, also of the months before, must not show.
EARLIER = Month(2026, 3)
CHINA = timezone(timedelta(hours=8))

SCHEMAS = {name: contract.schema() for name, contract in load_contracts().items()}
FACTS = load_all_facts(SCHEMAS)
SETS = load_catalogue(FACTS, SCHEMAS)
TABLES = sorted(path.stem for path in GOLDEN.glob("*.*.csv"))


def _ledger() -> pd.DataFrame:
    frame = pd.read_csv(GOLDEN / "deliveries.csv")
    for name in ("received_at", "withdrawn_at"):
        frame[name] = pd.to_datetime(frame[name]).dt.tz_localize(CHINA)
    return frame


def _rows(table: str, schema: TableSchema) -> pa.Table:
    """The file's columns, typed as the contract says; row_no below 0 withdraws."""
    fields = {field.name: field.type for field in schema.arrow_with_envelope()}
    types = {**fields, "subject_no": pa.int32(), "period": pa.string()}
    path = GOLDEN / f"{table}.csv"
    names = path.read_text(encoding="utf-8").splitlines()[0].split(",")
    plain = {name: pa.string() if pa.types.is_dictionary(types[name]) else types[name] for name in names}
    options = pacsv.ConvertOptions(column_types=plain, null_values=[""], strings_can_be_null=True)
    return pacsv.read_csv(path, convert_options=options)


# -- the engine's side -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TableStore:
    made = TableStore(tmp_path_factory.mktemp("golden"))
    ledger = _ledger().sort_values("received_at")
    received = dict(zip(ledger["delivery_no"], ledger["received_at"], strict=True))
    revisions = dict(zip(ledger["delivery_no"], ledger["revision"], strict=True))
    for definition in FACTS.values():
        if isinstance(definition, LinkedFacts):
            _join(made, definition)
            continue
        table = f"{definition.subject}.{definition.table}"
        if table not in TABLES:
            continue
        rows = _rows(table, SCHEMAS[definition.table]).sort_by("row_no")
        numbers = rows.column("delivery_no").to_pylist()
        stamps = pa.array([received[n].to_pydatetime() for n in numbers], pa.timestamp("us", tz="UTC"))
        rows = rows.append_column("received_at", stamps)
        rows = rows.append_column("revision", pa.array([revisions[n] for n in numbers], pa.int32()))
        _fold(made, definition, rows, ledger[ledger["table"] == table])
    return made


def _fold(store: TableStore, definition: FactDefinition, rows: pa.Table, ledger: pd.DataFrame) -> None:
    schema = SCHEMAS[definition.table]
    months: dict[Month, RawMonth] = {}
    for period in sorted(ledger["period"].unique()):
        known = {
            d.delivery_no: KnownDelivery(
                d.delivery_no, d.source, period, d.revision, d.mode == "full", d.received_at.to_pydatetime(), True,
                None if pd.isna(d.withdrawn_at) else d.withdrawn_at.to_pydatetime(),
            )
            for d in ledger[ledger["period"] == period].itertuples()
        }  # fmt: skip
        mine = rows.filter(pa.compute.equal(rows.column("period"), period)).drop_columns(["period"])
        months[Month.parse(period)] = (mine, Resolver(schema, known))
    for month, (raw, resolve) in months.items():
        if raw.num_rows:
            inside = {
                m: each for m, each in months.items() if 0 <= month.index - m.index <= definition.look_back
            }
            facts = (
                fold_looking_back(inside, month, definition, schema)
                if definition.look_back
                else fold_month(raw, definition, schema, resolve, month)
            )
            store.replace(definition.fact_table, str(month), facts)


#: Pseudonyms of the enterprises 0, 1, 2, as the residents' rows name their employers; others that they name are strangers.
NAMES = pa.array([f"k1:{number:012x}{'0' * 28}" for number in (1, 2, 3)])


def _join(store: TableStore, definition: LinkedFacts) -> None:
    """Linked facts of every month in which the residents' facts may name somebody."""
    there = {Month.parse(period) for period in store.partitions(definition.other.fact_table)}
    for period in store.partitions(definition.link.fact_table):
        month = Month.parse(period)
        other = {
            age: store.read(definition.other.fact_table, [str(month.plus(-age))])
            for age in range(definition.look_back + 1)
            if month.plus(-age) in there
        }
        link = store.read(definition.link.fact_table, [period])
        store.replace(
            definition.fact_table, period, fold_linked(link, other, Numbering.of(NAMES), definition)
        )


# -- the SQL's side ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    db = _told_by("2026-09-05 23:59:59.999999")
    yield db
    db.close()


@pytest.fixture(scope="module")
def earlier() -> Iterator[duckdb.DuckDBPyConnection]:
    db = _told_by("2026-04-05 23:59:59.999999")
    yield db
    db.close()


def _told_by(cutoff: str) -> duckdb.DuckDBPyConnection:
    """Monthly measures as known by a moment of China."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'Asia/Shanghai'; SET threads = 1")
    deliveries = _ledger()
    db.register("deliveries_frame", deliveries)
    db.execute("CREATE TABLE deliveries AS FROM deliveries_frame")
    db.execute(f"SET VARIABLE cutoff = TIMESTAMPTZ '{cutoff}+08'")
    db.execute((GOLDEN / "known_rows.sql").read_text())
    for table in TABLES:
        name, keys = table.replace(".", "_"), _KEYS[table.split(".")[1]]
        db.register(f"arrow_{name}", _rows(table, SCHEMAS[table.split(".")[1]]))
        db.execute(f"CREATE TABLE rows_{name} AS FROM arrow_{name}")
        latest = "ORDER BY counted DESC, revision DESC, delivery_no DESC, abs(row_no) DESC"
        once = f"QUALIFY row_number() OVER (PARTITION BY r.period, {keys} {latest}) = 1" if keys else ""
        db.execute(
            f"CREATE TABLE known_{name} AS FROM (SELECT r.*, s.counted, s.revision FROM rows_{name} r JOIN standing s "
            f"USING (delivery_no) {once}) WHERE row_no > 0"
        )
    for subject in ("enterprise", "resident"):
        tables = [f"rows_{each.replace('.', '_')}" for each in TABLES if each.startswith(f"{subject}.")]
        everyone = " UNION ".join(f"SELECT subject_no AS subject FROM {table}" for table in tables)
        db.execute(f"CREATE TABLE everyone_{subject} AS {everyone}")
    db.execute((GOLDEN / "measures.sql").read_text())
    return db


#: Business keys, month by month; none: every row of a standing delivery counts.
_KEYS = {
    "bk_account_month": "acct_id",
    "bk_application": "application_id",
    "bk_credit_account": "acct_id",
    "bk_customer": "subject_no",
    "edu_fee_payment": "receipt_id",
    "gov_award": "award_id",
    "hpf_employer_month": "subject_no",
    "hpf_person_month": "subject_no",
    "invoice": "",
    "mk_assignment": "campaign_id, subject_no",
    "mk_response": "event_id",
    "nontax_bill": "pay_code_id",
    "platform_login_day": "subject_no, login_date, platform_cd",
    "platform_service": "case_id",
    "reg_adverse": "event_id",
    "reg_enterprise": "subject_no, valid_from",
    "si_employer_month": "subject_no, scheme",
    "si_person_month": "subject_no, scheme, corr_period_ym",
    "si_person_status": "subject_no, scheme, valid_from",
    "tax_arrears": "subject_no, tax_item_cd",
    "tax_cit_return": "subject_no, period_to, kind",
    "tax_credit_rating": "subject_no, eval_year",
    "tax_event": "event_id",
    "tax_iit_withholding": "subject_no, payer_subject_id, income_type",
    "tax_inspection": "case_id",
    "tax_payment": "voucher_id",
    "tax_vat_return": "subject_no, period_from, period_to",
    "util_account": "util_acct_id, valid_from",
    "util_arrears_month": "util_acct_id",
    "util_bill": "util_acct_id",
    "util_disconnection": "event_id",
    "util_payment": "receipt_id",
    "veh_registration": "veh_id, valid_from",
    "veh_violation": "event_id",
}


#: What amounts are held against.
PER = {"provincial_average_wage": 7000.0}


def _formulas() -> dict[str, str]:
    blocks = (GOLDEN / "formulas.sql").read_text().split("\n-- ")[1:]
    named = [block.split("\n", 1) for block in blocks]
    return {name.strip(): query.strip() for name, query in named if " " not in name.strip()}


def by_sql(
    db: duckdb.DuckDBPyConnection, subject: str, feature: Feature, as_of: Month = AS_OF
) -> dict[int, float]:
    """A feature of every subject by SQL: missing ones aren't in it."""
    longer = {"ratio_previous": feature.window, "year_on_year": 12, "worst_on_year": 12, "down_on_year": 12}
    extra = longer.get(feature.formula, 0)
    months = [str(m) for m in month_range(as_of.plus(1 - feature.window - extra), as_of)]
    sides = [_side(db, subject, facts, measure) for facts, measure in feature.sides]
    over = f"LEFT JOIN ({sides[1]}) o USING (subject, period)" if len(sides) > 1 else ""
    window = (
        f"SELECT subject, t, a.value AS v{', o.value AS over_v' if over else ''} FROM everyone_{subject} "
        f"CROSS JOIN (SELECT unnest({months}) AS period, unnest(range(1, {len(months) + 1})) AS t) "
        f"LEFT JOIN ({sides[0]}) a USING (subject, period) {over}"
    )
    query = _formulas()[feature.formula].replace("$w", str(feature.window)).replace("$n", str(len(months)))
    found = db.execute(f"WITH w AS ({window}) SELECT * FROM ({query}) found (subject, value)").fetchall()
    per = 1.0 if feature.per is None else PER[feature.per]
    return {subject: float(value) / per for subject, value in found if value is not None}


def _side(db: duckdb.DuckDBPyConnection, subject: str, facts: str, measure: str) -> str:
    """Query of one measure: subject, period, value; a source of events only says 0 of everybody for a month that has come."""
    view = f"m_{subject}_{facts}"
    definition = next(d for (kind, name), d in FACTS.items() if (str(kind), name) == (subject, facts))
    if definition.absent == "unknown":
        return f"SELECT subject, period, {measure} AS value FROM {view}"
    name = f"rows_{subject}_{definition.table}"
    came = (
        f"SELECT DISTINCT period FROM {name} JOIN deliveries d USING (delivery_no, period) "
        "WHERE d.received_at <= getvariable('cutoff')"
    )
    return (
        f"SELECT subject, period, coalesce({measure}, 0) AS value FROM everyone_{subject} CROSS JOIN ({came}) "
        f"LEFT JOIN {view} USING (subject, period)"
    )


def _measures(db: duckdb.DuckDBPyConnection) -> set[tuple[str, str, str]]:
    """(subject, facts, measure) that measures.sql tells of."""
    found = db.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_name LIKE 'm_%'"
    ).fetchall()
    told = set()
    for view, column in found:
        _, subject, facts = view.split("_", 2)
        told.add((subject, facts, column))
    return told


def covered(db: duckdb.DuckDBPyConnection, feature_set: FeatureSet) -> list[Feature]:
    """Features whose measures the SQL tells of."""
    told = _measures(db)
    return [
        f for f in feature_set.features if all((str(feature_set.subject), *side) in told for side in f.sides)
    ]


# -- tests -------------------------------------------------------------------------------------------------------------

#: Features that stand on a source or measure without rows and SQL here, by name.
NOT_COVERED: set[str] = set()


def test_every_formula_and_every_feature_is_covered_or_named(sql: duckdb.DuckDBPyConnection) -> None:
    assert set(_formulas()) == set(FORMULAS)
    every = {name for feature_set in SETS.values() for name in feature_set.names}
    told = {f.name for feature_set in SETS.values() for f in covered(sql, feature_set)}
    assert every - told == NOT_COVERED, "write SQL in golden/measures.sql, or name the feature in NOT_COVERED"


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_rows_say_something_of_every_feature(store: TableStore, name: str) -> None:
    """One that is missing for everyone, or the same for everyone, would prove little."""
    found = feature_table(store, SETS[name], AS_OF).to_pandas().set_index("subject_no")
    different = found.nunique()
    assert not list(different.index[different == 0])
    assert (different > 1).mean() > 0.9


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_feature_is_what_the_sql_says(
    store: TableStore, sql: duckdb.DuckDBPyConnection, name: str
) -> None:
    feature_set = SETS[name]
    _agree(store, sql, feature_set, AS_OF)


@pytest.mark.parametrize("name", sorted(SETS))
def test_and_what_it_said_in_an_earlier_month(
    store: TableStore, earlier: duckdb.DuckDBPyConnection, name: str
) -> None:
    _agree(store, earlier, SETS[name], EARLIER)


def _agree(store: TableStore, db: duckdb.DuckDBPyConnection, feature_set: FeatureSet, as_of: Month) -> None:
    found = feature_table(store, feature_set, as_of).to_pandas().set_index("subject_no")
    assert len(found) >= 3
    for feature in covered(db, feature_set):
        values = by_sql(db, str(feature_set.subject), feature, as_of)
        expected = pd.Series(values, dtype=float).reindex(found.index)
        np.testing.assert_allclose(
            found[feature.name].to_numpy(), expected.to_numpy(), rtol=1e-12, atol=1e-12, err_msg=feature.name
        )


@pytest.mark.parametrize("formula", sorted(FORMULAS))
def test_every_formula_is_what_the_sql_says(
    store: TableStore, sql: duckdb.DuckDBPyConnection, formula: str
) -> None:
    """Also those that no feature uses now, on sales, on a source of events, and on amounts that are red now and then; formulas of
    two measures on sales and the tax on them."""
    feature_set = SETS["enterprise_monthly"]
    sample = feature_set.features[0]
    sides = [("tax_vat_return", "sales_amt"), ("gov_award", "awards"), ("invoice", "margin_amt")]
    over = "tax_amt" if formula in OF_TWO else None
    features = tuple(
        dataclasses.replace(sample, name=f"{measure}_{window}", facts=facts, measure=measure, formula=formula, window=window,
                            over=over, over_facts="tax_vat_return", scale=1.0 if measure == "awards" else 0.01)
        for facts, measure in sides if over is None or measure != "awards" for window in (3, 7, 13, 24)
    )  # fmt: skip
    facts = {name: FACTS[feature_set.subject, name] for name, _ in sides}
    found = feature_table(
        store, dataclasses.replace(feature_set, features=features, facts=facts), AS_OF
    ).to_pandas()
    scale = 1.0 if formula in MONEY else 100.0
    for feature in features:
        expected = pd.Series(by_sql(sql, "enterprise", feature), dtype=float).reindex(found["subject_no"])
        ours = found[feature.name].to_numpy() * (1.0 if feature.measure == "awards" else scale)
        np.testing.assert_allclose(ours, expected.to_numpy(), rtol=1e-12, atol=1e-12, err_msg=feature.name)


#: Formulas that give an amount.
MONEY = {"sum", "mean", "min", "max", "std", "last", "level_change"}

#: Worked out by hand from the files, as of 2026-08: what was known by the end of 2026-09-05.
BY_HAND = [
    # June to August; that August was restated to 0.01 came on 20 September.
    ("enterprise_monthly", "vat_sales_3m", 0, 26447.85 + 27555.26 + 28458.60),
    # W19 in January and W25 in July; W10 of 2025-04 is older than a year.
    ("enterprise_monthly", "award_amt_12m", 1, 42823.61 + 25648.27),
    ("enterprise_monthly", "awards_6m", 1, 1),
    ("enterprise_monthly", "award_since_12m", 1, 1),
    # W19b, told of in March by a supplement for January.
    ("enterprise_monthly", "awards_12m", 2, 1),
    # Paid over due, June to August.
    (
        "enterprise_monthly",
        "si_paid_share_3m",
        0,
        (4705.71 + 6390.34 + 7800.49) / (8108.91 + 7434.77 + 8747.52),
    ),
    ("enterprise_monthly", "si_paid_share_3m", 2, (0.00 + 2806.25 + 8996.00) / (4769.01 + 4476.00 + 8517.02)),
    # 75 days in 2025-09 and 2026-06, 12 in 2025-11; one row of 2025-10 has 75 as well.
    ("enterprise_monthly", "arrears_age_12m", 0, 75),
    # June 7691.61; July, first suspended, became a payment back of 5000.00 on 30 August; August is a gap without a base.
    ("resident_monthly", "si_base_mean_3m", 1, (7691.61 + 5000.00) / 2),
    ("resident_monthly", "si_gap_months_3m", 1, 1),
    ("resident_monthly", "si_gap_months_3m", 0, 1),
    # Two cases in August; nothing was delivered of June and July.
    ("resident_monthly", "service_cases_3m", 3, 2),
    # Two cases in February (window, not told) and two in August (window, app).
    ("resident_monthly", "service_app_share_12m", 3, 1 / 4),
    ("resident_monthly", "service_since_12m", 0, 0),
]


@pytest.mark.parametrize(("name", "feature", "subject", "value"), BY_HAND)
def test_worked_by_hand(store: TableStore, name: str, feature: str, subject: int, value: float) -> None:
    feature_set = SETS[name]
    one = tuple(f for f in feature_set.features if f.name == feature)
    found = (
        feature_table(store, dataclasses.replace(feature_set, features=one), AS_OF)
        .to_pandas()
        .set_index("subject_no")
    )
    assert found.loc[subject, feature] == pytest.approx(value, rel=1e-12)
