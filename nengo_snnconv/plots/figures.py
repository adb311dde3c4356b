"""Common parts of all plots: figures for notebooks, colors, labels, checks of axes, and drawing of one image."""

import io

import matplotlib.figure
import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from .._util.printable import printable
from .._util.validation import check_names, shown
from ..errors import SettingsError
from .plot import Plot

EVALUATION = "an Evaluation: make one with evaluate(network, x, y)"
RECORDING = "a Recording: make one with record(network, x)"

BLUE, ORANGE, GREY = "#2b6cb0", "#dd6b20", "#718096"
# green of Okabe & Ito (2008), distinct from orange for all kinds of color vision
GREEN = "#009e73"
# color of negative spikes, reddish purple of Okabe & Ito
NEGATIVE = "#cc79a7"
# colors of Okabe & Ito, without those that are too light for lines
SERIES = ("#0072b2", "#d55e00", GREEN, NEGATIVE, "#e69f00", "#56b4e9")
MARKERS = "os^Dv"
# ten colors that are distinct for all kinds of color vision (Petroff 2021, arXiv 2107.02270)
CLASSES = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
# largest height or width of a figure that grows with its data
MOST_INCHES = 12


def series_style(number):
    """Return the color and marker of the line with this number; combinations repeat as late as possible."""
    return {"color": SERIES[number % len(SERIES)], "marker": MARKERS[number % len(MARKERS)], "ms": 4}


def name_negative_spikes(ax, handle):
    """Add a legend with an entry for negative spikes."""
    ax.legend([handle], ["negative spikes"], loc="upper right", fontsize=7, handlelength=1, borderpad=0.3)


def ink():
    """Return the color of text in matplotlib's settings, for marks that must be visible on any background."""
    return matplotlib.rcParams["text.color"]


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that notebooks display; they display other figures only if pyplot made them."""

    def _repr_png_(self):
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()


def scale_operations(ax):
    """Make the x-axis of a finished plot of operations logarithmic, with labels such as 200k and 1M in any range."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 3000 * low else (1,), numticks=12))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_minor_formatter(NullFormatter())


def check_axes(axes, n, name="axes", least=None):
    """Raise SettingsError if ``axes`` are neither None nor a sequence of ``n`` (or ``least`` to ``n``) Axes."""
    if axes is None:
        return
    least = n if least is None else least
    sequence = isinstance(axes, list | tuple | np.ndarray | Plot) and np.ndim(axes) == 1
    if not sequence or not least <= len(axes) <= n or not all(map(_is_axes, axes)):
        received = f"{len(axes)} entries" if sequence else shown(axes)
        number = n if least == n else f"{least} to {n}"
        raise SettingsError(
            f"{name} must be a sequence of {number} matplotlib axes, or None; got {received}", argument="axes"
        )


def _is_axes(axes):
    return hasattr(axes, "get_xlim") and hasattr(axes, "figure")


def short(name, most=24):
    """Return a name as a label of at most ``most`` characters.

    The middle of a long name is left out, and dollar signs are escaped because matplotlib takes them for formulas.
    """
    name = printable(" ".join(str(name).split()))
    if len(name) > most:
        name = f"{name[: most // 2]}…{name[len(name) - (most - 1) // 2 + 1 :]}"
    return name.replace("$", r"\$")


def class_labels(n_classes, class_names):
    """Check the names of the classes, and return them; if they are None, the numbers of the classes as text."""
    check_names(n_classes, class_names=class_names)
    return list(map(str, range(n_classes)) if class_names is None else class_names)


def bounded(size, most=MOST_INCHES):
    """Limit a height or width in inches that grows with the data to the size of a screen or page."""
    return min(size, most)


def label_rows(ax, names, most=40, axis="y"):
    """Label the rows (or columns) 0, 1, ... of an axis with names, or some of them if there are too many.

    Returns the distance between labelled rows.
    """
    step = -(-len(names) // most) or 1
    places = range(0, len(names), step)
    getattr(ax, f"set_{axis}ticks")(places, [short(names[place]) for place in places])
    if step > 1:
        ax.tick_params(axis=axis, labelsize=7)
    return step


def evenly(numbers, n):
    """Return at most ``n`` of the ``numbers``, evenly spaced, including the first and the last."""
    return np.asarray(numbers)[np.linspace(0, len(numbers) - 1, min(n, len(numbers))).astype(int)]


def use_integer_ticks(axis):
    """Let an axis have ticks at integers only."""
    axis.get_major_locator().set_params(integer=True)


def dots(n, marker="o"):
    """Return the marker of a curve with ``n`` points: none if the markers would overlap."""
    return marker if n <= 200 else ""


def single_axes(axes, size=(6, 3.6)):
    """Return the given axes, or the axes of a new figure of this size in inches if they are None."""
    if axes is None:
        return Figure(figsize=size, layout="constrained").add_subplot()
    if isinstance(axes, Plot) and len(axes) == 1:
        return axes[0]
    if not _is_axes(axes):
        raise SettingsError(f"axes must be matplotlib axes, or None; got {shown(axes)}", argument="axes")
    return axes


def draw_input(ax, picture):
    """Draw an input with any number of axes, channel last: as a picture if it has rows and columns, else as curves.

    Returns a function that replaces it by another input on the same scale.
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
    """Draw a picture (height, width, channel), in color if it has three channels; ``low`` is black.

    Returns a function that replaces it by another picture on the same scale.
    """

    def pixels(picture):
        if picture.shape[-1] == 3:
            return np.clip((picture - low) / (high - low), 0, 1)
        return picture.mean(axis=-1)

    image = ax.imshow(pixels(picture), cmap="gray", vmin=low, vmax=high)
    return lambda other: image.set_data(pixels(_middle(other)))


def _middle(picture):
    """Return the middle slice of a volume, and a picture unchanged."""
    return picture[len(picture) // 2] if picture.ndim == 4 else picture


def legend_name(name, most=40):
    """Return a name for a legend; matplotlib leaves out names that begin with an underscore."""
    name = short(name, most)
    return f" {name}" if name.startswith("_") else name
