"""Bundles: the same bytes each time, every kind of tampering refused before it is used, scores that don't depend on chunks."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.artefact as artefact
from core.errors import Refusal
from models.artefact import (
    CARD,
    GOLDEN,
    LIGHTGBM,
    PARTS,
    SCORECARD,
    Bundle,
    golden_matrix,
    load_bundle,
    write_bundle,
)
from models.candidates import CandidateKind
from models.choice import choose
from models.definition import ChallengeRule
from models.discrimination import AucDifference
from models.points import log_odds, points_of
from models.scoring import score
from models.training_record import TrainingRecord
from tests.models.worlds import NAMES, matrix, trained


def shipping(kind: CandidateKind) -> TrainingRecord:
    """The shared training with one or the other candidate chosen."""
    from dataclasses import replace

    low = 0.01 if kind is CandidateKind.LIGHTGBM else -0.01
    return replace(
        trained(), choice=choose(AucDifference(0.05, 0.01, low, 0.1, 0.9), ChallengeRule(), "test")
    )


@pytest.fixture(scope="module", params=list(CandidateKind))
def bundle_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / str(request.param)
    write_bundle(shipping(request.param), folder)
    return folder


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Bundle:
    return load_bundle(bundle_folder)


def features(rows: int = 200, seed: int = 5) -> pd.DataFrame:
    x, _ = matrix(rows, seed)
    return pd.DataFrame(x, columns=NAMES, index=pd.Index(np.arange(rows) + 1000, name="subject_no"))


def test_writing_twice_gives_the_same_bytes(bundle_folder: Path, tmp_path: Path) -> None:
    kind = CandidateKind(bundle_folder.name)
    sha256 = write_bundle(shipping(kind), tmp_path)
    for name in (CARD, *PARTS):
        assert (tmp_path / name).read_bytes() == (bundle_folder / name).read_bytes()
    assert load_bundle(tmp_path, sha256).version == f"2026-06+{sha256[:12]}"


def test_the_card_says_what_is_needed_to_audit(bundle: Bundle) -> None:
    card = bundle.card
    assert (card.name, card.subject, card.purpose, card.training_month) == (
        "tiny_risk",
        "enterprise",
        "risk",
        "2026-06",
    )
    assert card.input_tables == {"features/enterprise/tiny": 3}
    assert card.definition_sha256 == trained().definition.sha256
    assert bundle.names == NAMES
    assert {"steps", "candidates", "choice", "libraries", "lightgbm_settings", "grades"} <= set(card.record)


def test_golden_rows_are_made_up(bundle: Bundle, bundle_folder: Path) -> None:
    rows = golden_matrix(trained().features, trained().definition.seed)
    assert rows.shape == (100, 4)
    assert 0.03 < np.isnan(rows).mean() < 0.2
    real, _ = matrix(300)
    assert not set(rows[~np.isnan(rows)].tolist()) & set(real[~np.isnan(real)].tolist())
    assert len(json.loads((bundle_folder / GOLDEN).read_text())["pd"]) == 100


def rewrite(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Edit a JSON part and mend the card's sha256, as somebody who knows the format would."""
    data = json.dumps(change(json.loads((folder / name).read_text(encoding="utf-8")))).encode()
    (folder / name).write_bytes(data)
    if name != CARD:
        mend(folder, name)


def mend(folder: Path, name: str) -> None:
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    rewrite(folder, CARD, lambda card: card | {"parts": card["parts"] | {name: digest}})


def replace_text(folder: Path, name: str, old: str, new: str, mended: bool = True) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    if mended:
        mend(folder, name)


def write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def _not_text(folder: Path) -> None:
    write(folder / LIGHTGBM, b"\xff\xfe\x00")
    mend(folder, LIGHTGBM)


def _symlink(folder: Path) -> None:
    (folder / GOLDEN).rename(folder.parent / "elsewhere.json")
    (folder / GOLDEN).symlink_to(folder.parent / "elsewhere.json")


def _other_calibration(card: dict[str, Any]) -> dict[str, Any]:
    for calibration in card["calibrations"].values():
        calibration["shift"] += 0.25
    return card


TAMPERING: dict[str, Callable[[Path], None]] = {
    "flipped byte in the trees": lambda f: replace_text(
        f, LIGHTGBM, "shrinkage=0.1", "shrinkage=0.2", mended=False
    ),
    "flipped byte in the scorecard": lambda f: replace_text(f, SCORECARD, '"iv"', '"vi"', mended=False),
    "scorecard swapped, sha mended": lambda f: rewrite(f, SCORECARD, lambda s: s | {"intercept": [0.0]}),
    "bin without a WoE": lambda f: rewrite(
        f, SCORECARD, lambda s: s | {"bins": [s["bins"][0] | {"woe": []}, *s["bins"][1:]]}
    ),
    "trees with a loop, sha mended": lambda f: replace_text(f, LIGHTGBM, "left_child=1", "left_child=0"),
    "NaN leaf, sha mended": lambda f: replace_text(f, LIGHTGBM, "leaf_value=", "leaf_value=nan "),
    "golden answer changed": lambda f: rewrite(
        f, GOLDEN, lambda g: g | {"pd": [g["pd"][0] + 1e-15, *g["pd"][1:]]}
    ),
    "golden rows fewer": lambda f: rewrite(
        f, GOLDEN, lambda g: g | {k: g[k][:99] for k in ("rows", "pd", "log_odds")}
    ),
    "calibration changed": lambda f: rewrite(f, CARD, _other_calibration),
    "grade bounds turned round": lambda f: rewrite(
        f, CARD, lambda c: c | {"grade_bounds": c["grade_bounds"][::-1]}
    ),
    "feature order changed": lambda f: rewrite(f, CARD, lambda c: c | {"features": c["features"][::-1]}),
    "unknown entry in the card": lambda f: rewrite(f, CARD, lambda c: c | {"loader": "pickle"}),
    "another format": lambda f: rewrite(f, CARD, lambda c: c | {"format": "gscene-model/9"}),
    "NaN in the card": lambda f: replace_text(f, CARD, '"shift": ', '"shift": NaN, "was": ', mended=False),
    "card isn't JSON": lambda f: write(f / CARD, b"{"),
    "card is a deep nest": lambda f: write(f / CARD, b"[" * 200_000),
    "file missing": lambda f: (f / LIGHTGBM).unlink(),
    "pickle added": lambda f: write(f / "model.pkl", b"\x80\x04."),
    "symlink": _symlink,
    "trees aren't text": _not_text,
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_tampered_bundles_are_refused(kind: str, bundle_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle_folder, copy)
    load_bundle(copy)
    TAMPERING[kind](copy)
    with pytest.raises(Refusal) as refusal:
        load_bundle(copy)
    assert refusal.value.code == "REFUSED/MODEL"
    assert refusal.value.remedy


def test_edited_trees_never_reach_lightgbm(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import models.lightgbm_model as lightgbm_model

    copy = tmp_path / "copy"
    shutil.copytree(bundle_folder, copy)
    TAMPERING["trees with a loop, sha mended"](copy)
    monkeypatch.setattr(
        lightgbm_model, "_lightgbm", lambda: pytest.fail("LightGBM was asked to read edited trees")
    )
    with pytest.raises(Refusal, match="points back"):
        load_bundle(copy)


def test_a_whole_other_bundle_is_refused_by_its_recorded_sha256(bundle_folder: Path) -> None:
    with pytest.raises(Refusal, match="recorded"):
        load_bundle(bundle_folder, "0" * 64)
    with pytest.raises(Refusal):
        load_bundle(bundle_folder / "nowhere")


def test_scores_are_what_the_parts_say(bundle: Bundle) -> None:
    table = features()
    found = score(bundle, table)
    assert list(found.columns) == ["subject_no", "pd", "points", "grade"]
    assert found["subject_no"].tolist() == table.index.tolist()
    assert ((found["pd"] > 0) & (found["pd"] < 1)).all()
    assert np.array_equal(found["points"], np.rint(points_of(log_odds(found["pd"].to_numpy()))).astype(int))
    assert found["grade"].between(1, 10).all()
    ordered = found.sort_values("pd")
    assert ordered["grade"].is_monotonic_increasing and ordered["points"].is_monotonic_decreasing
    raw = (
        bundle.scorecard.log_odds(table.to_numpy(), NAMES)
        if bundle.card.ships is CandidateKind.SCORECARD
        else bundle.booster.log_odds(table.to_numpy(), 1)
    )
    assert np.array_equal(
        np.argsort(raw, kind="stable"), np.argsort(bundle.card.calibration.apply(raw), kind="stable")
    )


@given(chunk=st.integers(1, 250), threads=st.integers(1, 2), seed=st.integers(0, 50))
def test_scores_do_not_depend_on_order_or_chunks(bundle: Bundle, chunk: int, threads: int, seed: int) -> None:
    table = features(120, seed)
    whole = score(bundle, table)
    shuffled = table.sample(frac=1.0, random_state=seed)[["noise", "gap_12m", "late_6m", "sales_12m"]]
    again = score(bundle, shuffled.reset_index(), chunk_rows=chunk, threads=threads)
    pd.testing.assert_frame_equal(
        again.sort_values("subject_no").reset_index(drop=True), whole, check_exact=True
    )


def test_a_missing_feature_is_refused_and_no_rows_are_fine(bundle: Bundle) -> None:
    with pytest.raises(Refusal, match="gap_12m"):
        score(bundle, features().drop(columns="gap_12m"))
    assert len(score(bundle, features().iloc[:0])) == 0


def test_no_part_of_a_bundle_can_be_an_object(bundle_folder: Path) -> None:
    source = Path(artefact.__file__).parent
    for file in source.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "import pickle" not in text and "joblib" not in text, file.name
    assert {file.suffix for file in bundle_folder.iterdir()} == {".json", ".txt"}
