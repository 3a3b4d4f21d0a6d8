"""Is the gateway well? Each task reports progress; gauges are asked when somebody looks.

Progress, not liveness, is what counts: a task that runs but completes nothing is as dead as one that ended. The
systemd watchdog is fed from here, and only while every watched task makes progress.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from protos.clock import NS, Clock

Gauges = Callable[[], Mapping[str, float]]


@dataclass(slots=True)
class Progress:
    """What one task did last. `deadline_ns` 0: the task may rest as long as it likes."""

    deadline_ns: int
    last_ns: int
    restarts: int = 0
    error: str = ""
    done: int = 0

    def age_s(self, now_ns: int) -> float:
        return (now_ns - self.last_ns) / NS


@dataclass(eq=False)
class Health:
    """Progress per task and gauges per part, read by `status`, Prometheus, the sync stream and the watchdog."""

    clock: Clock
    tasks: dict[str, Progress] = field(default_factory=dict)
    parts: dict[str, Gauges] = field(default_factory=dict)

    def watch(self, task: str, deadline_s: float = 0.0) -> None:
        self.tasks[task] = Progress(int(deadline_s * NS), self.clock.monotonic_ns())

    def progress(self, task: str) -> None:
        one = self.tasks[task]
        one.last_ns = self.clock.monotonic_ns()
        one.done += 1
        one.error = ""

    def failed(self, task: str, error: BaseException) -> None:
        one = self.tasks[task]
        one.restarts += 1
        one.error = f"{type(error).__name__}: {error}"

    def forget(self, task: str) -> None:
        self.tasks.pop(task, None)

    def late(self) -> list[str]:
        """The watched tasks that made no progress within their deadline."""
        now = self.clock.monotonic_ns()
        return [name for name, one in self.tasks.items() if one.deadline_ns and now - one.last_ns > one.deadline_ns]

    def gauges(self) -> dict[str, float]:
        """Every gauge of every part as `part_name`."""
        return {f"{part}_{name}": float(value) for part, ask in self.parts.items() for name, value in ask().items()}

    def report(self) -> dict[str, object]:
        now = self.clock.monotonic_ns()
        return {
            "healthy": not self.late(),
            "late": self.late(),
            "tasks": {
                name: {
                    "age_s": round(one.age_s(now), 3),
                    "done": one.done,
                    "restarts": one.restarts,
                    "error": one.error,
                }
                for name, one in self.tasks.items()
            },
            "gauges": self.gauges(),
        }

    def prometheus(self) -> str:
        """The gauges in the text exposition format 0.0.4."""
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for name, value in sorted(self.gauges().items()):
            kind = "counter" if name.endswith("_total") else "gauge"
            yield f"# TYPE citytwin_{name} {kind}\ncitytwin_{name} {value:.17g}\n"
        yield "# TYPE citytwin_task_age_seconds gauge\n"
        now = self.clock.monotonic_ns()
        for name, one in self.tasks.items():
            yield f'citytwin_task_age_seconds{{task="{name}"}} {one.age_s(now):.3f}\n'
        yield "# TYPE citytwin_task_restarts_total counter\n"
        for name, one in self.tasks.items():
            yield f'citytwin_task_restarts_total{{task="{name}"}} {one.restarts}\n'
