"""Everything that happens in the simulated province, once; the tables and the truth are views of it."""

from __future__ import annotations

from dataclasses import dataclass

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
    """The province. `pools` are the strings that rows refer to by position."""

    settings: ProvinceSettings
    residents: residents.ResidentHistory
    enterprises: enterprises.EnterpriseHistory
    subjects: dict[SubjectKind, Subjects]
    pools: dict[str, pa.StringArray]


def make(settings: ProvinceSettings) -> World:
    """Simulate everything but the files."""
    people, firms = population.residents(settings), population.enterprises(settings)
    others = settings.residents // RESIDENTS_PER_OTHER_EMPLOYER + 1
    employers = pa.concat_arrays([firms.tokens, population.tokens(settings.seed, "employer", others)])
    life = residents.live(settings, people, len(employers))
    trade = enterprises.live(settings, firms)
    subjects = {
        SubjectKind.RESIDENT: _subjects(settings, people, life.risk, campaigns.resident_interest(life)),
        SubjectKind.ENTERPRISE: _subjects(settings, firms, trade.risk, campaigns.enterprise_interest(trade)),
    }
    pools = {"employer": employers}
    for kind, each in subjects.items():
        pools[f"{kind}"] = each.people.tokens
        pools[f"{kind}_meter"] = population.tokens(settings.seed, f"{kind} meter", len(each.people))
        pools[f"{kind}_account"] = population.tokens(
            settings.seed, f"{kind} account", len(each.accounts.subject)
        )
    return World(settings, life, trade, subjects, pools)


def _subjects(
    settings: ProvinceSettings,
    people: population.Population,
    risk: campaigns.Matrix,
    interest: campaigns.Interest,
) -> Subjects:
    accounts = credit.lend(settings, people, risk)
    register = consent.give(settings, people)
    return Subjects(people, accounts, register, campaigns.run(settings, people, accounts, register, interest))
