"""Who runs first on a busy machine: the control thread before all, and the agent before ordinary work.

The interpreter is shared: a thread of the agent that holds it and waits for a processor holds up the control thread as
well, so the whole process is made important, not the one thread only. Both need rights that the service's unit gives
(`LimitRTPRIO`, `LimitNICE`); without them the loop runs, later on a busy machine.
"""

import logging
import os

log = logging.getLogger(__name__)
THREADS = "/proc/self/task"  # Linux keeps a nice value for each thread
REAL_TIME = 20  # of 99: before all ordinary work of the machine, after the kernel's own
NICE = -10  # of -20 … 19; inherited by the threads that are started afterwards


def of_process() -> None:
    """All threads that there are, and those that they start."""
    try:
        for thread in os.listdir(THREADS):
            os.setpriority(os.PRIO_PROCESS, int(thread), NICE)
    except OSError as error:
        log.info("the agent runs with the priority of ordinary work: %s", error.strerror)


def of_control_thread() -> None:
    """Call in the thread."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REAL_TIME))
    except OSError as error:
        log.info("the control loop has no real-time priority: %s", error.strerror)
