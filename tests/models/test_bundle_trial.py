"""A bundle is loaded in a child first: whatever it does there, the parent lives, and the refusal has a code."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import Refusal
from models.artefact import CARD, GOLDEN, LIGHTGBM, SCORECARD, load_bundle, write_bundle
from models.bundle_trial import tried_bundle, try_bundle
from models.candidates import CandidateKind
from models.promotion_key import sha256_of
from tests.models.test_artefact_and_scoring import mend, replace_text, rewrite, shipping
from tests.models.worlds import trained

#: The child with its structural check taken away, as if it had a gap: what then reaches LightGBM may do its worst.
_WITHOUT_CHECK = """
import sys
import models.bundle_trial as trial
import models.lightgbm_model as model
model.check_model_text = lambda *_: None
sys.exit(trial.main(*sys.argv[1:]))
"""
UNCHECKED = (sys.executable, "-c", _WITHOUT_CHECK)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "made"
    write_bundle(shipping(CandidateKind.LIGHTGBM), folder)
    return folder


def sha256(folder: Path) -> str:
    return sha256_of((folder / CARD).read_bytes())


def _other_models_golden(folder: Path) -> None:
    """Well-formed golden rows of the model's other candidate."""
    write_bundle(shipping(CandidateKind.SCORECARD), folder.parent / "other")
    shutil.copy(folder.parent / "other" / GOLDEN, folder / GOLDEN)
    mend(folder, GOLDEN)


def _other_models_card(folder: Path) -> None:
    record = trained()
    other = replace(record, definition=record.definition.model_copy(update={"name": "other_risk"}))
    write_bundle(other, folder.parent / "other")
    shutil.copy(folder.parent / "other" / CARD, folder / CARD)


#: Every part mended so that all sha256 inside the bundle fit: only structure, golden rows and the signed sha256 are left to tell.
TAMPERING: dict[str, Callable[[Path], None]] = {
    "child out of range (SIGSEGV)": lambda f: replace_text(f, LIGHTGBM, "left_child=1", "left_child=99999"),
    "negative child (SIGSEGV)": lambda f: replace_text(f, LIGHTGBM, "right_child=", "right_child=-999999 "),
    "feature out of range (SIGSEGV)": lambda f: replace_text(
        f, LIGHTGBM, "split_feature=", "split_feature=99999999 "
    ),
    "tree that points at itself (hang)": lambda f: replace_text(f, LIGHTGBM, "left_child=1", "left_child=0"),
    "cut short (abort)": lambda f: _cut(f),
    "NaN leaf": lambda f: replace_text(f, LIGHTGBM, "leaf_value=", "leaf_value=nan "),
    "leaf changed": lambda f: replace_text(f, LIGHTGBM, "leaf_value=0", "leaf_value=1"),
    "leaf one character longer (abort)": lambda f: replace_text(f, LIGHTGBM, "leaf_value=0", "leaf_value=10"),
    "tree_sizes lie": lambda f: replace_text(f, LIGHTGBM, "tree_sizes=", "tree_sizes=9"),
    "WoE changed": lambda f: rewrite(f, SCORECARD, lambda s: s | {"intercept": s["intercept"] + 1e-9}),
    "golden rows of the other candidate": _other_models_golden,
    "golden answer off by one bit": lambda f: rewrite(
        f, GOLDEN, lambda g: g | {"log_odds": [g["log_odds"][0] + 1e-15, *g["log_odds"][1:]]}
    ),
    "card of another model": _other_models_card,
    "calibration shifted": lambda f: replace_text(f, CARD, '"shift": ', '"shift": 1', mended=False),
    "features reordered": lambda f: rewrite(f, CARD, lambda c: c | {"features": c["features"][::-1]}),
    "trees swapped for the scorecard": lambda f: _swap(f),
}


def _cut(folder: Path) -> None:
    text = (folder / LIGHTGBM).read_text()
    (folder / LIGHTGBM).write_text(text[: len(text) // 2])
    mend(folder, LIGHTGBM)


def _swap(folder: Path) -> None:
    shutil.copy(folder / SCORECARD, folder / LIGHTGBM)
    mend(folder, LIGHTGBM)


def test_a_good_bundle_passes_its_trial(made: Path) -> None:
    assert tried_bundle(made, sha256(made)).name == "tiny_risk"


@pytest.mark.parametrize("kind", TAMPERING)
def test_a_tampered_bundle_is_refused_whatever_hash_it_comes_with(
    kind: str, made: Path, tmp_path: Path
) -> None:
    """Twice: by the hash that was signed; and, had the signer been deceived into the new hash, by structure or golden rows."""
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    TAMPERING[kind](copy)
    with pytest.raises(Refusal) as refusal:
        tried_bundle(copy, sha256(made))
    assert refusal.value.code == "REFUSED/MODEL"
    if kind == "WoE changed":
        return  # The scorecard doesn't ship here, so golden rows can't tell; only the signed hash does.
    with pytest.raises(Refusal) as refusal:
        load_bundle(copy, sha256(copy))
    assert refusal.value.code == "REFUSED/MODEL" and refusal.value.remedy


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("child out of range (SIGSEGV)", "SIG"),
        ("feature out of range (SIGSEGV)", "SIG"),
        ("tree that points at itself (hang)", "did not end"),
        ("cut short (abort)", ""),
    ],
)
def test_what_gets_past_the_check_kills_only_the_child(
    kind: str, told: str, made: Path, tmp_path: Path
) -> None:
    copy, us = tmp_path / "copy", os.getpid()
    shutil.copytree(made, copy)
    TAMPERING[kind](copy)
    with pytest.raises(Refusal) as refusal:
        try_bundle(copy, sha256(copy), program=UNCHECKED, wall_seconds=12.0)
    assert os.getpid() == us
    assert refusal.value.code in ("REFUSED/MODEL_LOAD", "REFUSED/MODEL") and told in refusal.value.message
    if told:
        assert refusal.value.code == "REFUSED/MODEL_LOAD"


def test_the_child_can_neither_write_nor_reach_a_network(made: Path, tmp_path: Path) -> None:
    """Limits hold before the bundle is opened: planted code in place of the loader gets nowhere."""
    written = tmp_path / "written"
    planted = f"""
import os, socket, sys
import models.bundle_trial as trial

def write():
    os.write(os.open({str(written)!r}, os.O_WRONLY | os.O_CREAT), b"x" * 10)

def load(path, sha256):
    for place, act in enumerate((write, socket.socket, lambda: os.execv("/bin/true", ["true"]))):
        try:
            act()
        except OSError:
            continue
        os._exit(90 + place)

trial.load_bundle = load
sys.exit(trial.main(*sys.argv[1:]))
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("the filter is Linux's")
    try_bundle(made, sha256(made), program=(sys.executable, "-c", planted))
    assert not written.exists() or not written.read_bytes()
