"""Whoever watches a verb that goes on until told: it must end with the terminal, the pipe or the connection it is for.

A closed terminal says so by SIGHUP, a connection without a terminal by the end of standard input, both by an error for
whoever writes. Standard input that is a file, or `/dev/null` as under a service manager, says nothing.
"""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INPUT = 0  # file descriptor


@contextmanager
def onlooker() -> Iterator[asyncio.Event]:
    """An event that is set when nobody watches any more. What is written to nobody ends the block in silence."""
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        loop.add_signal_handler(signal.SIGHUP, gone.set)
    listening = speaks(INPUT)
    if listening:
        loop.add_reader(INPUT, hear, gone)
    try:
        yield gone
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to say at the end goes nowhere
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        if listening:
            loop.remove_reader(INPUT)


def speaks(descriptor: int) -> bool:
    """Whether its end means that somebody has gone."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


def hear(gone: asyncio.Event) -> None:
    """Whatever is typed means nothing; its end does."""
    if os.isatty(INPUT) and os.tcgetpgrp(INPUT) != os.getpgrp():  # in the background: reading would stop us
        asyncio.get_running_loop().remove_reader(INPUT)
        return
    try:
        heard = os.read(INPUT, 4096)
    except OSError:  # the terminal is gone
        heard = b""
    if not heard:
        asyncio.get_running_loop().remove_reader(INPUT)
        gone.set()
