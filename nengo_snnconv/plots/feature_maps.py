"""Panels of plot_life that show the neurons of a layer as feature maps: firing rates, or times of spikes."""

import math

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from .panels import Moving


def maps_of(shape, axes=None):
    """Return the numbers of the neurons in each feature map.

    Each channel is a map: of a volume its middle slice, of a time series one row.  A vector is one map, a strip, folded
    into rows if it is long.

    Parameters
    ----------
    shape : tuple of int
        Shape of the layer.
    axes : tuple of int, optional
        Order of the axes that puts the channel last, if it is not.

    Returns
    -------
    ndarray of int, (maps, height, width)
        -1 if there is no neuron.
    """
    numbers = np.arange(math.prod(shape))
    if len(shape) == 1:
        rows = 1 if len(numbers) <= 64 else math.ceil(math.sqrt(len(numbers) / 3))
        columns = math.ceil(len(numbers) / rows)
        return np.pad(numbers, (0, rows * columns - len(numbers)), constant_values=-1).reshape(1, rows, columns)
    numbers = numbers.reshape(shape)
    if axes is not None:
        numbers = numbers.transpose(axes)
    if len(shape) == 4:
        numbers = numbers[len(numbers) // 2]
    return np.moveaxis(numbers[None] if len(shape) == 2 else numbers, -1, 0)


def mosaic(maps, ratio):
    """Arrange maps (maps, height, width) in a grid with gaps of -1 that fills a box of width / height ``ratio``.

    Returns
    -------
    ndarray of int, (height, width)
    """
    n_maps, height, width = maps.shape
    gap = max(1, round(0.06 * width)) if n_maps > 1 else 0

    def merit(rows):
        columns = math.ceil(n_maps / rows)
        scale = min(ratio / (columns * (width + gap)), 1 / (rows * (height + gap)))
        return scale * math.sqrt(n_maps / (rows * columns))  # full rows are worth somewhat smaller maps

    rows = max(range(1, n_maps + 1), key=merit)
    columns = math.ceil(n_maps / rows)
    tiles = np.full((rows * columns, height + gap, width + gap), -1)
    tiles[:n_maps, :height, :width] = maps
    grid = tiles.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2).reshape(rows * (height + gap), -1)
    return grid[: len(grid) - gap, : grid.shape[1] - gap]


def draw_maps(ax, counts, grid, dt, traced):
    """Draw the firing rates in Hz up to the step; negative spikes are subtracted.

    Parameters
    ----------
    ax : matplotlib axes
    counts : ndarray of int, (steps, neurons)
        Spikes.
    grid : ndarray of int, (height, width)
        Numbers of the neurons; -1 for gaps.
    dt : float
        Length of a time step in seconds.
    traced : dict of int to color
        Neurons that are marked with rings.
    """
    final = np.abs(counts.mean(axis=0))[grid[grid >= 0]] / dt
    # the color scale ends at the 99th percentile, so a few very active neurons do not make all others look alike
    highest = np.percentile(final[final > 0], 99) if final.any() else 1 / dt
    image = _empty_image(ax, grid, cmap="magma", vmin=0, vmax=highest)
    extend = "max" if (final > highest).any() else "neither"
    _add_colorbar(ax, image, "Hz", extend=extend, ticks=MaxNLocator(3))

    def show(step):
        rates = np.abs(counts[:step].mean(axis=0)) / dt
        image.set_data(np.ma.masked_where(grid < 0, rates[grid]))

    return [Moving(image, show), *_mark(ax, grid, traced)]


def _empty_image(ax, grid, **colors):
    """Draw an image without values, the size of ``grid``."""
    aspect = "auto" if len(grid) < 3 else "equal"
    image = ax.imshow(np.ma.masked_all(grid.shape), interpolation="nearest", aspect=aspect, **colors)
    ax.set_anchor("W")
    ax.axis("off")
    return image


def _add_colorbar(ax, image, unit, **options):
    """Add a narrow color bar to the right of an image."""
    colorbar = ax.figure.colorbar(image, cax=ax.inset_axes((1.025, 0, 0.02, 1)), **options)
    colorbar.ax.tick_params(labelsize=8, length=2, pad=2)
    colorbar.ax.set_title(unit, fontsize=8, loc="left", pad=3)
    return colorbar


def _mark(ax, grid, traced):
    """Draw rings around the traced neurons."""
    moving = []
    for neuron, color in traced.items():
        row, column = np.argwhere(grid == neuron)[0]
        for width, edge in ((2.4, "white"), (1.4, color)):
            (ring,) = ax.plot(column, row, "o", ms=7, mfc="none", mec=edge, mew=width, clip_on=False)
            moving.append(Moving(ring))
    return moving


def draw_times(ax, counts, grid, traced):
    """Draw the steps in which neurons spiked, early ones bright; each neuron spikes at most once.

    Parameters are those of :func:`draw_maps`.
    """
    spiked, times = counts.any(axis=0), np.abs(counts).argmax(axis=0) + 1
    first, last = (times[spiked].min(), times[spiked].max()) if spiked.any() else (1, len(counts))
    # the color scale ends after the last step, so spikes in it are not black like silent neurons
    limits = {"vmin": first, "vmax": last + 0.3 * (last - first + 1)}
    image = _empty_image(ax, grid, cmap=matplotlib.colormaps["magma_r"].with_extremes(bad="white"), **limits)
    colorbar = _add_colorbar(ax, image, "step", ticks=MaxNLocator(3, integer=True, min_n_ticks=1))
    colorbar.ax.set_ylim(last, first)

    def show(step):
        seen = np.where(spiked & (times <= step), times, limits["vmax"])  # as dark as neurons that never spike
        image.set_data(np.ma.masked_where(grid < 0, seen[grid]))

    return [Moving(image, show), *_mark(ax, grid, traced)]
