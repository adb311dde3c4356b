"""Progress bars."""

import sys

from tqdm import tqdm


def progress_bar(total, description, unit, progress=None):
    """A bar for ``total`` units of work: shown if ``progress``, and by default on a terminal or in a notebook."""
    if progress is None:
        progress = sys.stderr.isatty() or _in_notebook()
    return tqdm(total=total, desc=description, unit=unit, unit_scale=True, disable=not progress, leave=False)


def _in_notebook():
    """Whether this is a Jupyter kernel; other packages load IPython outside of one too."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell"
