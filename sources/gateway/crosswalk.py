"""Rotation: a crosswalk from the tokens of one key to those of the next, for everybody in a file.

Only who holds both keys and the ids can make it. It is a file of the columns old_subject_id, new_subject_id, valid_from (CSV in
UTF-8 or Parquet, sorted by the old token, each pair once) with a manifest beside it. It says who is who across two keys, so
it is handled like a key: sent by another way than the data, used once, destroyed when the old tokens are gone.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import GsceneError
from core.progress import Progress, SilentProgress
from sources.delivery import sha256_of
from sources.gateway.blocks import read_blocks, texts_of
from sources.gateway.keyring import MasterKey
from sources.gateway.plan import Plan
from sources.gateway.token_maker import token_maker

FORMAT = "gscene-crosswalk/1"
COLUMNS = ("old_subject_id", "new_subject_id", "valid_from")


def make_crosswalk(
    source: Path,
    target: Path,
    plan: Plan,
    column: str,
    old: MasterKey,
    new: MasterKey,
    valid_from: date,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the crosswalk of the ids in one column of `source` and its manifest `<target>.manifest.json`; returns that.

    Invalid ids are in it too: they have tokens. Raises Refusal for a file that isn't as the plan declares.
    """
    rule = plan.ids.get(column)
    if rule is None:
        raise GsceneError(f"the plan has no ids in {column}.", f"It has them in {', '.join(plan.ids)}.")
    if old.key_id == new.key_id:
        raise GsceneError("a crosswalk leads from one key to another.", "Give --from and --to.")
    domain = plan.message_domain(rule)
    # Nobody else may read what lies in it, and it goes with whatever it holds.
    workshop = target.with_name(f".{target.name}.parts")
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(parents=True, mode=0o700)
    pairs = workshop / "pairs.parquet"
    try:
        with (
            token_maker(old.subkey(plan.purpose, plan.token_domain)) as before,
            token_maker(new.subkey(plan.purpose, plan.token_domain)) as after,
            (progress or SilentProgress()).stage(f"crosswalk of {source.name}") as stage,
            pq.ParquetWriter(pairs, pa.schema([(name, pa.string()) for name in COLUMNS[:2]])) as writer,
        ):
            for block in read_blocks(source, plan.file, plan.columns):
                cells = texts_of(block.table.column(column), plan.file)
                different = cells.dictionary.dictionary_encode()
                olds = before.column(different, rule.kind, domain, plan.nulls).tokens
                news = after.column(different, rule.kind, domain, plan.nulls).tokens
                table = pa.table({"old_subject_id": olds, "new_subject_id": news})
                writer.write_table(table.filter(olds.is_valid()))
                stage.advance(block.table.num_rows)
        rows = _distinct(pairs, workshop, target, valid_from)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    manifest = {
        "format": FORMAT,
        "source": plan.source,
        "domain": plan.token_domain,
        "purpose": str(plan.purpose),
        "subject": rule.subject,
        "old_key": {"key_id": old.key_id, "algorithm": old.algorithm, "check": old.check},
        "new_key": {"key_id": new.key_id, "algorithm": new.algorithm, "check": new.check},
        "valid_from": valid_from.isoformat(),
        "files": [
            {
                "name": target.name,
                "bytes": target.stat().st_size,
                "sha256": sha256_of(target),
                "rows": rows,
            }
        ],
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True)
    target.with_name(f"{target.name}.manifest.json").write_text(text + "\n", encoding="utf-8")
    return manifest


def _distinct(pairs: Path, workshop: Path, target: Path, valid_from: date) -> int:
    """Write each pair once, sorted, to CSV or Parquet by the name's ending; returns how many. Spills to disk beyond 128 MB."""
    part = workshop / f"made{target.suffix}"
    connection = duckdb.connect(
        config={"threads": 1, "memory_limit": "128MB", "temp_directory": str(workshop / "spill")}
    )
    try:
        connection.execute("set enable_progress_bar = false; set preserve_insertion_order = false")
        rows = (
            connection.read_parquet(str(pairs))
            .distinct()
            .project(f"old_subject_id, new_subject_id, '{valid_from:%Y-%m-%d}' as valid_from")
            .order("old_subject_id")
        )
        if target.suffix == ".parquet":
            rows.write_parquet(str(part), compression="zstd")
            count = pq.read_metadata(part).num_rows
        else:
            rows.write_csv(str(part), header=True)
            with part.open("rb") as file:
                count = sum(1 for _ in file) - 1
    finally:
        connection.close()
    part.chmod(0o600)
    os.replace(part, target)
    return count
