"""Control-C that takes effect only at safe points."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def deferred_interrupt(message: str = "") -> Iterator[Callable[[], None]]:
    """Defer KeyboardInterrupt within the block until the function that the block receives is called.

    A KeyboardInterrupt raised inside TensorFlow can be lost, so Control-C only sets a flag.  A second Control-C raises
    at once.

    Parameters
    ----------
    message : str
        Printed to standard error at the first Control-C.

    Yields
    ------
    callable
        Raises KeyboardInterrupt if Control-C was pressed.
    """
    interrupted = threading.Event()

    def handle(signum, frame):
        if interrupted.is_set():
            signal.default_int_handler(signum, frame)
        interrupted.set()
        if message:
            print(f"\n{message}", file=sys.stderr, flush=True)

    def check():
        if interrupted.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check  # only the main thread receives signals
        return
    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)
