"""ConvNetwork: a ``nengo.Network`` that remembers the model and the settings that it was built from."""

import abc
import dataclasses

import nengo


@dataclasses.dataclass(frozen=True)
class Settings(abc.ABC):
    """How a network is built from a model.  A subclass per builder."""

    neuron_type: nengo.neurons.NeuronType
    seed: int = 0

    @abc.abstractmethod
    def construct(self, network):
        """Fill ``network``, whose context is open: set its input, output and layers, and add its probes."""

    @abc.abstractmethod
    def report_row(self, layer):
        """How a layer is built: (Nengo object, "exact" or "approximated", remark), each a str."""


class ProbeList(list):
    """A list of probes in which a probe is also found by its label: ``probes["output"]``."""

    def __getitem__(self, key):
        if not isinstance(key, str):
            return super().__getitem__(key)
        for probe in self:
            if probe.label == key:
                return probe
        raise KeyError(f"no probe is labelled {key!r}; there are {[probe.label for probe in self]}")


class ConvNetwork(nengo.Network):
    """A convolutional network in Nengo.  It is never edited: what changes it returns a new one.

    Parameters
    ----------
    model : Model
    settings : Settings
        Of the builder that makes the network.

    Attributes
    ----------
    model : Model
        Layer specs and arrays that the network was built from.
    settings : Settings
    input : nengo.Node
        Of size height * width * channel, row-major, channel last.
    output : nengo.Node
        Carries the class scores.
    layers : dict of str to Nengo object
        The object that holds each layer's activity, in order.
    probes : list of nengo.Probe
        Also by label: ``probes["output"]`` (unfiltered) and ``probes["output_filtered"]``.
    """

    def __init__(self, model, settings, label=None):
        super().__init__(label=label, seed=settings.seed)
        self._probes = self._objects[nengo.Probe] = ProbeList()
        self.model = model
        self.settings = settings
        self.input = self.output = None
        self.layers = {}
        with self:
            settings.construct(self)

    @property
    def history(self):
        """Training history, {name: list with an entry per epoch}; empty for an untrained network."""
        return self.model.metadata.get("history", {})

    def rebuild(self, model=None, **changes):
        """A new network of the same kind, with another model or with some settings changed."""
        model = self.model if model is None else model
        return ConvNetwork(model, dataclasses.replace(self.settings, **changes), self.label)

    def report(self):
        """A table as text: for each layer what it is, what it became, and whether exactly."""
        rows = [("layer", "type", "output shape", "became", "", "remark")]
        for name, layer in self.model.layers.items():
            rows.append((name, type(layer).__name__, str(self.model.shapes[name]), *self.settings.report_row(layer)))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)
