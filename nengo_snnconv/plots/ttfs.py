"""plot_spike_times: the steps in which the layers of a network of time to first spike spike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from .._util.text_tables import counted
from .._util.validation import check_has
from ..errors import SettingsError, listed
from .figures import BLUE, EVALUATION, GREY, Figure, check_axes, evenly, short
from .plot import AxesSequence, Plot

if TYPE_CHECKING:
    from ..networks.network import ConvNetwork

# largest number of layers, and of lines that mark the ends of stages
MOST_LAYERS, MOST_ENDS = 20, 100


def plot_spike_times(network: ConvNetwork, evaluation: Any, axes: AxesSequence | None = None) -> Plot:
    """Draw when the neurons of each layer spike, one panel for the input and for each layer on a common time axis.

    A bar is the share of the neurons that spike in that step, averaged over images.  The stage in which a layer
    integrates its input is gray, the next one, in which it spikes, is blue; earlier spikes encode larger activations.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_ttfs``.
    evaluation : Evaluation
        Evaluation of this network.
    axes : sequence of matplotlib axes, optional
        Axes for the input, if it spikes, and for each layer of neurons; with fewer axes, evenly spaced layers are
        drawn.  By default all layers, or 20 if there are more.

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.

    Raises
    ------
    SettingsError
        If the network is not one of time to first spike, or the evaluation is of another network.
    """
    # these modules load TensorFlow, which other plots do not need
    from ..networks.network import check_network
    from ..networks.stages import stages
    from ..networks.ttfs import TTFSConfig

    check_network(network)
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    if not isinstance(network.settings, TTFSConfig):
        raise SettingsError("network must be one of time to first spike: make one with to_ttfs", argument="network")
    model, stage_steps = network.model, network.settings.stage_steps
    inputs = {model.input: evaluation.input_layer} if network.settings.input_spikes else {}
    first_stages, panels = stages(model), {**inputs, **evaluation.layers}
    if (
        None in panels.values()
        or not set(panels) <= set(first_stages)
        or evaluation.n_steps != network.settings.total_steps(model)
    ):
        raise SettingsError(
            f"evaluation is of another network: this network has the layers {listed(first_stages, 8)}",
            argument="evaluation",
        )
    if not panels:
        raise SettingsError("network has no neurons that spike", argument="network")
    check_axes(axes, len(panels), least=1)
    shown = evenly(list(evaluation.layers), MOST_LAYERS if axes is None else len(axes) - len(inputs))
    panels = {name: panels[name] for name in (*inputs, *map(str, shown))}
    if axes is None:
        figure = Figure(figsize=(8, 0.8 + 1.05 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, layer) in zip(axes, panels.items(), strict=True):
        _draw_times(ax, layer, first_stages[name] * stage_steps, stage_steps)
        ax.set_title(f"{short(name, 40)}: {_spiking(layer)} spike", loc="left", fontsize=9)
        ax.set(xlim=(0.5, evaluation.n_steps + 0.5), ylim=(0, None))
        ax.set_ylabel("% per step", fontsize=8)
    steps = f"time step ({1000 * evaluation.dt:g} ms); lines mark the ends of stages of {counted(stage_steps, 'step')}"
    axes[-1].set_xlabel(steps, fontsize=9)
    return Plot(axes)


def _draw_times(ax, layer, begin, stage_steps):
    """Draw the share of a layer's neurons that spike in each step, and its two stages.

    The layer spikes in the stage that begins after step ``begin``.
    """
    n_steps = len(layer.spikes_per_step)
    (busy,) = np.nonzero(layer.spikes_per_step)
    if begin:
        ax.axvspan(begin - stage_steps + 0.5, begin + 0.5, color=GREY, alpha=0.15, lw=0)
    ax.axvspan(begin + 0.5, begin + stage_steps + 0.5, color=BLUE, alpha=0.12, lw=0)
    ax.bar(busy + 1, 100 * layer.spikes_per_step[busy] / layer.n_neurons, width=0.85, color=BLUE)
    ends = range(stage_steps, n_steps, stage_steps)
    for end in ends if len(ends) <= MOST_ENDS else ():
        ax.axvline(end + 0.5, color=GREY, lw=0.7)
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)


def _spiking(layer):
    """Return the share of the neurons that spike, as text."""
    return f"{100 * layer.spikes_per_neuron:.1f} % of {layer.n_neurons:,}"
