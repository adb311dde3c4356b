"""efficiency: what a network of spikes computes beside its ANN, in operations and in energy."""

import collections
import dataclasses

from .._util.text_tables import text_table
from ..errors import SettingsError
from ..model import connectivity
from ..model import layers as specs
from ..networks.network import check_network
from ..networks.ttfs import TTFSConfig


@dataclasses.dataclass(frozen=True)
class Costs:
    """Published energy per operation, in picojoules.

    Attributes
    ----------
    source : str
    addition : float
        Of a weight to a current, for a spike.
    update, idle_update : float
        Of a neuron in a step in which it integrates, and in one in which it only waits.
    multiply_accumulate : float or None
        None for machines that run no ANN.
    """

    source: str
    addition: float
    update: float
    idle_update: float
    multiply_accumulate: float = None


HOROWITZ = Costs("45 nm, 32-bit float (Horowitz 2014)", 0.9, 0.9, 0.0, multiply_accumulate=4.6)
LOIHI = Costs("Loihi (Davies et al. 2018)", 23.6, 81.0, 52.0)


@dataclasses.dataclass(frozen=True)
class Energy:
    """Energy for one image under :class:`Costs`, in joules.

    Attributes
    ----------
    source : str
    ann : float or None
        None for machines that run no ANN.
    snn : float
        Of synaptic operations, and of the multiply-accumulates of an input of constant current.
    snn_with_updates : float
        The same and neuron updates.
    """

    source: str
    ann: float
    snn: float
    snn_with_updates: float


@dataclasses.dataclass(frozen=True)
class LayerOperations:
    """Operations that the activity of one layer causes in the layers behind it, for one image.

    Attributes
    ----------
    flops : float
        Of the ANN.
    operations : float
        Of the network of spikes.
    """

    flops: float
    operations: float


@dataclasses.dataclass(frozen=True, eq=False)
class Efficiency:
    """What :func:`efficiency` found; all counts are for one image.

    Biases, maxima and averages are left out on both sides.  Additions inside of neurons are counted apart.

    Attributes
    ----------
    ann_accuracy : float or None
        Of the ANN; None for a network that was trained through time, and has none.
    accuracy : float
        With spikes, after the last step.
    flops : int
        Floating-point operations of the ANN: two for each multiply-accumulate of a convolution or dense layer.
    synaptic_operations : float
        Additions that spikes cause.
    input_operations : int
        Multiply-accumulates of an input of constant current, which is needed once; 0 for an input of spikes.
    n_neurons : int
        Without those of input and output.
    spikes_per_neuron : float
    neuron_updates : int
        Additions inside of neurons.  A two-stage neuron adds once in each step of its two stages, other neurons once in
        every step of the run.  Neurons that send spikes again in later stages count as well.
    idle_updates : int
        Steps of neurons outside of their two stages, in which they only wait.
    layers : dict of str to LayerOperations
        By the layer whose activity causes them, in order; their sums are ``flops`` and ``operations``.  What is sent
        again has entries of its own, "<name> again".
    graded : tuple of str
        Weighted layers that no neurons are in front of, as in separable convolutions.  They read sums, not spikes, so
        what they cost is among ``flops``, but not among ``synaptic_operations``.
    """

    ann_accuracy: float
    accuracy: float
    flops: int
    synaptic_operations: float
    input_operations: int
    n_neurons: int
    spikes_per_neuron: float
    neuron_updates: int
    idle_updates: int
    layers: dict
    graded: tuple

    @property
    def operations(self):
        """Of the network of spikes: synaptic operations, and two for each multiply-accumulate of a constant input."""
        return self.synaptic_operations + 2 * self.input_operations

    @property
    def ratio(self):
        """How many times as many operations the ANN needs; infinite for a network without any spike."""
        return _ratio(self.flops, self.operations)

    @property
    def energies(self):
        """Energy under published costs, a tuple of Energy: Horowitz 2014, and Davies et al. 2018."""
        return tuple(map(self.energy, (HOROWITZ, LOIHI)))

    def energy(self, costs):
        """Energy for one image under :class:`Costs`.

        Parameters
        ----------
        costs : Costs

        Returns
        -------
        Energy
        """
        ann = None if costs.multiply_accumulate is None else self.flops / 2 * costs.multiply_accumulate
        # what is no spike is multiplied in front of any chip for spikes
        snn = self.synaptic_operations * costs.addition + self.input_operations * HOROWITZ.multiply_accumulate
        updates = self.neuron_updates * costs.update + self.idle_updates * costs.idle_update
        return Energy(costs.source, None if ann is None else 1e-12 * ann, 1e-12 * snn, 1e-12 * (snn + updates))

    def rows(self):
        """The figures as rows of text: a header, then ANN, network of spikes, and how many times less."""
        ann = "" if self.ann_accuracy is None else f"{100 * self.ann_accuracy:.2f} %"
        rows = [
            ("per image", "ANN", "spikes", "ANN / spikes"),
            ("accuracy", ann, f"{100 * self.accuracy:.2f} %", ""),
            ("operations", f"{self.flops:,}", f"{self.operations:,.0f}", f"{self.ratio:.1f}"),
        ]
        if self.input_operations:
            rows.append(("of them for a constant input", *[f"{2 * self.input_operations:,}"] * 2, ""))
        rows += [
            ("neurons", "", f"{self.n_neurons:,}", ""),
            ("spikes per neuron", "", f"{self.spikes_per_neuron:.3f}", ""),
            ("neuron updates, not among operations", "", f"{self.neuron_updates:,}", ""),
        ]
        for energy in self.energies:
            for what, joules in (("", energy.snn), (", with neuron updates", energy.snn_with_updates)):
                name = f"energy, {energy.source}{what}"
                ann = "" if energy.ann is None else (_microjoules(energy.ann), f"{_ratio(energy.ann, joules):.1f}")
                rows.append(
                    (name, ann[0], _microjoules(joules), ann[1]) if ann else (name, "", _microjoules(joules), "")
                )
        return rows

    def layer_rows(self):
        """Operations by the layer whose activity causes them, as rows of text: a header, then a row for each layer."""
        rows = [("caused by", "ANN", "spikes", "ANN / spikes")]
        for name, layer in self.active_layers().items():
            ratio = f"{_ratio(layer.flops, layer.operations):.1f}" if layer.flops else ""
            rows.append((name, f"{layer.flops:,.0f}", f"{layer.operations:,.0f}", ratio))
        return rows

    def active_layers(self):
        """The layers that cause operations by themselves; neurons that only maxima read do not."""
        return {name: layer for name, layer in self.layers.items() if layer.flops or layer.operations}

    def table(self):
        """The figures, the operations of each layer, and what is left out, as text."""
        return "\n\n".join([text_table(self.rows()), text_table(self.layer_rows()), " ".join(self.remarks())])

    def remarks(self):
        """What the figures do not say, a list of sentences."""
        remarks = ["Energy is that of arithmetic: moving data and reading memory are not in it."]
        if self.graded:
            names = ", ".join(map(repr, self.graded))
            remarks.append(f"Not among the operations of spikes: {names}, with no neurons in front.")
        return remarks

    def to_dict(self):
        """The figures as JSON-serialisable values; energies in joules."""
        return {
            "ann_accuracy": self.ann_accuracy,
            "accuracy": self.accuracy,
            "flops": self.flops,
            "operations": self.operations,
            "synaptic_operations": self.synaptic_operations,
            "input_operations": self.input_operations,
            "ratio": self.ratio if self.operations else None,
            "n_neurons": self.n_neurons,
            "spikes_per_neuron": self.spikes_per_neuron,
            "neuron_updates": self.neuron_updates,
            "idle_updates": self.idle_updates,
            "layers": {name: dataclasses.asdict(layer) for name, layer in self.layers.items()},
            "graded": list(self.graded),
            "energies": [dataclasses.asdict(energy) for energy in self.energies],
        }

    def plot(self, axes=None):
        """Draw the operations of each layer, those of the ANN beside those of spikes; returns the matplotlib axes."""
        from ..plots import plot_operations

        return plot_operations(self, axes)


def efficiency(network, evaluation):
    """What a network of spikes computes for an image, beside its ANN: operations, spikes and energy.

    The table is that of Lopez-Randulfe, Reeb & Knoll 2022 (table 1) for any network: floating-point operations of the
    ANN against additions that spikes cause, border effects included.  What papers leave out has rows of its own: an
    input of constant current is no spike, and its multiply-accumulates count, once; neurons add in every step, whether
    there are spikes or not.

    Energy is an estimate from published costs of single operations.  It is that of arithmetic only: memory and
    communication, which often cost more, are not in it.

    - Horowitz 2014: 4.6 pJ for a multiply-accumulate, 3.7 for the product and 0.9 for the sum, of 32-bit floating-point
      numbers at 45 nm and 0.9 V.  A synaptic operation, and a neuron update, is one sum.
    - Davies et al. 2018, table 2: at least 23.6 pJ for a synaptic operation of Loihi, 81 pJ for an active neuron update
      and 52 pJ for an inactive one, at 14 nm and 0.75 V, from simulations before there was a chip.  Taken as active is
      each step in which a neuron integrates; two-stage neurons are inactive outside of their stages.  Products of an
      input of constant current, which would be made in front of the chip, cost as above.

    Parameters
    ----------
    network : ConvNetwork
        With spikes: made by ``to_ttfs``, ``to_spiking`` or ``build_trainable``.
    evaluation : Evaluation
        Of this network.

    Returns
    -------
    Efficiency

    Raises
    ------
    SettingsError
        If the network has no spikes, or the evaluation is of another one.

    References
    ----------
    Horowitz 2014, "Computing's energy problem (and what we can do about it)", ISSCC, doi 10.1109/ISSCC.2014.6757323.

    Davies et al. 2018, "Loihi: a neuromorphic manycore processor with on-chip learning", IEEE Micro 38(1), doi
    10.1109/MM.2018.112130359.
    """
    check_network(network)
    _check(network, evaluation)
    updates, idle = _updates(network, evaluation)
    return Efficiency(
        ann_accuracy=evaluation.ann_accuracy,
        accuracy=float(evaluation.accuracy[-1]),
        flops=2 * evaluation.ann_operations,
        synaptic_operations=float(evaluation.synaptic_operations),
        input_operations=evaluation.input_operations,
        n_neurons=sum(layer.n_neurons for layer in evaluation.layers.values()),
        spikes_per_neuron=float(evaluation.spikes_per_neuron),
        neuron_updates=updates,
        idle_updates=idle,
        layers=_layers(network, evaluation),
        graded=_graded(network.model),
    )


def _check(network, evaluation):
    model, settings = network.model, network.settings
    if not hasattr(evaluation, "synaptic_operations"):
        raise SettingsError(f"expected an Evaluation, got {type(evaluation).__name__}: make one with evaluate(...)")
    if not evaluation.layers:
        raise SettingsError(
            "the evaluation is of a network without neurons that spike, which saves no operations: evaluate one with "
            "rectifiers that to_ttfs or to_spiking made"
        )
    neurons = {name: model.size(name) for name in model.neurons}
    found = {name: layer.n_neurons for name, layer in evaluation.layers.items()}
    if found != neurons:
        raise SettingsError(f"the evaluation is of another network: it has neurons {found}, this one {neurons}")
    needed = settings.total_steps(model) or evaluation.n_steps
    if needed != evaluation.n_steps or not settings.neuron_type.spiking:
        raise SettingsError("the evaluation is of another network with the same neurons: evaluate this one")
    if (settings.input_spikes or evaluation.moving) != bool(evaluation.input_layer):
        raise SettingsError("the evaluation is of another network, with another input coding: evaluate this one")


def _updates(network, evaluation):
    """Steps in which neurons integrate, and those in which they wait, over all neurons."""
    settings = network.settings
    again = settings.relay_stages(network.model)
    neurons = sum(layer.n_neurons * (1 + again.get(name, 0)) for name, layer in evaluation.layers.items())
    steps = 2 * settings.stage_steps if isinstance(settings, TTFSConfig) else evaluation.n_steps
    return neurons * steps, neurons * (evaluation.n_steps - steps)


def _layers(network, evaluation):
    """Operations by the layer that causes them: the input, layers of neurons, maxima, spikes that are sent again."""
    model, flops = network.model, _flops(network.model)
    image = evaluation.input_layer
    operations = {model.input: image.synaptic_operations if image else 2 * evaluation.input_operations}
    operations |= {name: layer.synaptic_operations for name, layer in evaluation.layers.items()}
    operations |= evaluation.relay_operations
    ordered = [name for name in model.layers if name in operations]
    ordered += [name for name in operations if name not in model.layers]
    return {name: LayerOperations(flops.get(name, 0.0), operations[name]) for name in ordered}


def _flops(model):
    """The ANN's floating-point operations by the layer whose activity causes them, for all layers that emit any."""
    found = {name: 0.0 for name, layer in model.layers.items() if _emits(layer)}
    sources = _sources(model)
    for name, count in connectivity.multiply_accumulates(model).items():
        for source, share in sources[model.layers[name].inputs[0]].items():
            found[source] += 2 * count * share
    return found


def _sources(model):
    """The layers whose activity reaches each layer, and the share of it that is theirs: {name: {source: float}}."""
    joined = [name for name, layer in model.layers.items() if isinstance(layer, specs.Concatenate)]
    reached, found = connectivity.fan_outs(model, joined), {}
    for name, layer in model.layers.items():
        found[name] = shares = collections.Counter()
        if _emits(layer):
            shares[name] = 1.0
            continue
        for place, source in enumerate(layer.inputs):
            part = _part(layer, model, place, reached)
            for emitter, share in found[source].items():
                shares[emitter] += share * part
    return found


def _part(layer, model, place, reached):
    """The share of what ``layer`` passes on that comes from one of its inputs, weighed by its fan-out."""
    if not isinstance(layer, specs.Concatenate):
        return 1 / len(layer.inputs)
    total = float(reached[layer.name].sum(dtype=float))
    if not total:  # no synapse reads it
        return 0.0
    entries = layer.entries(place, *(model.shapes[name] for name in layer.inputs))
    return float(reached[layer.name].ravel()[entries.ravel() >= 0].sum(dtype=float)) / total


def _graded(model):
    """The weighted layers that read some of a weighted one, with no neurons or maxima in between."""
    passes = set()  # what hands on values of weighted layers
    found = []
    for name, layer in model.layers.items():
        reads = any(source in passes for source in layer.inputs)
        weighted = isinstance(layer, specs.Conv | specs.Dense)
        if weighted and reads:
            found.append(name)
        if weighted or (reads and not _emits(layer)):
            passes.add(name)
    return tuple(found)


def _emits(layer):
    return isinstance(layer, specs.Input) or connectivity.is_event_source(layer)


def _ratio(more, less):
    return more / less if less else float("inf")


def _microjoules(joules):
    return f"{1e6 * joules:.3g} µJ"
