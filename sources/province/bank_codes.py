"""Closed lists of the bank's registers, in the order in which the simulation counts them."""

from __future__ import annotations

PURPOSES = ("risk", "marketing")
CONSENT_KINDS = ("general", "separate", "written")
SCOPES = ("all", "channel", "product", "automated_marketing")
REASONS = (
    "refused_personalised",
    "do_not_contact",
    "complaint",
    "deceased",
    "vulnerable",
    "litigation",
    "staff",
    "cooling_off",
)
ARMS = ("treat", "control")
EVENTS = ("apply", "open", "drawdown")
