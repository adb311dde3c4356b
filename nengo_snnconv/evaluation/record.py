"""record: everything that a network did for a few images."""

import dataclasses

import numpy as np
from nengo.params import Default

from .._util.validation import check_counts, check_flags, check_memory
from ..evaluation.inputs import as_inputs
from ..model.image_axes import image_axes
from ..model.input_range import warn_of_range
from ..model.memory import MEMORY_MB, bytes_of_step, images_together
from ..networks.network import check_network
from .runner import Runner, check_running, run_length


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """Everything that a network did for a few images.

    Attributes
    ----------
    images : ndarray, (images, height, width, channel)
        Of frames, their mean over time.
    spikes : dict of str to ndarray, (images, steps, neurons)
        Number of spikes of each neuron of each spiking layer in each step; of the input too, if it spikes.
    output, filtered : ndarray, (images, steps, classes)
        Class scores, and the same read out over time, in the units of the model that was converted.
    dt : float
        Seconds per step.
    shapes : dict of str to tuple of int
        (height, width, channel) of the input, which comes first, and of each spiking layer, in order.  Neurons are
        flattened row by row, channel last.  ``axes`` says where that is another order.
    input : ndarray, (images, steps, height, width, channel)
        What the input layer emitted in each step: the image, or its Poisson spikes, with their sign and the height of
        ``input_threshold``.
    potentials : dict of str to ndarray, (images, steps, neurons)
        Membrane potential of each neuron of each spiking layer after each step, in thresholds: a neuron that spiked is
        reset already.  Empty if they were not asked for.
    axes : dict of str to tuple of int
        For the input and for each spiking layer, which of its axes are height, width and channel: (1, 2, 0) where the
        channel comes first.
    """

    images: np.ndarray
    spikes: dict
    output: np.ndarray
    filtered: np.ndarray
    dt: float
    shapes: dict
    input: np.ndarray
    potentials: dict
    axes: dict = dataclasses.field(default_factory=dict)

    def axes_of(self, name):
        """The axes of a layer in the order of a picture, its channel last."""
        return self.axes.get(name, tuple(range(len(self.shapes[name]))))


def record(network, x, *, n_steps=None, backend=None, synapse=Default, dt=0.001, potentials=False, memory_mb=MEMORY_MB):
    """Run a network on a few images and keep all that it did.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel), or Recordings or Inputs
        As for :func:`evaluate`.  A few: all spikes of all steps are kept in memory.
    n_steps, backend, synapse, dt
        As for :func:`evaluate`.
    potentials : bool
        Record membrane potentials too.
    memory_mb : float
        Roughly how much memory the simulation of images may take, beside what is kept; sets how many are simulated
        together.

    Returns
    -------
    Recording

    Raises
    ------
    SettingsError
        If an argument cannot work, if the images do not fit the network, or if its neurons have no membrane potential.
    ConversionError
        If the back end cannot run the network.
    """
    check_network(network)
    check_running(backend=backend, synapse=synapse, dt=dt)
    check_flags(potentials=potentials)
    inputs = as_inputs(network.model, x, n_steps)
    n_steps = run_length(network, n_steps, inputs)
    check_counts(n_steps=n_steps)
    kept = sum(map(network.model.size, [*network.model.neurons, network.model.input, network.model.output]))
    everything = f"all that the network does for {len(inputs)} images in n_steps={n_steps} steps"
    check_memory(4 * kept * len(inputs) * n_steps, everything, "record fewer images or fewer steps")
    warn_of_range(network.model, x)
    at_once = images_together(n_steps * bytes_of_step(network.model), memory_mb, most=len(inputs))
    options = {"potentials": potentials, "at_once": at_once}
    runner = Runner(network, n_steps, backend, synapse, len(inputs), None, dt, len(inputs), **options)
    with runner:
        _, _, outputs, read_outs, activities = zip(*runner.run(inputs), strict=True)
    shown = inputs.batch(slice(None))
    shown = shown[:, None] if inputs.n_steps is None else shown
    output, filtered = np.concatenate(outputs), np.concatenate(read_outs)
    activity = {name: np.concatenate([part[name] for part in activities]) for name in activities[0]}
    model = network.model
    shapes = {name: model.shapes[name] for name in (model.input, *runner.spiking)}
    names = ([model.input] if runner.input_spikes else []) + runner.spiking
    spikes = {name: runner.counts(activity[name]).astype(np.int32) for name in names}
    return Recording(
        images=shown.mean(axis=1),
        spikes=spikes,
        output=output,
        filtered=filtered,
        dt=dt,
        shapes=shapes,
        input=_emitted_input(network, shown, spikes.get(model.input), n_steps),
        potentials={name: activity[f"potential/{name}"] for name in runner.potentials},
        axes={name: image_axes(model, name) for name in shapes},
    )


def _emitted_input(network, shown, counts, n_steps):
    """What the input layer emitted: what it was shown in each step, or spikes of its sign, ``counts`` of them."""
    shown = np.broadcast_to(shown, (len(shown), n_steps, *shown.shape[2:]))
    if counts is None:
        return shown
    height = np.float32(network.settings.input_height)
    return height * np.sign(shown) * counts.reshape(shown.shape).astype(np.float32)
