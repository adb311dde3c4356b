"""What all pictures share: figures that notebooks show, colours, and how a single image is drawn."""

import io

import matplotlib.figure
import numpy as np

from ..printable import printable

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#718096"
# that of Okabe & Ito (2008), which no kind of colour vision takes for orange
GREEN = "#009e73"
# of Okabe & Ito too, without those that are too light for lines
SERIES = ("#0072b2", "#d55e00", GREEN, "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "os^Dv"
# ten that are told apart with any colour vision (Petroff 2021, arXiv 2107.02270)
CLASSES = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")


def series_style(number):
    """Colour and marker of the line with this number: as many pairs as there are, before any comes again."""
    return {"color": SERIES[number % len(SERIES)], "marker": MARKERS[number % len(MARKERS)], "ms": 4}


def ink():
    """The colour of text, which matplotlib's settings choose: what is drawn like text suits any background."""
    return matplotlib.rcParams["text.color"]


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


def plain(name):
    """Return a name as text for matplotlib, which would draw what stands between dollars as a formula."""
    return printable(str(name)).replace("$", r"\$")


def legend_name(name):
    """Return a name for a legend, from which matplotlib would leave out those that begin with an underscore."""
    return f" {plain(name)}" if str(name).startswith("_") else plain(name)
