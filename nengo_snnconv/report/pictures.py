"""Pictures of a report: matplotlib figures as SVG that suits a page, light or dark, of any width.

A report consists of small figures, which a page puts beside or below each other, as wide as it is.
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
from ..plots import BLUE, GREY, Figure

# what is drawn in these colours gets those of the page; nobody else draws in them
INK, PAPER = "#010203", "#fdfeff"
OF_THE_PAGE = {INK: "currentColor", PAPER: "var(--paper)", BLUE: "var(--blue)", GREY: "var(--grey)"}
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
    "legend.facecolor": PAPER,
    "legend.framealpha": 0.85,
    "font.size": 9,
    "axes.titlesize": 10,
    "legend.fontsize": 8,
    "image.interpolation": "none",  # pixels stay pixels, however large they are shown
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
}
# inches, of figures that are not shrunk to the width of a phone
WIDE = 5.5
PIXELS_PER_INCH = 200  # of what is drawn as pixels all the same


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure, and what somebody who cannot see it is told."""

    figure: matplotlib.figure.Figure
    alt: str

    @property
    def wide(self):
        """Whether a phone shows a part of it only, which can be moved, because all of it would be too small."""
        return self.figure.get_figwidth() > WIDE


@contextlib.contextmanager
def style():
    """What is drawn inside suits the page."""
    with matplotlib.rc_context(STYLE):
        yield


def panel(width=4.0, height=2.9):
    """Axes of a new figure; on a phone, a figure of 4 inches is shown about as wide as that."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def figures_of(content):
    """The figures of what a user calls a picture: axes, figures, a list or dict of them, or a function that draws."""
    if hasattr(content, "savefig"):
        return [content]
    if hasattr(content, "get_figure"):
        figure = content.get_figure()
        while figure.get_figure() not in (None, figure):  # axes may be on a part of a figure
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
        "a section holds matplotlib axes or figures, functions that draw them, and rows of text, got "
        f"{type(content).__name__}"
    )


def described(figure):
    """What a figure shows, by its titles and labels."""
    parts = []
    for ax in figure.axes:
        title = next(filter(None, (ax.get_title(loc) for loc in ("left", "center", "right"))), "")
        labels = " over ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))
        parts.append(": ".join(filter(None, (title, labels))))
    headline = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    said = "; ".join(filter(None, (headline, *dict.fromkeys(parts)))).replace(r"\$", "$")  # as matplotlib shows it
    return " ".join(said.split()) or "a picture"


def inline_svg(picture, name):
    """A Picture as an SVG element for HTML; ``name`` sets its ids apart from those of other pictures."""
    text = io.StringIO()
    figure = picture.figure
    figure.draw_without_rendering()  # places everything
    # what sticks out, such as a long name, is no less part of the picture
    whole = Bbox.union([figure.bbox_inches, figure.get_tightbbox()])
    figure.savefig(text, format="svg", dpi=PIXELS_PER_INCH, bbox_inches=whole, metadata={"Date": None})
    root = xml.etree.ElementTree.fromstring(text.getvalue())
    used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', text.getvalue()))
    _clean(root, used, name)
    _, _, width, height = root.get("viewBox").split()
    attributes = (
        f'viewBox="0 0 {_short(width, 1)} {_short(height, 1)}" role="img" aria-label="{html.escape(picture.alt)}"'
    )
    if picture.wide:
        attributes += f' style="min-width:{0.75 * figure.get_figwidth() * 96:.0f}px"'
    markup = "".join(map(_markup, root))
    if matplotlib.colors.to_rgba(figure.get_facecolor())[3]:  # it brings its own background
        return f'<svg {attributes} class="own">{markup}</svg>'
    for colour, page in OF_THE_PAGE.items():
        markup = markup.replace(colour, page)
    return f"<svg {attributes}>{markup}</svg>"


def _clean(element, used, name):
    """Take out what HTML does not need, and make ids those of this picture."""
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
            value = _short(value, 2)
        elif key == "transform":
            value = _short(value, 5)
        elif key == "style":
            value = re.sub(r"'DejaVu Sans'[^;]*?sans-serif", "sans-serif", value.replace(": ", ":").replace("; ", ";"))
        element.set(key, value.replace("url(#", f"url(#{name}-"))
    _merge_paths(element)


def _merge_paths(element):
    """Make one path of lines that follow each other and look the same: a raster has thousands."""
    before = None
    for child in list(element):
        look = {key: value for key, value in child.attrib.items() if key != "d"}
        is_line = child.tag.endswith("path") and "fill:none" in look.get("style", "") and "id" not in look
        if is_line and before is not None and look == before[1] and "opacity" not in look["style"]:
            before[0].set("d", before[0].get("d") + child.get("d"))
            element.remove(child)
        else:
            before = (child, look) if is_line else None


def _short(numbers, digits):
    """Text in which numbers have so many digits behind the point at most, and no space that is not needed."""
    text = re.sub(r"-?\d+\.\d+(?:e-?\d+)?", lambda found: f"{round(float(found[0]), digits):.{digits}f}", numbers)
    text = re.sub(r"(\.\d*?)0+(?!\d)", r"\1", text)
    text = re.sub(r"\.(?!\d)", "", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r" ?([A-Za-z]) ?", r"\1", text) if text[:1] == "M" else text


def _markup(element):
    """An element as HTML, without name spaces; groups that say nothing are left out."""
    tag = element.tag.rpartition("}")[2]
    attributes = "".join(f' {key}="{html.escape(value)}"' for key, value in element.attrib.items())
    inside = html.escape((element.text or "").strip()) + "".join(
        _markup(child) + html.escape((child.tail or "").strip()) for child in element
    )
    if tag in ("g", "defs") and not inside:
        return ""
    return inside if tag == "g" and not attributes else f"<{tag}{attributes}>{inside}</{tag}>"
