"""Errors that name what is wrong, where, and what to do; the command line turns them into exit codes."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command line ends with."""

    OK = 0
    FAILED = 1
    USAGE = 2
    GATE_REFUSED = 3


class GsceneError(Exception):
    """An expected failure: `message` says what is wrong, `remedy` what the reader should do next."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class Refusal(GsceneError):
    """Bad input, refused whole. `code` is machine-readable (`REFUSED/SCHEMA`); no cell value is ever in the text."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: str | None = None,
        remedy: str = "",
    ) -> None:
        self.code = code
        self.file = file
        self.line = line
        self.column = column
        super().__init__(message, remedy)

    @property
    def place(self) -> str:
        """`file:line [column]`, as far as they are known."""
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}"
        if self.column is not None:
            place += f" [{self.column}]"
        return place.strip()

    def __str__(self) -> str:
        parts = [self.code, self.place, self.message, self.remedy]
        return " - ".join(part for part in parts if part)


class TooFewOutcomes(GsceneError):
    """A model can't be trained yet: too few events have been seen. Others can."""


class GateRefused(GsceneError):
    """A stage asked for input that no matching receipt or sign-off vouches for."""

    exit_code = ExitCode.GATE_REFUSED


class SignOffRefused(GateRefused):
    """A model may not be used or promoted as it stands; `code` is machine-readable (`SIGN_OFF/EXPIRED`)."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        self.code = code
        super().__init__(message, remedy)
