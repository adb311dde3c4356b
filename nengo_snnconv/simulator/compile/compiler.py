"""The compiler of the fast simulator: from the objects of a Nengo network to a Program.

Layers are linear maps between neurons.  The outputs of neurons stay lists of events; a linear map adds the rows of its
table that belong to them; only sums become rows of numbers.  Maps that only select units are applied to events, and
signals that no probe and no counter needs are not computed.
"""

import contextlib

import nengo
import numpy as np

from ...errors import ConversionError
from ..program import padded
from .network_view import is_function
from .neuron_kinds import initial_states, kind_of
from .program_writer import ALWAYS, ProgramWriter
from .signal_operations import SignalOperations
from .signals import Signal, Sum, Term, linear_map, without_averages
from .window_tables import window_table

# gain, bias, dt / tau, residue and lower bound with which integrate-and-fire neurons only add their input
PLAIN = 1, 0, 1, 1, -np.inf
# attributes of neurons whose probes see their output
OUTPUTS = ("output", "spikes", "rates")


class Compiler:
    """Compiles the part of a network that its probes and counters need.

    Call :meth:`record` for each probe and :meth:`count` for each counter, then ``writer.finish``.

    Parameters
    ----------
    view : NetworkView
        The network.
    dt : float
    fed : dict of nengo.Node to bool
        Nodes that are fed with data; True for those whose data change from step to step.
    layout : StateLayout
        States of neurons and filters are added to it.

    Attributes
    ----------
    writer : ProgramWriter
        The program.
    """

    def __init__(self, view, dt, fed, layout):
        self.view, self.dt, self.fed, self.layout = view, dt, fed, layout
        self.inputs = list(fed)
        self.signals, self.traces, self.currents = {}, {}, {}
        self.writer = ProgramWriter()
        self.compute = SignalOperations(self.writer, layout, dt)

    # probes and counters

    def record(self, probe, number):
        """Record the samples of a probe."""
        with self._owned_by(self.view.stand_in(probe.obj)):
            row, offset, size = self._probed(probe)
        if probe.synapse is not None:
            target = self.writer.fill(np.zeros(size, np.float32), False)
            self.compute.filter(probe.synapse, row, target, ("probe", probe), size, offset)
            row, offset = target, 0
        # also constant rows are recorded in each step
        self.writer.do("record", size=size, source=row, source_offset=offset, parameter=number)

    def count(self, obj, weight, first_unit, number, negative=None):
        """Count the events of an object.

        Parameters
        ----------
        obj : Nengo object
        weight : float
            Factor from the magnitude of an event to a number of spikes; 0 counts each event as one.
        first_unit : int
            Where its units begin in ``Counters.per_unit``.
        number : int
            Row of ``Counters.per_step``.
        negative : int, optional
            Row of ``Counters.per_step`` for the negative events.
        """
        with self._owned_by(self.view.stand_in(obj)) as owner:
            events = self.compute.events(self._signal(owner))
        fields = {"events_in": events, "target": first_unit, "parameter": number}
        constant = np.array([weight], np.float32)
        self.writer.do("count", constant=constant, **fields)
        if negative is not None:
            self.writer.do("count_negative", constant=constant, events_in=events, parameter=negative)

    def _probed(self, probe):
        """Return where a probe reads: (row, offset, size)."""
        obj = self.view.stand_in(probe.obj)
        signal, size = self._signal(obj), probe.obj.size_out
        if probe.attr in OUTPUTS:
            return self.compute.dense(signal), 0, size
        if probe.attr == "input":
            current, gain, bias = self.currents[obj]
            if gain != 1 or bias != 0:
                current = self.compute.scale(current, np.full(size, gain), np.full(size, bias))
            return self.compute.dense(current), 0, size
        states = kind_of(obj.ensemble.neuron_type, self.dt).probeable
        if probe.attr not in states:
            raise ConversionError(
                f"the fast simulator cannot probe {probe.attr!r} of {probe.target}; it can probe "
                f"{', '.join(('output', 'input', *states))}",
                layer=self.view.layer_of(probe.target),
            )
        return self.traces[obj], states.index(probe.attr) * padded(size), size

    # objects of the network

    def _signal(self, obj):
        """Return the signal of a Node or of Neurons; compile first what it depends on."""
        if obj not in self.signals:
            for earlier in self.view.in_order(obj, self.signals):
                make = self._neurons if isinstance(earlier, nengo.ensemble.Neurons) else self._node
                with self._owned_by(earlier):
                    self.signals[earlier] = make(earlier)
        return self.signals[obj]

    @contextlib.contextmanager
    def _owned_by(self, obj):
        """Add operations for an object."""
        before, self.writer.owner = self.writer.owner, obj
        yield obj
        self.writer.owner = before

    def _node(self, node):
        if node in self.fed:
            row = self.writer.row(node.size_out, not self.fed[node])
            number = self.inputs.index(node)
            self.writer.do("load", once=row.constant, size=row.size, target=row, parameter=number)
            return Signal(row.size, row.constant, row=row)
        if node.size_in == 0:
            # outputs of functions are fed; without them NaN reaches everything that depends on the node
            output = np.nan if is_function(node) else node.output
            value = np.broadcast_to(np.asarray(output, np.float32), (node.size_out,))
            return Signal(node.size_out, True, value=value)
        return self._input_sum(node, node.size_in)

    def _input_sum(self, obj, size):
        """Return the sum of all connections into an object, as a signal."""
        terms, offset = [], np.zeros(size, np.float32)
        for connection in self.view.into(obj):
            source = self._signal(self.view.source_of(connection))
            parts = linear_map(connection, self.view.map_of(connection), source)
            term = Term(*without_averages(*parts), connection.synapse)
            known = source.value is not None and term.synapse is None
            if known and term.map is None:
                offset = offset + source.value
            elif not (known and not source.value.any()):
                terms.append(term)
        shared = self.view.n_readers(obj) > 1 or self.view.is_probed(obj, ("input",))
        if len(terms) == 1 and terms[0].map is None and terms[0].synapse is None and not offset.any():
            terms[0].source.shared |= shared
            return terms[0].source
        return Sum(size, terms, offset, obj, shared)

    def _neurons(self, neurons):
        kind, size = self._kind(neurons), neurons.size_in
        current, gain, bias = self.currents[neurons] = self._current(neurons, kind)
        fields = {"size": size, "parameter": kind.parameter}
        numbers = (kind.height, gain, bias, *kind.constants) if kind.gain else kind.constants
        if numbers:
            fields["constant"] = np.resize(np.array([*numbers, *[0.0] * 8], np.float32), max(8, len(numbers)))
        operation = kind.operation
        if operation == "integrate_and_fire":
            growth, _, residue, floor = kind.constants
            if tuple(map(np.float32, (gain, bias, growth, residue, floor))) == PLAIN:
                operation = "plain_integrate_and_fire"
        if kind.states:
            states = initial_states(neurons.ensemble, self.view.seed(neurons.ensemble), kind)
            if operation == "lif" and states[0].max() > 1:
                operation = "coarse_lif"  # potentials above the threshold are beyond the series of the faster loop
            if operation == "max_gate":
                fields |= self._max_gate_fields(neurons, kind, states[0], current)
            else:
                fields |= self._state_fields(neurons, kind, states)
        steps = ALWAYS if current.shared else kind.input_steps
        if operation == "max_gate":
            operation, constant = fields.pop("operation"), False
        elif kind.reads == "events":
            fields["events_in"] = self.compute.events(current, steps)
            constant = False
        else:
            fields["source"] = self.compute.dense(current, steps)
            constant = fields["source"].constant and not kind.states
            if operation == "lif" and fields["source"].constant and "trace" not in fields:
                operation = "lif_of_constant"
        if kind.emits == "events":
            ordered = operation.startswith("max_gate") or "events_in" not in fields or fields["events_in"].ordered
            fields["events_out"] = self.writer.events(size, constant, ordered)
            emitted = Signal(size, constant, sparse=True, events=fields["events_out"])
        else:
            fields["target"] = self.writer.row(size, constant)
            emitted = Signal(size, constant, row=fields["target"])
        self.writer.do(operation, kind.active_steps, once=constant, **fields)
        return emitted

    def _max_gate_fields(self, neurons, kind, totals, current):
        """Return the fields of a gate for maxima, and its operation.

        It sums the units from which its only connection selects, each once, although windows may overlap.  If a probe
        reads the sums, or initial sums differ, it sums each entry of the windows.  The choice does not depend on which
        nodes are fed, because a run may continue with others.
        """
        entries, source = np.arange(neurons.size_in), current
        connections = self.view.into(neurons)
        whole = self.view.is_probed(neurons, kind.probeable) or (totals != totals[0]).any()
        if not whole and len(connections) == 1 and connections[0].synapse is None:
            (connection,) = connections
            read = self._signal(self.view.source_of(connection))
            term = Term(*linear_map(connection, self.view.map_of(connection), read), None)
            selected = term.selected_units(neurons.size_in)
            if selected is not None:
                source, entries = term.source, selected
                totals = np.full(source.size, totals[0])
        entries = entries.reshape(-1, kind.parameter)
        # the largest sum of each window, which Nengo recomputes, is a hidden state
        states = np.zeros((2, max(source.size, len(entries))), np.float32)
        states[0, : source.size], states[1, : len(entries)] = totals, totals[entries].max(axis=1)
        fields = {"table": self.writer.table(window_table(entries, source.size))}
        fields |= {"state": self.layout.allocate(neurons, states), "state_stride": padded(states.shape[1])}
        if self.view.is_probed(neurons, kind.probeable):
            fields["trace"] = self.traces[neurons] = self.writer.row(padded(neurons.size_in), False)
        if source.sparse or source.events is not None:
            return fields | {"operation": "max_gate", "events_in": self.compute.events(source)}
        return fields | {"operation": "max_gate_dense", "source": self.compute.dense(source)}

    def _kind(self, neurons):
        """Return the NeuronKind of neurons; errors name their layer."""
        try:
            return kind_of(neurons.ensemble.neuron_type, self.dt)
        except ConversionError as error:
            raise ConversionError(str(error), layer=self.view.layer_of(neurons)) from None

    def _current(self, neurons, kind):
        """Return the input of neurons, and the gain and bias that their operation applies: (Signal, gain, bias)."""
        gain, bias = self.view.gain_bias(neurons.ensemble)
        current = self._input_sum(neurons, neurons.size_in)
        uniform = (gain == gain[0]).all() and (bias == bias[0]).all()
        if not (kind.gain and uniform) and not ((gain == 1).all() and (bias == 0).all()):
            return self.compute.scale(current, gain, bias), 1.0, 0.0
        return current, gain[0], bias[0]

    def _state_fields(self, neurons, kind, states):
        """Return the fields of an operation that concern its states."""
        size = neurons.size_in
        known = neurons in self.layout.begins
        begin = self.layout.allocate(neurons, np.array(states, np.float32))
        if kind.operation == "poisson_input" and not known:
            self.layout.item_numbers.append((begin + kind.states.index("item") * padded(size), size))
        fields = {"state": begin, "state_stride": padded(size)}
        if self.view.is_probed(neurons, kind.probeable):
            fields["trace"] = self.traces[neurons] = self.writer.row(len(kind.states) * padded(size), False)
        return fields
