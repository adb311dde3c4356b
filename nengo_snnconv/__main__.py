# PYTHON_ARGCOMPLETE_OK
"""Run the command line with ``python -m nengo_snnconv``, the same as ``nengo-snnconv``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
