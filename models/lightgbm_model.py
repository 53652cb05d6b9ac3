"""The LightGBM candidate: trained with monotone constraints, the same to the byte each time, kept as plain
text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from collections.abc import Set as Names
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.telemetry import quiet
from models.definition import LightgbmParameters
from models.lightgbm_text import NO_RANGE, check_model_text

#: The largest float64.
LARGEST = "1.7976931348623157e+308"


@dataclass(frozen=True)
class FittedBooster:
    """A trained model as text, the rounds it has, and gain by feature in column order."""

    text: str
    rounds: int
    gain: tuple[float, ...]


def fit_booster(
    matrix: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    signs: dict[str, int],
    parameters: LightgbmParameters,
    *,
    threads: int,
    seed: int,
    rounds: int | None = None,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    offered: Names[str] | None = None,
) -> FittedBooster:
    """Train on decided rows: `matrix` (n, p) float64 with NaN for missing, `target` (n,) 0/1.

    `signs` become monotone constraints (+1: the event gets likelier as the value rises). With `validation`
    (later rows than the training ones) training stops once its log-loss has not improved for
    `early_stopping_rounds`; `rounds` overrides the definition's number; only features in `offered` are split on
    (None: all). Bytes of the text depend on data, parameters and seed, not on `threads`.
    """
    lightgbm = _lightgbm()
    settings = booster_settings(parameters, [signs.get(name, 0) for name in names], threads, seed)
    if offered is not None and not offered >= set(names):
        matrix = _only(matrix, names, offered)
    data = lightgbm.Dataset(
        matrix, label=target, feature_name=list(names), params=settings, free_raw_data=True
    )
    callbacks, watched = [], {}
    if validation is not None and parameters.early_stopping_rounds is not None:
        callbacks = [lightgbm.early_stopping(parameters.early_stopping_rounds, verbose=False)]
        watched = {
            "valid_sets": [data.create_valid(validation[0], label=validation[1])],
            "valid_names": ["later"],
        }
    booster = lightgbm.train(
        settings, data, num_boost_round=rounds or parameters.rounds, callbacks=callbacks, **watched
    )
    best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    gain = booster.feature_importance("gain", iteration=best)
    return FittedBooster(
        _plain_text(booster.model_to_string(num_iteration=best), len(names)),
        int(best),
        tuple(float(g) for g in gain),
    )


def booster_settings(
    parameters: LightgbmParameters, constraints: list[int], threads: int, seed: int
) -> dict[str, Any]:
    """Everything LightGBM is told. Row-wise histograms are forced: the automatic choice is timed, so not
    repeatable.
    """
    settings = parameters.model_dump(exclude={"rounds", "early_stopping_rounds", "max_features"})
    return settings | {
        "objective": "binary",
        "metric": "binary_logloss",
        "boost_from_average": True,
        "monotone_constraints": constraints,
        "monotone_constraints_method": "basic",
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "feature_pre_filter": False,
        "verbosity": -1,
    }


def _only(matrix: np.ndarray, names: Sequence[str], offered: Names[str]) -> np.ndarray:
    """The matrix with every other column constant: such a one is never split on, costs no histogram and isn't drawn by
    feature_fraction.
    """
    return np.where(np.array([name in offered for name in names]), matrix, 0.0)


class SharedDatasets:
    """Rows to learn from and rows to judge on, binned once for any number of trials with other parameters."""

    def __init__(
        self,
        fit: tuple[np.ndarray, np.ndarray],
        judged: tuple[np.ndarray, np.ndarray],
        names: Sequence[str],
        signs: dict[str, int],
        parameters: LightgbmParameters,
        *,
        offered: Names[str],
        threads: int,
    ) -> None:
        """Bin both (matrix (n, p), target (n,)). `parameters` gives `max_bin`, which no trial may change."""
        self._constraints, self._threads = [signs.get(name, 0) for name in names], threads
        self._rows = _only(judged[0], names, offered)
        settings = booster_settings(parameters, self._constraints, threads, 0)
        columns = _only(fit[0], names, offered)
        self._fit = _lightgbm().Dataset(
            columns, label=fit[1], feature_name=list(names), params=settings
        ).construct()  # fmt: skip
        self._judged = self._fit.create_valid(self._rows, label=judged[1], params=settings).construct()

    def try_out(self, parameters: LightgbmParameters, seed: int) -> tuple[np.ndarray, int]:
        """Raw log-odds (n,) of the judged rows, and the rounds, of a training that stops when they no longer gain."""
        lightgbm = _lightgbm()
        patience = parameters.early_stopping_rounds
        stop = [] if patience is None else [lightgbm.early_stopping(patience, verbose=False)]
        booster = lightgbm.train(
            booster_settings(parameters, self._constraints, self._threads, seed), self._fit,
            num_boost_round=parameters.rounds, valid_sets=[self._judged], valid_names=["later"], callbacks=stop,
        )  # fmt: skip
        best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        odds = booster.predict(self._rows, raw_score=True, num_iteration=best, num_threads=self._threads)
        return np.asarray(odds, dtype=np.float64), int(best)


class BoosterScore:
    """A checked and loaded model that gives raw log-odds."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        """Check the structure of the text, then load it; Refusal REFUSED/MODEL for anything odd."""
        check_model_text(text, names)
        self.text = text
        self._booster = _lightgbm().Booster(model_str=text)

    @property
    def booster(self) -> Any:
        """The LightGBM Booster, for the ledger only."""
        return self._booster

    def log_odds(self, matrix: np.ndarray, threads: int) -> np.ndarray:
        """Raw event log-odds (n,) of an (n, p) matrix in the model's column order."""
        return np.asarray(
            self._booster.predict(np.ascontiguousarray(matrix), raw_score=True, num_threads=threads),
            dtype=np.float64,
        )


def _plain_text(text: str, features: int) -> str:
    """The text with finite numbers only, without what prediction doesn't read and nobody should: parameters
    and each feature's range.

    The parameters hold the number of threads, and the card has them all. The ranges are the smallest and
    largest value of some subject: row-level data.
    """
    start, end = text.find("\nparameters:\n"), text.find("end of parameters\n")
    if 0 <= start < end:
        text = text[: start + 1] + text[end + len("end of parameters\n") :].lstrip("\n")
    head, trees, rest = text.partition("Tree=0\n")
    body, mark, tail = rest.partition("end of trees\n")
    # A split of known from missing values has the threshold inf. The largest float parts the same values and
    # is finite.
    blocks = [
        re.sub(r"(?m)(?<=[= ])inf(?= |$)", LARGEST, block) if "inf" in block else block
        for block in re.split(r"(?m)^(?=Tree=)", trees + body)
        if block
    ]
    ranges = " ".join([NO_RANGE] * features)
    head = re.sub(r"(?m)^feature_infos=.*$", f"feature_infos={ranges}", head, count=1)
    sizes = " ".join(str(len(block)) for block in blocks)
    head = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", head, count=1)
    return head + "".join(blocks) + mark + tail


def _lightgbm() -> Any:
    """LightGBM, imported late (4 CPU-s) and only after OpenMP is told not to spin while it waits."""
    quiet(os.environ)
    import lightgbm

    return lightgbm
