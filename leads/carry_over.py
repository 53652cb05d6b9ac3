"""PC15: whoever must not be approached, or has taken consent back, is protected under the new key too - all of them.

Nobody is lost by a change of keys only where an old pseudonym leads to exactly one new one and no other leads there. Every
subject that ever stood in either register is asked for, ended entries too: what was refused must stay known.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    """What becomes of consents at the change of controller, as counts: they name no platform of either side; they hold for the
    new one; they name only an old one, whose consents don't."""

    unnamed: int
    hold: int
    lapse: int


def consent_basis(consents: pa.Table, old: Collection[str], holding: Collection[str]) -> ConsentBasis:
    """Counts of consents by what they name in `source_codes` (a JSON list; missing: all sources). `holding`: codes that let the
    new side's data be used. A consent that names an old platform and none of these has no basis with the new controller: it isn't
    copied, it lapses."""
    if "source_codes" not in consents.column_names:
        return ConsentBasis(consents.num_rows, 0, 0)
    told = consents.column("source_codes").combine_chunks().value_counts()
    counts = {"unnamed": 0, "hold": 0, "lapse": 0}
    for entry in told:
        text, rows = entry["values"].as_py(), entry["counts"].as_py()
        named = set(json.loads(text)) if text else set()
        counts["hold" if named & set(holding) else "lapse" if named & set(old) else "unnamed"] += rows
    return ConsentBasis(**counts)


def lapsing_consents(kind: str, basis: ConsentBasis) -> ParityFinding:
    """PC15, told beside: consents that name only an old platform lapse with it. A warning that whoever signs must name."""
    total = basis.unnamed + basis.hold + basis.lapse
    counts = {"consents": total, "hold": basis.hold, "lapse": basis.lapse}
    verdict = Verdict.WARN if basis.lapse else Verdict.PASS
    return ParityFinding("PC15", kind, "consents_lapse", verdict, float(basis.lapse), high=0.0, counts=counts)
