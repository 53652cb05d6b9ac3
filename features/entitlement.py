"""Who may be used for what: the one place that says so, for features, labels, samples, scores and lists.

Consent is per purpose, names the families of tables that it holds for (`tax`, whoever delivers it), is of a kind, runs from a
day to a day and can be taken back at any time (PIPL art. 13-16). Passing a platform's data to a bank needs separate consent
(art. 23, domain rule L2), income and tax amounts written consent (L9): the contract of each table says which kind it demands.
The rule works per source table: a subject who has agreed to social insurance but not to tax is there, with everything of the tax
office missing (L1).

The registers are asked twice. *As known then*: features at a past month hold what consents known at its cutoff allowed, so
that a past month can be made again to the bit. *For use*: whoever scores, trains or lists asks the registers as they are
known now, for the same day, so that nothing new is made about a subject who has withdrawn since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property

import numpy as np
import pandas as pd

from core.clock import Clock
from core.definition_file import Bilingual
from core.derivation import Partition
from core.months import CHINA_TIME, CUTOFF_DAYS, Month, knowledge_cutoff
from core.purpose import ConsentKind, Purpose, strength
from core.state import StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import Contract
from features.consent_registers import Consents, Registers, read_registers
from features.data_span import DataSpan, Limits, fetched_before, outside_data, past_retention
from features.fact_definition import FactDefinition
from features.linked_entitlement import Links
from features.linked_facts import LinkedFacts
from features.suppression import PROFILING_SCOPES, suppressed

#: Marks an entitled subject in an array of reasons; other numbers are places in REASONS.
ENTITLED = 0


@dataclass(frozen=True)
class Demand:
    """What the use of a table asks for. `table` None: consent for any source will do."""

    kind: ConsentKind
    basis: str = "register"
    table: str | None = None

    @property
    def in_register(self) -> bool:
        """Whether the consent must stand in the register; else it stands elsewhere, or none is needed."""
        return self.kind != "none" and self.basis == "register"


def demand_of(contract: Contract, presence: bool = False) -> Demand:
    """The contract's demand; with `presence` the weaker one for saying only that a record exists."""
    kind = contract.consent_kind
    if presence and contract.presence_consent_kind is not None:
        kind = contract.presence_consent_kind
    return Demand(kind, contract.consent_basis, contract.table)


@dataclass(frozen=True)
class Question:
    """May it be used for `purpose` on a day, given what the table demands? `span`: the months of records asked for; None asks for
    the subject as such, whatever the months."""

    purpose: Purpose
    demand: Demand
    on: date
    span: DataSpan | None = None

    @property
    def day(self) -> np.datetime64:
        """The day in the form that consents compare with."""
        return np.datetime64(self.on, "D")


@dataclass(frozen=True)
class Predicate:
    """One reason why a consent doesn't do: `fails` gives a bool per consent of the purpose."""

    reason: str
    title: Bilingual
    fails: Callable[[Consents, Question], np.ndarray]


def _not_yet(consents: Consents, question: Question) -> np.ndarray:
    return consents.granted > question.day


def _expired(consents: Consents, question: Question) -> np.ndarray:
    return ~np.isnat(consents.valid_to) & (consents.valid_to <= question.day)


def _withdrawn(consents: Consents, _question: Question) -> np.ndarray:
    """A withdrawal counts from the moment it is known, even if dated later than the day, and ends every consent of the purpose
    granted up to it, not only the one it names."""
    until = _refused_until(consents)
    return ~np.isnat(consents.withdrawn) | (~np.isnat(until) & (consents.granted <= until))


def _other_source(consents: Consents, question: Question) -> np.ndarray:
    named = np.array([names_family(codes, question.demand.table) for codes in consents.source_sets])
    return ~named[consents.sources] if len(consents) else np.zeros(0, dtype=bool)


def _too_weak(consents: Consents, question: Question) -> np.ndarray:
    return consents.strength < strength(question.demand.kind)


def _outside_data(consents: Consents, question: Question) -> np.ndarray:
    span = question.span
    return np.zeros(len(consents), dtype=bool) if span is None else outside_data(consents, span)


def _past_retention(consents: Consents, question: Question) -> np.ndarray:
    span = question.span
    return (
        np.zeros(len(consents), dtype=bool) if span is None else past_retention(consents, span, question.day)
    )


def _fetched_before(consents: Consents, question: Question) -> np.ndarray:
    span = question.span
    return np.zeros(len(consents), dtype=bool) if span is None else fetched_before(consents, span)


#: What a consent must stand, in order. Of a subject's consents the one that gets furthest tells the reason.
PREDICATES: tuple[Predicate, ...] = (
    Predicate("not_yet_granted", Bilingual(zh="授权尚未生效", en="Consent not given yet"), _not_yet),
    Predicate("expired", Bilingual(zh="授权已到期", en="Consent has run out"), _expired),
    Predicate("withdrawn", Bilingual(zh="授权已撤回", en="Consent withdrawn"), _withdrawn),
    Predicate(
        "other_source",
        Bilingual(zh="授权不含该类数据", en="Consent names other families of tables"),
        _other_source,
    ),
    Predicate("kind_too_weak", Bilingual(zh="授权形式不足", en="Consent of too weak a kind"), _too_weak),
    Predicate(
        "outside_data",
        Bilingual(zh="数据月份超出授权范围", en="Months outside the consent's range"),
        _outside_data,
    ),
    Predicate(
        "past_retention",
        Bilingual(zh="数据超过保存期限", en="Months older than may be kept"),
        _past_retention,
    ),
    Predicate(
        "fetched_before",
        Bilingual(zh="一次性授权已使用", en="Consent for one fetch, used already"),
        _fetched_before,
    ),
)

#: Every reason by name; places 1 and up are what arrays of reasons hold.
REASONS: dict[str, Bilingual] = {
    "": Bilingual(zh="可使用", en="Entitled"),
    "no_register": Bilingual(zh="未收到授权登记", en="No consent register delivered"),
    "no_consent": Bilingual(zh="无授权", en="No consent for the purpose"),
    **{predicate.reason: predicate.title for predicate in PREDICATES},
    "suppressed": Bilingual(zh="在禁止营销名单中", en="Suppressed"),
}
_NAMES = tuple(REASONS)
_FIRST = _NAMES.index(PREDICATES[0].reason)


def reason_number(reason: str) -> int:
    """The number that stands for a reason in arrays."""
    return _NAMES.index(reason)


def counts(reasons: np.ndarray) -> dict[str, int]:
    """How many places hold which reason, entitled ones left aside, in the order of REASONS."""
    found = np.bincount(reasons, minlength=len(_NAMES))
    return {name: int(found[place]) for place, name in enumerate(_NAMES) if place and found[place]}


def judge(consents: Consents | None, question: Question, subjects: int) -> np.ndarray:
    """int8 of shape (subjects,): ENTITLED or the number of the reason why not, by subject_no.

    Where no consent is needed, or it is recorded with the provider, everyone is entitled but those whom the register shows to
    have withdrawn the purpose altogether. Where it must stand in a register and there is none, nobody is.
    """
    if consents is not None:
        consents = consents.take(
            (consents.purpose == str(question.purpose)) & (consents.subject_no < subjects)
        )
    if not question.demand.in_register:
        reasons = np.full(subjects, ENTITLED, dtype=np.int8)
        if consents is not None:
            reasons[_objecting(consents, question)] = reason_number("withdrawn")
        return reasons
    if consents is None:
        return np.full(subjects, reason_number("no_register"), dtype=np.int8)
    passed = _passed(consents, question)
    best = np.full(subjects, -1, dtype=np.int64)
    np.maximum.at(best, consents.subject_no, passed)
    reasons = np.where(best < 0, reason_number("no_consent"), best + _FIRST)
    return np.where(best == len(PREDICATES), ENTITLED, reasons).astype(np.int8)


def in_force(consents: Consents, question: Question) -> pd.DataFrame:
    """The consent that each entitled subject is cited under, the youngest: subject_no (unique, sorted), consent_id, kind,
    valid_to.
    """
    consents = consents.take(consents.purpose == str(question.purpose))
    consents = consents.take(_passed(consents, question) == len(PREDICATES))
    frame = pd.DataFrame(
        {
            "subject_no": consents.subject_no.astype(np.int32),
            "consent_id": pd.Series(consents.consent_id, dtype="str"),
            "kind": pd.Series(consents.kind, dtype="str"),
            "valid_to": consents.valid_to,
            "granted": consents.granted,
        }
    )
    frame = frame.sort_values(["subject_no", "granted", "consent_id"], kind="stable")
    youngest = frame.drop_duplicates("subject_no", keep="last").reset_index(drop=True)
    return youngest[["subject_no", "consent_id", "kind", "valid_to"]]


def family(table: str) -> str:
    """The family of a table, as consents name it.

    >>> family("tax_vat_return"), family("invoice")
    ('tax', 'invoice')
    """
    return table.split("_", 1)[0]


def families(contracts: Mapping[str, Contract]) -> frozenset[str]:
    """Families that a consent may name: those of tables about subjects that need any."""
    return frozenset(family(c.table) for c in contracts.values() if c.subjects and c.consent_kind != "none")


def names_family(named: frozenset[str] | None, table: str | None) -> bool:
    """Whether a consent that names these families holds for a table. None: the register says nothing of families, so it holds
    for all; a name that is no family (a platform, a single table) holds for nothing."""
    return named is None or table is None or family(table) in named


def _passed(consents: Consents, question: Question) -> np.ndarray:
    """How many predicates each consent stands before the first that it fails, int64 (consents,)."""
    passed = np.zeros(len(consents), dtype=np.int64)
    standing = np.ones(len(consents), dtype=bool)
    for predicate in PREDICATES:
        standing &= ~predicate.fails(consents, question)
        passed += standing
    return passed


def _refused_until(consents: Consents) -> np.ndarray:
    """The last day up to which each consent's subject has withdrawn consents of the purpose, NaT where none."""
    if not len(consents):
        return consents.withdrawn
    last = np.full(int(consents.subject_no.max()) + 1, np.iinfo(np.int64).min)
    given = ~np.isnat(consents.withdrawn)
    np.maximum.at(last, consents.subject_no[given], consents.withdrawn[given].astype(np.int64))
    # The least int64 is NaT.
    return last[consents.subject_no].astype("datetime64[D]")


def _objecting(consents: Consents, question: Question) -> np.ndarray:
    """Subjects who have withdrawn the purpose and given nothing since that is in force, sorted."""
    refused = np.unique(consents.subject_no[~np.isnat(_refused_until(consents))])
    standing = ~(_not_yet(consents, question) | _expired(consents, question) | _withdrawn(consents, question))
    return np.setdiff1d(refused, consents.subject_no[standing])


@dataclass(frozen=True)
class Entitlement:
    """Who of one subject kind may be used for what on one day, as the registers are known at one moment.

    `until` is the last day of the span in which a suppression bars profiling for marketing; None: suppressions have no say, as
    for features made as they were known then. With `earlier`, a subject must have been entitled by that one too. A consent whose
    range of data, days of keeping or single fetch doesn't cover a span of months doesn't count for it (`features.data_span`).
    `links` opens the consents of others that the subjects name; without it nothing of others may be told.
    """

    registers: Registers
    contracts: Mapping[str, Contract]
    on: date
    subjects: int
    until: date | None = None
    earlier: Entitlement | None = None
    cutoff_days: int = CUTOFF_DAYS
    links: Links | None = None
    _judged: dict[tuple[Purpose, Demand], np.ndarray] = field(default_factory=dict, compare=False)

    def reasons(
        self, purpose: Purpose, table: str, presence: bool = False, span: DataSpan | None = None
    ) -> np.ndarray:
        """int8 of shape (subjects,) by subject_no, see `judge`."""
        demand = demand_of(self.contracts[table], presence)
        if span is None or not self.may_bar(table, span):
            return self.judged(purpose, demand)
        # Not kept: a population's answers for every span of every source would fill the memory.
        reasons = judge(self.registers.consents, Question(purpose, demand, self.on, span), self.subjects)
        before = self.earlier.reasons(purpose, table, presence, span) if self.earlier is not None else None
        return self._also(purpose, reasons, before)

    def of_facts(
        self,
        purpose: Purpose,
        facts: FactDefinition,
        presence: bool,
        span: DataSpan | None,
        known_at: datetime,
    ) -> np.ndarray:
        """`reasons` of the table that facts stand on; of linked facts those of both sides, the subject's own first."""
        if not isinstance(facts, LinkedFacts):
            return self.reasons(purpose, facts.table, presence, span)
        own = self.reasons(purpose, facts.link.table, span=span)
        if self.links is None or span is None:
            return np.where(own != ENTITLED, own, np.int8(reason_number("no_register")))
        theirs = self.links.reasons(purpose, facts, span, known_at, self.subjects, presence)
        return np.where(own != ENTITLED, own, theirs)

    @property
    def registers_used(self) -> tuple[Partition, ...]:
        """Partitions of registers that answers so far stand on, those of others' kinds included."""
        return self.registers.used + (self.links.used if self.links is not None else ())

    def of_a_stranger(self, table: str) -> int:
        """The reason for whoever has no number here."""
        return reason_number("no_consent") if demand_of(self.contracts[table]).in_register else ENTITLED

    def may_bar(self, table: str, span: DataSpan) -> bool:
        """Whether some consent may not cover these months of the table; costs nothing per subject."""
        if not demand_of(self.contracts[table]).in_register or self._limits is None:
            return False
        barring = self._limits.may_bar(span, np.datetime64(self.on, "D"))
        return barring or (self.earlier is not None and self.earlier.may_bar(table, span))

    @cached_property
    def _limits(self) -> Limits | None:
        return None if self.registers.consents is None else Limits.of(self.registers.consents)

    def judged(self, purpose: Purpose, demand: Demand) -> np.ndarray:
        """`reasons` for a demand of one's own."""
        if (purpose, demand) not in self._judged:
            reasons = judge(self.registers.consents, Question(purpose, demand, self.on), self.subjects)
            before = self.earlier.judged(purpose, demand) if self.earlier is not None else None
            self._judged[purpose, demand] = self._also(purpose, reasons, before)
        return self._judged[purpose, demand]

    def _also(self, purpose: Purpose, reasons: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        """With what suppressions and the earlier entitlement say."""
        if purpose is Purpose.MARKETING and self.until is not None:
            barred = suppressed(self.registers.suppressions, self.on, PROFILING_SCOPES, until=self.until)
            numbers = barred["subject_no"].to_numpy()
            reasons[numbers[numbers < self.subjects]] = reason_number("suppressed")
        return reasons if before is None else np.where(before != ENTITLED, before, reasons)


@dataclass(frozen=True)
class Entitlements:
    """Opens the registers of one subject kind of one home."""

    kind: SubjectKind
    store: TableStore
    state: StateDatabase
    contracts: Mapping[str, Contract]
    clock: Clock
    cutoff_days: int = CUTOFF_DAYS

    def as_known_then(self, as_of: Month) -> Entitlement:
        """By the registers as known at the month's knowledge cutoff, on its day: what features at the month may hold."""
        cutoff = knowledge_cutoff(as_of, self.cutoff_days)
        links = Links(self.store, lambda kind: replace(self, kind=kind).as_known_then(as_of))
        return self._entitlement(cutoff, chinese_day(cutoff), until_month=as_of, links=links)

    def for_use(self, as_of: Month, on: date | None = None) -> Entitlement:
        """By the registers as known at the month's cutoff and as known now, on the day of the cutoff (or `on`): whom anything
        new may be made about.

        The day stays the month's own: a consent that has run out since doesn't unmake the month, a withdrawal does.
        """
        cutoff, now = knowledge_cutoff(as_of, self.cutoff_days), self.clock.now()
        day = on or chinese_day(cutoff)
        earlier = self._entitlement(cutoff, day, until_month=as_of)
        links = Links(self.store, lambda kind: replace(self, kind=kind).for_use(as_of, on))
        return self._entitlement(now, day, until=max(day, chinese_day(now)), earlier=earlier, links=links)

    def _entitlement(
        self,
        cutoff: datetime,
        on: date,
        until_month: Month | None = None,
        until: date | None = None,
        earlier: Entitlement | None = None,
        links: Links | None = None,
    ) -> Entitlement:
        schemas = {name: contract.schema() for name, contract in self.contracts.items()}
        registers = read_registers(self.store, self.state, schemas, self.kind, cutoff, until_month)
        size = SubjectRegistry(self.store, self.kind).size
        return Entitlement(registers, self.contracts, on, size, until, earlier, self.cutoff_days, links)


def chinese_day(moment: datetime) -> date:
    """The calendar day of a moment in China."""
    return moment.astimezone(CHINA_TIME).date()
