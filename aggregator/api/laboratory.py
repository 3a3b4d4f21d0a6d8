"""Scenarios that are running: each in a process of its own, so that whoever asks "what if" slows nobody down.

The process is the verb `whatif`; what it finds is kept where the verb keeps it. A result has a type that no order can
be made of, and here it is not even in the same process as the orders.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import tempfile
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from aggregator.api.problem import Conflict, Invalid, TooMany, Unknown

RUNNING_MAX = 2  # at once: each takes a core
KEPT_MAX = 50  # runs that are remembered with their end
TEXT_MAX = 64 << 10  # bytes of a scenario
RUN_S = 900.0  # what a run may take
NICE = 10  # the city itself comes first
SAID_MAX = 8_000  # characters of an error


@dataclass(eq=False)
class Run:
    """`state`: running, done, failed, cancelled."""

    id: str
    name: str
    who: str
    begun_ns: int
    state: str = "running"
    done: int = 0
    total: int = 0
    error: str = ""
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Laboratory:
    """Lives on the server's event loop."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self.runs: OrderedDict[str, Run] = OrderedDict()

    def start(self, name: str, text: str, who: str, now_ns: int) -> Run:
        """Raises TooMany, Invalid."""
        if sum(one.state == "running" for one in self.runs.values()) >= RUNNING_MAX:
            raise TooMany(f"{RUNNING_MAX} scenarios are running already; wait for one, or cancel it")
        if len(text.encode()) > TEXT_MAX:
            raise Invalid(f"a scenario has at most {TEXT_MAX} bytes")
        run = Run(secrets.token_hex(6), name, who, now_ns)
        self.runs[run.id] = run
        while len(self.runs) > KEPT_MAX:
            self.runs.popitem(last=False)
        run.task = asyncio.create_task(self._run(run, text), name=f"scenario {run.id}")
        return run

    def cancel(self, id_: str) -> Run:
        """Raises Unknown, Conflict."""
        run = self.runs.get(id_)
        if run is None:
            raise Unknown(f"{id_}: no such run")
        if run.state != "running" or run.task is None:
            raise Conflict(f"{id_} is {run.state}")
        run.task.cancel()
        run.state = "cancelled"
        return run

    async def close(self) -> None:
        tasks = [one.task for one in self.runs.values() if one.task is not None and not one.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, run: Run, text: str) -> None:
        with tempfile.TemporaryDirectory(prefix="citytwin-scenario-") as folder:
            file = Path(folder) / "scenario.toml"
            file.write_text(text)
            words = ["whatif", str(file), "--compare", "--json", "--progress", "--as", run.who, "-c", str(self._config)]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "aggregator.cli",
                *words,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                preexec_fn=_nicely,
            )
            try:
                async with asyncio.timeout(RUN_S):
                    await self._follow(run, process)
            except TimeoutError:
                run.state, run.error = "failed", f"it took longer than {RUN_S:g} s: fewer members, or a shorter horizon"
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()

    async def _follow(self, run: Run, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        said: list[str] = []
        async for line in process.stderr:
            text = line.decode(errors="replace").rstrip()
            if text.startswith('{"done":'):
                told = json.loads(text)
                run.done, run.total = int(told["done"]), int(told["total"])
            elif sum(map(len, said)) < SAID_MAX:
                said.append(text)
        code = await process.wait()
        run.state = "done" if code == 0 else "failed"
        if code:
            run.error = "\n".join(one for one in said if one)[-SAID_MAX:] or f"it ended with {code}"


def _nicely() -> None:
    os.nice(NICE)
