"""Progress bars."""

from __future__ import annotations

import sys

from tqdm import tqdm


def progress_bar(
    total: int | None, description: str, unit: str, progress: bool | None = None, *, delay: float = 0
) -> tqdm:
    """Return a progress bar for ``total`` units of work.

    ``progress`` shows or hides it; by default it is shown on a terminal and in a notebook.  It appears if the work is
    not done after ``delay`` seconds.
    """
    if progress is None:
        progress = sys.stderr.isatty() or _in_notebook()
    return tqdm(
        total=total, desc=description, unit=unit, unit_scale=True, disable=not progress, leave=False, delay=delay
    )


def _in_notebook() -> bool:
    """Return whether this process is a Jupyter kernel; a loaded IPython alone does not mean that it is."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell"
