"""plot_history: loss and accuracy over the epochs of a training."""

from __future__ import annotations

import numpy as np

from ..errors import SettingsError
from .figures import BLUE, ORANGE, Figure, check_axes, dots, use_integer_ticks
from .plot import AxesSequence, Plot


def plot_history(history: dict[str, list], axes: AxesSequence | None = None) -> Plot:
    """Draw loss and accuracy over the epochs of a training.

    Parameters
    ----------
    history : dict of str to list
        Training history, ``network.history``.
    axes : pair of matplotlib axes, optional
        Axes for the loss and for the accuracy.

    Returns
    -------
    Plot
        Shown in a notebook; ``.savefig(path)`` writes it to a file.

    Raises
    ------
    SettingsError
        If the network was not trained.
    """
    if not isinstance(history, dict):
        raise SettingsError(
            f"history must be a dict, network.history, got {type(history).__name__}", argument="history"
        )
    if not history:
        raise SettingsError("history is empty: the network was not trained", argument="history")
    check_axes(axes, 2)
    if axes is None:
        axes = Figure(figsize=(9, 3.4), layout="constrained").subplots(1, 2)
    measure = ("error", "", 1) if "error" in history else ("accuracy", " (%)", 100)
    for ax, (name, unit, factor) in zip(axes, (("loss", "", 1), measure), strict=True):
        for key, label, color in ((name, "training", BLUE), (f"val_{name}", "validation", ORANGE)):
            if key in history:
                values = factor * np.asarray(history[key], float)  # None, if it was not measured, becomes a gap
                style = {"marker": dots(len(values)), "ms": 3, "color": color, "label": label}
                ax.plot(np.arange(1, len(values) + 1), values, **style)
        ax.set(xlabel="epoch", ylabel=name + unit, title=f"{name.capitalize()} during training")
        use_integer_ticks(ax.xaxis)
        ax.grid(alpha=0.3)
        ax.legend()
    return Plot(axes)
