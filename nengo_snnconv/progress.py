"""Progress bars."""

import sys

from tqdm import tqdm


def progress_bar(total, description, unit, progress=None):
    """A bar for ``total`` units of work: shown if ``progress``, and by default on a terminal or in a notebook."""
    if progress is None:
        progress = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(total=total, desc=description, unit=unit, unit_scale=True, disable=not progress, leave=False)
