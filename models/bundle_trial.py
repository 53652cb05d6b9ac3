"""Loading a bundle in another process first, so that nothing in it can crash, hang or fill the one that scores.

The child (`python -m models.bundle_trial FOLDER SHA256`) has a clean environment, limits on memory, time and files, and on Linux
no sockets and no programs; it does everything that `load_bundle` does, golden rows included. Only then does the parent load
the same bytes: the sha256 that the sign-off names is checked on both sides.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import Refusal
from models.artefact import Bundle, load_bundle
from sources.confinement import confine, die_with_parent
from sources.file_format import Limits

_CHECKOUT = Path(__file__).resolve().parents[1]
_PROGRAM = (sys.executable, "-m", "models.bundle_trial")

#: Far beyond what any model of this project needs: one loads in two seconds.
LIMITS = Limits(memory_bytes=2 * 2**30, cpu_seconds=60, wall_seconds=180.0)

#: What the child ends with when it has refused by itself; its one line of output tells why.
_REFUSED = 3

#: Bundles that a child of this process has loaded well, by sha256.
_tried: set[str] = set()


def tried_bundle(path: Path, sha256: str) -> Bundle:
    """A bundle that a child process has loaded first; Refusal REFUSED/MODEL, or REFUSED/MODEL_LOAD where the child died of it."""
    if sha256 not in _tried:
        try_bundle(path, sha256)
        _tried.add(sha256)
    return load_bundle(path, sha256)


def try_bundle(
    path: Path, sha256: str, *, program: Sequence[str] = _PROGRAM, wall_seconds: float = LIMITS.wall_seconds
) -> None:
    """Load a bundle in a child and let it go; raises what the child refused, or what became of it."""
    environment = {
        "PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(_CHECKOUT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive",
        **{name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ},
    }  # fmt: skip
    try:
        ended = subprocess.run(
            [*program, str(path), sha256], cwd=_CHECKOUT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, timeout=wall_seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _died(path, f"it did not end within {wall_seconds:g} seconds") from None
    if ended.returncode == 0:
        return
    if ended.returncode == _REFUSED:
        told = json.loads(ended.stdout)
        raise Refusal(str(told["code"]), str(told["message"]), file=told["file"], remedy=str(told["remedy"]))
    what = (
        f"it was ended by {signal.Signals(-ended.returncode).name}"
        if ended.returncode < 0
        else f"it failed with exit code {ended.returncode}"
    )
    raise _died(path, what)


def main(path: str, sha256: str) -> int:
    """The child: load, and tell a refusal as one line of JSON."""
    die_with_parent()
    # Imported before the limits: what is bound afterwards is the bundle, not our own libraries.
    import lightgbm  # noqa: F401

    confine(LIMITS)
    try:
        load_bundle(Path(path), sha256)
    except Refusal as refusal:
        told = {
            "code": refusal.code,
            "message": refusal.message,
            "file": refusal.file,
            "remedy": refusal.remedy,
        }
        sys.stdout.write(json.dumps(told))
        return _REFUSED
    return 0


def _died(path: Path, what: str) -> Refusal:
    return Refusal(
        "REFUSED/MODEL_LOAD",
        f"loading the bundle in a process of its own went wrong: {what}.",
        file=str(path),
        remedy="Fetch the bundle from where it was signed off; don't load these files anywhere else.",
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
