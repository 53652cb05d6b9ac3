"""Named places at which a test may kill the process, to prove that nothing is lost or doubled whenever it dies.

`GSCENE_KILL=name` kills at the first passage of the place, `name:3` at the third. Unset, a passage costs one look into
the environment.
"""

from __future__ import annotations

import os
import signal

#: The variable that names the place.
VARIABLE = "GSCENE_KILL"

_passed: dict[str, int] = {}


def kill_point(name: str) -> None:
    """Pass the place `name`, such as `intake.after_append`."""
    told = os.environ.get(VARIABLE)
    if told is None:
        return
    place, _, nth = told.partition(":")
    if place == name:
        _passed[name] = _passed.get(name, 0) + 1
        if _passed[name] == int(nth or 1):
            os.kill(os.getpid(), signal.SIGKILL)
