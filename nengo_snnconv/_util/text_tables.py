"""Tables as text with aligned columns."""

from .printable import printable


def reading_table(reading):
    """The rows of a reading report: a header, then for each Keras layer what became of it."""
    rows = [("Keras layer", "class", "read", "became", "remark")]
    return rows + [
        (row["layer"], row["class"], row["status"], ", ".join(row["became"]), row["remark"]) for row in reading
    ]


def text_table(rows):
    """Rows of cells as text with aligned columns."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)
