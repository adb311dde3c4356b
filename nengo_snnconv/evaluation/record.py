"""record: all spikes, scores and membrane potentials of a network for a few images."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np
from nengo.params import Default

from .._util.display import Displayed
from .._util.text_tables import counted
from .._util.validation import check_counts, check_flags, check_memory
from ..errors import SettingsError
from ..inputs import Data, as_inputs
from ..inputs.inputs import warn_of_uncalibrated_input
from ..inputs.several import has_several
from ..model.image_axes import image_axes
from ..model.memory import MEMORY_MB, bytes_of_step, images_together
from ..networks.context import adds_result_only
from ..networks.network import check_network
from .run_options import RunOptions, run_length
from .runner import Runner
from .task import as_task, task_of

if typing.TYPE_CHECKING:
    import nengo

    from ..model.ports import Port
    from ..networks.network import ConvNetwork


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Recording(Displayed):
    """Spikes, scores and membrane potentials of a network for a few images, step by step.

    Attributes
    ----------
    images : ndarray, (images, height, width, channel)
        Images; of frames, the mean over time.
    spikes : dict of str to ndarray, (images, steps, neurons)
        Number of spikes of each neuron of each spiking layer in each step, and of the input if it spikes.  Negative
        spikes of neurons are negative numbers.
    output, filtered : ndarray, (images, steps, classes)
        Class scores, and the same averaged or filtered over time, in the units of the model that was converted.
    dt : float
        Seconds per step.
    shapes : dict of str to tuple of int
        (height, width, channel) of the input, which comes first, and of each spiking layer, in order.  Neurons are
        flattened row by row, channel last; see ``axes`` for layers with another order.
    input : ndarray, (images, steps, height, width, channel)
        Output of the input layer in each step: the image, or its Poisson spikes, with their sign and the height of
        ``input_threshold``.
    potentials : dict of str to ndarray, (images, steps, neurons)
        Membrane potential of each neuron of each spiking layer after each step, in units of the threshold and after the
        reset.  Empty unless requested.
    axes : dict of str to tuple of int
        Positions of height, width and channel among the axes of the input and of each spiking layer: (1, 2, 0) if the
        channel comes first.
    head : str
        What the outputs mean, as far as the model tells: "classes", "binary", "labels", "values" or "heads"; see
        :class:`Evaluation`.
    ports : tuple of dict
        The inputs and the outputs of a model that has several of them, by name; see ``heads``.
    """

    images: np.ndarray
    spikes: dict[str, np.ndarray]
    output: np.ndarray
    filtered: np.ndarray
    dt: float
    shapes: dict[str, tuple[int, ...]]
    input: np.ndarray
    potentials: dict[str, np.ndarray]
    axes: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    head: str = "classes"
    ports: tuple[dict[str, Port], dict[str, Port]] = ({}, {})

    @property
    def heads(self) -> dict[str, Recording]:
        """Recording of each of several outputs, by name, as plots take it; empty for one output and one input.

        Its ``images`` and ``input`` are those of the first input that is an image, or of the first input.
        """
        inputs, outputs = self.ports
        if not inputs:
            return {}
        name = next((name for name, port in inputs.items() if len(port.shape) == 3), next(iter(inputs)))
        port, (vector, *layers) = inputs[name], self.shapes
        seen: dict[str, typing.Any] = {
            "shapes": {name: port.shape, **{layer: self.shapes[layer] for layer in layers}},
            "axes": {**self.axes},
        }
        seen["axes"][name] = tuple(range(len(port.shape)))
        for attribute in ("images", "input"):
            values = getattr(self, attribute)[..., port.entries]
            seen[attribute] = values.reshape(*values.shape[:-1], *port.shape)
        if vector in self.spikes:
            of_layers = {layer: spikes for layer, spikes in self.spikes.items() if layer != vector}
            seen["spikes"] = {name: self.spikes[vector][..., port.entries], **of_layers}
        return {
            name: dataclasses.replace(
                self,
                **seen,
                output=self.output[..., each.entries],
                filtered=self.filtered[..., each.entries],
                head=task_of(each, 0, None, "y").head.name,
                ports=({}, {}),
            )
            for name, each in outputs.items()
        }

    @property
    def n_classes(self) -> int:
        """Number of classes, labels or outputs."""
        if self.ports[0]:
            raise SettingsError(
                f"this recording is of a model with several inputs or outputs: take one of them, "
                f"recording.heads[{next(iter(self.ports[1]))!r}]",
                argument="recording",
            )
        return 2 if self.head == "binary" else self.filtered.shape[2]

    def class_scores(self, image: int) -> np.ndarray:
        """Return the filtered scores of an image, (steps, classes); those of one output, a logit, are 0 and the logit.

        Parameters
        ----------
        image : int
            Index of the image.
        """
        scores = self.filtered[image]
        return np.concatenate([np.zeros_like(scores), scores], axis=1) if self.head == "binary" else scores

    def _headline(self):
        n_images, n_steps = self.output.shape[:2]
        n_spikes = sum(int(np.abs(spikes).sum()) for spikes in self.spikes.values())
        traces = ", with membrane potentials" if self.potentials else ""
        run = f"{counted(n_images, 'image')}, {counted(n_steps, 'step')}"
        return f"{run}, {counted(n_spikes, 'spike')} in {counted(len(self.spikes), 'layer')}{traces}"

    def _tables(self):
        rows = [("layer", "shape", "spikes")]
        for name, spikes in self.spikes.items():
            rows.append((name, " x ".join(map(str, self.shapes[name])), f"{int(np.abs(spikes).sum()):,}"))
        return [rows]

    def axes_of(self, name: str) -> tuple[int, ...]:
        """Return the axes of a layer in the order of an image, channel last."""
        return self.axes.get(name, tuple(range(len(self.shapes[name]))))


@adds_result_only
def record(
    network: ConvNetwork,
    x: Data,
    *,
    n_steps: int | None = None,
    backend: str | None = None,
    synapse: float | nengo.synapses.Synapse | None = Default,
    dt: float = 0.001,
    potentials: bool = False,
    memory_mb: float = MEMORY_MB,
) -> Recording:
    """Run a network on a few images and return all spikes and scores, step by step.

    Parameters
    ----------
    network : ConvNetwork
    x : ndarray, (images, height, width, channel), or Recordings, Inputs or a data set
        As for :func:`evaluate`, but only a few, since all spikes of all steps are kept in memory.
    n_steps, backend, synapse, dt
        As for :func:`evaluate`.
    potentials : bool
        Record membrane potentials too.
    memory_mb : float
        Approximate memory of the simulation in megabytes, apart from the recording.  Sets the number of images that
        are simulated together.

    Returns
    -------
    Recording

    Raises
    ------
    SettingsError
        If an argument has an invalid value, the images do not fit the network, or its neurons have no membrane
        potential.
    ConversionError
        If the back end cannot run the network.
    """
    check_network(network)
    options = RunOptions(backend=backend, synapse=synapse, dt=dt)
    check_flags(potentials=potentials)
    inputs = as_inputs(network.model, x, n_steps)
    warn_of_uncalibrated_input(network.model, inputs, network.settings)
    n_steps = run_length(network, n_steps, inputs)
    check_counts(n_steps=n_steps)
    model = network.model
    size = sum(map(model.size, [*model.neurons, model.input, model.output]))
    everything = f"a recording of {len(inputs)} images in n_steps={n_steps} steps"
    check_memory(4 * size * len(inputs) * n_steps, everything, "record fewer images or fewer steps")
    together = images_together(n_steps * bytes_of_step(model), memory_mb, most=len(inputs))
    # no limit of memory, so that all steps are one chunk
    options = dataclasses.replace(options, minibatch_size=len(inputs), memory_mb=None)
    runner = Runner(network, n_steps, len(inputs), options, potentials=potentials, minibatch_size=together)
    with runner:
        _, _, outputs, readouts, activities = zip(*runner.run(inputs), strict=True)
    images = inputs.batch(slice(None))
    images = images[:, None] if inputs.n_steps is None else images
    activity = {name: np.concatenate([part[name] for part in activities]) for name in activities[0]}
    shapes = {name: model.shapes[name] for name in (model.input, *runner.spiking)}
    names = ([model.input] if runner.input_spikes else []) + runner.spiking
    spikes = {name: runner.counts(name, activity[name]).astype(np.int32) for name in names}
    for name in runner.signed:
        spikes[name] *= np.sign(activity[name]).astype(np.int32)
    return Recording(
        images=images.mean(axis=1),
        spikes=spikes,
        output=np.concatenate(outputs),
        filtered=np.concatenate(readouts),
        dt=dt,
        shapes=shapes,
        input=_output_of_input_layer(network, images, spikes.get(model.input), n_steps),
        potentials={name: activity[f"potential/{name}"] for name in runner.potentials},
        axes={name: image_axes(model, name) for name in shapes},
        head=as_task(model, len(inputs), None).head.name,
        ports=(model.inputs, model.outputs) if has_several(model) else ({}, {}),
    )


def _output_of_input_layer(network, images, counts, n_steps):
    """Return the output of the input layer in each step: pixels, or spikes with the sign of the pixels.

    ``images`` are (images, 1 or steps, height, width, channel); ``counts`` are numbers of spikes, None for constant
    current.
    """
    images = np.broadcast_to(images, (len(images), n_steps, *images.shape[2:]))
    if counts is None:
        shown = np.arange(n_steps) < network.settings.input_steps(n_steps)
        return images if shown.all() else images * shown.reshape(-1, *[1] * (images.ndim - 2)).astype(np.float32)
    height = np.float32(network.settings.input_height)
    return height * np.sign(images) * counts.reshape(images.shape).astype(np.float32)
