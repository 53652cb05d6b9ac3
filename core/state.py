"""The state database: what must be remembered beside the tables. SQLite by default, PostgreSQL by URL.

Ledger of deliveries, receipts, releases, model versions, lead lists and the audit chain. No row-level data of any
subject.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Engine,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.types import DateTime, TypeDecorator

MIGRATIONS = Path(__file__).parent / "migrations"


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC; SQLite would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse naive datetimes, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the state database takes aware datetimes only; add a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give back aware UTC."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """Common base of the mapped classes."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcTime,
        dict[str, Any]: JSON,
    }


class Delivery(Base):
    """One delivery of one table's month from one source; the ledger says when the bank knew.

    `lane`: live deliveries fill `raw/`, those of a platform on trial fill `trial/` and are known to nobody else.
    `made_from`: the delivery whose archived bytes this entry was made from (rows released from quarantine, a trial
    promoted at cut-over). `withdrawn_at`: from then on its rows are no longer known. Source rows delivered = accepted +
    left out + quarantined; `rows_made` are the canonical rows that the accepted ones became. `waived`: holds that an
    operator lifted (GAP, UNITS, VOLUME), comma-separated. `figures`: sum, median and count of each amount column, in fen,
    kept only where there are enough rows; `warnings`: what was odd though not refused, by check.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_table", "subject", "table", "period"),
        Index("ix_delivery_key", "source", "subject", "table", "period", "revision"),
    )

    delivery_no: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    adapter: Mapped[str]
    subject: Mapped[str]
    table: Mapped[str]
    period: Mapped[str]
    revision: Mapped[int]
    mode: Mapped[str]
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    content_sha256: Mapped[str] = mapped_column(String(64))
    manifest: Mapped[dict[str, Any]]
    archive: Mapped[str]
    received_at: Mapped[datetime]
    basis: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]
    place: Mapped[str | None]
    remedy: Mapped[str | None]
    rows_delivered: Mapped[int | None]
    rows_accepted: Mapped[int | None]
    lane: Mapped[str] = mapped_column(server_default="live", default="live")
    sequence: Mapped[int | None]
    previous_sha256: Mapped[str | None] = mapped_column(String(64))
    signed_by: Mapped[str | None]
    made_from: Mapped[int | None] = mapped_column(ForeignKey("delivery.delivery_no"))
    withdrawn_at: Mapped[datetime | None]
    rows_made: Mapped[int | None]
    rows_quarantined: Mapped[int | None]
    receipt_sha256: Mapped[str | None] = mapped_column(String(64))
    waived: Mapped[str] = mapped_column(server_default="", default="")
    figures: Mapped[dict[str, Any] | None]
    warnings: Mapped[dict[str, Any] | None]
    left_out: Mapped[list[LeftOut]] = relationship(back_populates="delivery", cascade="all, delete-orphan")
    quarantined: Mapped[list[Quarantined]] = relationship(
        back_populates="delivery", cascade="all, delete-orphan"
    )


class LeftOut(Base):
    """Rows of an accepted delivery that were left out, counted under a reason."""

    __tablename__ = "left_out"

    delivery_no: Mapped[int] = mapped_column(ForeignKey("delivery.delivery_no"), primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    rows: Mapped[int]
    delivery: Mapped[Delivery] = relationship(back_populates="left_out")


class Quarantined(Base):
    """Rows of an accepted delivery that are held back until its adapter is mended: how many under which reason, the source
    column that caused it, and the shape of one such cell, never its content. `released`: rows that came in since.
    """

    __tablename__ = "quarantined"

    delivery_no: Mapped[int] = mapped_column(ForeignKey("delivery.delivery_no"), primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    column: Mapped[str] = mapped_column(primary_key=True)
    rows: Mapped[int]
    released: Mapped[int] = mapped_column(default=0)
    shape: Mapped[str]
    delivery: Mapped[Delivery] = relationship(back_populates="quarantined")


class DeliveryReceipt(Base):
    """What the source is told of a delivery, `n` counting within (source, subject, table, period, revision). `body` is the
    exact text that is signed; the file below `out/receipts` can be made again from it.
    """

    __tablename__ = "delivery_receipt"
    __table_args__ = (Index("ix_delivery_receipt_delivery", "delivery_no"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    delivery_no: Mapped[int] = mapped_column(ForeignKey("delivery.delivery_no"))
    n: Mapped[int]
    state: Mapped[str]
    body: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    issued_at: Mapped[datetime]


class Receipt(Base):
    """What a validation said of one partition's exact content."""

    __tablename__ = "receipt"
    __table_args__ = (Index("ix_receipt_partition", "table", "partition"),)

    receipt_no: Mapped[int] = mapped_column(primary_key=True)
    table: Mapped[str]
    partition: Mapped[str]
    content_hash: Mapped[str] = mapped_column(String(64))
    suite_hash: Mapped[str] = mapped_column(String(64))
    passed: Mapped[bool]
    failures: Mapped[dict[str, Any]]
    rows: Mapped[int]
    validated_at: Mapped[datetime]


class Derivation(Base):
    """What one derived partition was made from: content hashes of its inputs and the hash of the recipe."""

    __tablename__ = "derivation"

    table: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[str] = mapped_column(primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    recipe_hash: Mapped[str] = mapped_column(String(64))
    inputs: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]


class Release(Base):
    """A set of table versions that belong together; readers of published results resolve through it."""

    __tablename__ = "release"

    release_no: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    as_of: Mapped[str]
    tables: Mapped[dict[str, Any]]
    released_at: Mapped[datetime]


class ModelVersion(Base):
    """One trained model: where its bundle lies and what it was."""

    __tablename__ = "model_version"
    __table_args__ = (UniqueConstraint("name", "training_month", "bundle_sha256"),)

    model_no: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    training_month: Mapped[str]
    bundle: Mapped[str]
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    ships: Mapped[str]
    mlflow_run_id: Mapped[str | None]
    mlflow_version: Mapped[str | None]
    metrics: Mapped[dict[str, Any]]
    trained_at: Mapped[datetime]


class LeadList(Base):
    """One published lead list."""

    __tablename__ = "lead_list"

    list_version: Mapped[str] = mapped_column(primary_key=True)
    campaign_id: Mapped[str]
    as_of: Mapped[str]
    subject: Mapped[str]
    rows: Mapped[int]
    folder: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    waterfall: Mapped[dict[str, Any]]
    generated_at: Mapped[datetime]


class PullConnection(Base):
    """How far a connection has come, and its circuit breaker: `failures` in a row, open since `opened_at`.

    `cursor`: where the other side's listing goes on, once everything before it is in the ledger.
    """

    __tablename__ = "pull_connection"

    connection: Mapped[str] = mapped_column(primary_key=True)
    cursor: Mapped[str | None]
    failures: Mapped[int] = mapped_column(default=0)
    opened_at: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]


class PullItem(Base):
    """One delivery that a connection knows, or one month of a feed whose deliveries are made here.

    `tag`: the version of it (of the manifest, or a fingerprint of the month's rows); `bytes`: kept so far; `etags`: versions
    of its files under way; `cursor`: the next page of a feed, `rows` the rows before it. `folder`: its place in the inbox,
    set when it is complete, before it moves there.
    """

    __tablename__ = "pull_item"

    connection: Mapped[str] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    tag: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    cursor: Mapped[str | None]
    etags: Mapped[dict[str, Any]] = mapped_column(default=dict)
    folder: Mapped[str | None]
    manifest_sha256: Mapped[str | None] = mapped_column(String(64))
    delivery_no: Mapped[int | None] = mapped_column(ForeignKey("delivery.delivery_no"))
    reason: Mapped[str | None]
    changed_at: Mapped[datetime]


class PullReceipt(Base):
    """A receipt that a connection has handed back, by its path below `out/receipts`."""

    __tablename__ = "pull_receipt"

    connection: Mapped[str] = mapped_column(primary_key=True)
    receipt: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    sent_at: Mapped[datetime]


class IneligibleCount(Base):
    """Subjects whose records of one source could not be used for a purpose when a partition was made, counted by reason;
    source "" counts those who got no row at all.
    """

    __tablename__ = "ineligible_count"

    table: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    subjects: Mapped[int]


class Erasure(Base):
    """A subject's erasure: request, how far it has come, and the tombstone that keeps the subject from coming back.

    `tombstone` is the keyed hash of the pseudonym (`sources.erased`), never the pseudonym. `numbers`: the subject's number in
    each registry, holes from now on. `step` is the last one finished; `told` counts what was removed, by step.
    """

    __tablename__ = "erasure"
    __table_args__ = (UniqueConstraint("subject", "tombstone"),)

    erasure_no: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str]
    tombstone: Mapped[str] = mapped_column(String(64))
    numbers: Mapped[dict[str, Any]]
    request_ref: Mapped[str]
    reason: Mapped[str]
    step: Mapped[str]
    told: Mapped[dict[str, Any]]
    opened_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    retrain_by: Mapped[datetime]


class ErasedPartition(Base):
    """One table partition that an erasure rewrites: content hash before and (when done) after, and the rows that go. Written
    before the partition is touched, so that a killed erasure knows what it had begun."""

    __tablename__ = "erased_partition"

    erasure_no: Mapped[int] = mapped_column(ForeignKey("erasure.erasure_no"), primary_key=True)
    table: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[str] = mapped_column(primary_key=True)
    before: Mapped[str] = mapped_column(String(64))
    after: Mapped[str | None] = mapped_column(String(64))
    rows: Mapped[int]
    by_delivery: Mapped[dict[str, Any]]


class Redaction(Base):
    """Archived bytes that were rewritten without erased subjects: the sha256 they were delivered under, kept as evidence in the
    ledger, and the sha256 of what lies there now ("" where the file was removed whole)."""

    __tablename__ = "redaction"

    content_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    redacted_sha256: Mapped[str] = mapped_column(String(64))
    rows_removed: Mapped[int]
    cells_replaced: Mapped[int]
    redacted_at: Mapped[datetime]


class ModelMark(Base):
    """A model version that learned from a subject who has been erased since: it must be trained again by then."""

    __tablename__ = "model_mark"

    model_no: Mapped[int] = mapped_column(ForeignKey("model_version.model_no"), primary_key=True)
    erasure_no: Mapped[int] = mapped_column(ForeignKey("erasure.erasure_no"), primary_key=True)
    rows: Mapped[int]
    retrain_by: Mapped[datetime]


class Recall(Base):
    """A lead on a published list whose subject has been erased: whoever holds the list must delete the row and say so. The
    lead's number is forgotten when that is acknowledged."""

    __tablename__ = "recall"

    recall_no: Mapped[int] = mapped_column(primary_key=True)
    erasure_no: Mapped[int] = mapped_column(ForeignKey("erasure.erasure_no"))
    list_version: Mapped[str]
    lead_id: Mapped[str | None]
    issued_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]


class PlatformMigration(Base):
    """One migration from old sources to new ones: where it stands, and the definition that it was planned with.

    `under_way` names a cut-over or rollback that has begun and not ended: until it has, both sides' deliveries wait on the
    trial lane. `crosswalk`: sha256, bytes, pairs of the file that was taken over; None where there is none.
    """

    __tablename__ = "platform_migration"

    name: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    under_way: Mapped[str | None]
    definition: Mapped[dict[str, Any]]
    definition_sha256: Mapped[str] = mapped_column(String(64))
    crosswalk: Mapped[dict[str, Any] | None]
    cut_over_at: Mapped[datetime | None]
    window_ends_at: Mapped[datetime | None]


class ParityCheck(Base):
    """One run of the parity checks: its findings (statistics and counts only), what they were computed from (content hashes)
    and the hash over both that a signature names."""

    __tablename__ = "parity_check"

    check_no: Mapped[int] = mapped_column(primary_key=True)
    migration: Mapped[str] = mapped_column(ForeignKey("platform_migration.name"))
    actor: Mapped[str]
    checked_at: Mapped[datetime]
    definition_sha256: Mapped[str] = mapped_column(String(64))
    inputs: Mapped[dict[str, Any]]
    findings: Mapped[dict[str, Any]]
    evidence_sha256: Mapped[str] = mapped_column(String(64))
    passed: Mapped[bool]


class MigrationChange(Base):
    """One change of a migration's state: who, when, on what evidence, and the link of the audit chain that tells of it."""

    __tablename__ = "migration_change"

    change_no: Mapped[int] = mapped_column(primary_key=True)
    migration: Mapped[str] = mapped_column(ForeignKey("platform_migration.name"))
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]
    evidence_sha256: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]
    event_no: Mapped[int] = mapped_column(ForeignKey("audit_event.event_no"))


class AuditEvent(Base):
    """One link of the audit chain; see `core.audit`."""

    __tablename__ = "audit_event"

    event_no: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    details: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class StateDatabase:
    """Opens sessions on the state database; `migrate` brings an empty or older one up to date."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)

    def migrate(self) -> None:
        """Create or upgrade the schema with Alembic."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that commits at the end and rolls back on any error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()
