"""Dispatch over the kinds of layers: inputs, reshapes, neurons, maxima, filters and linear layers.

Each builder has two classes derived from LayerVisitor: one makes the Nengo objects of layers (``NengoLayers`` in
``nengo_objects.py`` is its base), the other describes them for ``ConvNetwork.report`` (``ReportRows`` below).
"""

import abc

from ..errors import ConversionError
from ..model import layers as specs

KINDS = {
    "input": specs.Input,
    "reshape": specs.Flatten | specs.Reshape,
    "neurons": specs.Rectifier,
    "maximum": specs.MaxPool | specs.GlobalMaxPool,
    "filter": specs.Filter,
}


def layer_kind(layer):
    """Return the kind of a layer: "input", "reshape", "neurons", "maximum" or, for all others, "linear"."""
    return next((kind for kind, classes in KINDS.items() if isinstance(layer, classes)), "linear")


class LayerVisitor(abc.ABC):
    """Abstract base class with one method for each kind of layer."""

    def visit(self, layer, *arguments):
        """Call the method for the kind of ``layer`` with the layer and ``arguments``, and return its result."""
        return getattr(self, f"visit_{layer_kind(layer)}")(layer, *arguments)

    @abc.abstractmethod
    def visit_input(self, layer, *arguments):
        """Treat the input layer."""

    @abc.abstractmethod
    def visit_reshape(self, layer, *arguments):
        """Treat a layer that changes the shape of its input only."""

    @abc.abstractmethod
    def visit_neurons(self, layer, *arguments):
        """Treat a rectifier, which becomes neurons."""

    @abc.abstractmethod
    def visit_maximum(self, layer, *arguments):
        """Treat max pooling."""

    @abc.abstractmethod
    def visit_filter(self, layer, *arguments):
        """Treat a filter over time."""

    @abc.abstractmethod
    def visit_linear(self, layer, *arguments):
        """Treat any other layer: convolutions, dense layers, averages, sums, selections and dropout."""


def refuse_filter(layer, builder):
    """Raise ConversionError for a filter over time in a network whose builder has none."""
    raise ConversionError(
        f"{layer} filters its input over time, which {builder} does not: read a graph without LI, CubaLI and "
        "Delay nodes",
        layer=layer.name,
    )


def rates_remark(layer):
    """Return the remark of a report on the rates of a rectifier."""
    if layer.levels is None:
        return "rates"
    return f"rates, rounded to {layer.levels} level{'s' if layer.levels > 1 else ''}"


class ReportRows(LayerVisitor):
    """Rows of ``ConvNetwork.report``: ``visit(layer)`` returns (Nengo object, "exact" or "approximated", remark).

    Parameters
    ----------
    config : BuildConfig
        Settings that the network was built with.
    """

    def __init__(self, config):
        self.config = config

    def visit_reshape(self, layer):
        return "same object", "exact", ""  # signals of Nengo are flat

    def visit_linear(self, layer):
        return "Node", "exact", ""

    def visit_filter(self, layer):
        parts = [f"delay of {layer.delay} step{'s' if layer.delay > 1 else ''}"] if layer.delay else []
        parts += [f"low-pass filter with a time constant of {1 / (1 - keep):.4g} steps" for keep in layer.keeps]
        return "Node", "exact", ", ".join(parts)
