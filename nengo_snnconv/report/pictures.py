"""Pictures of a report: matplotlib figures as inline SVG for light and dark pages.

A report consists of small figures, which the page puts side by side or below each other, depending on its width.
"""

import collections.abc
import contextlib
import dataclasses
import html
import io
import re
import xml.etree.ElementTree

import matplotlib.colors
import matplotlib.figure
import numpy as np
from matplotlib.transforms import Bbox

from ..errors import SettingsError
from ..plots import BLUE, GREY, Figure, Plot

# these placeholders, which no other picture uses, are replaced by colors of the page
INK, PAPER = "#010203", "#fdfeff"
PAGE_COLORS = {INK: "currentColor", PAPER: "var(--paper)", BLUE: "var(--blue)", GREY: "var(--grey)"}
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
    "legend.facecolor": PAPER,
    "legend.framealpha": 0.85,
    "font.size": 9,
    "axes.titlesize": 10,
    "legend.fontsize": 8,
    "image.interpolation": "none",  # sharp pixels at any size
    "svg.fonttype": "none",  # text as text elements, not as paths
    "font.family": "sans-serif",
}
# largest number of layers with a panel each
MOST_PANELS = 21
# width in inches above which a figure is scrolled on a phone instead of shrunk
WIDE = 5.5
PIXELS_PER_INCH = 200  # resolution of rasterized parts


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure, and its description for people who cannot see it."""

    figure: matplotlib.figure.Figure
    alt: str

    @property
    def wide(self):
        """True if the figure is too wide for a phone, which shows a part of it that can be scrolled."""
        return self.figure.get_figwidth() > WIDE


@contextlib.contextmanager
def style():
    """Draw with the colors and fonts of the page inside the block."""
    with matplotlib.rc_context(STYLE):
        yield


def panel(width=4.0, height=2.9):
    """Return the axes of a new figure; a width of 4 inches is about the width of a phone."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def figures_of(content):
    """Return the figures of a picture that a user gave.

    A picture may be a Plot, axes, figures, a list or dict of them, or a function that draws and returns them.
    """
    if isinstance(content, Plot):
        content = list(content)
    if hasattr(content, "savefig"):
        return [content]
    if hasattr(content, "get_figure"):
        figure = content.get_figure()
        while figure.get_figure() not in (None, figure):  # axes may belong to a subfigure
            figure = figure.get_figure()
        return [figure]
    if callable(content):
        return figures_of(content())
    if isinstance(content, collections.abc.Mapping):
        content = content.values()
    if isinstance(content, collections.abc.Iterable) and not isinstance(content, str):
        parts = content.ravel() if isinstance(content, np.ndarray) else content
        return list(dict.fromkeys(figure for part in parts for figure in figures_of(part)))
    raise SettingsError(
        "sections may hold matplotlib axes or figures, functions that draw them, and rows of text, got "
        f"{type(content).__name__}",
        argument="sections",
    )


def described(figure):
    """Return a description of a figure, from its titles and labels."""
    parts = []
    for ax in figure.axes:
        title = next(filter(None, (ax.get_title(loc) for loc in ("left", "center", "right"))), "")
        labels = " over ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))
        parts.append(": ".join(filter(None, (title, labels))))
    headline = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    text = "; ".join(filter(None, (headline, *dict.fromkeys(parts)))).replace(r"\$", "$")  # as matplotlib shows it
    return " ".join(text.split()) or "a picture"


def inline_svg(picture, name):
    """Return a Picture as an SVG element for HTML; ids begin with ``name``, to be unique in the page."""
    text = io.StringIO()
    figure = picture.figure
    figure.draw_without_rendering()  # computes the layout
    # include parts that stick out, such as long names
    whole = Bbox.union([figure.bbox_inches, figure.get_tightbbox()])
    figure.savefig(text, format="svg", dpi=PIXELS_PER_INCH, bbox_inches=whole, metadata={"Date": None})
    root = xml.etree.ElementTree.fromstring(text.getvalue())
    used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', text.getvalue()))
    _clean(root, used, name)
    _, _, width, height = root.get("viewBox").split()
    view_box = f"0 0 {_shorten_numbers(width, 1)} {_shorten_numbers(height, 1)}"
    attributes = f'viewBox="{view_box}" role="img" aria-label="{html.escape(picture.alt)}"'
    if picture.wide:
        attributes += f' style="min-width:{0.75 * figure.get_figwidth() * 96:.0f}px"'
    markup = "".join(map(_markup, root))
    if matplotlib.colors.to_rgba(figure.get_facecolor())[3]:  # the figure has its own background
        return f'<svg {attributes} class="own">{markup}</svg>'
    for color, page in PAGE_COLORS.items():
        markup = markup.replace(color, page)
    return f"<svg {attributes}>{markup}</svg>"


def _clean(element, used, name):
    """Remove attributes and elements that HTML does not need, and make ids unique."""
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
        else:
            _clean(child, used, name)
    attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    element.attrib.clear()
    for key, value in attributes.items():
        if key == "id" and value not in used:
            continue
        if key == "id" or (key == "href" and value.startswith("#")):
            value = f"{value[: key == 'href']}{name}-{value[key == 'href' :]}"
        elif key in ("d", "x", "y", "points"):
            value = _shorten_numbers(value, 2)
        elif key == "transform":
            value = _shorten_numbers(value, 5)
        elif key == "style":
            value = re.sub(r"'DejaVu Sans'[^;]*?sans-serif", "sans-serif", value.replace(": ", ":").replace("; ", ";"))
        element.set(key, value.replace("url(#", f"url(#{name}-"))
    _merge_paths(element)


def _merge_paths(element):
    """Merge consecutive lines of the same style into one path: a raster has thousands."""
    before = None
    for child in list(element):
        look = {key: value for key, value in child.attrib.items() if key != "d"}
        is_line = child.tag.endswith("path") and "fill:none" in look.get("style", "") and "id" not in look
        if is_line and before is not None and look == before[1] and "opacity" not in look["style"]:
            before[0].set("d", before[0].get("d") + child.get("d"))
            element.remove(child)
        else:
            before = (child, look) if is_line else None


def _shorten_numbers(numbers, digits):
    """Round the numbers in a text to this number of digits, and remove spaces that are not needed."""
    text = re.sub(r"-?\d+\.\d+(?:e-?\d+)?", lambda match: f"{round(float(match[0]), digits):.{digits}f}", numbers)
    text = re.sub(r"(\.\d*?)0+(?!\d)", r"\1", text)
    text = re.sub(r"\.(?!\d)", "", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r" ?([A-Za-z]) ?", r"\1", text) if text[:1] == "M" else text


def _markup(element):
    """Return an element as HTML without namespaces, and without groups that have no effect."""
    tag = element.tag.rpartition("}")[2]
    attributes = "".join(f' {key}="{html.escape(value)}"' for key, value in element.attrib.items())
    inside = html.escape((element.text or "").strip()) + "".join(
        _markup(child) + html.escape((child.tail or "").strip()) for child in element
    )
    if tag in ("g", "defs") and not inside:
        return ""
    return inside if tag == "g" and not attributes else f"<{tag}{attributes}>{inside}</{tag}>"
