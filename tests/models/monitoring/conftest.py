"""Signed homes for the tests of this folder."""

from tests.models.conftest import empty, home, made

__all__ = ["empty", "home", "made"]
