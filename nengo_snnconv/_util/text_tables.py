"""Tables as text with aligned columns, or as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .printable import printable


def reading_table(reading: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the rows of a reading report: a header and, for each layer of the given model, those that it became."""
    rows = [("model layer", "class", "read", "became", "remark")]
    return rows + [
        (row["layer"], row["class"], row["status"], ", ".join(row["became"]), row["remark"]) for row in reading
    ]


def quantization_table(quantization: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of a table of integer weights: a header, and the relative errors of each layer."""
    errors = quantization["errors"]
    rows: list[tuple[str, ...]] = [
        (f"weights of {quantization['bits']} bits", "scales", "error of weights", "error of output")
    ]
    for name, of_layer in errors.items():
        output = f"{100 * of_layer['output']:.3g} %" if "output" in of_layer else ""
        n_scales = f"{len(quantization['scales'].get(name, ()))}"
        rows.append((name, n_scales, f"{100 * of_layer['weights']:.3g} %", output))
    return rows


def percent(share: float) -> str:
    """Return a score as a percentage with two digits; one far below zero, as R² may be, as "below -100 %"."""
    return f"{100 * share:.2f} %" if not share < -1 else "below -100 %"


def points(lost: float) -> str:
    """Return a number of percentage points with two digits; more than 200, of a score far below zero, in words."""
    return f"{lost + 0.0:.2f} points" if abs(lost) <= 200 else f"more than {'-' if lost < 0 else ''}200 points"


def counted(n: int, noun: str) -> str:
    """Return a number with a noun in the singular or plural: "1 step", "1,000 images"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def summary_line(name: str, value: object, width: int = 0) -> str:
    """Return a line of a summary: a name, and its value in the same column as those of all other lines.

    ``width`` is the length of the longest name, if it is known.
    """
    return f"{name:<{max(width, 26)}} {value}"


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as text with aligned columns."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as a Markdown table, of which the first row is the header."""
    header, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([header, "|---" * len(rows[0]) + "|", *rest])
