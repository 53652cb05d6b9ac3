"""`gscene up`: two servers on loopback, both gone when it is stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_up_serves_on_loopback_and_takes_its_servers_along(tmp_path: Path, stop: signal.Signals) -> None:
    ports = [free_port(), free_port()]
    (tmp_path / "home").mkdir()
    log = (tmp_path / "log").open("wb")
    # A shell that starts a program in the background lets it ignore Ctrl-C; that must not make it unstoppable.
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "gscene", "up"]
    command += ["--home", str(tmp_path / "home")]
    command += ["--dagster-port", str(ports[0]), "--mlflow-port", str(ports[1])]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = [process.stdout.readline().decode() for _ in ports]
        assert [line.split()[-1] for line in said] == [f"http://127.0.0.1:{port}" for port in ports]
        for port in ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
                assert answer.status == 200
            assert listening(port) == {"127.0.0.1"}
    finally:
        process.send_signal(stop)
        process.wait(90)
        log.close()
    deadline = time.monotonic() + 10
    while any(listening(port) for port in ports) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(listening(port) for port in ports)


def listening(port: int) -> set[str]:
    """Local addresses that accept connections on the port, from the kernel's own table."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, number = local.split(":")
            if state == "0A" and int(number, 16) == port:
                found.add("127.0.0.1" if address == "0100007F" else address)
    return found
