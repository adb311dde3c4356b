"""What all pictures share: figures that notebooks show, colours, and how a single image is drawn."""

import io

import matplotlib.figure
import numpy as np

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#718096"


class Figure(matplotlib.figure.Figure):
    """A figure that notebooks show; they show matplotlib's own only after pyplot has made one."""

    def _repr_png_(self):
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()


def single_axes(axes, size=(6, 3.6)):
    """The given axes, or those of a new figure of this size in inches where there are none."""
    return Figure(figsize=size, layout="constrained").add_subplot() if axes is None else axes


def draw_input(ax, picture):
    """Draw an input of any number of axes, the last one the channel: a picture if it is one, else curves.

    Returns a function that shows another input in its place, on the same scale.
    """
    if picture.ndim >= 3:
        picture = _middle(picture)
        return draw_picture(ax, picture, min(0, picture.min()), max(1, picture.max()))
    lines = ax.plot(picture, lw=1)

    def replace(other):
        for line, values in zip(lines, np.atleast_2d(other.T), strict=True):
            line.set_ydata(values)

    return replace


def draw_picture(ax, picture, low, high):
    """Draw (height, width, channel), in colours where there are three channels; ``low`` is black.

    Returns a function that shows another picture in its place, on the same scale.
    """

    def pixels(picture):
        if picture.shape[-1] == 3:
            return np.clip((picture - low) / (high - low), 0, 1)
        return picture.mean(axis=-1)

    shown = ax.imshow(pixels(picture), cmap="gray", vmin=low, vmax=high)
    return lambda other: shown.set_data(pixels(_middle(other)))


def _middle(picture):
    """The middle slice of a volume; a picture as it is."""
    return picture[len(picture) // 2] if picture.ndim == 4 else picture
