"""Units that sources write amounts and quantities in, and what they are in the contract's unit. Converted once, here.

Factors are exact fractions: MWh to kWh is times 1000, percent to share divided by 100.
"""

from __future__ import annotations

from fractions import Fraction

from core.money import FEN_PER_UNIT

#: Source unit -> (contract's unit, how many of those one of the source's is). Names of a unit itself stand there too.
QUANTITIES: dict[str, tuple[str, Fraction]] = {
    "kWh": ("kWh", Fraction(1)),
    "Wh": ("kWh", Fraction(1, 1000)),
    "MWh": ("kWh", Fraction(1000)),
    "10k_kWh": ("kWh", Fraction(10_000)),
    "m3": ("m3", Fraction(1)),
    "litre": ("m3", Fraction(1, 1000)),
    "kVA": ("kVA", Fraction(1)),
    "MVA": ("kVA", Fraction(1000)),
    "person": ("persons", Fraction(1)),
    "persons": ("persons", Fraction(1)),
    "10k_persons": ("persons", Fraction(10_000)),
    "days": ("days", Fraction(1)),
    "weeks": ("days", Fraction(7)),
    "months": ("months", Fraction(1)),
    "quarters": ("months", Fraction(3)),
    "years": ("months", Fraction(12)),
    "share": ("share", Fraction(1)),
    "percent": ("share", Fraction(1, 100)),
    "per_mille": ("share", Fraction(1, 1000)),
    "points": ("points", Fraction(1)),
    "cycles": ("cycles", Fraction(1)),
    "rows": ("rows", Fraction(1)),
    # Counted fen, as reconciliations keep them beside amounts in yuan.
    **{unit: ("fen", Fraction(fen)) for unit, fen in FEN_PER_UNIT.items()},
}

#: Every unit an adapter may name.
UNITS = frozenset(QUANTITIES)


def contract_units(unit: str) -> tuple[str, ...]:
    """The units that a contract's `unit` allows: `kWh or m3` is two.

    >>> contract_units("kWh or m3")
    ('kWh', 'm3')
    """
    return tuple(part for part in unit.replace("|", " or ").split(" or ") if part)


def factor(source: str, contract: str) -> Fraction | None:
    """How many of the contract's unit one of the source's is; None where they measure different things.

    A unit of the contract that isn't in the list (points, cycles) is taken as it is.

    >>> factor("MWh", "kWh or m3"), factor("percent", "share"), factor("kWh", "persons")
    (Fraction(1000, 1), Fraction(1, 100), None)
    """
    wanted = contract_units(contract)
    if source in wanted:
        return Fraction(1)
    target, times = QUANTITIES.get(source, ("", Fraction(1)))
    return times if target in wanted else None
