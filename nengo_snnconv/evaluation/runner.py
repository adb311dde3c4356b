"""Runner: runs a network on inputs, minibatch by minibatch and, within each, chunk of time by chunk of time."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator

import numpy as np
from nengo.params import Default

from .._util.text_tables import counted
from .._util.user_warnings import warn_user
from .._util.validation import check_flags, check_run
from ..errors import SettingsError
from ..inputs import Images, Inputs, batches, warn_of_clipped_input
from ..model import connectivity
from ..model.memory import MOST_TOGETHER, bytes_of_step, images_together
from ..networks.native import NativeConfig
from ..networks.trainable import check_collected
from ..neurons.arguments import as_synapse
from . import metrics
from .backends import open_backend
from .readout import averaging_readout, filtering_readout

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork
    from .run_options import RunOptions

# a back end that counts events itself returns its counts after this many steps, so that a long run takes no more memory
LONGEST_CHUNK = 128


class Chunk(typing.NamedTuple):
    """Results of one minibatch in one chunk of time.

    Attributes
    ----------
    images : slice, or ndarray of int
        Positions among all images; an array if some of a minibatch have stopped.
    steps : slice
        Positions among all steps.
    output : ndarray, (images, steps, classes)
        Class scores.
    readout : ndarray, (images, steps, classes)
        Class scores, averaged or filtered over time.
    activity : dict of str to ndarray, (images, steps, neurons)
        Output of each layer of spiking neurons.  Of other recorded layers, and of frames at the input, 0 or the height
        of a spike.  "potential/<name>" holds the membrane potentials of a layer in units of the threshold, if they are
        recorded.
    """

    images: slice | np.ndarray
    steps: slice
    output: np.ndarray
    readout: np.ndarray
    activity: dict[str, np.ndarray]


class Runner:
    """Run a network on images in minibatches and in chunks of time.

    Parameters
    ----------
    network : ConvNetwork
    n_steps : int
    n_images : int
        Number of images, or of items, to be shown.
    options : RunOptions
    potentials : bool
        Record membrane potentials.
    with_activity : bool
        Yield the activity of layers.  Otherwise a back end that can counts events itself, which is faster.
    minibatch_size : int, optional
        Number of images that are simulated together; by default that of ``options``, or as many as fit into memory.

    Attributes
    ----------
    spiking : list of str
        Layers of spiking neurons.
    recorded : list of str
        Layers whose events are counted: ``spiking``, maxima of spikes, and the input if it spikes.
    signed : list of str
        Those of ``spiking`` whose neurons can emit negative spikes: all or none.
    potentials : list of str
        Layers whose membrane potentials are recorded.
    n_places : int
        Number of places in a minibatch.  Poisson input spikes of an image depend on its place, and places do not depend
        on how many images fit into memory.
    counts_itself : bool
        True if the back end counts events, which are then missing in the chunks.
    """

    def __init__(
        self,
        network: ConvNetwork,
        n_steps: int,
        n_images: int,
        options: RunOptions,
        *,
        potentials: bool = False,
        with_activity: bool = True,
        minibatch_size: int | None = None,
    ):
        check_run(n_steps, options.skip_steps, options.dt)
        check_flags(potentials=potentials)
        check_collected(network)
        model, settings = network.model, network.settings
        _check_dt(settings, options.dt)
        self.n_steps, self.skip_steps, self.dt = n_steps, options.skip_steps, options.dt
        self.accumulates = settings.accumulates and options.synapse is Default
        if self.skip_steps and settings.total_steps(model) is not None:
            raise SettingsError(
                "skip_steps is for networks whose layers all spike from the first step on: in this network they spike "
                "one stage after another, so leave skip_steps out",
                argument="skip_steps",
            )
        if self.skip_steps and not self.accumulates:
            raise SettingsError(
                "skip_steps is for averaged scores only: filtered ones forget the first steps by themselves",
                argument="skip_steps",
            )
        self.stop = options.stop
        _check_stop(self.stop, n_steps)
        self.synapse = as_synapse(settings.output_synapse if options.synapse is Default else options.synapse)
        self._describe_layers(model, settings, potentials)
        self._open(network, options, n_images, with_activity, minibatch_size)

    def _describe_layers(self, model, settings, potentials):
        """Set which layers are recorded, and how their output becomes spike counts and membrane potentials."""
        spikes = settings.neuron_type.spiking
        self.spiking = model.neurons if spikes else []
        self.recorded = [name for name, layer in model.layers.items() if spikes and connectivity.is_event_source(layer)]
        self.input_spikes = settings.input_spikes
        if self.input_spikes:
            self.recorded.insert(0, model.input)
        self.amplitude = settings.spike_amplitude
        of_layers = {name: settings.of_layer(model, name) for name in self.spiking}
        self._amplitudes = {name: each.spike_amplitude for name, each in of_layers.items()}
        if spikes and isinstance(settings, NativeConfig) and settings.synapse is None:
            self._amplitudes |= {
                name: self._amplitudes[source] for name, source in connectivity.maxima_of_spikes(model).items()
            }
        self.signed = [name for name, each in of_layers.items() if each.neuron_type.negative]
        self.potentials = self.spiking if potentials else []
        if potentials:
            _check_potentials(settings)
        self._ranges = {name: _resting_and_threshold(each.neuron_type) for name, each in of_layers.items()}

    def _open(self, network, options, n_images, with_activity, minibatch_size):
        """Open the back end, and choose sizes of minibatches and chunks that fit into memory."""
        model, memory_mb = network.model, options.memory_mb
        if minibatch_size is None:
            minibatch_size = options.minibatch_size
        if minibatch_size is None:
            minibatch_size = images_together(bytes_of_step(model), memory_mb)
        self.n_places = places(options)
        weights = {
            name: self.dt / self._amplitudes[name] if name in self._amplitudes else 0.0 for name in self.recorded
        }
        self.simulator = open_backend(
            options.backend,
            network,
            self.recorded,
            min(minibatch_size, n_images),
            self.dt,
            self.potentials,
            hints={
                "counted": None if with_activity else weights,
                "memory_mb": memory_mb,
                "threads": options.threads_of_job,
            },
            **options.backend_options,
        )
        self.counts_itself = not with_activity and "counted" in self.simulator.options
        # the simulator holds the activity as tensors and as arrays, and stacks the steps in between
        recorded = 0 if self.counts_itself else sum(map(model.size, self.recorded))
        bytes_per_step = 3 * 4 * self.simulator.minibatch_size * (recorded + model.size(model.input))
        n_steps = self.n_steps
        self.chunk = n_steps if memory_mb is None else min(n_steps, max(1, int(memory_mb * 1e6 / bytes_per_step)))
        if self.counts_itself:
            self.chunk = min(self.chunk, LONGEST_CHUNK)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.simulator.close()

    def counts_frames(self, inputs: Inputs) -> bool:
        """Return whether pixels of frames count as events: if the network spikes, but its input layer does not."""
        return bool(self.spiking) and inputs.n_steps is not None and not self.input_spikes

    def run(
        self,
        inputs: Inputs,
        place: int | None = None,
        margins: Callable[[np.ndarray], np.ndarray] = metrics.margins,
    ) -> Iterator[Chunk]:
        """Run the network on all inputs; yield a :class:`Chunk` at a time.

        Images run for all steps, or until the rule ``options.stop`` stops them.

        Parameters
        ----------
        inputs : Inputs
        place : int, optional
            Place of the first item in its minibatch, if the inputs are part of others; images have been checked then.
        margins : callable
            Function from scores (images, outputs) to the margins (images,) that the rule compares.
        """
        settings, unchecked = self.simulator.network.settings, self.input_spikes
        if unchecked and isinstance(inputs, Images):
            if place is None:
                warn_of_clipped_input(batches(inputs), settings)
            unchecked = False
        place = place or 0
        for first, stop in self._minibatches(len(inputs), place):
            images = inputs.batch(slice(first, stop))
            unchecked = unchecked and not warn_of_clipped_input([images], settings)
            images = images.reshape(len(images), inputs.n_steps or 1, -1)
            counts_frames = self.counts_frames(inputs)
            yield from self._run_minibatch(images, first, (place + first) % self.n_places, counts_frames, margins)

    def _run_minibatch(self, images, first, place, counts_frames, margins):
        """Yield the chunks of a minibatch, whose first image has the number ``first``; ``rows`` are still running."""
        input_name = self.simulator.network.model.input
        readout = averaging_readout(self.skip_steps) if self.accumulates else None
        self.simulator.start(images, place)
        n_images, rows = len(images), np.arange(len(images))
        for steps in self._chunks():
            values = self.simulator.run(steps.stop - steps.start)
            activity = {}
            if not self.counts_itself:
                activity = {name: self._activity(name, values[f"layer/{name}"]) for name in self.recorded}
            if counts_frames:
                activity[input_name] = self._activity(input_name, images[:, steps])
            for name in self.potentials:
                rest, threshold = self._ranges[name]
                activity[f"potential/{name}"] = (values[f"potential/{name}"] - rest) / (threshold - rest)
            output = values["output"]
            readout = readout or filtering_readout(self.synapse, (n_images, output.shape[-1]), self.dt)
            numbers = slice(first, first + n_images) if len(rows) == n_images else first + rows
            scores = readout(_with_stopped(output, rows, n_images))[rows]
            yield Chunk(numbers, steps, output, scores, activity)
            if self.stop is None or steps.stop == self.n_steps:
                continue
            kept = np.flatnonzero(~self.stop.certain(margins(scores[:, -1]), steps.stop))
            if not len(kept):
                break
            if len(kept) < len(rows):
                rows, images = rows[kept], images[kept]
                self.simulator.keep(kept)

    def _chunks(self):
        """Yield the steps of each chunk; one ends after each step in which images may stop."""
        start = 0
        while start < self.n_steps:
            ends = [] if self.stop is None else self.stop.steps
            end = min(start + self.chunk, *(end for end in ends if end > start), self.n_steps)
            yield slice(start, end)
            start = end

    def _minibatches(self, n_images, place):
        """Yield (first, stop) of images that are simulated together; none crosses the end of a block of places."""
        for begin in range(-place, n_images, self.n_places):
            end = min(begin + self.n_places, n_images)
            for first in range(max(begin, 0), end, self.simulator.minibatch_size):
                yield first, min(first + self.simulator.minibatch_size, end)

    def _activity(self, name, output):
        """Return the output of a layer of neurons, and of another layer or frames, the height of a spike per event.

        A maximum of neurons passes on as many spikes as its value says.  Others read averages or filtered values, and
        frames hold numbers of events, so any value but zero counts as one event there.
        """
        if name in self.spiking:
            return output
        return np.abs(output) if name in self._amplitudes else (output != 0) * np.float32(self.amplitude / self.dt)

    def counts(self, name: str, output: np.ndarray) -> np.ndarray:
        """Return numbers of spikes from the output of a layer, or from sums of magnitudes or of negative parts."""
        return metrics.spike_counts(output, self._amplitudes.get(name, self.amplitude), self.dt)


def places(options: RunOptions) -> int:
    """Return the number of places in a minibatch, on which Poisson input spikes depend."""
    return MOST_TOGETHER if options.minibatch_size is None else options.minibatch_size


def _check_dt(settings, dt):
    """Raise or warn if steps of ``dt`` seconds do not go with the spike amplitude of the neurons."""
    if not settings.has_rates and not np.isclose(dt, settings.spike_amplitude, rtol=1e-6, atol=0):
        raise SettingsError(
            f"dt must be {settings.spike_amplitude:g}, got {dt!r}: neurons SurrogateLIF(amplitude="
            f"{settings.spike_amplitude:g}) were trained with spikes of height amplitude / dt = 1",
            argument="dt",
        )
    longest = min(getattr(each, "max_spikes", np.inf) * of.spike_amplitude for each, of in settings.of_types.items())
    if dt > longest * (1 + 1e-6):
        warn_user(
            f"in steps of dt={dt:g} neurons cannot reach an activation above {longest / dt:g}: use dt={longest:g}",
        )


def _with_stopped(output, rows, n_images):
    """Return output with rows of zeros for the images that have stopped, because a read-out keeps sums of all."""
    if len(rows) == n_images:
        return output
    filled = np.zeros((n_images, *output.shape[1:]), output.dtype)
    filled[rows] = output
    return filled


def _check_stop(stop, n_steps):
    """Raise SettingsError if a rule is for another number of steps."""
    if stop is not None and stop.n_steps != n_steps:
        raise SettingsError(
            f"stop has margins for {counted(stop.n_steps, 'step')}, but n_steps={n_steps}: leave n_steps out, or "
            f"choose the rule with an evaluation of {counted(n_steps, 'step')}",
            argument="stop",
        )


def _check_potentials(settings):
    """Raise SettingsError if neurons have no membrane potential."""
    for neuron_type in settings.of_types:
        if "voltage" not in neuron_type.state:
            raise SettingsError(
                f"potentials=True needs neurons with a membrane potential, {neuron_type} has none: use "
                "IntegrateAndFire, nengo.LIF or nengo.SpikingRectifiedLinear, or leave potentials out",
                argument="potentials",
            )


def _resting_and_threshold(neuron_type):
    """Return the potentials of a neuron at rest and when it spikes."""
    threshold = getattr(neuron_type, "threshold", 1.0)
    return getattr(neuron_type, "reset_potential", 0.0), getattr(neuron_type, "firing_potential", threshold)
