"""Everything that happens in the simulated province, once; the tables and the truth are views of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from core.subject import SubjectKind
from sources.province import campaigns, consent, credit, enterprises, population, residents
from sources.province.settings import ProvinceSettings

#: Employers beside the simulated enterprises, one per so many residents, so that small worlds have some too.
RESIDENTS_PER_OTHER_EMPLOYER = 25


@dataclass(frozen=True)
class Subjects:
    """One kind of subject with its loans, consents and campaigns."""

    people: population.Population
    accounts: credit.Accounts
    consents: consent.Register
    campaigns: tuple[campaigns.Campaign, ...]


@dataclass(frozen=True)
class World:
    """The province. `pools` are the strings that rows refer to by position, by the version of the key that made them: 1 the
    cities' and the bank's, 2 the provincial platform's (there only where it sends).
    """

    settings: ProvinceSettings
    residents: residents.ResidentHistory
    enterprises: enterprises.EnterpriseHistory
    subjects: dict[SubjectKind, Subjects]
    keyed_pools: dict[int, dict[str, pa.StringArray]]

    @property
    def pools(self) -> dict[str, pa.StringArray]:
        """The pools under the first key."""
        return self.keyed_pools[1]

    def told_with(self, settings: ProvinceSettings) -> World:
        """The same life under settings that change only how it is told; ValueError for any other difference."""
        told = replace(self.settings, faults=settings.faults, only_tables=settings.only_tables)
        if told != settings:
            raise ValueError("another life: only faults and only_tables may differ")
        return replace(self, settings=settings)


def make(settings: ProvinceSettings) -> World:
    """Simulate everything but the files."""
    people, firms = population.residents(settings), population.enterprises(settings)
    others = settings.residents // RESIDENTS_PER_OTHER_EMPLOYER + 1
    life = residents.live(settings, people, len(firms) + others)
    trade = enterprises.live(settings, firms)
    subjects = {
        SubjectKind.RESIDENT: _subjects(settings, people, life.risk, campaigns.resident_interest(life)),
        SubjectKind.ENTERPRISE: _subjects(settings, firms, trade.risk, campaigns.enterprise_interest(trade)),
    }
    versions = (1, 2) if settings.has_province else (1,)
    pools = {version: _pools(settings, subjects, others, version) for version in versions}
    return World(settings, life, trade, subjects, pools)


def _pools(
    settings: ProvinceSettings, subjects: dict[SubjectKind, Subjects], others: int, key_version: int
) -> dict[str, pa.StringArray]:
    """Every pseudonym under one key; the first employers are the firms, so that their two tokens are one."""

    def pool(what: str, count: int) -> pa.StringArray:
        return population.tokens(settings.seed, what, count, key_version)

    pools = {}
    for kind, each in subjects.items():
        pools[f"{kind}"] = pool(str(kind), len(each.people))
        pools[f"{kind}_meter"] = pool(f"{kind} meter", len(each.people))
        pools[f"{kind}_account"] = pool(f"{kind} account", len(each.accounts.subject))
    if settings.payments:
        vehicles = len(subjects[SubjectKind.RESIDENT].people)
        pools[f"{SubjectKind.RESIDENT}_vehicle"] = pool("vehicle", vehicles)
    pools["employer"] = pa.concat_arrays([pools[str(SubjectKind.ENTERPRISE)], pool("employer", others)])
    return pools


def _subjects(
    settings: ProvinceSettings,
    people: population.Population,
    risk: campaigns.Matrix,
    interest: campaigns.Interest,
) -> Subjects:
    accounts = credit.lend(settings, people, risk)
    register = consent.give(settings, people)
    return Subjects(people, accounts, register, campaigns.run(settings, people, accounts, register, interest))
