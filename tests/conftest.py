"""What tests need from the machine: `@pytest.mark.system("mosquitto")` names a program or header it cannot do without.

Where it is missing the test is skipped and listed by name at the end; with CI=true that is a failure.
"""

import os
import shutil
from pathlib import Path

import pytest

FILES = {"libmodbus": "include/modbus/modbus.h", "libfaketime": "lib/*/faketime/libfaketime.so.1"}  # below /usr
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin"  # Debian keeps mosquitto where users do not look


def has(need: str) -> bool:
    if need in FILES:
        return any(Path("/usr").glob(FILES[need]))
    return shutil.which(need, path=SEARCH) is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = [need for mark in item.iter_markers("system") for need in mark.args if not has(need)]
    if missing:
        reason = f"needs {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, and nothing may be left out with CI=true")
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if skipped := terminalreporter.stats.get("skipped"):
        terminalreporter.section("not run")
        for report in skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            terminalreporter.line(f"{report.nodeid}: {why}")
