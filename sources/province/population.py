"""Who lives in the province: pseudonyms, latent traits, region, and on which platforms each subject is known."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.subject import SubjectKind
from sources.province.random_streams import sigmoid, stream
from sources.province.regions import REGION_CODES, REGION_WEIGHTS
from sources.province.settings import ProvinceSettings

#: Share of the pilot population known to each source (not of adults at large: the pilot's people already use its scenes),
#: and how coverage leans on stability and stress. Being unknown to a source is therefore informative.
RESIDENT_COVERAGE = {"si": 0.55, "electricity": 0.70, "iit": 0.50, "platform": 0.80}
ENTERPRISE_COVERAGE = {"vat": 0.90, "si": 0.70, "electricity": 0.75}
COVERAGE_ON_STABILITY = 0.45
COVERAGE_ON_STRESS = -0.20
COVERAGE_SHARED_NOISE = 0.6


@dataclass(frozen=True)
class Population:
    """One kind of subject; every array has shape (subjects,).

    `stress` and `stability` are standard normal; `region` indexes REGION_CODES; `known_to` maps a source to a mask.
    `tokens` are pseudonyms "k1:" + 40 hex digits.
    """

    kind: SubjectKind
    tokens: pa.StringArray
    stress: np.ndarray
    stability: np.ndarray
    region: np.ndarray
    known_to: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.stress)


def residents(settings: ProvinceSettings) -> Population:
    """The pilot's people."""
    return _population(settings, SubjectKind.RESIDENT, settings.residents, RESIDENT_COVERAGE)


def enterprises(settings: ProvinceSettings) -> Population:
    """The pilot's firms."""
    return _population(settings, SubjectKind.ENTERPRISE, settings.enterprises, ENTERPRISE_COVERAGE)


def tokens(seed: int, what: str, count: int, key_version: int = 1) -> pa.StringArray:
    """Pseudonyms of made-up numbers: HMAC-SHA-256 under a key that is derived from the seed, cut to 160 bits.

    The cities' key is version 1, the provincial platform's version 2: the same number has another pseudonym there.
    """
    holder = "" if key_version == 1 else f" key {key_version}"
    key = hashlib.sha256(f"province {seed}{holder}".encode()).digest()
    made_up = (f"{what}{number:07d}".encode() for number in range(count))
    return pa.array(
        [f"k{key_version}:" + hmac.digest(key, number, "sha256").hex()[:40] for number in made_up],
        pa.string(),
    )


def _population(
    settings: ProvinceSettings, kind: SubjectKind, count: int, coverage: dict[str, float]
) -> Population:
    rng = stream(settings.seed, "population", str(kind))
    stability = rng.standard_normal(count)
    # Stressed people are less stable, but far from always.
    stress = -0.3 * stability + np.sqrt(1 - 0.3**2) * rng.standard_normal(count)
    shared = COVERAGE_SHARED_NOISE * rng.standard_normal(count)
    lean = COVERAGE_ON_STABILITY * stability + COVERAGE_ON_STRESS * stress + shared
    known_to = {source: _covered(rng, lean, share) for source, share in coverage.items()}
    region = rng.choice(len(REGION_CODES), size=count, p=REGION_WEIGHTS / REGION_WEIGHTS.sum())
    return Population(kind, tokens(settings.seed, str(kind), count), stress, stability, region, known_to)


def _covered(rng: np.random.Generator, lean: np.ndarray, share: float) -> np.ndarray:
    """A mask with `share` of subjects on average; leaning subjects are covered more often."""
    low, high = -10.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        mean = sigmoid(lean + middle).mean() if len(lean) else share
        low, high = (middle, high) if mean < share else (low, middle)
    return rng.random(len(lean)) < sigmoid(lean + (low + high) / 2)
