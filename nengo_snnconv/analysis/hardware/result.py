"""HardwareCheck: the result of check_hardware."""

from __future__ import annotations

import dataclasses
import math
import typing

from ..._util.display import Displayed
from ..._util.text_tables import summary_line, text_table
from ..chips import Chip


@dataclasses.dataclass(frozen=True)
class LayerOnChip:
    """Resources that a layer of neurons needs on a chip, with the weights that lead to it.

    Attributes
    ----------
    name : str
        The output counts as a layer of neurons.
    n_neurons : int
    fan_in : int
        Largest number of synapses of a neuron, before pooling layers are counted.
    weights : int
        Number of stored weights; positions of a convolution share theirs.
    cores : int or None
        Number of cores; 0 for a layer that runs on the host, None if the layer does not fit on any number of cores.
    details : str
        Use of the resources that limit the layer.
    problems : tuple of str
        Why it does not fit, each with what would make it fit.
    """

    name: str
    n_neurons: int
    fan_in: int
    weights: int
    cores: int | None
    details: str = ""
    problems: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class HardwareCheck(Displayed):
    """Result of :func:`check_hardware`.

    Attributes
    ----------
    chip : Chip
        Published resources, with their sources.
    layers : tuple of LayerOnChip
        In order.
    problems : tuple of str
        Problems of the network as a whole; those of a layer are in ``layers``.
    remarks : tuple of str
        Changes on the chip, and limits of the check.
    """

    chip: Chip
    layers: tuple[LayerOnChip, ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def cores(self) -> int | None:
        """Number of cores of all layers; None if a layer does not fit on any number of cores."""
        counts = [layer.cores for layer in self.layers]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def n_chips(self) -> int | None:
        """Number of chips with so many cores; None if a layer does not fit."""
        return None if self.cores is None else max(1, math.ceil(self.cores / self.chip.n_cores))

    @property
    def all_problems(self) -> list[str]:
        """All problems, those of the layers first, with their names."""
        return [f"{layer.name}: {text}" for layer in self.layers for text in layer.problems] + list(self.problems)

    @property
    def fits(self) -> bool:
        """True if the network fits on one chip without a change."""
        return not self.all_problems

    def _headline(self):
        cores = "" if self.cores is None else f", {self.cores:,} of {self.chip.n_cores} cores"
        return f"{self.chip.title}: {'fits' if self.fits else 'does not fit'} on one chip{cores}"

    def _tables(self):
        notes = [("to change", text) for text in self.all_problems] + [("note", text) for text in self.remarks]
        return [self.rows(), [(), *notes]]

    def rows(self) -> list[tuple[str, ...]]:
        """Return a table of the layers as rows of text, a header first."""
        rows: list[tuple[str, ...]] = [("layer", "neurons", "fan-in", "weights", "cores", "use")]
        for layer in self.layers:
            cores = "no fit" if layer.cores is None else f"{layer.cores:,}"
            rows.append(
                (layer.name, f"{layer.n_neurons:,}", f"{layer.fan_in:,}", f"{layer.weights:,}", cores, layer.details)
            )
        total = "" if self.cores is None else f"{self.cores:,}"
        sums = (sum(layer.n_neurons for layer in self.layers), sum(layer.weights for layer in self.layers))
        rows.append(("all", f"{sums[0]:,}", "", f"{sums[1]:,}", total, f"of {self.chip.n_cores} cores"))
        return rows

    def table(self) -> str:
        """Return the table of :meth:`rows` as text."""
        return text_table(self.rows())

    def summary(self) -> str:
        """Return the verdict, the table of layers, problems with their remedies, and the sources, as text."""
        verdict = "fits" if self.fits else "does not fit"
        lines = [summary_line(self.chip.title, f"the network {verdict} on one chip"), self.table()]
        lines += [summary_line("to change", text) for text in self.all_problems]
        lines += [summary_line("note", text) for text in self.remarks]
        lines += [summary_line("source", text) for text in self.chip.sources]
        return "\n".join(lines)

    def section(self) -> tuple:
        """Return a section for ``write_report(..., sections=[check.section()])``: the table, and what to change."""
        verdict = "fits" if self.fits else "does not fit"
        texts = [f"The network {verdict} on one chip.", *self.all_problems, *self.remarks, *self.chip.sources]
        return f"Hardware: {self.chip.title}", "\n".join(texts), self.rows()

    def to_dict(self) -> dict[str, typing.Any]:
        """Return the result as JSON-serializable values."""
        return {
            "chip": dataclasses.asdict(self.chip),
            "fits": self.fits,
            "cores": self.cores,
            "n_chips": self.n_chips,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            "problems": self.all_problems,
            "remarks": list(self.remarks),
        }
