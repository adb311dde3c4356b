"""Operations that compute signals, as rows or as events."""

import nengo
import numpy as np

from ..program import padded
from . import scatter_tables
from .convolution_maps import ConvolutionMap
from .program_writer import ALWAYS
from .signals import Signal

# depthwise convolutions, such as averages, scatter spikes if at most so many windows read each unit
MOST_WINDOWS = 2


class SignalOperations:
    """Writes the operations that compute signals, each when it is first needed.

    Methods that compute signals are generators, because chains of linear layers may be deeper than Python's recursion
    limit; :meth:`dense` and :meth:`events` run them.

    Parameters
    ----------
    writer : ProgramWriter
    layout : StateLayout
        States of filters are added to it.
    dt : float
    """

    def __init__(self, writer, layout, dt):
        self.writer, self.layout, self.dt = writer, layout, dt

    def dense(self, signal, steps=ALWAYS):
        """Return the Row of a signal, which is needed in these steps only."""
        return _run_generators(self._dense(signal, steps))

    def events(self, signal, steps=ALWAYS):
        """Return the Events of a signal, which are needed in these steps only."""
        return _run_generators(self._events(signal, steps))

    def scale(self, signal, gain, bias):
        """Return the signal gain * signal + bias, unit by unit."""
        source = self.dense(signal)
        target = self.writer.row(signal.size, source.constant)
        numbers = np.concatenate([np.broadcast_to(values, (signal.size,)) for values in (gain, bias)])
        fields = {"source": source, "target": target, "constant": numbers.astype(np.float32)}
        self.writer.do("scale", once=source.constant, size=signal.size, **fields)
        return Signal(signal.size, source.constant, row=target)

    def filter(self, synapse, source, target, key, size, offset=0):
        """Add ``size`` numbers of a row from ``offset`` on, filtered, to the row ``target``."""
        step = synapse.make_step((1,), (1,), self.dt, None, synapse.make_state((1,), (1,), self.dt))
        order = len(step.A)
        general = isinstance(step, nengo.LinearFilter.General)
        feedthrough = step.d if isinstance(step, nengo.LinearFilter.NoX) else step.D.item()
        numbers = [general, feedthrough, *np.ravel(step.A), *np.ravel(step.B), *np.ravel(step.C)]
        self.writer.do(
            "filter",
            size=size,
            source=source,
            source_offset=offset,
            target=target,
            parameter=order,
            constant=np.array(numbers, np.float32),
            state=self.layout.allocate(key, np.zeros((2 * order + 1, size), np.float32)),
            state_stride=padded(size),
        )

    def _dense(self, signal, steps):
        if signal.row is None:
            steps = ALWAYS if signal.shared else steps
            if signal.value is not None:
                signal.row = self.writer.fill(signal.value, True)
            elif signal.events is not None or signal.sparse:
                events = yield self._events(signal, steps)
                signal.row = self.writer.row(signal.size, signal.constant)
                fields = {"size": signal.size, "events_in": events, "target": signal.row}
                self.writer.do("expand", steps, once=signal.constant, **fields)
            else:
                signal.row = yield self._sum(signal, steps)
        return signal.row

    def _events(self, signal, steps):
        if signal.events is None:
            steps = ALWAYS if signal.shared else steps
            if signal.sparse:
                lists = []
                for term in signal.terms:
                    events = yield self._events(term.source, steps)
                    lists.append((events, term.map))
                ordered = len(lists) == 1 and lists[0][0].ordered and _keeps_order(lists[0][1])
                signal.events = self.writer.events(signal.size, signal.constant, ordered)
                for number, (events, table) in enumerate(lists):
                    table = self.writer.table(scatter_tables.identity(signal.size) if table is None else table)
                    fields = {"events_in": events, "events_out": signal.events, "table": table, "parameter": number}
                    self.writer.do("remap", steps, once=signal.constant, **fields)
            else:
                row = yield self._dense(signal, steps)
                signal.events = self.writer.events(signal.size, row.constant)
                fields = {"size": signal.size, "source": row, "events_out": signal.events}
                self.writer.do("compact", steps, once=row.constant, **fields)
        return signal.events

    def _sum(self, signal, steps):
        """Return the Row of a Sum.  Its constant terms are added once per image, the others in each step."""
        writer = self.writer
        constant_terms = [term for term in signal.terms if term.constant]
        moving = [term for term in signal.terms if not term.constant]
        constant_row = None
        if constant_terms:
            constant_row = writer.fill(signal.offset, True)
            for term in constant_terms:
                yield self._add(term, constant_row, ALWAYS)
        if signal.constant:
            return constant_row if constant_terms else writer.fill(signal.offset, True)
        total = writer.row(signal.size, False)
        unfiltered = [term for term in moving if term.synapse is None]
        # the first term that scatters can write the offset as well
        offset = None if constant_terms else signal.offset
        if constant_terms:
            writer.do("copy", steps, size=signal.size, source=constant_row, target=total)
        elif not (unfiltered and unfiltered[0].scatters):
            writer.do("fill", steps, size=signal.size, target=total, constant=offset)
            offset = None
        for term in unfiltered:
            yield self._add(term, total, steps, offset)
            offset = None
        # terms with equal synapses are added before they are filtered
        synapses = []
        for term in moving:
            if term.synapse is not None and term.synapse not in synapses:
                synapses.append(term.synapse)
        for number, synapse in enumerate(synapses):
            unfiltered_sum = writer.fill(np.zeros(signal.size, np.float32), False)
            for term in moving:
                if term.synapse == synapse:
                    yield self._add(term, unfiltered_sum, ALWAYS)
            self.filter(synapse, unfiltered_sum, total, (signal.obj, number), signal.size)
        return total

    def _add(self, term, row, steps, offset=None):
        """Add a term, before its synapse, to a row; or write ``offset`` plus the term, if it is given."""
        if not term.scatters:
            source = yield self._dense(term.source, steps)
            fields = {"size": row.size, "source": source, "target": row}
            self.writer.do("add", steps, once=row.constant, **fields)
            return
        fields = {"size": row.size, "target": row}
        if offset is not None:
            fields |= {"constant": np.ascontiguousarray(offset, np.float32), "parameter": 1}
        table, source = scatter_tables.identity(row.size) if term.map is None else term.map, term.source
        convolves, is_dense = isinstance(table, ConvolutionMap), not source.sparse and source.events is None
        if convolves and table.depthwise and (is_dense or table.windows_of_unit > MOST_WINDOWS):
            name, table, fields["source"] = "depthwise", table.gather_table, (yield self._dense(source, steps))
        elif convolves and is_dense:
            fields["source"] = yield self._dense(source, steps)
            # in case that most values are zero
            fields["events_out"] = self.writer.events(source.size, fields["source"].constant)
            name, table = "convolve", table.gather_table
        else:
            events = fields["events_in"] = yield self._events(source, steps)
            name = "gather" if convolves and events.ordered and not table.depthwise else "scatter"
            if convolves:
                table = table.gather_table if name == "gather" else table.scatter_table
        self.writer.do(name, steps, once=row.constant, table=self.writer.table(table), **fields)


def _run_generators(generator):
    """Return the result of a generator that yields others and is sent their results, without recursion."""
    waiting, result = [generator], None
    while waiting:
        try:
            waiting.append(waiting[-1].send(result))
            result = None
        except StopIteration as end:
            waiting.pop()
            result = end.value
    return result


def _keeps_order(table):
    """Return True if events stay in the order of units behind a table that only selects."""
    return table is None or bool((np.diff(table.runs[:, 0]) > 0).all())
