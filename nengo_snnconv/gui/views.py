"""What Nengo GUI shows beside its own plots, as SVG: the image, and the class scores."""

import base64
import html
import io

import matplotlib.image
import numpy as np

from .._util.printable import printable

# those of Nengo GUI's curves, so that a bar and the curve of the same class agree
COLORS = ("#1c73b3", "#039f74", "#d65e00", "#cd79a7", "#f0e542", "#56b4ea")
# classes whose scores have room
MOST_BARS = 24
RIGHT, WRONG, UNDECIDED = "#1a7f37", "#c4292d", "#718096"


def picture_svg(image, caption, low=0.0, high=1.0):
    """An image with crisp pixels above its caption.

    Parameters
    ----------
    image : ndarray
        (height, width, channel) is a picture, in colours where there are three channels; the middle of a volume; the
        rows of others are their channels.  A channel that comes first is moved to the end by the caller.
    caption : str
    low, high : float
        What is black, and white.

    Returns
    -------
    str
        SVG that fills what it is shown in.
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
    if image.ndim == 4:
        image = image[len(image) // 2]
    if image.ndim < 3:
        return np.atleast_2d(image.T)
    return image if image.shape[-1] == 3 else image.mean(axis=-1)


def scores_svg(scores, class_names, true_class):
    """The class with the largest score in words, and whether that is right, above the scores as bars.

    Where all scores are equal, as before the first spikes arrive, there is no class yet.

    Parameters
    ----------
    scores : ndarray, (classes,)
    class_names : sequence of str
    true_class : int

    Returns
    -------
    str
        SVG that fills what it is shown in.
    """
    winner = int(np.argmax(scores)) if np.ptp(scores) > 0 else None
    if winner is None:
        title, verdict, color = "no class yet", f"it is {class_names[true_class]}", UNDECIDED
    else:
        title, right = class_names[winner], winner == true_class
        verdict, color = ("right", RIGHT) if right else (f"wrong, it is {class_names[true_class]}", WRONG)
    parts = [
        _text(50, 17, title, min(11, 160 / max(1, len(title))), anchor="middle", fill=color, weight="bold"),
        _text(50, 24, verdict, 5.5, anchor="middle", fill=color),
    ]
    low, high = min(0.0, scores.min()), max(0.0, scores.max())
    # names to the left of x = 28, bars from there to 98
    places = 28 + 70 * (np.stack([np.minimum(scores, 0), np.maximum(scores, 0)]) - low) / ((high - low) or 1)
    shown = range(len(scores))
    if len(shown) > MOST_BARS:  # the best ones, and the true one
        shown = sorted({true_class, *np.argsort(-scores, kind="stable")[: MOST_BARS - 1].tolist()})
    pitch = 72 / len(shown)
    size = min(5.5, 0.8 * pitch, 44 / max(1, *(len(class_names[i]) for i in shown)))
    for row, i in enumerate(shown):
        name, left, right = class_names[i], places[0][i], places[1][i]
        top, weight = 27 + row * pitch, "bold" if i == winner else "normal"
        parts.append(_text(26, top + 0.7 * pitch, name, size, anchor="end", weight=weight))
        parts.append(
            f'<rect x="{left:.1f}" y="{top + 0.1 * pitch:.1f}" width="{right - left:.1f}" '
            f'height="{0.8 * pitch:.1f}" fill="{COLORS[i % len(COLORS)]}"/>'
        )
    return _svg("".join(parts))


def _svg(content):
    return f'<svg width="100%" height="100%" viewBox="0 0 100 100">{content}</svg>'


def _text(x, y, text, size, anchor, fill="black", weight="normal"):
    return (
        f'<text x="{x}" y="{y:.1f}" font-size="{size:.2f}" text-anchor="{anchor}" fill="{fill}" '
        f'font-weight="{weight}">{html.escape(printable(text))}</text>'
    )
