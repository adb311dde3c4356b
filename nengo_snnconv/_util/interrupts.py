"""Interrupts that arrive where it is safe."""

import contextlib
import signal
import sys
import threading


@contextlib.contextmanager
def deferred_interrupt(message=""):
    """Within the block, Control-C is only noted; the function that the block gets raises KeyboardInterrupt if so.

    Raised anywhere inside TensorFlow, a KeyboardInterrupt can be lost.  A second Control-C is raised at once.  The
    ``message`` goes to standard error with the first one.
    """
    noted = threading.Event()

    def note(signum, frame):
        if noted.is_set():
            signal.default_int_handler(signum, frame)
        noted.set()
        if message:
            print(f"\n{message}", file=sys.stderr, flush=True)

    def check():
        if noted.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check  # signals arrive in the main thread only
        return
    previous = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, previous)
