"""A thread with an event loop of its own, for work that may not wait for the agent's main loop."""

import asyncio
import threading
from collections.abc import Coroutine


def start(work: Coroutine[object, object, None], name: str) -> "asyncio.Future[None]":
    """Run `work` to its end in a thread of that name; what it raises is raised to who awaits the future.

    The future may be abandoned: a thread that hangs keeps nobody, nor the process, from ending.
    """
    here = asyncio.get_running_loop()
    ended: asyncio.Future[None] = here.create_future()

    def settle(error: BaseException | None) -> None:
        if ended.done():  # nobody waits any more
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            asyncio.run(work)
        except BaseException as caught:
            error = caught
            if not isinstance(caught, Exception):
                raise
        finally:
            if not here.is_closed():
                here.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended
