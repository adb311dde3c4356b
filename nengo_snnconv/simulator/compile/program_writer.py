"""The memory, the operations and the tables of a program that is being compiled."""

import dataclasses

import numpy as np

from .. import program
from ..kernels.arguments import ProgramArrays
from ..kernels.operations import CODES
from ..kernels.vectors import LANES
from ..program import FOREVER, Program, padded
from .gather_tables import GatherTable
from .scatter_tables import ScatterTable
from .window_tables import WindowTable

# operations by the kind of their table
GATHERING, SCATTERING = ("gather", "convolve", "depthwise"), ("scatter", "remap")

# steps in which an operation is active: first, and one behind the last
ALWAYS = (0, FOREVER)


@dataclasses.dataclass(eq=False)
class _Memory:
    """Memory of a signal of ``size`` units: for each step, or once if the signal is constant."""

    size: int
    constant: bool
    begin: int | None = None  # known when the program is finished

    @property
    def entries(self):
        """Number of entries of a step."""
        return padded(self.size)

    @property
    def stride(self):
        return 0 if self.constant else self.entries


class Row(_Memory):
    """Memory of a dense signal."""


@dataclasses.dataclass(eq=False)
class Events(_Memory):
    """Memory of a signal as events, at most ``size`` in a step.

    Attributes
    ----------
    number : int
        Number of the event lists in the program.
    ordered : bool
        True if events are in the order of units.
    """

    number: int | None = None
    ordered: bool = True

    @property
    def entries(self):
        return super().entries + LANES  # vectors are written that end behind the last event


class ArrayPool:
    """Arrays, each once, that become parts of a single array.

    Parameters
    ----------
    dtype : dtype
    alignment : int
        Arrays begin at multiples of this number of entries.
    shape : tuple of int
        Shape of an entry.
    """

    def __init__(self, dtype, alignment=1, shape=()):
        self.dtype, self.alignment, self.shape = dtype, alignment, shape
        self.arrays, self.size, self.begins = [], 0, {}

    def add(self, array):
        """Add an array, unless it is here already; return where it begins."""
        key = id(array)
        if key not in self.begins:
            self.begins[key] = self.size
            self.arrays.append(array)
            self.size += len(array) + -len(array) % self.alignment
        return self.begins[key]

    def joined(self):
        """Return the single array; float32 begins at a cache line."""
        whole = (
            program.aligned_zeros(self.size)
            if self.dtype == np.float32
            else np.zeros((self.size, *self.shape), self.dtype)
        )
        for array, begin in zip(self.arrays, self.begins.values(), strict=True):
            whole[begin : begin + len(array)] = array
        return whole


class ProgramWriter:
    """Collects operations, and the memory and the tables that they use.

    Attributes
    ----------
    owner : Nengo object or None
        The object for which operations are added; None for probes and counters.
    """

    def __init__(self):
        self.owner = None
        self.rows, self.event_lists, self.operations = [], [], []
        self.integers, self.runs = ArrayPool(np.int32), ArrayPool(np.int32, shape=(3,))
        self.weights = ArrayPool(np.float32, program.ALIGNMENT)
        self.constants = ArrayPool(np.float32, program.ALIGNMENT)
        self.tables, self.table_numbers = {ScatterTable: [], GatherTable: [], WindowTable: []}, {}

    def row(self, size, constant):
        """Add memory for a dense signal."""
        self.rows.append(Row(size, constant))
        return self.rows[-1]

    def events(self, size, constant, ordered=True):
        """Add memory for a signal as events."""
        self.event_lists.append(Events(size, constant, number=len(self.event_lists), ordered=ordered))
        return self.event_lists[-1]

    def table(self, table):
        """Add a table, unless it is here already; return its number among its kind."""
        key, tables = id(table), self.tables[type(table)]
        if key not in self.table_numbers:
            self.table_numbers[key] = len(tables)
            tables.append(table)
            if isinstance(table, GatherTable) and table.scatter:
                self.table(table.scatter)
        return self.table_numbers[key]

    def do(self, name, steps=ALWAYS, *, once=False, **fields):
        """Add an operation.

        Parameters
        ----------
        name : str
            A key of ``kernels.operations.OPERATIONS``.
        steps : (int, int)
            Steps in which it is active.
        once : bool
            True if everything that it reads is constant.
        fields : dict
            Fields of ``program.OPERATION``.  A Row is replaced by where it begins and its stride, Events by their
            number, an array by where it begins among the constants.  ``source_offset`` is added to ``source``.
        """
        self.operations.append((name, once, self.owner, {"begin": steps[0], "end": steps[1], **fields}))

    def fill(self, values, constant, steps=ALWAYS):
        """Add a row and the operation that writes these values to it."""
        row = self.row(len(values), constant)
        values = np.ascontiguousarray(values, np.float32)
        self.do("fill", steps, once=constant, size=row.size, target=row, constant=values)
        return row

    def finish(self, chunk: int, precision: str) -> Program:
        """Return the program, for ``chunk`` steps at a time and weights of this precision."""
        arena_size, event_arena_size = _allocate(self.rows, chunk), _allocate(self.event_lists, chunk)
        operations = self._operation_records()
        scatter_tables, gather_tables = self._scatter_records(), self._gather_records()
        window_tables = self._window_records()
        weights = self.weights.joined()
        weights = program.as_bfloat16(weights) if precision == "bfloat16" else weights
        arrays = ProgramArrays(
            operations=operations,
            events=np.array([(events.begin, events.stride) for events in self.event_lists], program.EVENTS),
            scatter_tables=scatter_tables,
            gather_tables=gather_tables,
            window_tables=window_tables,
            integers=self.integers.joined(),
            runs=self.runs.joined(),
            weights=weights,
            constants=self.constants.joined(),
        )
        return Program(
            arrays=arrays,
            owners=[owner for _, _, owner, _ in self.operations],
            weight_bytes=self._weight_bytes(weights.itemsize),
            signal_bytes=self._signal_bytes(chunk),
            states=[fields.get("state") for _, _, _, fields in self.operations],
            records=np.flatnonzero(operations["code"] == CODES["record"]),
            arena_size=arena_size,
            event_arena_size=event_arena_size,
        )

    def _operation_records(self):
        records = np.zeros(len(self.operations), program.OPERATION)
        records["trace"] = -1
        for record, (name, once, _, fields) in zip(records, self.operations, strict=True):
            record["code"], record["once"] = CODES[name], once
            for field, value in fields.items():
                if isinstance(value, Row):
                    record[field], record[f"{field}_stride"] = value.begin, value.stride
                elif isinstance(value, Events):
                    record[field] = value.number
                elif isinstance(value, np.ndarray):
                    record[field] = self.constants.add(value)
                elif field != "source_offset":
                    record[field] = value
            record["source"] += fields.get("source_offset", 0)
        return records

    def _weight_bytes(self, itemsize):
        """Return the bytes of each operation's weights; those that several operations share count once."""
        sizes, seen = [], set()
        for name, _, _, fields in self.operations:
            size = 0
            if name in GATHERING or name in SCATTERING:
                table = self.tables[GatherTable if name in GATHERING else ScatterTable][fields["table"]]
                size = 0 if id(table) in seen else itemsize * table.weights.size
                seen.add(id(table))
            sizes.append(size)
        return sizes

    def _signal_bytes(self, chunk):
        """Return the bytes of the signals that each operation is the first to write, for a chunk of steps."""
        sizes, seen = [], set()
        for _, _, _, fields in self.operations:
            written = {id(value): value for value in fields.values() if isinstance(value, _Memory)}
            written = {key: memory for key, memory in written.items() if key not in seen}
            seen |= written.keys()
            sizes.append(sum(_bytes(memory, chunk) for memory in written.values()))
        return sizes

    def _scatter_records(self):
        tables = self.tables[ScatterTable]
        records = np.zeros(len(tables), program.SCATTER_TABLE)
        for record, table in zip(records, tables, strict=True):
            record["first"], record["runs"] = self.integers.add(table.first), self.runs.add(table.runs)
            record["targets"] = self.integers.add(table.targets)
            record["weights"] = self.weights.add(table.weights)
            for name in ("channels", "stride", "group", "shift", "single", "one"):
                record[name] = getattr(table, name)
        return records

    def _gather_records(self):
        tables = self.tables[GatherTable]
        records = np.zeros(len(tables), program.GATHER_TABLE)
        for record, table in zip(records, tables, strict=True):
            record["passes"], record["n_rows"] = np.array(table.first.shape) - 1
            for name in ("first", "rows", "columns"):
                record[name] = self.integers.add(getattr(table, name).ravel())
            record["n_columns"] = len(table.columns)
            record["weights"] = self.weights.add(table.weights)
            for name in ("channels", "filters", "places"):
                record[name] = getattr(table, name)
            record["scatter"] = self.table(table.scatter) if table.scatter else -1
            if tiles := table.tiles:
                for name in ("padded", "line", "n_inputs", "window_rows"):
                    record[name] = getattr(tiles, name)
                record["n_lines"], record["n_blocks"] = len(tiles.lines), len(tiles.blocks) - 1
                for name in ("lines", "positions", "segments", "blocks"):
                    record[name] = self.integers.add(getattr(tiles, name).ravel())
        return records

    def _window_records(self):
        tables = self.tables[WindowTable]
        records = np.zeros(len(tables), program.WINDOW_TABLE)
        for record, table in zip(records, tables, strict=True):
            record["entries"], record["window"] = self.integers.add(table.entries.ravel()), table.entries.shape[1]
            record["together"], record["units"] = table.together, table.units
        return records

    @property
    def bytes_per_step(self):
        """Number of bytes that a step of a chunk takes."""
        numbers = sum(row.stride for row in self.rows)
        numbers += max((table.tiles.padded for table in self.tables[GatherTable] if table.tiles), default=0)
        return 4 * numbers + 8 * sum(events.stride for events in self.event_lists)

    @property
    def widest_row(self):
        """Number of entries in the longest row of a step."""
        return max((row.stride for row in self.rows), default=1)


def _bytes(memory, chunk):
    """Return the bytes of a signal; an event is a unit and a value."""
    return (8 if isinstance(memory, Events) else 4) * memory.entries * (1 if memory.constant else chunk)


def _allocate(memories, chunk):
    """Set where each signal begins; return the number of entries of all."""
    begin = 0
    for memory in memories:
        memory.begin = begin
        begin += memory.entries * (1 if memory.constant else chunk)
    return begin
