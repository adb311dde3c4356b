"""present: images one after another in one run, each as if it were the only one."""

from __future__ import annotations

import nengo
import numpy as np
from nengo.params import IntParam, NdarrayParam

from .._util.text_tables import counted
from .._util.validation import as_array, check_counts, check_images
from ..errors import ConversionError, SettingsError
from .network import ConvNetwork, check_network


class ImageSequence(nengo.Process):
    """Images one after another, then the first one again.

    Parameters
    ----------
    images : ndarray, (images, size)
    n_steps : int
        Number of steps of each image.
    """

    images = NdarrayParam("images", shape=("*", "*"))
    n_steps = IntParam("n_steps", low=1)

    def __init__(self, images, n_steps):
        super().__init__(default_size_in=0, default_size_out=images.shape[1])
        self.images, self.n_steps = images, n_steps

    def make_step(self, shape_in, shape_out, dt, rng, state):
        """Return the function of time."""
        images, n_steps = self.images, self.n_steps  # parameters of Nengo take time to read
        return lambda t: images[(round(t / dt) - 1) // n_steps % len(images)]


class Onsets(nengo.Process):
    """1 in the first one of each ``n_steps`` steps, 0 in the others.

    Parameters
    ----------
    n_steps : int
    """

    n_steps = IntParam("n_steps", low=1)

    def __init__(self, n_steps):
        super().__init__(default_size_in=0, default_size_out=1)
        self.n_steps = n_steps

    def make_step(self, shape_in, shape_out, dt, rng, state):
        """Return the function of time."""
        n_steps = self.n_steps
        return lambda t: float((round(t / dt) - 1) % n_steps == 0)


def present(network: ConvNetwork, x: np.ndarray, *, n_steps: int | None = None) -> int:
    """Show images one after another to a network in a simulator of your own, and reset the network for each of them.

    The function sets the outputs of the nodes ``network.input`` and ``network.reset``, so that the network computes for
    each image what it computes for this image alone, from initial membrane potentials on.  This works in
    ``nengo.Simulator``, ``nengo_dl.Simulator`` and :class:`Simulator`, also if ``network`` is a part of a larger one.

    Parameters
    ----------
    network : ConvNetwork
        Any network but those of ``to_loihi``.
    x : ndarray, (images, height, width, channel)
        Images of the shape of the network's input, or videos with a frame for each step, (videos, steps, height,
        width, channel); for several inputs, a dict or list of arrays.  After the last one, the first one is shown
        again.
    n_steps : int, optional
        Number of steps of each image.  Leave it out for videos, and for networks that need a certain number (those with
        ``stage_steps`` or time to first spike).

    Returns
    -------
    int
        Number of steps in which all images are shown once.

    Raises
    ------
    SettingsError
        If ``x`` or ``n_steps`` does not fit the network, or something is connected to its input.
    ConversionError
        If the network cannot be reset.

    Notes
    -----
    All images have the Poisson spikes of the first one of a minibatch, those of ``evaluate(..., minibatch_size=1)``.

    Examples
    --------
    >>> n_steps = snc.present(snn, data.x_test[:10], n_steps=40)
    >>> with snc.Simulator(snn) as sim:
    ...     sim.run_steps(n_steps)
    >>> scores = sim.data[snn.probes["output"]].reshape(10, 40, -1).mean(axis=1)
    """
    check_network(network)
    model, shape = network.model, network.model.shapes[network.model.input]
    if network.reset is None:
        raise ConversionError(
            "the chip cannot be reset during a run: call present with the network that was given to to_loihi, or show "
            "one image in each run"
        )
    if network.input.size_in:
        raise SettingsError(
            "something is connected to network.input: connect it to a network that network.rebuild() returns, or show "
            "the images with a node of your own and connect the signal that resets to network.reset",
            argument="network",
        )
    x = as_array(x if len(model.inputs) == 1 else network.join_inputs(x), "x", "an array of images")
    of_video = x.shape[1] if x.ndim == len(shape) + 2 else None
    n_steps = _steps(n_steps, network.settings.total_steps(model), of_video)
    images = check_images(model, x if of_video is None else x.reshape(-1, *x.shape[2:]))
    network.input.output = ImageSequence(images.reshape(len(images), -1), n_steps if of_video is None else 1)
    network.reset.size_in = 0
    network.reset.output = Onsets(n_steps)
    return len(x) * n_steps


def _steps(n_steps, needed, of_video):
    """Return the number of steps of an image; raise SettingsError if it is unknown or does not fit."""
    if needed is not None and of_video is not None:
        raise SettingsError(
            "x: networks that run in stages take images, which do not change over time; got videos", argument="x"
        )
    fixed = needed if of_video is None else of_video
    if fixed is None or n_steps is not None:
        check_counts(n_steps=n_steps)
    if None not in (fixed, n_steps) and n_steps != fixed:
        reason = "this network takes" if of_video is None else "these videos have"
        raise SettingsError(
            f"n_steps: {reason} {counted(fixed, 'step')}, got {n_steps}: leave n_steps out", argument="n_steps"
        )
    return n_steps if fixed is None else fixed
