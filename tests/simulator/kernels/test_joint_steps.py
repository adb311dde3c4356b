"""Convolutions of four steps together, compiled for the instructions of this processor and for fewer."""

from typing import NamedTuple

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


class Operation(NamedTuple):
    source: int
    source_stride: int


class Steps(NamedTuple):
    begin: int
    end: int


class Arena(NamedTuple):
    arena: np.ndarray


@pytest.mark.parametrize(
    ("steps", "counted"), [((0, 40), [(36, 40), (20, 24), (4, 8)]), ((3, 9), [(5, 9)]), ((2, 4), [(2, 4)])]
)
def test_activity_of_a_sample(steps, counted):
    """Of each sixteen steps, the last four are counted; a turn that is shorter repeats its last step."""
    x = np.random.default_rng(0).choice(np.float32([0, 0.25]), size=(40, 50), p=[0.9, 0.1])
    count_in_sample = numba.njit(**OPTIONS)(joint_steps.count_in_sample.py_func)
    nonzero, active = count_in_sample(Operation(0, 50), 50, Steps(*steps), Arena(x.ravel()))
    rows = [x[np.minimum(np.arange(begin, begin + 4), end - 1)] for begin, end in counted]
    assert nonzero == np.mean([np.count_nonzero(four) / 4 for four in rows])
    assert active == np.mean([np.count_nonzero(four.any(axis=0)) for four in rows])


def test_steps_that_are_computed():
    """The last steps of a turn are computed as two or as four."""
    assert [joint_steps.steps_computed.py_func(n) for n in range(10)] == [0, 2, 2, 4, 4, 6, 6, 8, 8, 10]
