"""The compiler of the fast simulator: from the objects of a Nengo network to a Program.

Layers are linear maps between neurons.  What neurons emit stays a list of events; a linear map adds the rows of its
table that belong to them; only sums become rows of numbers.  Maps that merely select are done on events, and nothing is
computed that no probe and no count asks for.
"""

import dataclasses

import nengo
import numpy as np

from ...errors import ConversionError
from ..kernels.vectors import LANES
from . import program, tables
from .neuron_kinds import initial_states, kind_of
from .objects import is_function
from .program import FOREVER, Pool, padded
from .windows import Gathering, Window

ALWAYS = (0, FOREVER)
# what a probe may call the output of neurons
OUTPUTS = ("output", "spikes", "rates")


@dataclasses.dataclass(eq=False)
class _Memory:
    """Memory of a signal of ``size`` units: for each step, or once if it is constant."""

    size: int
    constant: bool
    begin: int = None

    @property
    def room(self):
        """Entries of a step."""
        return padded(self.size)

    @property
    def stride(self):
        return 0 if self.constant else self.room


class Row(_Memory):
    """Memory of a dense signal."""


@dataclasses.dataclass(eq=False)
class Events(_Memory):
    """Memory of a signal as events, ``size`` at most a step."""

    number: int = None
    ordered: bool = True  # whether they are in the order of units

    @property
    def room(self):
        return super().room + LANES  # vectors are written that end behind the last one


@dataclasses.dataclass(eq=False)
class Part:
    """A linear map that is added to a sum: ``table`` is a Table, or None for the identity."""

    source: object
    table: object
    synapse: object

    @property
    def selects(self):
        return self.synapse is None and (self.table is None or self.table.selects)


class Signal:
    """What an object of the network emits; made dense, or events, when something asks for it.

    Attributes
    ----------
    size : int
    constant : bool
        Whether it is the same in each step.
    sparse : bool
        Whether it is events by nature.
    """

    def __init__(self, size, constant, sparse=False, row=None, events=None, value=None):
        self.size, self.constant, self.sparse = size, constant, sparse
        self.row, self.events, self.value = row, events, value
        self.shared = True  # whether more than one object reads it, or a probe


class Sum(Signal):
    """The sum of parts, and of ``offset``."""

    def __init__(self, size, parts, offset=None, obj=None, shared=False):
        offset = np.zeros(size, np.float32) if offset is None else offset
        self.parts, self.offset, self.obj = parts, offset, obj
        constant = all(part.source.constant and part.synapse is None for part in parts)
        selects = not offset.any() and all(part.selects and part.source.sparse for part in parts)
        super().__init__(size, constant, sparse=bool(parts) and selects and _disjoint(parts, size))
        self.shared = shared


def _disjoint(parts, size):
    """Whether no two parts write the same unit."""
    written = np.zeros(size, np.int64)
    for part in parts:
        np.add.at(written, slice(None) if part.table is None else part.table.runs[:, 0], 1)
    return written.max(initial=0) <= 1


class Layout:
    """Where the states of neurons and filters lie in an image's memory, and how they begin."""

    def __init__(self):
        self.places, self.states, self.size, self.items = {}, {}, 0, []

    def place(self, key, states):
        """Where ``states``, an array (states, units), begin: the same place whenever asked for ``key``."""
        if key not in self.places:
            self.places[key], self.states[key] = self.size, states
            self.size += len(states) * padded(states.shape[1])
        return self.places[key]

    def initial(self, place=0):
        """The states of an image at the start, float32 (numbers,), if the first one has this place in its minibatch."""
        memory = np.zeros(padded(max(self.size, 1)), np.float32)
        for key, states in self.states.items():
            for k, state in enumerate(states):
                at = self.places[key] + k * padded(len(state))
                memory[at : at + len(state)] = state
        for at, size in self.items:
            memory[at : at + size] += place
        return memory


def _made(request):
    """What a generator returns that yields others, whose results it is sent: calls without Python's limit of depth."""
    waiting, result = [request], None
    while waiting:
        try:
            waiting.append(waiting[-1].send(result))
            result = None
        except StopIteration as end:
            waiting.pop()
            result = end.value
    return result


class Compiler:
    """Compiles what a network does until its probes and counts are known.

    Parameters
    ----------
    objects : Objects
        The network.
    dt : float
    fed : dict of nengo.Node to bool
        The nodes that are fed with data, and whether they change from step to step.
    layout : Layout
        Is added to.
    """

    def __init__(self, objects, dt, fed, layout):
        self.objects, self.dt, self.fed, self.layout = objects, dt, fed, layout
        self.rows, self.streams, self.operations = [], [], []
        self.signals, self.traces, self.currents = {}, {}, {}
        self.inputs = list(fed)
        self.first, self.runs = Pool(np.int32), Pool(np.int32, shape=(3,))
        self.weights = Pool(np.float32, align=program.ALIGNED)
        self.constants = Pool(np.float32, align=program.ALIGNED)
        self.tables, self.gatherings, self.table_numbers = [], [], {}

    # the objects of the network

    def signal(self, obj):
        """The signal of a Node or of Neurons."""
        if obj not in self.signals:
            for earlier in self.objects.in_order(obj, self.signals):
                make = self._neurons if isinstance(earlier, nengo.ensemble.Neurons) else self._node
                self.signals[earlier] = make(earlier)
        return self.signals[obj]

    def _node(self, node):
        if node in self.fed:
            row = self._row(node.size_out, not self.fed[node])
            self._do(
                program.LOAD, size=row.size, target=row, number=self.inputs.index(node), constant_rows=row.constant
            )
            return Signal(row.size, row.constant, row=row)
        if node.size_in == 0:
            # what a function says is fed; without it NaN reaches whatever depends on it
            output = np.nan if is_function(node) else node.output
            value = np.broadcast_to(np.asarray(output, np.float32), (node.size_out,))
            return Signal(node.size_out, True, value=value)
        return self._sum(node, node.size_in)

    def _sum(self, obj, size):
        """What arrives at an object, as a signal."""
        parts, offset = [], np.zeros(size, np.float32)
        for connection in self.objects.into(obj):
            source = self.signal(self.objects.source_of(connection))
            part = Part(*self._linear(connection, source), connection.synapse)
            known = source.value is not None and part.synapse is None
            if known and part.table is None:
                offset = offset + source.value
            elif not (known and not source.value.any()):
                parts.append(part)
        shared = self.objects.readers(obj) > 1 or self.objects.probed(obj, ("input",))
        if len(parts) == 1 and parts[0].table is None and parts[0].synapse is None and not offset.any():
            parts[0].source.shared |= shared
            return parts[0].source
        return Sum(size, parts, offset, obj, shared)

    def _linear(self, connection, source):
        """(source, table) of a connection; the source is another signal where only some of its units are sent."""
        table = self.objects.table(connection)
        sent = _indices(connection.pre_slice, connection.pre_obj.size_out)
        received = _indices(connection.post_slice, connection.post_obj.size_in)
        size_in, size_out = source.size, connection.post_obj.size_in
        if not isinstance(table, tables.Table | Window):  # unit by unit
            if table is None and sent is None and received is None:
                return source, None
            sent = np.arange(size_in) if sent is None else sent
            received = np.arange(size_out) if received is None else received
            values = np.ones(len(sent)) if table is None else table
            return source, tables.from_entries(received, sent, values, size_in, size_out, selects=table is None)
        if sent is not None:
            chosen = tables.from_entries(np.arange(len(sent)), sent, np.ones(len(sent)), size_in, len(sent), True)
            source = Sum(len(sent), [Part(source, chosen, None)])
        if received is not None:
            table = table.table if isinstance(table, Window) else table
            if np.array_equal(received, np.arange(received[0], received[0] + len(received))):
                runs = table.runs + np.array([received[0], 0, 0], np.int32)
                table = dataclasses.replace(table, runs=runs)
            else:
                source = Sum(table.size_out, [Part(source, table, None)])
                table = tables.from_entries(
                    received, np.arange(len(received)), np.ones(len(received)), len(received), size_out, True
                )
        return source, table

    def _neurons(self, neurons):
        ensemble, size = neurons.ensemble, neurons.size_in
        kind, gain, bias = kind_of(ensemble.neuron_type, self.dt), *self.objects.gain_bias(ensemble)
        current = self._sum(neurons, size)
        uniform = (gain == gain[0]).all() and (bias == bias[0]).all()
        if not (kind.gain and uniform) and not ((gain == 1).all() and (bias == 0).all()):
            current = self._scaled(current, gain, bias)
            gain, bias = np.ones(1), np.zeros(1)
        self.currents[neurons] = current, gain[0], bias[0]
        fields = {"size": size, "number": kind.number, "begin": kind.busy[0], "end": kind.busy[1]}
        numbers = (kind.height, gain[0], bias[0], *kind.constants) if kind.gain else kind.constants
        if numbers:
            fields["constant"] = np.resize(np.array([*numbers, *[0.0] * 8], np.float32), max(8, len(numbers)))
        if kind.states:
            states = initial_states(ensemble, self.objects.seed(ensemble), kind)
            if kind.code == program.LIF and states[0].max() > 1:
                fields["number"] = 0  # what gets above the threshold in a single step is not all that spikes
            # the largest sum of each window begins as that of the first sums
            hidden = [np.resize(states[0].reshape(-1, kind.number).max(axis=1), size)] if kind.hidden else []
            known = neurons in self.layout.places
            begin = self.layout.place(neurons, np.array([*states, *hidden], np.float32))
            if kind.code == program.POISSON and not known:
                self.layout.items.append((begin + kind.states.index("item") * padded(size), size))
            fields |= {"state": begin, "state_stride": padded(size)}
            if self.objects.probed(neurons, kind.probeable):
                fields["trace"] = self.traces[neurons] = self._row(len(kind.states) * padded(size), False)
        window = ALWAYS if current.shared else kind.window
        if kind.reads == "events":
            fields["read"] = self._events(current, window)
            constant = False
        else:
            fields["source"] = self._dense(current, window)
            constant = fields["source"].constant and not kind.states
        if kind.emits == "events":
            ordered = kind.code != program.GATE and ("read" not in fields or fields["read"].ordered)
            fields["written"] = self._stream(size, constant, ordered)
            emitted = Signal(size, constant, sparse=True, events=fields["written"])
        else:
            fields["target"] = self._row(size, constant)
            emitted = Signal(size, constant, row=fields["target"])
        self._do(kind.code, constant_rows=constant, **fields)
        return emitted

    def _scaled(self, current, gain, bias):
        """gain * current + bias, unit by unit."""
        source = self._dense(current, ALWAYS)
        target = self._row(current.size, source.constant)
        numbers = np.concatenate([np.broadcast_to(values, (current.size,)) for values in (gain, bias)])
        self._do(
            program.SCALE,
            constant_rows=source.constant,
            size=current.size,
            source=source,
            target=target,
            constant=numbers.astype(np.float32),
        )
        return Signal(current.size, source.constant, row=target)

    # signals as rows or as events, by generators: linear layers in a row may be many

    def _dense(self, signal, window):
        """The Row of a signal, of which only the steps of ``window`` are needed."""
        return _made(self._make_dense(signal, window))

    def _events(self, signal, window):
        """The Events of a signal, of which only the steps of ``window`` are needed."""
        return _made(self._make_events(signal, window))

    def _make_dense(self, signal, window):
        if signal.row is None:
            window = ALWAYS if signal.shared else window
            if signal.value is not None:
                signal.row = self._row(signal.size, True)
                fill = np.ascontiguousarray(signal.value, np.float32)
                self._do(program.FILL, constant_rows=True, size=signal.size, target=signal.row, constant=fill)
            elif signal.events is not None or signal.sparse:
                events = yield self._make_events(signal, window)
                signal.row = self._row(signal.size, signal.constant)
                fields = {"size": signal.size, "read": events, "target": signal.row}
                self._do(program.EXPAND, window, constant_rows=signal.constant, **fields)
            else:
                signal.row = yield self._add_up(signal, window)
        return signal.row

    def _add_up(self, signal, window):
        """The Row of a Sum."""
        moving = [part for part in signal.parts if not (part.source.constant and part.synapse is None)]
        still = [part for part in signal.parts if part not in moving]
        row = None
        if still:
            row = self._filled(signal.offset, True, ALWAYS)
            for part in still:
                yield self._add(part, row, ALWAYS)
        if signal.constant:
            return row if still else self._filled(signal.offset, True, ALWAYS)
        total = self._row(signal.size, False)
        plain = [part for part in moving if part.synapse is None]
        begun = None if still else signal.offset
        if still:
            self._do(program.COPY, window, size=signal.size, source=row, target=total)
        elif not (plain and _scatters(plain[0])):
            self._do(program.FILL, window, size=signal.size, target=total, constant=begun)
            begun = None
        for part in plain:
            yield self._add(part, total, window, begun)
            begun = None
        filters = []
        for part in moving:
            if part.synapse is not None and part.synapse not in filters:
                filters.append(part.synapse)
        for number, synapse in enumerate(filters):
            together = self._filled(np.zeros(signal.size, np.float32), False, ALWAYS)
            for part in moving:
                if part.synapse == synapse:
                    yield self._add(part, together, ALWAYS)
            self._filter(synapse, together, total, (signal.obj, number), signal.size)
        return total

    def _filled(self, values, constant, window):
        row = self._row(len(values), constant)
        fill = np.ascontiguousarray(values, np.float32)
        self._do(program.FILL, window, constant_rows=constant, size=row.size, target=row, constant=fill)
        return row

    def _add(self, part, row, window, begun=None):
        """Add a part, but for its synapse, to a row, or to the numbers ``begun`` if they are given."""
        source = part.source
        if not _scatters(part):
            dense = yield self._make_dense(source, window)
            fields = {"size": row.size, "source": dense, "target": row}
            self._do(program.ADD, window, constant_rows=row.constant, **fields)
            return
        table = tables.identity(row.size) if part.table is None else part.table
        events = yield self._make_events(source, window)
        fields = {"size": row.size, "read": events, "target": row}
        if begun is not None:
            fields |= {"constant": np.ascontiguousarray(begun, np.float32), "number": 1}
        code = program.SCATTER
        if isinstance(table, Window):
            if events.ordered:
                code, table = program.GATHER, table.gathering
            else:
                table = table.table
        self._do(code, window, constant_rows=row.constant, table=self._table(table), **fields)

    def _make_events(self, signal, window):
        if signal.events is None:
            window = ALWAYS if signal.shared else window
            if signal.sparse:
                read = []
                for part in signal.parts:
                    events = yield self._make_events(part.source, window)
                    read.append((events, part.table))
                ordered = len(read) == 1 and read[0][0].ordered and _keeps_order(read[0][1])
                signal.events = self._stream(signal.size, signal.constant, ordered)
                for number, (events, table) in enumerate(read):
                    table = tables.identity(signal.size) if table is None else table
                    fields = {"read": events, "written": signal.events, "table": self._table(table), "number": number}
                    self._do(program.REMAP, window, constant_rows=signal.constant, **fields)
            else:
                row = yield self._make_dense(signal, window)
                signal.events = self._stream(signal.size, row.constant)
                fields = {"size": signal.size, "source": row, "written": signal.events}
                self._do(program.COMPACT, window, constant_rows=row.constant, **fields)
        return signal.events

    def _filter(self, synapse, source, target, key, size, offset=0):
        """Add ``size`` numbers of a row from ``offset`` on, filtered, to another row."""
        step = synapse.make_step((1,), (1,), self.dt, None, synapse.make_state((1,), (1,), self.dt))
        order = len(step.A)
        general = isinstance(step, nengo.LinearFilter.General)
        through = step.d if isinstance(step, nengo.LinearFilter.NoX) else step.D.item()
        numbers = [general, through, *np.ravel(step.A), *np.ravel(step.B), *np.ravel(step.C)]
        self._do(
            program.FILTER,
            size=size,
            source=source,
            source_offset=offset,
            target=target,
            number=order,
            constant=np.array(numbers, np.float32),
            state=self.layout.place(key, np.zeros((order + 1, size), np.float32)),
            state_stride=padded(size),
        )

    # what is asked for

    def record(self, probe, number):
        """Record what a probe sees."""
        row, offset, size = self._probed(probe)
        if probe.synapse is not None:
            target = self._filled(np.zeros(size, np.float32), False, ALWAYS)
            self._filter(probe.synapse, row, target, ("probe", probe), size, offset)
            row, offset = target, 0
        # a constant row is recorded in each step
        self._do(program.RECORD, size=size, source=row, source_offset=offset, number=number)

    def _probed(self, probe):
        """(row, offset, size) of what a probe sees."""
        obj = self.objects.stand_in(probe.obj)
        signal, size = self.signal(obj), probe.obj.size_out
        if probe.attr in OUTPUTS:
            return self._dense(signal, ALWAYS), 0, size
        if probe.attr == "input":
            current, gain, bias = self.currents[obj]
            if gain != 1 or bias != 0:
                current = self._scaled(current, np.full(size, gain), np.full(size, bias))
            return self._dense(current, ALWAYS), 0, size
        states = kind_of(obj.ensemble.neuron_type, self.dt).probeable
        if probe.attr not in states:
            raise ConversionError(
                f"the fast simulator cannot probe {probe.attr!r} of {probe.target}: it can probe "
                f"{', '.join(('output', 'input', *states))}"
            )
        return self.traces[obj], states.index(probe.attr) * padded(size), size

    def count(self, obj, weight, totals, number):
        """Count the events of an object: their magnitude times ``weight``, or each as one where that is 0."""
        events = self._events(self.signal(self.objects.stand_in(obj)), ALWAYS)
        fields = {"read": events, "target_number": totals, "number": number}
        self._do(program.COUNT, constant=np.array([weight], np.float32), **fields)

    # memory

    def _row(self, size, constant):
        self.rows.append(Row(size, constant))
        return self.rows[-1]

    def _stream(self, size, constant, ordered=True):
        self.streams.append(Events(size, constant, number=len(self.streams), ordered=ordered))
        return self.streams[-1]

    def _table(self, table):
        """The number of a Table among the tables, or of a Gathering among the gatherings."""
        key, others = id(table), self.gatherings if isinstance(table, Gathering) else self.tables
        if key not in self.table_numbers:
            self.table_numbers[key] = len(others)
            others.append(table)
        return self.table_numbers[key]

    def _do(self, code, window=ALWAYS, *, constant_rows=False, **fields):
        fields = {"begin": window[0], "end": window[1], **fields}
        self.operations.append((code, constant_rows, fields))

    def finish(self, chunk, precision):
        """The Program, for operations that do ``chunk`` steps at a time, with weights of a precision."""
        arena, event_arena = _place(self.rows, chunk), _place(self.streams, chunk)
        operations = np.zeros(len(self.operations), program.OPERATION)
        operations["trace"] = -1
        for op, (code, once, fields) in zip(operations, self.operations, strict=True):
            op["code"], op["once"] = code, once
            for name, value in fields.items():
                if name == "constant":
                    op[name] = self.constants.add(value)
                elif isinstance(value, Row):
                    op[name], op[f"{name}_stride"] = value.begin, value.stride
                elif isinstance(value, Events):
                    op[name] = value.number
                elif name == "target_number":
                    op["target"] = value
                elif name != "source_offset":
                    op[name] = value
            op["source"] += fields.get("source_offset", 0)
        rows = np.zeros(len(self.tables), program.TABLE)
        for row, table in zip(rows, self.tables, strict=True):
            row["first"], row["runs"] = self.first.add(table.first), self.runs.add(table.runs)
            row["targets"] = self.first.add(table.targets)
            row["weights"] = self.weights.add(table.weights)
            for name in ("channels", "stride", "group", "shift", "single"):
                row[name] = getattr(table, name)
        gatherings = np.zeros(len(self.gatherings), program.GATHERING)
        for row, gathering in zip(gatherings, self.gatherings, strict=True):
            row["passes"], row["n_rows"] = np.array(gathering.first.shape) - 1
            row["first"] = self.first.add(gathering.first.ravel())
            row["rows"] = self.first.add(gathering.rows.ravel())
            row["columns"], row["n_columns"] = self.first.add(gathering.columns.ravel()), len(gathering.columns)
            row["weights"] = self.weights.add(gathering.weights)
            for name in ("channels", "filters", "places"):
                row[name] = getattr(gathering, name)
        streams = np.array([(stream.begin, stream.stride) for stream in self.streams], program.EVENTS)
        weights = self.weights.array()
        weights = program.as_bfloat16(weights) if precision == "bfloat16" else weights
        first, runs, constants = (pool.array() for pool in (self.first, self.runs, self.constants))
        return program.Program(
            operations, streams, rows, gatherings, first, runs, weights, constants, arena, event_arena
        )

    @property
    def bytes_per_step(self):
        """Bytes that a step of a chunk takes."""
        rows = sum(row.stride for row in self.rows)
        return 4 * rows + 8 * sum(stream.stride for stream in self.streams)

    @property
    def widest(self):
        """Numbers in the longest row of a step."""
        return max((row.stride for row in self.rows), default=1)


def _place(memories, chunk):
    """Give each its place; returns how much there is in all."""
    begin = 0
    for memory in memories:
        memory.begin = begin
        begin += memory.room * (1 if memory.constant else chunk)
    return begin


def _scatters(part):
    """Whether a part is added spike by spike; else unit by unit."""
    return part.table is not None or part.source.sparse


def _keeps_order(table):
    """Whether spikes stay in the order of units behind a table that selects."""
    return table is None or bool((np.diff(table.runs[:, 0]) > 0).all())


def _indices(view, size):
    """Which entries a slice of an object takes; None for all of them in order."""
    indices = np.arange(size)[view]
    return None if np.array_equal(indices, np.arange(size)) else indices
