"""ReadingReport: the result of reading each layer, and what training will ignore."""

from ...errors import listed

MAX_LINES = 3  # of an error message

# from best to worst; a layer with several calls has the worst of their statuses
STATUSES = ("exact", "approximated", "not checked", "refused")


class ReadingReport:
    """Result for each layer of a foreign model, and notes for training.

    Layers are identified by their path: the names of the nested models that contain them, and their own name.

    Attributes
    ----------
    rows : dict of str to dict
        For each layer, in order: "layer", "class", "status", "remark", "became"; see
        :func:`nengo_snnconv.inspect_model`.
    training_notes : list of str
        Warnings for users who train the model.
    """

    def __init__(self):
        self.rows, self.training_notes = {}, []

    def add_layer(self, path, kind):
        """Add a row for a layer of class ``kind``, unless an earlier call of the layer has added it."""
        row = {"layer": path, "class": kind, "status": STATUSES[0], "remark": "", "became": []}
        self.rows.setdefault(path, row)

    def set_status(self, path, status, remark):
        """Set the status of a layer, unless it has the same or a worse one."""
        row = self.rows[path]
        if STATUSES.index(status) > STATUSES.index(row["status"]):
            row.update(status=status, remark=remark)
            self.add_specs(path, [])

    def add_specs(self, path, names):
        """Add the specs that one call of a layer was turned into; a layer that cannot be read has none."""
        row = self.rows[path]
        row["became"] = row["became"] + list(names) if row["status"] in STATUSES[:2] else []

    def add_training_note(self, path, text):
        """Add a note on something that training will ignore."""
        self.training_notes.append(f"layer {path!r} ({self.rows[path]['class']}) {text}")

    def layers_with(self, status):
        """Return the paths of the layers with a status, in order."""
        return [path for path, row in self.rows.items() if row["status"] == status]

    def error_message(self):
        """Return a message of up to three lines that names the refused layers, grouped by reason; "" if none is."""
        reasons = {}
        for path in self.layers_with("refused"):
            row = self.rows[path]
            reasons.setdefault(row["remark"], []).append((row["layer"], row["class"]))
        lines = [
            f"layer {first!r} ({kind}) {remark}" + (f" (also {listed(dict(others))})" if others else "")
            for remark, ((first, kind), *others) in reasons.items()
        ]
        if len(lines) > MAX_LINES:
            n_layers = sum(len(layers) for layers in list(reasons.values())[MAX_LINES - 1 :])
            lines[MAX_LINES - 1 :] = [f"and {n_layers} more layers, for other reasons: inspect_model lists all"]
        return "\n".join(lines)
