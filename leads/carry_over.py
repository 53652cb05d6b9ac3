"""PC15: whoever must not be approached, or has taken consent back, is protected under the new key too - all of them.

Nobody is lost by a change of keys only where an old pseudonym leads to exactly one new one and no other leads there. Every
subject that ever stood in either register is asked for, ended entries too: what was refused must stay known.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.consent_registers import families_named
from sources.migration.crosswalk import Crosswalk
from sources.migration.finding import ParityFinding, Verdict, judged


def protected_subjects(suppression: pa.Table | None, consents: pa.Table | None) -> np.ndarray:
    """subject_no, sorted, of everybody who is or was suppressed or has withdrawn a consent. Both tables hold canonical rows, all
    versions: a later version must not hide an earlier refusal."""
    found = [np.empty(0, dtype=np.int32)]
    if suppression is not None:
        found.append(suppression.column("subject_no").to_numpy())
    if consents is not None:
        withdrawn = consents.filter(consents.column("withdrawn_at").is_valid())
        found.append(withdrawn.column("subject_no").to_numpy())
    return np.unique(np.concatenate(found))


def carry_over(
    kind: str,
    protected: pa.Array,
    linking: Literal["crosswalk", "unchanged", "none"],
    crosswalk: Crosswalk | None,
) -> ParityFinding:
    """Share of protected pseudonyms (old ones) that stand under exactly one new one; 1.0 or no cut-over. Without a crosswalk
    nothing is known of anybody, so nobody counts as carried over - even where nobody is protected yet."""
    total = len(protected)
    if linking == "none":
        return judged("PC15", kind, "carried_over", float("nan"), low=1.0, counts={"protected": total})
    carried = total
    if crosswalk is not None:
        old, _ = crosswalk.usable
        carried = int(pc.sum(pc.is_in(protected, value_set=old)).as_py() or 0)
    counts = {"protected": total, "carried_over": carried, "lost": total - carried}
    return judged("PC15", kind, "carried_over", carried / total if total else 1.0, low=1.0, counts=counts)


def register_kept(kind: str, register: str, old: Collection[int], new: Collection[int]) -> ParityFinding:
    """Where the new platform keeps the register itself: share of the protected subjects of the old one (live numbers) that the
    new one protects too."""
    mine = set(old)
    kept = len(mine & set(new))
    counts = {"protected": len(mine), "kept": kept, "lost": len(mine) - kept}
    return judged(
        "PC15",
        f"{kind}/{register}",
        "protected_by_new_register",
        kept / len(mine) if mine else 1.0,
        low=1.0,
        counts=counts,
    )


@dataclass(frozen=True)
class ConsentBasis:
    """What consents hold for at the change of platform, as counts: they cover a migrated table, whoever delivers it; they cover
    other families only; they name no family at all, as registers from before contract 3.0.0 may (a platform, a single table)."""

    cover: int
    other: int
    meaningless: int


def consent_basis(consents: pa.Table, migrated: Collection[str], known: Collection[str]) -> ConsentBasis:
    """Counts of consents by the families that they name in `source_codes`; nothing there: all families. `migrated`: families of
    the tables that change platform; `known`: all that there are."""
    counts = {"cover": 0, "other": 0, "meaningless": 0}
    if "source_codes" not in consents.column_names:
        return ConsentBasis(consents.num_rows, 0, 0)
    for entry in consents.column("source_codes").combine_chunks().value_counts():
        text, rows = entry["values"].as_py(), entry["counts"].as_py()
        named = families_named("null" if text is None else text)
        if named is None or named & set(migrated):
            counts["cover"] += rows
        else:
            counts["other" if named & set(known) else "meaningless"] += rows
    return ConsentBasis(**counts)


def meaningless_consents(kind: str, basis: ConsentBasis) -> ParityFinding:
    """PC15, told beside: consents that name no family of tables let nothing be used, on either platform. A warning that whoever
    signs must name."""
    counts = {
        "consents": basis.cover + basis.other + basis.meaningless,
        "cover": basis.cover,
        "of_no_family": basis.meaningless,
    }
    verdict = Verdict.WARN if basis.meaningless else Verdict.PASS
    return ParityFinding(
        "PC15", kind, "consents_of_no_family", verdict, float(basis.meaningless), high=0.0, counts=counts
    )
