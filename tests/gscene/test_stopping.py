"""Signals are what they were once a command that handles them has ended."""

import os
import signal

import pytest

from gscene.stopping import STOPS, stops_ignored, stops_interrupt


def disturbed_then_stopped(stop: signal.Signals) -> None:
    with stops_interrupt():
        with stops_ignored():
            os.kill(os.getpid(), stop)
        os.kill(os.getpid(), stop)


@pytest.mark.parametrize("stop", STOPS)
def test_either_signal_interrupts_unless_ignored_and_means_afterwards_what_it_meant(
    stop: signal.Signals,
) -> None:
    before = [signal.getsignal(each) for each in STOPS]
    with pytest.raises(KeyboardInterrupt):
        disturbed_then_stopped(stop)
    assert [signal.getsignal(each) for each in STOPS] == before
