"""efficiency: operations and energy of a spiking network, compared with those of its ANN."""

from __future__ import annotations

import dataclasses
import typing

from .._util.display import Displayed
from .._util.text_tables import percent, text_table
from ..errors import SettingsError
from ..networks.network import check_network
from .ann_operations import analog_layers, flops_by_source
from .energy import HOROWITZ, HOROWITZ_MULTIPLY_ACCUMULATE, LOIHI, Energy, EnergyModel

if typing.TYPE_CHECKING:
    from ..evaluation.result import Evaluation
    from ..networks.network import ConvNetwork
    from ..plots import Plot


# name of EnergyModel in earlier versions
Costs = EnergyModel


@dataclasses.dataclass(frozen=True)
class LayerOperations:
    """Operations that the activity of one layer causes in the next layers, for one image.

    Attributes
    ----------
    flops : float
        Floating-point operations of the ANN.
    operations : float
        Operations of the spiking network.
    """

    flops: float
    operations: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Efficiency(Displayed):
    """Result of :func:`efficiency`; all counts are for one image.

    Neither side includes biases, maxima and averages.  Additions inside neurons are counted separately.

    Attributes
    ----------
    ann_accuracy : float or None
        Accuracy of the ANN; None for a network that was trained through time, which has no ANN.
    accuracy : float
        Accuracy of the spiking network after the last step, or another score.
    flops : int
        Floating-point operations of the ANN: two for each multiply-accumulate of a convolution or dense layer.
    synaptic_operations : float
        Additions that spikes cause.
    input_operations : int
        Multiply-accumulates of an input that is a constant current, computed once; 0 for an input of spikes.
    n_neurons : int
        Number of neurons, without those of input and output.
    spikes_per_neuron : float
        Mean number of spikes per neuron.
    neuron_updates : int
        Additions inside neurons.  A two-stage neuron (time to first spike) adds once in each step of its two stages,
        any other neuron once in every step.  Neurons that relay spikes in later stages are included.
    idle_updates : int
        Steps of two-stage neurons outside their two stages, in which they are idle.
    layers : dict of str to LayerOperations
        Operations by the layer whose activity causes them, in order; their sums are ``flops`` and ``operations``.
        Spikes that are relayed in later stages have separate entries, "<name> again".
    graded : tuple of str
        Weighted layers that read weighted sums instead of spikes, because no neurons precede them, as in separable
        convolutions.  ``flops`` includes their operations, ``synaptic_operations`` does not.
    score_name : str
        Name of the score: "accuracy", "F1", "R²" or "agreement with the ANN".
    """

    ann_accuracy: float | None
    accuracy: float
    flops: int
    synaptic_operations: float
    input_operations: int
    n_neurons: int
    spikes_per_neuron: float
    neuron_updates: int
    idle_updates: int
    layers: dict[str, LayerOperations]
    graded: tuple[str, ...]
    score_name: str = "accuracy"

    @property
    def operations(self) -> float:
        """Operations with spikes: synaptic operations, plus two for each multiply-accumulate of a constant input."""
        return self.synaptic_operations + 2 * self.input_operations

    @property
    def ratio(self) -> float:
        """Operations of the ANN divided by those with spikes; infinite without any spike."""
        return _ratio(self.flops, self.operations)

    @property
    def energies(self) -> tuple[Energy, ...]:
        """Energy under the published models of Horowitz 2014 and Davies et al. 2018."""
        return tuple(map(self.energy, (HOROWITZ, LOIHI)))

    def energy(self, costs: EnergyModel) -> Energy:
        """Return the energy for one image.

        Parameters
        ----------
        costs : EnergyModel
            Energy per operation.

        Returns
        -------
        Energy
        """
        ann = None if costs.multiply_accumulate is None else self.flops / 2 * costs.multiply_accumulate
        # a constant input is multiplied outside a chip for spikes
        snn = self.synaptic_operations * costs.addition + self.input_operations * HOROWITZ_MULTIPLY_ACCUMULATE
        updates = self.neuron_updates * costs.update + self.idle_updates * costs.idle_update
        return Energy(costs.source, None if ann is None else 1e-12 * ann, 1e-12 * snn, 1e-12 * (snn + updates))

    def _headline(self):
        return f"{self.operations:,.0f} operations per image, {self.flops:,} as an ANN"

    def _tables(self):
        return [self.rows()]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the results as rows of text, a header first: values of the ANN, with spikes, and their ratio."""
        ann = "" if self.ann_accuracy is None else percent(self.ann_accuracy)
        rows: list[tuple[str, ...]] = [
            ("per image", "ANN", "spikes", "ANN / spikes"),
            (self.score_name, ann, percent(self.accuracy), ""),
            ("operations", f"{self.flops:,}", f"{self.operations:,.0f}", f"{self.ratio:.1f}"),
        ]
        if self.input_operations:
            rows.append(("of which for the constant input", *[f"{2 * self.input_operations:,}"] * 2, ""))
        rows += [
            ("neurons", "", f"{self.n_neurons:,}", ""),
            ("spikes per neuron", "", f"{self.spikes_per_neuron:.3f}", ""),
            ("neuron updates (not in operations)", "", f"{self.neuron_updates:,}", ""),
        ]
        for energy in self.energies:
            for remark, joules in (("", energy.snn), (", with neuron updates", energy.snn_with_updates)):
                ann = "" if energy.ann is None else _microjoules(energy.ann)
                ratio = "" if energy.ann is None else f"{_ratio(energy.ann, joules):.1f}"
                rows.append((f"energy, {energy.source}{remark}", ann, _microjoules(joules), ratio))
        return rows

    def layer_rows(self) -> list[tuple[str, ...]]:
        """Return operations by the layer whose activity causes them, as rows of text with a header."""
        rows: list[tuple[str, ...]] = [("caused by", "ANN", "spikes", "ANN / spikes")]
        for name, layer in self.active_layers().items():
            ratio = f"{_ratio(layer.flops, layer.operations):.1f}" if layer.flops else ""
            rows.append((name, f"{layer.flops:,.0f}", f"{layer.operations:,.0f}", ratio))
        return rows

    def active_layers(self) -> dict[str, LayerOperations]:
        """Return the layers that cause operations; neurons that are only read by maxima do not."""
        return {name: layer for name, layer in self.layers.items() if layer.flops or layer.operations}

    def table(self) -> str:
        """Return the results, the operations of each layer and remarks on their limits, as text."""
        return "\n\n".join([text_table(self.rows()), text_table(self.layer_rows()), " ".join(self.remarks())])

    def remarks(self) -> list[str]:
        """Return sentences on costs that the results do not include."""
        remarks = ["Energy is for arithmetic only, without memory access and data transfer."]
        if self.graded:
            names = ", ".join(map(repr, self.graded))
            remarks.append(f"Synaptic operations do not include {names}: no neurons precede them.")
        return remarks

    def to_dict(self) -> dict:
        """Return the results as JSON-serializable values; energies in joules."""
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

    def plot(self, axes: typing.Any = None) -> Plot:
        """Draw the operations of each layer, those of the ANN beside those with spikes.

        Returns
        -------
        Plot
            Shown in a notebook; ``.savefig(path)`` writes it to a file.
        """
        from ..plots import plot_operations

        return plot_operations(self, axes)


def efficiency(network: ConvNetwork, evaluation: Evaluation) -> Efficiency:
    """Compare operations, spikes and energy of a spiking network with its ANN, for one image.

    The table is that of Lopez-Randulfe, Reeb & Knoll 2022 (table 1), for any network: floating-point operations of the
    ANN against additions that spikes cause, with exact fan-out at the borders of images.  Costs that papers often omit
    have separate rows: multiply-accumulates of a constant input current, which are computed once; and neuron
    updates, one in every step, with or without spikes.

    Energy is estimated from published energies of single operations.  It is for arithmetic only; memory access and
    communication often cost more.

    - Horowitz 2014: 4.6 pJ for a multiply-accumulate (3.7 for the product and 0.9 for the sum) of 32-bit floating-point
      numbers at 45 nm and 0.9 V.  A synaptic operation or a neuron update is one sum.
    - Davies et al. 2018, table 2: at least 23.6 pJ for a synaptic operation of Loihi, 81 pJ for an active neuron update
      and 52 pJ for an inactive one, at 14 nm and 0.75 V, from simulations of the design.  A neuron counts as active in
      each step in which it integrates; two-stage neurons are inactive outside their stages.  Multiply-accumulates of a
      constant input current are computed outside the chip, at the energy of Horowitz 2014.

    Parameters
    ----------
    network : ConvNetwork
        Spiking network, made by ``to_ttfs``, ``to_spiking`` or ``build_trainable``.
    evaluation : Evaluation
        Evaluation of this network.

    Returns
    -------
    Efficiency

    Raises
    ------
    SettingsError
        If the network does not spike, or the evaluation belongs to another network.

    Examples
    --------
    >>> snn = snc.to_ttfs(snc.convert(keras_model), x_train[:1000], n_steps=16)
    >>> print(snc.efficiency(snn, snc.evaluate(snn, x_test, y_test)).table())

    References
    ----------
    Horowitz 2014, "Computing's energy problem (and what we can do about it)", ISSCC, doi 10.1109/ISSCC.2014.6757323.

    Davies et al. 2018, "Loihi: a neuromorphic manycore processor with on-chip learning", IEEE Micro 38(1), doi
    10.1109/MM.2018.112130359.
    """
    check_network(network)
    _check_evaluation(network, evaluation)
    updates, idle = _updates(network, evaluation)
    operations, spikes = evaluation.synaptic_operations, evaluation.spikes_per_neuron
    assert operations is not None and spikes is not None  # the network spikes
    return Efficiency(
        ann_accuracy=evaluation.ann_score,
        accuracy=float(evaluation.score[-1]),
        score_name=evaluation.score_name,
        flops=2 * evaluation.ann_operations,
        synaptic_operations=float(operations),
        input_operations=evaluation.input_operations,
        n_neurons=sum(layer.n_neurons for layer in evaluation.layers.values()),
        spikes_per_neuron=float(spikes),
        neuron_updates=updates,
        idle_updates=idle,
        layers=_layers(network, evaluation),
        graded=analog_layers(network.model),
    )


def _check_evaluation(network, evaluation):
    """Check that an evaluation is of this network, and that the network spikes."""
    model, settings = network.model, network.settings
    if not hasattr(evaluation, "synaptic_operations"):
        raise SettingsError(
            f"evaluation must be an Evaluation, got {type(evaluation).__name__}: evaluate(...) returns one",
            argument="evaluation",
        )
    if not evaluation.layers:
        raise SettingsError(
            "the evaluated network has no spiking neurons: evaluate a network with rectifiers that was made by "
            "to_ttfs or to_spiking",
            argument="evaluation",
        )
    neurons = {name: model.size(name) for name in model.neurons}
    evaluated_neurons = {name: layer.n_neurons for name, layer in evaluation.layers.items()}
    if evaluated_neurons != neurons:
        raise SettingsError(
            f"the evaluation is of another network: its numbers of neurons are {evaluated_neurons}, those of this "
            f"network {neurons}",
            argument="evaluation",
        )
    n_steps = settings.total_steps(model) or evaluation.n_steps
    if n_steps != evaluation.n_steps or not settings.neuron_type.spiking:
        raise SettingsError(
            "the evaluation is of another network, with the same neurons but another neuron type or number of steps: "
            "evaluate this network",
            argument="evaluation",
        )
    if (settings.input_spikes or evaluation.moving) != bool(evaluation.input_layer):
        raise SettingsError(
            "the evaluation is of another network, with another input coding: evaluate this network",
            argument="evaluation",
        )


def _updates(network, evaluation):
    """Return the numbers of active and of idle updates, over all neurons and steps."""
    settings = network.settings
    again = settings.relay_stages(network.model)
    all_steps, active, idle = evaluation.mean_steps, 0.0, 0.0
    for name, layer in evaluation.layers.items():
        neurons = layer.n_neurons * (1 + again.get(name, 0))
        steps = min(settings.active_steps(network.model, name) or all_steps, all_steps)
        active += neurons * steps
        idle += neurons * (all_steps - steps)
    return round(active), round(idle)


def _layers(network, evaluation):
    """Return operations by the layer that causes them: the input, layers of neurons, maxima, relayed spikes."""
    model, flops = network.model, flops_by_source(network.model)
    spiking_input = evaluation.input_layer
    operations = {model.input: spiking_input.synaptic_operations if spiking_input else 2 * evaluation.input_operations}
    operations |= {name: layer.synaptic_operations for name, layer in evaluation.layers.items()}
    operations |= evaluation.relay_operations
    ordered = [name for name in model.layers if name in operations]
    ordered += [name for name in operations if name not in model.layers]
    return {name: LayerOperations(flops.get(name, 0.0), operations[name]) for name in ordered}


def _ratio(ann, snn):
    return ann / snn if snn else float("inf")


def _microjoules(joules):
    return f"{1e6 * joules:.3g} µJ"
