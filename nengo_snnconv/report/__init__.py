"""Reports: what a run came to, as one HTML file that people show each other."""

from .tables import scale_range
from .write import read_report, write_report

__all__ = ["read_report", "scale_range", "write_report"]
