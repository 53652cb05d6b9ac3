"""Structural check of a LightGBM text model before LightGBM sees it.

LightGBM's own reader crashes, hangs or accepts nonsense on an edited file (child out of range: SIGSEGV; a
tree that points at itself: endless loop; NaN leaf: accepted; upstream advisory GHSA-wvg4-4w35-4jc9). So every
tree must here be one whole binary tree over known features with finite numbers, and everything that this
project doesn't write is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from core.errors import Refusal

#: Caps: what no model of this project reaches by far.
MAX_BYTES = 256 * 1024 * 1024
MAX_TREES = 5_000
MAX_LEAVES = 1_024

#: What stands in place of a feature's range: the smallest and largest value belong to some subject.
NO_RANGE = "none"

_HEADER = {
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective",
    "feature_names", "monotone_constraints", "feature_infos", "tree_sizes",
}  # fmt: skip
_TREE = {
    "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
    "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count", "is_linear", "shrinkage",
}  # fmt: skip
_FIXED = {
    "version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "label_index": "0", "objective": "binary sigmoid:1",
}  # fmt: skip
_WHOLE = re.compile(r"-?\d{1,18}")
#: decision_type: bit 0 categorical (never here), bit 1 default left, bits 2-3 kind of missing (0 none, 1
#: zero, 2 NaN).
_DECISIONS = {0, 2, 4, 6, 8, 10}


def check_model_text(text: str, names: Sequence[str]) -> None:
    """Refuse (REFUSED/MODEL) a text that isn't a well-formed binary model over exactly these feature names,
    in order.
    """
    if len(text.encode()) > MAX_BYTES:
        raise _refuse("it is larger than any model may be")
    head, _, rest = text.partition("\nTree=0\n")
    header = _header(head, names)
    if not rest:
        # A model of no trees at all would be silent; LightGBM always writes at least a stump.
        raise _refuse("it has no trees")
    body, end, tail = ("Tree=0\n" + rest).partition("end of trees\n")
    if not end:
        raise _refuse("it is cut short")
    _check_tail(tail)
    sizes = _whole_numbers(header["tree_sizes"], "tree_sizes")
    if not 1 <= len(sizes) <= MAX_TREES or any(size <= 0 for size in sizes) or sum(sizes) > len(body):
        raise _refuse("tree_sizes don't match the trees")
    # The project's own texts are ASCII (checked with the feature names), so characters are bytes.
    place = 0
    for number, size in enumerate(sizes):
        _check_tree(body[place : place + size], number, len(names))
        place += size
    if body[place:].strip():
        raise _refuse("there is something after the last tree")


def _header(head: str, names: Sequence[str]) -> dict[str, str]:
    lines = head.split("\n")
    if lines[0] != "tree":
        raise _refuse("it is not a LightGBM tree model")
    header = _entries([line for line in lines[1:] if line], _HEADER, "the header")
    for key in _HEADER - {"monotone_constraints"}:
        if key not in header:
            raise _refuse(f"{key} is missing")
    for key, value in _FIXED.items():
        if header[key] != value:
            raise _refuse(f"{key} is not {value!r}")
    if header["max_feature_idx"] != str(len(names) - 1) or header["feature_names"] != " ".join(names):
        raise _refuse("its features are not those of the card")
    if header["feature_infos"].split(" ") != [NO_RANGE] * len(names):
        raise _refuse("feature_infos hold the range of a feature, which no model of this project keeps")
    if not "".join(names).isascii():
        raise _refuse("a feature name is not ASCII")
    return header


def _check_tree(block: str, number: int, features: int) -> None:
    lines = [line for line in block.split("\n") if line]
    where = f"tree {number}"
    # To the character: a block that begins with the line break of the one before makes LightGBM abort.
    if not block.startswith(f"Tree={number}\n") or not block.endswith("\n"):
        raise _refuse("tree_sizes don't match the trees")
    tree = _entries(lines[1:], _TREE, where)
    leaves = _whole_numbers(tree.get("num_leaves", ""), where)
    if len(leaves) != 1 or not 1 <= leaves[0] <= MAX_LEAVES:
        raise _refuse(f"{where} has an impossible number of leaves")
    if tree.get("num_cat") != "0" or tree.get("is_linear", "0") != "0":
        raise _refuse(f"{where} uses categories or linear leaves, which no model of this project does")
    count = leaves[0]
    _finite_numbers(tree.get("leaf_value", ""), count, f"{where}: leaf_value")
    _finite_numbers(tree.get("shrinkage", ""), 1, f"{where}: shrinkage")
    for key, length in (
        ("leaf_weight", count), ("leaf_count", count), ("split_gain", count - 1),
        ("internal_value", count - 1), ("internal_weight", count - 1), ("internal_count", count - 1),
    ):  # fmt: skip
        if tree.get(key):
            _finite_numbers(tree[key], length, f"{where}: {key}")
    _finite_numbers(tree.get("threshold", ""), count - 1, f"{where}: threshold")
    split = _whole_numbers(tree.get("split_feature", ""), where)
    decisions = _whole_numbers(tree.get("decision_type", ""), where)
    if len(split) != count - 1 or any(not 0 <= feature < features for feature in split):
        raise _refuse(f"{where} splits on a feature that doesn't exist")
    if len(decisions) != count - 1 or not set(decisions) <= _DECISIONS:
        raise _refuse(f"{where} has an unknown kind of decision")
    _check_shape(tree, count, where)


def _check_shape(tree: dict[str, str], leaves: int, where: str) -> None:
    """Every inner node but the root, and every leaf (~index), is the child of exactly one node that lies
    before it.

    LightGBM numbers inner nodes in the order they are split, so a child has a greater number: no loop is
    possible then.
    """
    sides = [_whole_numbers(tree.get(side, ""), where) for side in ("left_child", "right_child")]
    if any(len(side) != leaves - 1 for side in sides):
        raise _refuse(f"{where} has too few or too many children")
    for node, children in enumerate(zip(*sides, strict=True)):
        if any(child >= 0 and child <= node for child in children):
            raise _refuse(f"{where} points back at itself")
    every = sorted(sides[0] + sides[1])
    if leaves > 1 and every != [*range(-leaves, 0), *range(1, leaves - 1)]:
        raise _refuse(f"{where} has a child out of range or used twice")


def _check_tail(tail: str) -> None:
    """After the trees: importances and an empty `pandas_categorical`, nothing else."""
    for line in tail.split("\n"):
        if not line or line in ("feature_importances:", "pandas_categorical:null", "pandas_categorical:[]"):
            continue
        if re.fullmatch(r"[A-Za-z0-9_]{1,200}=\d{1,18}", line) is None:
            raise _refuse("there is something unknown after the trees")


def _entries(lines: list[str], allowed: set[str], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not equals or key not in allowed or key in found:
            raise _refuse(f"{where} has an unknown or repeated entry")
        found[key] = value
    return found


def _whole_numbers(text: str, where: str) -> list[int]:
    parts = text.split(" ") if text else []
    if any(_WHOLE.fullmatch(part) is None for part in parts):
        raise _refuse(f"{where} holds something that isn't a whole number")
    return [int(part) for part in parts]


def _finite_numbers(text: str, count: int, where: str) -> None:
    parts = text.split(" ") if text else []
    try:
        finite = all(math.isfinite(float(part)) for part in parts)
    except ValueError:
        finite = False
    if len(parts) != count or not finite:
        raise _refuse(f"{where} isn't {count} finite numbers")


def _refuse(what: str) -> Refusal:
    return Refusal(
        "REFUSED/MODEL",
        f"the LightGBM model is not well formed: {what}.",
        remedy="Train again or fetch the bundle from where it was signed off.",
    )
