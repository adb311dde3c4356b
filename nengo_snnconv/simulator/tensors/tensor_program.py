"""TensorProgram: a network as a function of tensors that computes a chunk of steps, layer by layer."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Sequence

import nengo
import numpy as np

from ...compat import tf
from ...errors import ConversionError
from ...neurons.poisson_input import PoissonInput
from ..compile.network_view import NetworkView, is_function
from ..compile.neuron_kinds import is_signed
from .maxima import MaximaScan, is_pooling, maxima_of
from .scans import FilterScan, NeuronScan
from .tensor_maps import tensor_map

# attributes of neurons whose probes see their output
OUTPUTS = ("output", "spikes", "rates")


@dataclasses.dataclass
class Chunk:
    """Signals and states of a chunk of steps, while it is computed.

    Attributes
    ----------
    images : tf.Tensor, (steps or 1, images, size)
        Output of the input node.
    states : dict of list of tf.Tensor, (images, size)
        States by the object that has them, replaced as the chunk proceeds.
    n_steps : int
    values : dict of nengo object to tf.Tensor, (steps or 1, images or 1, size)
        Outputs; of pooling neurons, only the maxima.
    traces : dict of (nengo.ensemble.Neurons, str) to tf.Tensor, (steps, images, size)
        Probed states of neurons.
    """

    images: tf.Tensor
    states: dict[typing.Any, list[tf.Tensor]]
    n_steps: int
    values: dict[typing.Any, tf.Tensor] = dataclasses.field(default_factory=dict)
    traces: dict[typing.Any, tf.Tensor] = dataclasses.field(default_factory=dict)


class TensorProgram:
    """Computes the part of a network that its probes and counters need.

    Parameters
    ----------
    network : ConvNetwork
        Networks of ``build_trainable`` are computed in their native form.
    dt : float
        Seconds per step.
    probes : list of nengo.Probe
        Probes of outputs or of states of neurons, without synapses.
    counted : dict of str to (Nengo object, float)
        Objects whose events are counted, and the factor from the magnitude of an event to a number of spikes; 0 counts
        each event as one.

    Attributes
    ----------
    initial : list of list of ndarray of float32, (size,)
        Initial states of each object with states.
    signed : list of str
        Names of the counted neurons that can emit negative spikes.
    bytes_per_step : int
        Approximate peak memory of an image in a step, apart from the states.

    Raises
    ------
    ConversionError
        If the network has an object that is not supported; the message names a back end that runs it.
    """

    def __init__(
        self,
        network: typing.Any,
        dt: float,
        probes: Sequence[nengo.Probe],
        counted: dict[str, tuple[typing.Any, float]] | None = None,
    ):
        self.dt, self.probes, self.counted = dt, list(probes), counted or {}
        self.view = NetworkView(network, self.probes, [obj for obj, _ in self.counted.values()])
        self.network = network
        self.signed = [name for name, (obj, weight) in self.counted.items() if weight and is_signed(obj)]
        needed = [probe.obj for probe in self.probes] + [obj for obj, _ in self.counted.values()]
        self._order: dict[typing.Any, typing.Any] = {}
        for obj in map(self.view.stand_in, needed):
            self._order |= dict.fromkeys(self.view.in_order(obj, self._order))
        self._readers: dict[typing.Any, list] = {obj: [] for obj in self._order}
        for obj in self._order:
            for connection in self.view.into(obj):
                self._readers[self.view.source_of(connection)].append(connection)
        self._states: dict[typing.Any, list[np.ndarray]] = {}
        self._scans: dict[typing.Any, NeuronScan] = {}
        self._pooling: set = set()
        for obj in self._order:
            make = self._neurons if isinstance(obj, nengo.ensemble.Neurons) else self._node
            self._order[obj] = make(obj)
        self.initial = list(self._states.values())
        self.bytes_per_step = self._peak_memory()

    def states(self, n_images: int, first_image: int) -> list[list[tf.Tensor]]:
        """Return the states at time 0, (images, size) each.

        Parameters
        ----------
        n_images : int
        first_image : int
            Number of the first image in its minibatch, on which Poisson spikes depend.
        """
        states = [[tf.tile(state[None], (n_images, 1)) for state in group] for group in self.initial]
        numbers = tf.range(first_image, first_image + n_images, dtype=tf.float32)[:, None]
        for group, obj in zip(states, self._states, strict=True):
            if isinstance(obj, nengo.ensemble.Neurons) and isinstance(obj.ensemble.neuron_type, PoissonInput):
                group[0] += numbers
        return states

    def initial_state(self, neurons: nengo.ensemble.Neurons, name: str) -> np.ndarray | None:
        """Return the initial state of neurons, (neurons,); None if they have no such state or are not simulated."""
        names, states = list(neurons.ensemble.neuron_type.state), self._states.get(self.view.stand_in(neurons))
        return None if states is None or name not in names else states[names.index(name)]

    def compute(
        self, images: tf.Tensor, states: list[list[tf.Tensor]], n_steps: int, n_images: tf.Tensor
    ) -> tuple[list[tf.Tensor], list[tuple[tf.Tensor, tf.Tensor]], list[tf.Tensor], list[list[tf.Tensor]]]:
        """Compute a chunk of steps.

        Parameters
        ----------
        images : tf.Tensor, (steps or 1, images, size)
        states : list of list of tf.Tensor, (images, size)
        n_steps : int
        n_images : tf.Tensor
            Number of images, from the first one, whose events are counted.

        Returns
        -------
        samples : list of tf.Tensor, (steps, images, size)
            Values of each probe.
        counts : list of (tf.Tensor, tf.Tensor), float64
            Numbers of events of each counted object in each step, (steps,), and of each unit, (units,).
        negative : list of tf.Tensor, float64
            Number of negative spikes of the neurons ``signed``.
        states : list of list of tf.Tensor
            States after the chunk.
        """
        chunk = Chunk(images, dict(zip(self._states, states, strict=True)), n_steps)
        for obj, compute in self._order.items():
            chunk.values[obj] = compute(chunk)
        samples = [self._sample(probe, chunk) for probe in self.probes]
        real = tf.cast(tf.range(images.shape[1]) < n_images, tf.float32)[:, None]
        counts, negative = [], []
        for name, (obj, weight) in self.counted.items():
            values = self._in_all_steps(chunk.values[self.view.stand_in(obj)], chunk)
            counts.append(_counts(values, real, weight))
            if name in self.signed:
                negative.append(_counts(tf.nn.relu(-values), real, weight)[0])
        return samples, counts, [tf.reduce_sum(by_step) for by_step in negative], list(chunk.states.values())

    def _in_all_steps(self, values, chunk):
        """Return values of all steps and images, (steps, images, size)."""
        return tf.broadcast_to(values, (chunk.n_steps, chunk.images.shape[1], values.shape[-1]))

    def _sample(self, probe, chunk):
        obj = self.view.stand_in(probe.obj)
        if probe.attr in OUTPUTS:
            return self._in_all_steps(chunk.values[obj], chunk)
        return chunk.traces[obj, probe.attr]

    def _node(self, node):
        """Return the function that computes the output of a node from a Chunk."""
        if node is self.network.input:
            return lambda chunk: chunk.images
        if node.size_in == 0:
            if is_function(node):
                raise ConversionError(f"{node} computes a function, which only the input may do: use backend='nengo'")
            value = tf.constant(np.broadcast_to(node.output, (1, 1, node.size_out)), tf.float32)
            return lambda chunk: value
        terms = self._terms(node)
        return lambda chunk: sum((term(chunk) for term in terms[1:]), terms[0](chunk))

    def _terms(self, obj):
        """Return functions whose sum is the input of an object."""
        if not self.view.into(obj):
            zeros = tf.zeros((1, 1, obj.size_in))
            return [lambda chunk: zeros]
        return [self._term(connection) for connection in self.view.into(obj)]

    def _term(self, connection):
        """Return the function that computes what a connection adds to its target."""
        source = self.view.source_of(connection)
        # the slice of a connection that reads pooling neurons selects the maxima, which is all that is computed
        apply = _unchanged if source in self._pooling else tensor_map(connection)
        size = connection.size_out if connection.synapse is None else connection.post_obj.size_in
        return self._filtered(lambda chunk: apply(chunk.values[source]), connection.synapse, connection, size)

    def _filtered(self, compute, synapse, key, size):
        """Return the function that computes a filtered signal; the unfiltered one if ``synapse`` is None."""
        if synapse is None:
            return compute
        run = FilterScan(synapse, self.dt)
        self._states[key] = [np.zeros(size, np.float32)] * run.n_states

        def filtered(chunk):
            output, chunk.states[key] = run(compute(chunk), chunk.states[key], chunk.n_steps)
            return output

        return filtered

    def _neurons(self, neurons):
        """Return the function that computes the output of neurons from a Chunk."""
        ensemble = neurons.ensemble
        neuron_type, size = ensemble.neuron_type, neurons.size_in
        if is_pooling(neurons, self.view, self._readers[neurons]):
            return self._maxima(neurons)
        gain, bias = (_number_if_equal(values) for values in self.view.gain_bias(ensemble))
        terms, run = self._terms(neurons), self._neuron_scan(neuron_type, size)
        traced = tuple(
            dict.fromkeys(
                probe.attr
                for probe in self.probes
                if self.view.stand_in(probe.obj) is neurons and probe.attr not in OUTPUTS
            )
        )
        rng = np.random.RandomState(self.view.seed(ensemble) + 1)
        initial = neuron_type.make_state(size, rng=rng, dtype=np.float32)
        if initial:
            self._states[neurons] = [np.broadcast_to(state, (size,)).astype(np.float32) for state in initial.values()]

        def compute(chunk):
            currents, states = [term(chunk) for term in terms], chunk.states.get(neurons, [])
            (output, *traces), states = run(currents, gain, bias, states, chunk.n_steps, traced)
            if states:
                chunk.states[neurons] = states
            chunk.traces |= {(neurons, name): trace for name, trace in zip(traced, traces, strict=True)}
            return output

        return compute

    def _neuron_scan(self, neuron_type, size):
        """Return the NeuronScan of a type and size, which layers share, so that it is compiled once."""
        if (neuron_type, size) not in self._scans:
            self._scans[neuron_type, size] = NeuronScan(neuron_type, size, self.dt)
        return self._scans[neuron_type, size]

    def _maxima(self, gate):
        """Return the function that computes the maxima of a gate from a Chunk."""
        (connection,), neuron_type = self.view.into(gate), gate.ensemble.neuron_type
        source = self.view.source_of(connection)
        entries = np.arange(source.size_out)[connection.pre_slice].reshape(-1, neuron_type.window)
        # a filter of each unit commutes with the selection of units
        read = self._filtered(lambda chunk: chunk.values[source], connection.synapse, connection, source.size_out)
        name = str(gate.ensemble.label).removesuffix(".gate")
        maxima = maxima_of(entries, getattr(self.network, "model", None), name)
        run = MaximaScan(maxima, neuron_type.cumulative)
        self._pooling.add(gate)
        if neuron_type.cumulative:
            self._states[gate] = [np.zeros(size, np.float32) for size in (source.size_out, len(entries))]

        def compute(chunk):
            output, states = run(read(chunk), chunk.states.get(gate, []), chunk.n_steps)
            if states:
                chunk.states[gate] = states
            return output

        return compute

    def _peak_memory(self):
        """Return the peak memory of an image in a step, if signals are freed after their last use."""
        last = {source: obj for obj in self._order for source in map(self.view.source_of, self.view.into(obj))}
        kept = {self.view.stand_in(probe.obj) for probe in self.probes}
        held, most = {}, 0
        for obj in self._order:
            held[obj] = obj.size_out
            # a convolution or a scan may rearrange its input, and has its output twice while it is collected
            most = max(most, sum(held.values()) + 2 * obj.size_out)
            for source in map(self.view.source_of, self.view.into(obj)):
                if last[source] is obj and source not in kept:
                    held.pop(source, None)
        return 4 * most


def _unchanged(values):
    return values


def _number_if_equal(values):
    """Return a number if all values are equal, else the array."""
    return float(values[0]) if (values == values[0]).all() else values


@functools.partial(tf.function, autograph=False, jit_compile=True)
def _counts(values, real, weight):
    """Return numbers of events in each step, (steps,), and of each unit, (units,), float64.

    Parameters
    ----------
    values : tf.Tensor, (steps, images, units)
    real : tf.Tensor, (images, 1)
        1 for images that are counted, 0 for others.
    weight : float
        Factor from the magnitude of an event to a number of spikes; 0 counts each event as one.
    """
    numbers = tf.round(abs(values) * weight) if weight else tf.cast(values != 0, tf.float32)
    # sums over images are exact in float32, those over units may not be
    of_units = tf.cast(tf.reduce_sum(numbers * real, axis=1), tf.float64)
    return tf.reduce_sum(of_units, axis=1), tf.reduce_sum(of_units, axis=0)
