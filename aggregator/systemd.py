"""Telling systemd how the service is (sd_notify); silent where no systemd listens."""

import os
import socket


def notify(*facts: str) -> None:
    """Send facts such as READY=1, WATCHDOG=1, STATUS=…; a datagram each call, never blocking."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
        line.connect("\0" + place[1:] if place.startswith("@") else place)
        line.send("\n".join(facts).encode())
