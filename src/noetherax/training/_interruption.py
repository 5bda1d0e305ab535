"""Ctrl-C ends a run between two chunks of steps, and never in the middle of one."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

STOPPING = b"\nStopping after the steps under way; Ctrl-C again may lose them.\n"
STANDARD_ERROR = 2


@contextlib.contextmanager
def noted_interrupts(announce: bool) -> Iterator[list[int]]:
    """Collects a first Ctrl-C in the list it gives, and lets a second one act as ever.

    A chunk gives its buffers away to what it returns, so that an exception between the two would lose
    the state of the run. Where Python would not raise `KeyboardInterrupt` on Ctrl-C, in another
    thread or under a handler of somebody else's, nothing is changed.
    """
    noted: list[int] = []
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield noted
        return

    def note(number, frame):
        noted.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if announce:
            with contextlib.suppress(OSError):
                os.write(STANDARD_ERROR, STOPPING)  # not print, which the signal may be within

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
