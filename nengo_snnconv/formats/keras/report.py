"""Report: what became of each Keras layer, and what training will not heed."""

from ...errors import listed

MOST_LINES = 3  # of a message

# of what is said of the uses of one layer, the last of these stays
STATUSES = ("exact", "approximated", "not checked", "refused")


class Report:
    """Rows and notes on the layers of a Keras model, which are told apart by their path.

    Attributes
    ----------
    rows : dict of str to dict
        For each layer, in order: "layer", "class", "status", "remark", "became".
    notes : list of str
        What a user should know who trains the model.
    """

    def __init__(self):
        self.rows, self.notes = {}, []

    def begin(self, path, kind):
        """Make a row for a layer of class ``kind``, unless it has one from another use."""
        row = {"layer": path, "class": kind, "status": STATUSES[0], "remark": "", "became": []}
        self.rows.setdefault(path, row)

    def say(self, path, status, remark):
        """Note what is found of a layer, where nothing worse was found before."""
        row = self.rows[path]
        if STATUSES.index(status) > STATUSES.index(row["status"]):
            row.update(status=status, remark=remark)
            self.became(path, [])

    def became(self, path, names):
        """Note the specs that were made of one use of a layer; a layer that is not read becomes none."""
        row = self.rows[path]
        row["became"] = row["became"] + list(names) if row["status"] in STATUSES[:2] else []

    def refused(self):
        """Return a message that names the refused layers, those with one reason together; empty where there are none.

        It has at most three lines, the last of which then tells how many more layers there are.
        """
        reasons = {}
        for row in self.rows.values():
            if row["status"] == "refused":
                reasons.setdefault(row["remark"], []).append((row["layer"], row["class"]))
        lines = [
            f"layer {first!r} ({kind}) {remark}" + (f" (so with {listed(dict(others))})" if others else "")
            for remark, ((first, kind), *others) in reasons.items()
        ]
        if len(lines) > MOST_LINES:
            n_layers = sum(len(layers) for layers in list(reasons.values())[MOST_LINES - 1 :])
            lines[MOST_LINES - 1 :] = [f"and {n_layers} more layers, for other reasons: inspect_keras lists all"]
        return "\n".join(lines)

    def note(self, path, what):
        """Note what training will not heed."""
        self.notes.append(f"layer {path!r} ({self.rows[path]['class']}) {what}")
