"""Model bundles: a folder of four plain files that holds everything needed to score and to audit, and nothing
that runs.

    model.json       the card: what it is, its feature order, calibration, grades, evidence, sha256 of the other files
    scorecard.json   the scorecard
    lightgbm.txt     the LightGBM trees
    golden.json      100 made-up rows with the log-odds and probabilities that this model must give them

`load_bundle` trusts nothing until sha256, structure and golden rows agree. No pickle, no clock: the same
training gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.definition_file import Bilingual
from core.errors import Refusal
from models.bundle_card import BundleCard, card_of, parse_card
from models.calibration import Calibration
from models.candidates import CandidateKind
from models.fast_trees import FastTrees, edge_rows, fast_trees
from models.grades import GradeScale
from models.lightgbm_model import BoosterScore
from models.points import probability
from models.scorecard import Scorecard, scorecard_from_json, scorecard_to_json
from models.training_record import FeatureRecord, TrainingRecord

CARD, SCORECARD, LIGHTGBM, GOLDEN = "model.json", "scorecard.json", "lightgbm.txt", "golden.json"
PARTS = (SCORECARD, LIGHTGBM, GOLDEN)

GOLDEN_ROWS = 100

#: Made-up rows on and beside the splits' thresholds, on which the fast scorer must agree to the bit before it may be used.
AGREEMENT_ROWS = 20_000

#: Share of golden cells that are missing, so that the missing branch of every kind of model is walked.
GOLDEN_MISSING = 0.1

#: No file of a bundle comes near this size.
MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, ready to score. `sha256` is that of model.json, which holds those of all other
    files. `fast`: the trees in the form of `models.fast_trees`, where they may be scored so.
    """

    path: Path
    sha256: str
    card: BundleCard
    scorecard: Scorecard
    booster: BoosterScore
    fast: FastTrees | None = None

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.card.name

    @property
    def version(self) -> str:
        """Short version for tables and lists: training month and the first 12 digits of the sha256."""
        return f"{self.card.training_month}+{self.sha256[:12]}"

    @property
    def names(self) -> list[str]:
        """Feature names in the order that the model wants its columns."""
        return [feature.name for feature in self.card.features]

    def calibrated(self, matrix: np.ndarray, threads: int) -> np.ndarray:
        """Calibrated event log-odds (n,) of an (n, p) matrix, by the candidate that ships."""
        trees = self.booster if self.fast is None else self.fast
        return _calibrated(
            self.card.ships, self.card.calibration, self.scorecard, trees, self.names, matrix, threads
        )

    def fast_agrees(self) -> bool:
        """Whether the fast scorer gives LightGBM's own numbers, bit for bit, on the golden rows and on 20,000 made-up rows on and
        beside the thresholds. False where the scorecard ships: it has no trees.
        """
        if self.card.ships is not CandidateKind.LIGHTGBM or (trees := fast_trees(self.booster.text)) is None:
            return False
        golden, _, _ = _golden(self, (self.path / GOLDEN).read_bytes())
        rows = [golden, edge_rows(trees, len(self.names), AGREEMENT_ROWS, seed=1)]
        return all(trees.log_odds(x, 1).tobytes() == self.booster.log_odds(x, 1).tobytes() for x in rows)

    def with_fast_trees(self) -> Bundle:
        """The same bundle scoring by the fast trees; itself where they don't give the golden rows their scores here."""
        if self.card.ships is not CandidateKind.LIGHTGBM:
            return self
        fast = replace(self, fast=fast_trees(self.booster.text))
        matrix, odds, _ = _golden(self, (self.path / GOLDEN).read_bytes())
        return fast if fast.calibrated(matrix, 1).tobytes() == odds.tobytes() else self

    @property
    def scale(self) -> GradeScale:
        """The grades."""
        return self.card.scale


def write_bundle(record: TrainingRecord, folder: Path, notice: Bilingual | None = None) -> str:
    """Write the bundle of a training into `folder` (created, or holding the same bytes already) and return
    its sha256. `notice` stands on its card: a demo's says that no person approves it.
    """
    booster = BoosterScore(record.booster.text, record.names)
    matrix = golden_matrix(record.features, record.definition.seed)
    calibration = record.candidates[record.ships].calibration
    odds = _calibrated(record.ships, calibration, record.scorecard, booster, record.names, matrix, threads=1)
    golden = {
        "note": "made-up rows, drawn between rounded quantiles; nobody's data",
        "features": record.names,
        "rows": [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()],
        "log_odds": odds.tolist(),
        "pd": probability(odds).tolist(),
    }
    parts = {
        SCORECARD: scorecard_to_json(record.scorecard).encode(),
        LIGHTGBM: record.booster.text.encode(),
        GOLDEN: _json(golden),
    }
    card = card_of(record, {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}, notice)
    files = parts | {CARD: _json(card)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return hashlib.sha256(files[CARD]).hexdigest()


def load_bundle(path: Path, expected_sha256: str | None = None) -> Bundle:
    """Read a bundle and verify it: files, sha256, structure, golden rows bit for bit. Raises Refusal
    REFUSED/MODEL.

    `expected_sha256` is the one that the state database or a sign-off holds: without it a bundle is only
    checked against itself.
    """
    files = _read(path)
    sha256 = hashlib.sha256(files[CARD]).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise _refuse(path, CARD, "it is not the bundle that was recorded: its sha256 differs")
    card = parse_card(files[CARD], path / CARD)
    for name in PARTS:
        if hashlib.sha256(files[name]).hexdigest() != card.parts.get(name):
            raise _refuse(path, name, "its sha256 is not that of the card")
    scorecard = scorecard_from_json(_text(files[SCORECARD], path, SCORECARD))
    names = [feature.name for feature in card.features]
    if not set(scorecard.names) <= set(names):
        raise _refuse(path, SCORECARD, "it uses a feature that the card doesn't have")
    booster = BoosterScore(_text(files[LIGHTGBM], path, LIGHTGBM), names)
    bundle = Bundle(path, sha256, card, scorecard, booster)
    _check_golden(bundle, files[GOLDEN])
    return bundle


def golden_matrix(features: tuple[FeatureRecord, ...], seed: int) -> np.ndarray:
    """(100, p) made-up rows: each cell drawn evenly between the feature's rounded quantiles, a tenth of them
    missing.
    """
    draw = np.random.default_rng([seed, len(features)])
    low = np.array([feature.low for feature in features])
    high = np.array([feature.high for feature in features])
    matrix = low + (high - low) * draw.random((GOLDEN_ROWS, len(features)))
    matrix[draw.random(matrix.shape) < GOLDEN_MISSING] = np.nan
    return np.asarray(matrix)


def _calibrated(
    ships: CandidateKind,
    calibration: Calibration,
    scorecard: Scorecard,
    trees: BoosterScore | FastTrees,
    names: list[str],
    matrix: np.ndarray,
    threads: int,
) -> np.ndarray:
    raw = (
        scorecard.log_odds(matrix, names)
        if ships is CandidateKind.SCORECARD
        else trees.log_odds(matrix, threads)
    )
    return calibration.apply(raw)


def _read(path: Path) -> dict[str, bytes]:
    """The four files and no others; ordinary files only, of a sane size."""
    if not path.is_dir():
        raise _refuse(path, "", "there is no bundle folder")
    found = {entry.name for entry in path.iterdir()}
    wanted = {CARD, *PARTS}
    if found != wanted:
        word = (
            "lacks " + ", ".join(sorted(wanted - found))
            if wanted - found
            else "holds files that don't belong there"
        )
        raise _refuse(path, "", f"the folder {word}")
    for name in wanted:
        status = (path / name).lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise _refuse(path, name, "it is not an ordinary file of a sane size")
    return {name: (path / name).read_bytes() for name in wanted}


def _golden(bundle: Bundle, data: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Golden rows, and the log-odds and probabilities that they must get."""
    try:
        golden = json.loads(data)
        rows = [[math.nan if value is None else float(value) for value in row] for row in golden["rows"]]
        matrix = np.array(rows, dtype=np.float64)
        odds = np.array(golden["log_odds"], dtype=np.float64)
        expected = np.array(golden["pd"], dtype=np.float64)
        fits = golden["features"] == bundle.names and matrix.shape == (GOLDEN_ROWS, len(bundle.names))
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits or len(odds) != GOLDEN_ROWS or len(expected) != GOLDEN_ROWS:
        raise _refuse(bundle.path, GOLDEN, "it is not well formed")
    return matrix, odds, expected


def _check_golden(bundle: Bundle, data: bytes) -> None:
    matrix, odds, expected = _golden(bundle, data)
    given = bundle.calibrated(matrix, threads=1)
    if given.tobytes() != odds.tobytes() or probability(given).tobytes() != expected.tobytes():
        raise _refuse(
            bundle.path, GOLDEN, "the model doesn't give the golden rows their recorded scores, bit for bit"
        )


def _text(data: bytes, path: Path, name: str) -> str:
    try:
        return data.decode("ascii" if name == LIGHTGBM else "utf-8")
    except UnicodeDecodeError:
        raise _refuse(path, name, "it is not text") from None


def _json(plain: Any) -> bytes:
    return (json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _refuse(path: Path, name: str, what: str) -> Refusal:
    return Refusal(
        "REFUSED/MODEL",
        what + ".",
        file=str(path / name),
        remedy="Train again or fetch the bundle from where it was signed off; don't edit its files.",
    )
