"""Plot: what every function that draws returns, the panels of a figure."""

from __future__ import annotations

import os
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes

# several axes, as the functions take them
AxesSequence: TypeAlias = Sequence[Axes] | np.ndarray


class Plot(Sequence[Axes]):
    """A drawing: a sequence of its panels, which are matplotlib axes.

    All functions of ``nengo_snnconv.plots`` and all methods ``plot`` return one.  A notebook shows its figure, and
    ``plot.savefig(path)`` writes it to a file.  The figure does not belong to pyplot, so ``plt.savefig`` and
    ``plt.show`` do not know it.  ``plot[0]`` is the first panel; some plots also have names for their panels, as in
    ``plot["scores"]``.  If there is only one panel, ``plot`` has the attributes of these axes, too:
    ``plot.set_title("...")``.

    Parameters
    ----------
    panels : matplotlib axes, sequence of them, or dict of str to axes or lists of them
    """

    def __init__(self, panels: Axes | AxesSequence | Mapping[str, Any]) -> None:
        if isinstance(panels, Plot):
            panels = panels._named or list(panels)
        self._named: dict[str, Axes | list[Axes]] = dict(panels) if isinstance(panels, Mapping) else {}
        if isinstance(panels, Mapping):
            panels = [ax for each in panels.values() for ax in (each if isinstance(each, list) else [each])]
        self._panels: tuple[Any, ...] = (panels,) if hasattr(panels, "get_xlim") else tuple(panels)

    @property
    def figure(self) -> Any:
        """The matplotlib figure, of the first panel if there are several."""
        figure = self._panels[0].get_figure()
        while figure.get_figure() not in (None, figure):  # panels may belong to a subfigure
            figure = figure.get_figure()
        return figure

    def savefig(self, path: str | os.PathLike, **options: Any) -> None:
        """Write the figure to a file; ``options`` are those of matplotlib's ``Figure.savefig``."""
        self.figure.savefig(path, **options)

    def __len__(self) -> int:
        return len(self._panels)

    def __getitem__(self, key: Any) -> Any:
        return self._named[key] if isinstance(key, str) else self._panels[key]

    def __iter__(self) -> Iterator[Axes]:
        return iter(self._panels)

    def __contains__(self, item: object) -> bool:
        return item in (self._named if isinstance(item, str) else self._panels)

    def keys(self) -> KeysView[str]:
        """Return the names of the panels, if they have any."""
        return self._named.keys()

    def values(self) -> ValuesView[Axes | list[Axes]]:
        """Return the panels that have names."""
        return self._named.values()

    def items(self) -> ItemsView[str, Axes | list[Axes]]:
        """Return names and panels."""
        return self._named.items()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # of protocols, such as copying
            raise AttributeError(name)
        if len(self._panels) != 1:
            raise AttributeError(f"this plot has {len(self._panels)} panels: take one of them, as in plot[0].{name}")
        return getattr(self._panels[0], name)

    def __repr__(self) -> str:
        titles = [ax.get_title() or ax.get_title(loc="left") or "untitled" for ax in self._panels[:4]]
        more = ["..."] if len(self._panels) > 4 else []
        return f"<Plot: {'; '.join(' '.join(title.split()) for title in [*titles, *more])}>"

    def _repr_png_(self) -> bytes | None:
        show = getattr(self.figure, "_repr_png_", None)  # figures of pyplot are shown by the notebook itself
        return None if show is None else show()
