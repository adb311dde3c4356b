"""SVG pictures that Nengo GUI shows beside its own plots: the image, and the class scores."""

import base64
import html
import io

import matplotlib.image
import numpy as np

from .._util.printable import printable

# colors of Nengo GUI's curves, so that the bar and the curve of a class have the same color
COLORS = ("#1c73b3", "#039f74", "#d65e00", "#cd79a7", "#f0e542", "#56b4ea")
MAX_BARS = 24
RIGHT, WRONG, UNDECIDED = "#1a7f37", "#c4292d", "#718096"
# explains what the page shows, below the bars
LEGEND = (
    "Bars: class scores so far, colored like the curves.",
    "Right: spikes, a row for each neuron.",
)


def picture_svg(image, caption, low=0.0, high=1.0):
    """Draw an image with crisp pixels above its caption.

    Parameters
    ----------
    image : ndarray
        Image with the channel last.  (height, width, channel) is drawn in color if there are three channels, else in
        gray.  Of a volume, the middle slice is drawn.  The channels of a series are drawn as rows.
    caption : str
    low, high : float
        Values drawn black and white.

    Returns
    -------
    str
        SVG that fills its container.
    """
    pixels = np.clip((_as_picture(image) - low) / (high - low), 0, 1)
    file = io.BytesIO()
    matplotlib.image.imsave(file, pixels, cmap="gray", vmin=0, vmax=1, format="png")
    data = base64.b64encode(file.getvalue()).decode()
    return _svg(
        f'<image href="data:image/png;base64,{data}" x="2" y="10" width="96" height="78" '
        'style="image-rendering:pixelated"/>' + _text(50, 98, caption, 9, anchor="middle")
    )


def _as_picture(image):
    """Return an image as (height, width) or (height, width, 3)."""
    if image.ndim == 4:
        image = image[len(image) // 2]
    if image.ndim < 3:
        return np.atleast_2d(image.T)
    return image if image.shape[-1] == 3 else image.mean(axis=-1)


def scores_svg(scores, class_names, true_class):
    """Draw the class scores as bars, below the name of the recognized class and whether it is right, with a legend.

    No class is named while all scores are equal, as before the first spikes arrive.

    Parameters
    ----------
    scores : ndarray, (classes,)
    class_names : sequence of str
    true_class : int

    Returns
    -------
    str
        SVG that fills its container.
    """
    winner = int(np.argmax(scores)) if np.ptp(scores) > 0 else None
    shown = range(len(scores))
    if len(shown) > MAX_BARS:  # the largest scores, and that of the true class
        shown = sorted({true_class, *np.argsort(-scores, kind="stable")[: MAX_BARS - 1].tolist()})
    parts = [*_heading(winner, class_names, true_class), *_bars(scores, class_names, shown, winner), *_legend()]
    return _svg("".join(parts))


def _legend():
    """Return the lines that explain the page, as a list of SVG elements."""
    return [_text(50, 94 + 4.5 * row, line, 3.2, anchor="middle", fill=UNDECIDED) for row, line in enumerate(LEGEND)]


def _heading(winner, class_names, true_class):
    """Return the name of the recognized class, and whether it is right, as a list of SVG elements."""
    if winner is None:
        title, verdict, color = "no class yet", f"it is {class_names[true_class]}", UNDECIDED
    else:
        title, right = class_names[winner], winner == true_class
        verdict, color = ("right", RIGHT) if right else (f"wrong, it is {class_names[true_class]}", WRONG)
    return [
        _text(50, 17, title, min(11, 160 / max(1, len(title))), anchor="middle", fill=color, weight="bold"),
        _text(50, 24, verdict, 5.5, anchor="middle", fill=color),
    ]


def _bars(scores, class_names, shown, winner):
    """Return a name and a bar for each of the classes ``shown``, as a list of SVG elements."""
    low, high = min(0.0, scores.min()), max(0.0, scores.max())
    # names end at x = 26, bars extend from 28 to 98
    positions = 28 + 70 * (np.stack([np.minimum(scores, 0), np.maximum(scores, 0)]) - low) / ((high - low) or 1)
    pitch = 63 / len(shown)
    size = min(5.5, 0.8 * pitch, 44 / max(1, *(len(class_names[i]) for i in shown)))
    parts = []
    for row, i in enumerate(shown):
        left, right = positions[0][i], positions[1][i]
        top, weight = 27 + row * pitch, "bold" if i == winner else "normal"
        parts.append(_text(26, top + 0.7 * pitch, class_names[i], size, anchor="end", weight=weight))
        parts.append(
            f'<rect x="{left:.1f}" y="{top + 0.1 * pitch:.1f}" width="{right - left:.1f}" '
            f'height="{0.8 * pitch:.1f}" fill="{COLORS[i % len(COLORS)]}"/>'
        )
    return parts


def _svg(content):
    return f'<svg width="100%" height="100%" viewBox="0 0 100 100">{content}</svg>'


def _text(x, y, text, size, anchor, fill="black", weight="normal"):
    return (
        f'<text x="{x}" y="{y:.1f}" font-size="{size:.2f}" text-anchor="{anchor}" fill="{fill}" '
        f'font-weight="{weight}">{html.escape(printable(text))}</text>'
    )
