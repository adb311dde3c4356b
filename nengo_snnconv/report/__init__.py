"""Reports: the results of a run as one self-contained HTML file.

:func:`write_report` writes one, and :func:`read_report` reads the statistics in it.
"""

from .tables import scale_range
from .write import read_report, write_report

__all__ = ["read_report", "scale_range", "write_report"]
