"""Run the command line with ``python -m nengo_snnconv.cli``, the same as ``nengo-snnconv``."""

import sys

from . import main

sys.exit(main())
