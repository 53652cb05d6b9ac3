"""Read a labelled table: CSV (plain or gzip), Parquet or the first sheet of an XLSX workbook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from core.errors import Refusal

ENDINGS = (".csv", ".csv.gz", ".parquet", ".xlsx")

_LINE = re.compile(r"line (\d+)")


def read_labelled_table(path: Path, *, encoding: str = "utf-8", delimiter: str = ",") -> pd.DataFrame:
    """The table with its columns as they are named. Raises Refusal REFUSED/STRUCTURE (with the line where it is known) or
    REFUSED/SCHEMA; no cell is ever in the text.
    """
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        raise Refusal(
            "REFUSED/STRUCTURE",
            "the ending of the file says nothing that can be read.",
            file=str(path),
            remedy=f"Save the table as one of {', '.join(ENDINGS)}.",
        )
    with _told(path):
        if name.endswith(".parquet"):
            found = pd.read_parquet(path)
        elif name.endswith(".xlsx"):
            found = pd.read_excel(path, engine="calamine")
        else:
            found = _csv(path, encoding, delimiter)
    columns = [str(column) for column in found.columns]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise _schema(path, "a column stands twice in the header", twice[0], "Rename one of them.")
    if not len(found):
        raise _schema(path, "the table has no rows", None, "Export the table again.")
    return found.set_axis(columns, axis=1).reset_index(drop=True)


def require_columns(path: Path, table: pd.DataFrame, wanted: Iterator[str] | list[str]) -> None:
    """Refusal REFUSED/SCHEMA for the first column that isn't there, with those that are."""
    for column in wanted:
        if column not in table.columns:
            shown = ", ".join(map(str, table.columns[:40])) + (" …" if table.shape[1] > 40 else "")
            raise _schema(path, "the table has no such column", column, f"Its columns: {shown}.")


def _csv(path: Path, encoding: str, delimiter: str) -> pd.DataFrame:
    told = "utf-8-sig" if encoding == "utf-8" else encoding
    header = pd.read_csv(path, sep=delimiter, encoding=told, header=None, nrows=1, dtype=str)
    # pandas renames a second column of one name; the header is taken as it stands.
    found = pd.read_csv(path, sep=delimiter, encoding=told, low_memory=False, index_col=False)
    return found.set_axis(header.iloc[0].fillna("").astype(str).tolist(), axis=1)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise _structure(path, "is not in the encoding that was named", None, "Give --encoding.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        line = _LINE.search(str(error))
        what = "has a row of another length than its header" if line else "is not a CSV table"
        raise _structure(
            path, what, int(line[1]) if line else None, "Mend that line, or give --delimiter."
        ) from None
    except Exception as error:
        # Readers of three formats, each with errors of its own; none of their texts is passed on, as it may hold a cell.
        if isinstance(error, Refusal):
            raise
        raise _structure(path, f"cannot be read ({type(error).__name__})", None, "Save it again.") from None


def _structure(path: Path, what: str, line: int | None, remedy: str) -> Refusal:
    return Refusal("REFUSED/STRUCTURE", f"the table {what}.", file=str(path), line=line, remedy=remedy)


def _schema(path: Path, what: str, column: str | None, remedy: str) -> Refusal:
    return Refusal("REFUSED/SCHEMA", f"{what}.", file=str(path), column=column, remedy=remedy)
