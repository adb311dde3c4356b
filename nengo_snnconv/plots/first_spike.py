"""Pictures of networks of time to first spike: when layers spike, what that costs, and which thresholds are good."""

import matplotlib
import numpy as np
from matplotlib.ticker import EngFormatter, MaxNLocator

from .._util.validation import check_has
from ..errors import SettingsError, listed
from .figures import BLUE, EVALUATION, GREY, ORANGE, Figure, bounded, check_axes, evenly, label_rows, short, single_axes

# that are drawn of more: layers, lines that end stages, and curves in a legend
MOST_LAYERS, MOST_ENDS, MOST_CURVES = 20, 100, 12
# rows that have room for a number beside each
NUMBERED = 60


def plot_spike_times(network, evaluation, axes=None):
    """Draw when the neurons of each layer spike, a panel for the input and for each layer on a common axis of time.

    A bar is the share of the neurons that spike in that step, mean over images.  The stage in which a layer listens is
    grey, the next one, in which it spikes, is blue; the earlier a spike, the larger the activation for which it stands.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``to_ttfs``.
    evaluation : Evaluation
        Of this network.
    axes : sequence of matplotlib axes, optional
        One for the input and one for each layer of neurons, or for as many of them as are to be drawn, evenly picked.
        By default of more than 20 layers 20 are drawn.

    Returns
    -------
    array of matplotlib axes

    Raises
    ------
    SettingsError
        If the network is not one of time to first spike, or the evaluation is of another one.
    """
    # TensorFlow comes with them, which other pictures do not need
    from ..networks.network import check_network
    from ..networks.ttfs import TTFSConfig, stages

    check_network(network)
    check_has("step_predictions", EVALUATION, evaluation=evaluation)
    if not isinstance(network.settings, TTFSConfig):
        raise SettingsError("spike times are those of networks of time to first spike: make one with to_ttfs")
    model, stage_steps = network.model, network.settings.stage_steps
    sent, panels = stages(model), {model.input: evaluation.input_layer, **evaluation.layers}
    if (
        None in panels.values()
        or not set(panels) <= set(sent)
        or evaluation.n_steps != network.settings.total_steps(model)
    ):
        raise SettingsError(f"the evaluation is of another network: this one has the layers {listed(sent, 8)}")
    check_axes(axes, len(panels), least=1)
    shown = evenly(list(panels)[1:], MOST_LAYERS if axes is None else len(axes) - 1)
    panels = {name: panels[name] for name in (model.input, *map(str, shown))}
    if axes is None:
        figure = Figure(figsize=(8, 0.8 + 1.05 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, layer) in zip(axes, panels.items(), strict=True):
        _draw_times(ax, layer, sent[name] * stage_steps, stage_steps)
        ax.set_title(f"{short(name, 40)}: {_spiking(layer)} spike", loc="left", fontsize=9)
        ax.set(xlim=(0.5, evaluation.n_steps + 0.5), ylim=(0, None))
        ax.set_ylabel("% a step", fontsize=8)
    steps = f"time step ({1000 * evaluation.dt:g} ms); a line is the end of a stage of {stage_steps}"
    axes[-1].set_xlabel(steps, fontsize=9)
    return axes


def _draw_times(ax, layer, begin, stage_steps):
    """The share of a layer's neurons that spike in each step, and its stages, the second of which begins at a step."""
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
    return f"{100 * layer.spikes_per_neuron:.1f} % of {layer.n_neurons:,}"


def plot_operations(efficiency, axes=None):
    """Draw the operations that each layer causes, those of the ANN and those of spikes, on a logarithmic axis.

    Parameters
    ----------
    efficiency : Efficiency
        Of a network with spikes of any kind.
    axes : matplotlib axes, optional

    Returns
    -------
    matplotlib axes
        A row for each layer, and one for their sum.  The number beside it is how many times as many operations the ANN
        needs.
    """
    check_has("active_layers", "an Efficiency: make one with efficiency(network, evaluation)", efficiency=efficiency)
    rows = {name: (layer.flops, layer.operations) for name, layer in efficiency.active_layers().items()}
    rows["all together"] = efficiency.flops, efficiency.operations
    ax, few = single_axes(axes, (7.5, bounded(1.3 + 0.3 * len(rows)))), len(rows) <= NUMBERED
    places = np.arange(len(rows))
    ann, spikes = (np.array(column, float) for column in zip(*rows.values(), strict=True))
    both = (ann > 0) & (spikes > 0)
    ax.hlines(places[both], np.minimum(ann, spikes)[both], np.maximum(ann, spikes)[both], color=GREY, lw=2, alpha=0.5)
    for values, color, label in ((ann, ORANGE, "ANN: floating-point"), (spikes, BLUE, "spikes: additions")):
        ax.plot(values[values > 0], places[values > 0], "o", ms=7 if few else 2, color=color, label=label)
    for place, more, less in zip(places, ann, spikes, strict=True):
        ax.annotate(
            _times(more / less) if less and more and few else "",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
        )
    ax.axhline(len(rows) - 1.5, color=GREY, lw=0.7)
    if few:
        ax.set_yticks(places, [short(name) for name in rows])
    else:
        label_rows(ax, list(rows))
    ax.set(xscale="log", xlabel="operations for an image", ylim=(len(rows) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.grid(axis="x", alpha=0.3)
    ax.set_title("Operations by the layer that causes them", pad=26)  # the legend is below it
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return ax


def _times(ratio):
    """A ratio as text, with two digits that say something."""
    return f"{ratio:,.0f} ×" if ratio >= 100 else f"{ratio:.1f} ×" if ratio >= 1 else f"{ratio:.2g} ×"


def plot_threshold_errors(errors, axes=None):
    """Draw the error of a layer's activations against the threshold, a curve for each number of steps.

    The picture is figure 2 of Lopez-Randulfe, Reeb & Knoll 2022 for a layer of any network.

    Parameters
    ----------
    errors : ThresholdErrors
    axes : matplotlib axes, optional

    Returns
    -------
    matplotlib axes
        A dot is the best threshold for that number of steps, a cross the error with the largest activation that the
        weights allow, the threshold of the paper.
    """
    check_has("best_errors", "ThresholdErrors: make them with threshold_errors(network, x)", errors=errors)
    ax = single_axes(axes, (7, 4))
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(errors.n_steps)))
    best = zip(errors.best, errors.best_errors, strict=True)
    bounds = errors.upper_bound_errors
    named = {int(n) for n in evenly(errors.n_steps, MOST_CURVES)}
    for color, n, curve, point, bound in zip(colors, errors.n_steps, errors.errors, best, bounds, strict=True):
        ax.plot(
            errors.thresholds, 100 * curve, color=color, label=f"{n} step{'s' if n > 1 else ''}" if n in named else None
        )
        ax.plot(point[0], 100 * point[1], "o", ms=6, color=color)
        ax.plot(errors.upper_bound, 100 * bound, "x", ms=6, color=color)
    ax.axvline(errors.largest, color=GREY, ls=":", lw=1.2, label="largest activation")
    ax.axvline(errors.upper_bound, color=GREY, ls="--", lw=1.2, label="largest that the weights allow")
    ax.set(xscale="log", yscale="log", xlabel="threshold, in activations", ylabel="error in % of the activity")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid(alpha=0.3, which="both")
    ax.set_title(f"{short(errors.layer)}: rounding and clipping (root mean square)", fontsize=11)
    ax.legend(fontsize=8, loc="lower left")
    return ax
