"""What all pictures share: figures that notebooks show, colours, and how a single image is drawn."""

import io

import matplotlib.figure
import numpy as np

from .._util.printable import printable
from .._util.validation import shown
from ..errors import SettingsError

EVALUATION = "an Evaluation: make one with evaluate(network, x, y)"
RECORDING = "a Recording: make one with record(network, x)"

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#718096"
# that of Okabe & Ito (2008), which no kind of colour vision takes for orange
GREEN = "#009e73"
# of Okabe & Ito too, without those that are too light for lines
SERIES = ("#0072b2", "#d55e00", GREEN, "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "os^Dv"
# ten that are told apart with any colour vision (Petroff 2021, arXiv 2107.02270)
CLASSES = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")


# of a figure that grows with its data
MOST_INCHES = 12


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


def check_axes(axes, n, name="axes", least=None):
    """Raise SettingsError where ``axes`` are neither None nor a sequence of ``n`` (or ``least`` to ``n``) Axes."""
    if axes is None:
        return
    least = n if least is None else least
    sequence = isinstance(axes, list | tuple | np.ndarray) and np.ndim(axes) == 1
    if not sequence or not least <= len(axes) <= n or not all(map(_is_axes, axes)):
        found = f"{len(axes)} entries" if sequence else shown(axes)
        wanted = n if least == n else f"{least} to {n}"
        raise SettingsError(f"{name} must be {wanted} matplotlib axes in a sequence, or None; got {found}")


def _is_axes(axes):
    return hasattr(axes, "get_xlim") and hasattr(axes, "figure")


def short(name, most=24):
    """Return a name as a label: its middle left out where it is long, and dollars, which enclose formulas, escaped."""
    name = printable(" ".join(str(name).split()))
    if len(name) > most:
        name = f"{name[: most // 2]}…{name[len(name) - (most - 1) // 2 + 1 :]}"
    return name.replace("$", r"\$")


def bounded(size, most=MOST_INCHES):
    """A height or width in inches that grows with the data, but not beyond what a screen or a page shows."""
    return min(size, most)


def label_rows(ax, names, most=40, axis="y"):
    """Name the rows (or columns) 0, 1, ... of an axis: all of them, or evenly picked ones where they are many."""
    step = -(-len(names) // most) or 1
    places = range(0, len(names), step)
    getattr(ax, f"set_{axis}ticks")(places, [short(names[place]) for place in places])
    if step > 1:
        ax.tick_params(axis=axis, labelsize=7)
    return step


def evenly(numbers, n):
    """At most ``n`` of the ``numbers``, evenly picked, the first and the last among them."""
    return np.asarray(numbers)[np.linspace(0, len(numbers) - 1, min(n, len(numbers))).astype(int)]


def dots(n, marker="o"):
    """The marker of a curve with so many points: none where they would run into each other."""
    return marker if n <= 200 else ""


def single_axes(axes, size=(6, 3.6)):
    """The given axes, or those of a new figure of this size in inches where there are none."""
    if axes is None:
        return Figure(figsize=size, layout="constrained").add_subplot()
    if not _is_axes(axes):
        raise SettingsError(f"axes must be matplotlib axes, or None; got {shown(axes)}")
    return axes


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


def legend_name(name, most=40):
    """Return a name for a legend, from which matplotlib would leave out those that begin with an underscore."""
    name = short(name, most)
    return f" {name}" if name.startswith("_") else name
