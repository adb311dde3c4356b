"""The table of operations, and the compiled switch that calls one by its code.

To add an operation, write a compiled function with the arguments of :mod:`.arguments` and give it a row of the table.
The compiler then uses it by name, see :mod:`nengo_snnconv.simulator.compile.program_writer`.
"""

from numba import types
from numba.extending import intrinsic

from . import (
    connection_operations,
    dense_operations,
    event_operations,
    max_operations,
    neuron_operations,
    poisson_operations,
    staged_operations,
    ttfs_operations,
)

OPERATIONS = {
    # dense signals
    "load": dense_operations.load,
    "fill": dense_operations.fill,
    "copy": dense_operations.copy,
    "add": dense_operations.add,
    "scale": dense_operations.scale,
    "filter": dense_operations.linear_filter,
    "record": dense_operations.record,
    # events
    "compact": event_operations.compact,
    "expand": event_operations.expand,
    "remap": event_operations.remap,
    "count": event_operations.count,
    "count_negative": event_operations.count_negative,
    # connections, from events to dense signals
    "scatter": connection_operations.scatter,
    "gather": connection_operations.gather,
    # neurons
    "rectify": dense_operations.rectify,
    "quantize": dense_operations.quantize,
    "integrate_and_fire": neuron_operations.integrate_and_fire,
    "integrate_and_fire_often": neuron_operations.integrate_and_fire_often,
    "signed_integrate_and_fire": neuron_operations.signed_integrate_and_fire,
    "spiking_rectify": neuron_operations.spiking_rectify,
    "lif": neuron_operations.lif,
    "coarse_lif": neuron_operations.coarse_lif,
    "surrogate_lif": neuron_operations.surrogate_lif,
    "poisson_input": poisson_operations.poisson_input,
    "ttfs_input": ttfs_operations.ttfs_input,
    "ttfs_current": ttfs_operations.ttfs_current,
    "ttfs_neurons": ttfs_operations.ttfs_neurons,
    "ttfs_readout": ttfs_operations.ttfs_readout,
    "stage_gate": staged_operations.stage_gate,
    "staged_integrate_and_fire": staged_operations.staged_integrate_and_fire,
    "staged_readout": staged_operations.staged_readout,
    "max_gate": max_operations.max_gate,
    "max_pool": max_operations.max_pool,
}

CODES = {name: code for code, name in enumerate(OPERATIONS)}


@intrinsic
def call_operation(typingctx, code, op, turn, program, run, counters, work):
    """Call the operation that has this code with the other arguments."""
    kinds = (op, turn, program, run, counters, work)
    dispatchers = [types.Dispatcher(function) for function in OPERATIONS.values()]
    signatures = [typingctx.resolve_function_type(dispatcher, kinds, {}) for dispatcher in dispatchers]

    def generate(context, builder, signature, arguments):
        code, *arguments = arguments
        end = builder.append_basic_block("end")
        switch = builder.switch(code, end)
        for number, (dispatcher, operation) in enumerate(zip(dispatchers, signatures, strict=True)):
            block = builder.append_basic_block("operation")
            switch.add_case(code.type(number), block)
            builder.position_at_end(block)
            context.get_function(dispatcher, operation)(builder, arguments)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.void(code, *kinds), generate
