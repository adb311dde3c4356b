"""Runner: shows images to a network in minibatches, streams time in chunks, and reads out class scores."""

import warnings

import numpy as np
from nengo.params import Default

from .._util.validation import (
    check_choice,
    check_dt,
    check_flags,
    check_optional_counts,
    check_positive,
    check_run,
    check_workers_count,
)
from ..errors import SettingsError, SnnConvWarning
from ..evaluation.inputs import Images
from ..model import connectivity
from ..model.memory import MOST_TOGETHER, bytes_of_step, images_together
from ..networks.trainable import check_collected
from ..neurons.arguments import as_synapse, check_synapse
from ..simulator.program_runner import PRECISIONS
from . import metrics
from .backends import FastBackend, check_backend, opened

DEFAULT_STEPS = 30
# steps between which counts are collected, which then take no more memory in longer runs
LONGEST_CHUNK = 128


class Runner:
    """Runs a network over images in minibatches and over time in chunks.

    Attributes
    ----------
    spiking : list of str
        Layers of spiking neurons.
    recorded : list of str
        Those, the layers that pass spikes on as events of their own, and an input that spikes.
    potentials : list of str
        The layers of spiking neurons again, if their membrane potentials are asked for; else none.
    minibatch_size : int
        Images among which an image has its place, which Poisson spikes depend on; not more of them are simulated
        together, and fewer where none are asked for and the network is too large for ``memory_mb``.
    counts_itself : bool
        Whether the simulator counts events, which then are not among what is yielded.
    """

    def __init__(
        self,
        network,
        n_steps,
        backend,
        synapse,
        minibatch_size,
        memory_mb,
        dt,
        n_images,
        skip_steps=0,
        potentials=False,
        activity=True,
        precision="float32",
        threads=None,
        threads_of_job=None,
        at_once=None,
    ):
        check_run(n_steps, skip_steps, dt)
        check_flags(potentials=potentials)
        check_running(
            backend=backend,
            minibatch_size=minibatch_size,
            synapse=synapse,
            memory_mb=memory_mb,
            precision=precision,
            threads=threads,
        )
        check_collected(network)
        model, settings = network.model, network.settings
        _check_rates(settings, dt)
        spikes = settings.neuron_type.spiking
        self.recorded = [
            name for name, layer in model.layers.items() if (spikes and connectivity.is_event_source(layer))
        ]
        self.spiking = model.neurons if spikes else []
        self.input_spikes = settings.input_spikes
        if self.input_spikes:
            self.recorded.insert(0, model.input)
        self.n_steps, self.skip_steps, self.dt = n_steps, skip_steps, dt
        self.accumulates = settings.accumulates and synapse is Default
        if skip_steps and not self.accumulates:
            raise SettingsError("skip_steps is for averaged scores; filtered ones forget the first steps by themselves")
        self.synapse = as_synapse(settings.output_synapse if synapse is Default else synapse)
        self.amplitude, self.negative = settings.spike_amplitude, settings.neuron_type.negative
        self.potentials = self.spiking if potentials else []
        if potentials:
            _check_potentials(settings.neuron_type)
        threshold = getattr(settings.neuron_type, "threshold", 1.0)
        self.rest = getattr(settings.neuron_type, "reset_potential", 0.0)
        self.threshold = getattr(settings.neuron_type, "firing_potential", threshold) - self.rest
        if at_once is None:
            at_once = images_together(bytes_of_step(model), memory_mb) if minibatch_size is None else minibatch_size
        at_once = min(at_once, n_images)
        self.minibatch_size = min(MOST_TOGETHER if minibatch_size is None else minibatch_size, n_images)
        weights = {name: dt / self.amplitude if name in self.spiking else 0.0 for name in self.recorded}
        hints = {"counted": None if activity else weights, "memory_mb": memory_mb, "threads": threads_of_job}
        asked = _asked(precision, threads)
        self.simulator = opened(backend, network, self.recorded, at_once, dt, self.potentials, hints=hints, **asked)
        self.counts_itself = not activity and isinstance(self.simulator, FastBackend)
        # the simulator holds the activity as tensors and as arrays, and stacks the steps in between
        recorded = 0 if self.counts_itself else sum(map(model.size, self.recorded))
        bytes_per_step = 3 * 4 * self.simulator.at_once * (recorded + model.size(model.input))
        self.chunk = n_steps if memory_mb is None else min(n_steps, max(1, int(memory_mb * 1e6 / bytes_per_step)))
        if self.counts_itself:
            self.chunk = min(self.chunk, LONGEST_CHUNK)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.simulator.close()

    def counts_frames(self, inputs):
        """Whether frames are counted as events: the network spikes, and does not make spikes of its own of them."""
        return bool(self.spiking) and inputs.n_steps is not None and not self.input_spikes

    def run(self, inputs):
        """Show all inputs for all steps: yields, for a minibatch and a chunk of time after another,

        the slice of images, the slice of steps, the class scores and those read out over time (images, steps, classes),
        and the magnitude of what each recorded layer emitted, {name: (images, steps, neurons)}, with that of an input
        that moves, and the membrane potentials in thresholds among them, if they are asked for, as "potential/<name>".
        """
        name_of_input = self.simulator.network.model.input
        settings, unchecked = self.simulator.network.settings, self.input_spikes
        if unchecked and isinstance(inputs, Images):
            check_input(inputs.batch(slice(None)), settings)
            unchecked = False
        for first, stop in self._parts(len(inputs)):
            images = inputs.batch(slice(first, stop))
            unchecked = unchecked and not check_input(images, settings)
            images = images.reshape(len(images), inputs.n_steps or 1, -1)
            read_out = averaged(self.skip_steps) if self.accumulates else None
            self.simulator.show(images, first % self.minibatch_size)
            for start in range(0, self.n_steps, self.chunk):
                n_steps = min(self.chunk, self.n_steps - start)
                values = self.simulator.run(n_steps)
                activity = {}
                if not self.counts_itself:
                    activity = {name: self._magnitude(name, values[f"layer/{name}"]) for name in self.recorded}
                if self.counts_frames(inputs):
                    activity[name_of_input] = self._magnitude(name_of_input, images[:, start : start + n_steps])
                for label in (f"potential/{name}" for name in self.potentials):
                    activity[label] = (values[label] - self.rest) / self.threshold
                output = values["output"]
                read_out = read_out or filtered(self.synapse, output[:, 0].shape, self.dt)
                yield (
                    slice(first, first + len(images)),
                    slice(start, start + n_steps),
                    output,
                    read_out(output),
                    activity,
                )

    def _parts(self, n_images):
        """(first, end) of the images that are simulated together, each within a minibatch."""
        for begin in range(0, n_images, self.minibatch_size):
            end = min(begin + self.minibatch_size, n_images)
            for first in range(begin, end, self.simulator.at_once):
                yield first, min(first + self.simulator.at_once, end)

    def _magnitude(self, name, emitted):
        """What a layer emitted, so that :meth:`counts` of it counts events.

        What a maximum passes on may be an average or filtered, not a spike, and a frame counts events: any output but
        zero is one.
        """
        if name not in self.spiking:
            return (emitted != 0) * np.float32(self.amplitude / self.dt)
        return np.abs(emitted) if self.negative else emitted

    def counts(self, emitted):
        """Numbers of spikes from what neurons emitted, or from sums of it."""
        return metrics.spike_counts(emitted, self.amplitude, self.dt)


def check_running(
    *, backend=None, minibatch_size=1, synapse=Default, memory_mb=None, precision="float32", threads=None, dt=0.001
):
    """Raise an error for arguments of a run, apart from those of its length, that cannot work."""
    check_optional_counts(minibatch_size=minibatch_size)
    if memory_mb is not None:
        check_positive(memory_mb=memory_mb)
    check_dt(dt)
    check_choice(PRECISIONS, precision=precision)
    check_workers_count(threads=threads)
    if synapse is not Default:
        check_synapse(synapse=synapse)
    check_backend(backend, **_asked(precision, threads))


def _asked(precision, threads):
    """Return the options of a back end that differ from what every back end does."""
    asked = {} if precision == "float32" else {"precision": precision}
    return asked if threads is None else {**asked, "threads": threads}


def run_length(network, n_steps, inputs):
    """The number of steps of a run, from what a user asks for: None for that of the inputs, or the default."""
    needed = network.settings.total_steps(network.model)
    if needed is not None and inputs.n_steps is not None:
        raise SettingsError("time to first spike is of images that stand still: show it images, not frames")
    if None not in (n_steps, needed) and n_steps != needed:
        raise SettingsError(f"n_steps: this network takes {needed} steps, got {n_steps!r}: leave n_steps out")
    known = (n_steps, needed, inputs.n_steps, network.model.metadata.get("n_steps"), DEFAULT_STEPS)
    return next(steps for steps in known if steps is not None)


def _check_rates(settings, dt):
    """Warn where a neuron that spikes once a step at most cannot reach an activation of 1."""
    if not settings.has_rates and not np.isclose(dt, settings.spike_amplitude, rtol=1e-6, atol=0):
        raise SettingsError(
            f"SurrogateLIF(amplitude={settings.spike_amplitude:g}) was trained with spikes of height 1, which it has "
            f"in steps of as many seconds: use dt={settings.spike_amplitude:g}, got {dt!r}"
        )
    longest = getattr(settings.neuron_type, "max_spikes", np.inf) * settings.spike_amplitude
    if dt > longest * (1 + 1e-6):
        warnings.warn(
            f"with steps of {dt:g} s neurons reach an activation of {longest / dt:g} at most: use dt={longest:g}",
            SnnConvWarning,
            stacklevel=4,
        )


def _check_potentials(neuron_type):
    if "voltage" not in neuron_type.state:
        raise SettingsError(
            f"potentials=True needs neurons with a membrane potential, {neuron_type} has none: use IntegrateAndFire, "
            "nengo.LIF or nengo.SpikingRectifiedLinear, or leave potentials out"
        )


def check_input(x, settings):
    """Warn where spikes cannot carry the input; returns whether it did."""
    lowest, highest = settings.input_range
    share = np.mean((x < lowest) | (x > highest))
    if share > 0:
        warnings.warn(
            f"{100 * share:.2g} % of the input is not in the range from {lowest:g} to {highest:g} that spikes carry, "
            f"and is clipped: use {settings.wider_input(x)}",
            SnnConvWarning,
            stacklevel=4,
        )
    return share > 0


def averaged(skip_steps=0):
    """A function that averages (images, steps, classes) from the first step to each, and continues where it ended.

    After ``skip_steps`` steps the average begins anew.
    """
    total, n_steps, skipped = 0.0, 0, 0.0

    def read_out(output):
        nonlocal total, n_steps, skipped
        sums = total + np.cumsum(output, axis=1, dtype=np.float64)
        numbers = n_steps + np.arange(1, output.shape[1] + 1)
        if n_steps < skip_steps <= numbers[-1]:
            skipped = sums[:, [skip_steps - n_steps - 1]]
        total, n_steps = sums[:, -1:], numbers[-1]
        late = (numbers > skip_steps)[:, None]
        return ((sums - late * skipped) / (numbers[:, None] - late * skip_steps)).astype(np.float32)

    return read_out


def filtered(synapse, shape, dt):
    """A function that filters (images, steps, classes) and continues where its last call ended."""
    if synapse is None:
        return lambda output: output
    state = synapse.make_state(shape, shape, dt)
    step = synapse.make_step(shape, shape, dt, rng=None, state=state)
    # a linear filter does not depend on the time, which is the first argument
    return lambda output: np.stack([step(0, output[:, i]) + 0.0 for i in range(output.shape[1])], axis=1)
