"""Compiled spikes of ``SurrogateLIF`` neurons over time and their gradient, for :func:`.surrogate_lif.spikes_of`.

TensorFlow reads and writes all neurons of a step in each of about ten operations.  Here a block of neurons passes
through all steps while it is in the first-level cache, so that each number is read and written once.  The backward pass
computes the potentials again, which costs less than reading them.
"""

from __future__ import annotations

import concurrent.futures
import math
import typing

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .._util.numba_cache import kept_njit
from .._util.system_info import n_cores

if typing.TYPE_CHECKING:
    from .surrogate_lif import SurrogateLIF

F32 = np.float32
# numbers in the buffer of potentials of a block, over all steps: half of a first-level cache
BUFFER = 4096
# a thread has at least so many numbers, so that its start costs less than its work
LEAST_NUMBERS = 1 << 16
CODES = {"sigmoid": 0, "arctan": 1, "triangle": 2}
_OPTIONS = {"nogil": True, "error_model": "numpy"}
_INPUT = types.Array(types.float32, 2, "C", readonly=True)
_OUTPUT = types.float32[:, ::1]
_FLOAT, _WHOLE, _FLAG = types.float32, types.int64, types.boolean


@intrinsic
def _float_of_bits(context, bits):
    """Return the float32 number with the bits of an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def _fused(context, a, b, c):
    """Return a * b + c, rounded once."""

    def generate(context, builder, signature, arguments):
        name = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.FloatType(), [ir.FloatType()] * 3), "llvm.fma.f32"
        )
        return builder.call(name, arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


@numba.njit(inline="always")
def _exp(x):
    """Return exp(x) of a float32 number from -87 to 0, to about 1 unit in the last place (the polynomial of Cephes)."""
    power = np.int32(x * F32(math.log2(math.e)) - F32(0.5))
    rest = _fused(F32(power), F32(-0.693359375), x)
    rest = _fused(F32(power), F32(2.12194440e-4), rest)
    value = F32(1.9875691500e-4)
    value = _fused(value, rest, F32(1.3981999507e-3))
    value = _fused(value, rest, F32(8.3334519073e-3))
    value = _fused(value, rest, F32(4.1665795894e-2))
    value = _fused(value, rest, F32(1.6666665459e-1))
    value = _fused(value, rest, F32(5.0000001201e-1))
    value = _fused(value * rest, rest, rest) + F32(1)
    return value * _float_of_bits(np.int32((power + np.int32(127)) << np.int32(23)))


_CONSTANTS = (_FLOAT, _FLOAT, _FLOAT, _FLOAT, _FLAG)  # decay, threshold, rest, drop, subtracts


@kept_njit(signatures=[(_INPUT, _OUTPUT, _WHOLE, _WHOLE, *_CONSTANTS)], **_OPTIONS)
def _emit(currents, spikes, start, stop, decay, threshold, rest, drop, subtracts):
    """Write the spikes of the neurons from ``start`` to ``stop``."""
    n_steps = len(currents)
    block = max(BUFFER // n_steps, 64)
    voltages = np.empty(block, np.float32)
    for first in range(start, stop, block):
        n = min(block, stop - first)
        voltages[:] = rest
        for step in range(n_steps):
            current, emitted = currents[step, first : first + n], spikes[step, first : first + n]
            for i in range(n):
                voltage = voltages[i]
                charged = voltage + (current[i] - (voltage - rest)) * decay
                fires = charged - threshold >= 0
                after = charged - drop if subtracts else rest
                emitted[i] = F32(1) if fires else F32(0)
                voltages[i] = after if fires else charged


@kept_njit(
    signatures=[(_INPUT, _INPUT, _OUTPUT, _WHOLE, _WHOLE, *_CONSTANTS, _FLOAT, _FLOAT, _WHOLE, _FLAG)], **_OPTIONS
)
def _differentiate(
    currents,
    upstream,
    gradient,
    start,
    stop,
    decay,
    threshold,
    rest,
    drop,
    subtracts,
    kept,
    slope,
    surrogate,
    detached,
):
    """Write the gradient with respect to the currents of the neurons from ``start`` to ``stop``; kept: 1 - decay."""
    n_steps = len(currents)
    block = max(BUFFER // n_steps, 64)
    potentials = np.empty((n_steps, block), np.float32)
    values, derivatives = np.empty(block, np.float32), np.empty(block, np.float32)
    for first in range(start, stop, block):
        n = min(block, stop - first)
        values[:] = rest  # membrane potentials after each step
        for step in range(n_steps):
            current, charged = currents[step, first : first + n], potentials[step]
            for i in range(n):
                charged[i] = values[i] + (current[i] - (values[i] - rest)) * decay
                after = charged[i] - drop if subtracts else rest
                values[i] = after if charged[i] - threshold >= 0 else charged[i]
        values[:] = 0  # gradients of the potentials after each step
        for step in range(n_steps - 1, -1, -1):
            charged = potentials[step]
            if surrogate == 0:
                for i in range(n):
                    power = _exp(max(-abs(slope * (charged[i] - threshold)), F32(-87)))
                    derivatives[i] = slope * power / ((F32(1) + power) * (F32(1) + power))
            elif surrogate == 1:
                for i in range(n):
                    x = slope * (F32(math.pi / 2) * (charged[i] - threshold))
                    derivatives[i] = F32(0.5) * slope / (F32(1) + x * x)
            else:
                for i in range(n):
                    derivatives[i] = slope * max(F32(1) - slope * abs(charged[i] - threshold), F32(0))
            above, below = upstream[step, first : first + n], gradient[step, first : first + n]
            for i in range(n):
                later = values[i]
                through_reset = drop if subtracts else charged[i] - rest
                from_spikes = above[i] if detached else above[i] - later * through_reset
                passed = later if subtracts or not charged[i] - threshold >= 0 else F32(0)
                inside = from_spikes * derivatives[i] + passed
                below[i] = inside * decay
                values[i] = inside * kept


_pool = concurrent.futures.ThreadPoolExecutor(n_cores())


def spikes(neurons: SurrogateLIF, currents: np.ndarray) -> np.ndarray:
    """Return the spikes of neurons over time, 0 or 1.

    Parameters
    ----------
    neurons : SurrogateLIF
    currents : ndarray of float32, (steps, neurons)

    Returns
    -------
    ndarray of float32, (steps, neurons)
    """
    return _in_parts(_emit, [currents], _constants(neurons))


def gradient(neurons: SurrogateLIF, currents: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    """Return the gradient with respect to the currents, from that with respect to the spikes.

    All arrays are float32, (steps, neurons).
    """
    further = F32(1 - neurons.decay), F32(neurons.slope), CODES[neurons.surrogate], neurons.detach_reset
    return _in_parts(_differentiate, [currents, upstream], (*_constants(neurons), *further))


def _constants(neurons):
    numbers = neurons.decay, neurons.threshold, neurons.reset_potential, neurons.drop
    return *(F32(number) for number in numbers), neurons.reset == "subtract"


def _in_parts(kernel, inputs, constants):
    """Let threads compute equal parts of all neurons."""
    result = np.empty(inputs[0].shape, np.float32)
    n_neurons = result.shape[1]
    n_parts = max(1, min(n_cores(), result.size // LEAST_NUMBERS))
    borders = [n_neurons * part // n_parts for part in range(n_parts + 1)]
    parts = list(zip(borders[:-1], borders[1:], strict=True))
    run = map if n_parts == 1 else _pool.map
    list(run(lambda part: kernel(*inputs, result, *part, *constants), parts))
    return result
