"""From a column of ids to a column of tokens: each different text normalised once, each different id hashed once a block."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.gateway.id_forms import IdKind, canonical
from sources.keyed_token import TokenKey

#: Ids that are worth another process: below, handing them over costs more than hashing them.
_WORTH = 10_000


@dataclass(frozen=True)
class MadeTokens:
    """Per row: `tokens` (null where there is no id), `valid` (null there too), `kinds` (empty there), `missing` as bool."""

    tokens: pa.Array
    valid: pa.Array
    kinds: pa.Array
    missing: np.ndarray


class TokenMaker:
    """Makes tokens with one key, in `workers` processes where that is more than one."""

    def __init__(self, key: TokenKey, pool: ProcessPoolExecutor | None = None, workers: int = 1) -> None:
        self.key, self.pool, self.workers = key, pool, workers

    def column(
        self, cells: pa.DictionaryArray, kind: IdKind, domain: str, nulls: tuple[str, ...]
    ) -> MadeTokens:
        """Tokens of a column of texts; `nulls` are cells that mean nothing was sent, blanks around them apart."""
        texts = cells.dictionary
        absent = pc.is_in(pc.utf8_trim_whitespace(texts), value_set=pa.array(["", *nulls], pa.string()))
        ids = canonical(texts, kind)
        different = ids.ids.filter(pc.invert(absent)).unique()
        made = pa.array(self._tokens(domain, different.to_pylist()), pa.string())
        present = pa.array(~absent.to_numpy(zero_copy_only=False))
        tokens = made.take(pc.index_in(pc.if_else(present, ids.ids, None), value_set=different))
        valid = pc.if_else(present, pa.array(ids.valid), None)
        kinds = pc.if_else(present, ids.kinds, "")
        at = cells.indices
        missing = pc.invert(present).take(at).to_numpy(zero_copy_only=False)
        return MadeTokens(tokens.take(at), valid.take(at), kinds.take(at), missing.astype(bool))

    def _tokens(self, domain: str, ids: list[str]) -> list[str]:
        if self.pool is None or len(ids) < _WORTH:
            return self.key.tokens(domain, ids)
        size = -(-len(ids) // self.workers)
        parts = [ids[start : start + size] for start in range(0, len(ids), size)]
        made = self.pool.map(_in_worker, [domain] * len(parts), parts)
        return [token for part in made for token in part]


_worker_key: TokenKey | None = None


def _start_worker(key: TokenKey) -> None:
    global _worker_key
    _worker_key = key


def _in_worker(domain: str, ids: list[str]) -> list[str]:
    assert _worker_key is not None
    return _worker_key.tokens(domain, ids)


@contextmanager
def token_maker(key: TokenKey, workers: int = 1) -> Iterator[TokenMaker]:
    """A maker for one run. Workers get the key through the pipe that starts them, never as an argument or in the
    environment.
    """
    if workers <= 1:
        yield TokenMaker(key)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (key,)) as pool:
        yield TokenMaker(key, pool, workers)
