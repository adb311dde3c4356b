"""Places of the components on the page of Nengo GUI: the .cfg file beside a script."""

import math

import numpy as np

from ..errors import SettingsError
from ..evaluation.evaluate import evaluate
from ..evaluation.record import record

# neurons in a raster plot, spread evenly over the layer
RASTER_NEURONS = 50
# raster plots, of layers spread evenly over the network; users can open others in Nengo GUI
MAX_RASTERS = 16
SHOWN_TIME_S = 0.25
# (left, top, width, height), as fractions of the window
PICTURE, VERDICT = (0.01, 0.01, 0.24, 0.48), (0.26, 0.01, 0.28, 0.48)
CLASS_SLIDER, EXAMPLE_SLIDER = (0.03, 0.51, 0.08, 0.25), (0.15, 0.51, 0.08, 0.25)
CURVES, RASTERS = (0.28, 0.51, 0.25, 0.29), (0.57, 0.02, 0.41, 0.79)
# center of each box in the diagram of the network, and half its size
DIAGRAM = {
    "choose_class": (0.1, 0.865),
    "choose_example": (0.1, 0.945),
    "shown": (0.32, 0.905),
    "trial": (0.58, 0.905),
    "recognised": (0.84, 0.905),
}
BOX = (0.02, 0.018)


def layout(model, name="model"):
    """Return the text of a .cfg file that shows all components of a GuiNetwork at once.

    Parameters
    ----------
    model : GuiNetwork
        The network; it is run for some steps to find the range of its scores.
    name : str
        Variable of the script that holds the network.  It becomes code, so it must be a Python identifier.

    Returns
    -------
    str
        Lines of Python, as Nengo GUI writes them itself.
    """
    if not name.isidentifier():
        raise SettingsError(f"name must be a Python identifier, got {name!r}", argument="name")
    classes, examples = ({"min_value": low, "max_value": max(high, low + 1)} for low, high in model.slider_ranges)
    low, high = _score_range(model)
    components = [
        ("HTMLView", "image", PICTURE, {"label_visible": False}),
        ("HTMLView", "recognised", VERDICT, {"label_visible": False}),
        ("Slider", "choose_class", CLASS_SLIDER, classes),
        ("Slider", "choose_example", EXAMPLE_SLIDER, examples),
        ("Value", "scores", CURVES, {"min_value": low, "max_value": high, "synapse": 0.0}),
    ]
    shown = np.linspace(0, len(model.spiking) - 1, min(len(model.spiking), MAX_RASTERS)).astype(int).tolist()
    for i, box in zip(shown, _grid(len(shown), RASTERS), strict=True):
        neurons = min(RASTER_NEURONS, model.spiking[i].n_neurons)
        components.append(("Raster", f"spiking[{i}]", box, {"n_neurons": neurons}))
    lines = [
        "_viz_sim_control = nengo_gui.components.SimControl()",
        f"_viz_config[_viz_sim_control].shown_time = {SHOWN_TIME_S}",
    ]
    for i, (kind, attribute, box, settings) in enumerate(components):
        lines.append(f"_viz_{i} = nengo_gui.components.{kind}({name}.{attribute})")
        lines += [f"_viz_config[_viz_{i}].{key} = {value!r}" for key, value in (_position(*box) | settings).items()]
    for attribute, center in DIAGRAM.items():
        lines.append(f"_viz_config[{name}.{attribute}].pos = {center}")
        lines.append(f"_viz_config[{name}.{attribute}].size = {BOX}")
    lines.append(f"_viz_config[{name}].has_layout = True")
    return "\n".join(lines) + "\n"


def _position(left, top, width, height):
    """Return the settings for a box in Nengo GUI: its center, and half its width and height."""
    position = {"x": left + width / 2, "y": top + height / 2, "width": width / 2, "height": height / 2}
    return {key: round(value, 4) for key, value in position.items()}


def _grid(n, box):
    """Return ``n`` boxes that fill ``box`` from top to bottom, in one column or, if more than five, in two."""
    left, top, width, height = box
    n_columns = 1 + (n > 5)
    width, height = width / n_columns, height / max(1, math.ceil(n / n_columns))
    cells = [divmod(i, n_columns) for i in range(n)]
    return [(left + column * width, top + row * height, 0.96 * width, 0.94 * height) for row, column in cells]


def _score_range(model, n_steps=20):
    """Return a range, in two digits, that contains the scores for the first image of each class."""
    network, images = model.network, model.first_images
    if network.settings.accumulates:
        totals = record(network, images, n_steps=n_steps, backend="nengo").output.cumsum(axis=1)
        means = totals / np.arange(1, n_steps + 1)[:, None]
        # means over the first steps, in which few neurons have spiked, can be far outside of the later range
        scores = means[:, n_steps // 2 :]
    else:
        scores = evaluate(network, images, np.zeros(len(images), int), backend="fast", progress=False).scores
    margin = 0.1 * max(np.ptp(scores), 1e-6)
    return float(f"{min(0, scores.min()) - margin:.2g}"), float(f"{max(0, scores.max()) + margin:.2g}")
