"""A real mosquitto on a free loopback port: plain or TLS, with or without users, stopped and started again at will."""

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulators.mqtt_certificates import Certificates

PROGRAM = "/usr/sbin/mosquitto"  # Debian keeps it where users do not look
START_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(eq=False)
class MosquittoBroker:
    """One broker, whose sessions outlive a restart. `settings` are further lines of its configuration."""

    folder: Path
    users: Mapping[str, str] = field(default_factory=dict)
    certificates: Certificates | None = None
    client_certificates: bool = False
    settings: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = self.folder / "mosquitto.conf"
        conf.write_text("\n".join(self._lines()) + "\n")
        program = shutil.which("mosquitto") or PROGRAM
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", conf], stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError((self.folder / "mosquitto.log").read_text())

    def _lines(self) -> Iterator[str]:
        yield from ("per_listener_settings false", "log_dest stderr", "log_type error", "log_type warning")
        yield from ("connection_messages false", "max_queued_messages 0", "set_tcp_nodelay true")
        yield from ("persistence true", "autosave_interval 1", f"persistence_location {self.folder}/")
        yield f"user {getpass.getuser()}"  # as root it would become another user, who cannot read the test's files
        yield f"listener {self.port} 127.0.0.1"
        if self.users:
            passwords = self.folder / "passwords"
            passwords.write_text("".join(f"{user}:{password}\n" for user, password in self.users.items()))
            tool = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
            subprocess.run([tool, "-U", passwords], check=True)
            yield f"password_file {passwords}"
        yield f"allow_anonymous {'false' if self.users else 'true'}"
        if self.certificates is not None:
            yield f"cafile {self.certificates.ca}"
            yield f"certfile {self.certificates.server}"
            yield f"keyfile {self.certificates.server_key}"
            yield f"require_certificate {'true' if self.client_certificates else 'false'}"
        yield self.settings

    def stop(self) -> None:
        """End it; sessions and retained messages are kept for the next start."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@contextmanager
def mosquitto_broker(folder: Path, **settings: object) -> Iterator[MosquittoBroker]:
    broker = MosquittoBroker(folder, **settings)  # type: ignore[arg-type]
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
