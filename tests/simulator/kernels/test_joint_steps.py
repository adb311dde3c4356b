"""Convolutions of four steps together, compiled for the instructions of this processor and for fewer."""

import nengo
import numba
import numpy as np
import pytest
from instruction_sets import INSTRUCTIONS, compile_for
from simulators import run_fast, run_nengo

from nengo_snnconv.simulator.kernels import joint_steps, operations
from nengo_snnconv.simulator.kernels.arguments import OPTIONS


@pytest.fixture
def always_together(monkeypatch, request):
    """Let all convolutions of dense signals go through four steps together, with the instructions of a parameter."""
    compile_for(request.param, monkeypatch, joint_steps)
    fresh = numba.njit(**OPTIONS)(joint_steps._convolve_steps.py_func)
    monkeypatch.setattr(joint_steps, "_convolve_steps", fresh)
    together = numba.njit(**OPTIONS)(joint_steps.convolve_together.py_func)

    @numba.njit(no_cpython_wrapper=True, **OPTIONS)
    def convolve(op, turn, program, run, counters, work):
        together(op, turn, program, work)

    kept = operations._kept_operation
    code = operations.CODES["convolve"]
    monkeypatch.setattr(operations, "_kept_operation", lambda number: convolve if number == code else kept(number))
    yield
    assert convolve.overloads, "the network has no convolution of a dense signal"


@pytest.mark.parametrize("always_together", INSTRUCTIONS, indirect=True)
@pytest.mark.parametrize(
    "shape, filters, size, strides, padding",
    [
        ((12, 12, 12), 12, (5, 5), (1, 1), "valid"),  # several blocks of units
        ((9, 7, 3), 29, (3, 3), (2, 1), "same"),
        ((6, 5, 2), 64, (2, 3), (1, 2), "valid"),
        ((1, 1, 40), 115, (1, 1), (1, 1), "valid"),  # a dense layer
    ],
)
def test_four_steps_together(always_together, shape, filters, size, strides, padding):
    """The sums are those of nengo, in steps that do and do not fill groups of four, alone and added to others."""
    rng = np.random.default_rng(0)
    kernel = rng.integers(-8, 8, (*size, shape[-1], filters)) / 4
    transform = nengo.Convolution(filters, shape, kernel_size=size, strides=strides, padding=padding, init=kernel)
    active = rng.random(transform.size_in) < 0.5
    values = active * rng.integers(-2, 3, (7, len(active))) / 2
    values[5] = 0
    with nengo.Network() as network:
        source = nengo.Node(lambda t: values[min(round(1000 * t), len(values)) - 1])
        other = nengo.Node(lambda t: np.roll(values, 1, axis=0)[min(round(1000 * t), len(values)) - 1])
        alone, both = nengo.Node(size_in=transform.size_out), nengo.Node(size_in=transform.size_out)
        nengo.Connection(source, alone, transform=transform, synapse=None)
        nengo.Connection(source, both, transform=transform, synapse=None)
        nengo.Connection(other, both, transform=transform, synapse=None)
        probes = [nengo.Probe(node) for node in (alone, both)]
    expected, found = run_nengo(network, len(values)), run_fast(network, len(values))
    assert np.any(expected[probes[0]])
    for probe in probes:
        assert np.array_equal(found[probe], expected[probe])
