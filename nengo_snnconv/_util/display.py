"""Displayed: results that show themselves in a line in Python, and as tables in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence

from .printable import printable

# wide tables scroll instead of becoming wider than the page
_FRAME = '<div style="overflow-x:auto;max-width:100%">{}</div>'


class Displayed:
    """Base class of results with a short ``repr`` and ``str``, and with tables for notebooks.

    Subclasses define :meth:`_headline`, and :meth:`_tables` if they have any.  A subclass that is a dataclass must have
    ``repr=False``.
    """

    def _headline(self) -> str:
        """Return the main result in a line."""
        raise NotImplementedError

    def _tables(self) -> Sequence[Sequence[Sequence[str]]]:
        """Return tables as rows of text; the first row of a table is its header, () if it has none."""
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {printable(self._headline())}>"

    def __str__(self) -> str:
        return repr(self)  # nengo.Network has a str of its own

    def _repr_html_(self) -> str:
        title = f"<p><b>{type(self).__name__}</b>: {_escaped(self._headline())}</p>"
        return title + "".join(map(_html_table, self._tables()))


def _html_table(rows):
    """Return rows of text as an HTML table."""
    header, *body = rows
    cells = "".join(f"<th>{_escaped(cell)}</th>" for cell in header)
    head = f"<thead><tr>{cells}</tr></thead>" if header else ""
    lines = "".join("<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return _FRAME.format(f"<table>{head}<tbody>{lines}</tbody></table>")


def _escaped(text):
    return html.escape(printable(text))
