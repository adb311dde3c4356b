"""Panels of plot_life that show the class scores, and the class with the highest score in each step."""

import matplotlib
import numpy as np

from .panels import Moving, draw_time, growing_line, size_in_inches


def winners_of(scores):
    """Return the class with the highest score in each step, from scores (steps, classes); -1 if all are equal."""
    return np.where(np.ptp(scores, axis=1) > 0, scores.argmax(axis=1), -1)


def draw_scores(ax, scores, classes, colors):
    """Draw the class scores (steps, classes) as lines; the line of the highest score is bold."""
    winners = winners_of(scores)
    moving = []
    for label in classes:
        line, grow = growing_line(ax, scores[:, label], color=colors[label])

        def show(step, line=line, grow=grow, label=label):
            grow(step)
            line.set_linewidth(2.6 if winners[step - 1] == label else 1)

        moving.append(Moving(line, show))
    ax.set_ylim(*_range(scores[:, classes]))
    ax.grid(alpha=0.3)
    return [*moving, *draw_time(ax, len(scores))]


def draw_bars(ax, scores, classes, names, colors, true_class):
    """Draw the class scores after the step as bars; the name of the true class is bold."""
    bars = ax.barh(range(len(classes)), np.zeros(len(classes)), color=[colors[label] for label in classes])
    winners = winners_of(scores)
    moving = []
    for bar, label in zip(bars, classes, strict=True):

        def show(step, bar=bar, label=label):
            bar.set_width(scores[step - 1, label])
            bar.set_alpha(1 if winners[step - 1] == label else 0.35)

        moving.append(Moving(bar, show))
    ax.set_yticks(range(len(classes)), [names[label] for label in classes])
    longest = max(len(names[label]) for label in classes)
    ax.tick_params(labelsize=min(9, 120 / max(longest, 1)))  # there is less than an inch for the names
    for tick, label in zip(ax.get_yticklabels(), classes, strict=True):
        tick.set_fontweight("bold" if label == true_class else "normal")
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlim(*_range(scores[:, classes]))
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return moving


def draw_winners(ax, scores, names, colors):
    """Draw a ribbon with the color, and the name if there is room, of the class with the highest score in each step."""
    n_steps, winners = len(scores), winners_of(scores)
    ribbon = ax.imshow(np.ones((1, n_steps, 3)), extent=(0.5, n_steps + 0.5, 0, 1), aspect="auto")
    colored = np.array([matplotlib.colors.to_rgb(colors[label] if label >= 0 else "white") for label in winners])[None]

    def show(step):
        visible = np.arange(n_steps)[None, :, None] < step
        ribbon.set_data(np.where(visible, colored, 1.0))

    ax.set(xlim=(0.5, n_steps + 0.5), xticks=[], yticks=[])
    return [Moving(ribbon, show), *_winner_names(ax, winners, names, colors)]


def _winner_names(ax, winners, names, colors):
    """Draw each name in the middle of its run of steps, as soon as the run has room for it."""
    n_steps = len(winners)
    points_per_step = 72 * size_in_inches(ax)[0] / n_steps
    starts = np.flatnonzero(np.diff(winners, prepend=-2))
    moving = []
    for start, end in zip(starts, [*starts[1:], n_steps], strict=True):
        if winners[start] < 0:
            continue
        name = names[winners[start]]
        needed = (6.2 * len(name) + 3) / points_per_step  # in steps, for a font size of 9 points
        if end - start < needed:
            continue
        text = ax.text(0, 0.45, name, ha="center", va="center", fontsize=9, fontweight="bold")
        text.set_color(_readable_on(colors[winners[start]]))

        def show(step, text=text, start=start, end=end, needed=needed):
            last = min(step, end)
            text.set_visible(last - start >= needed)
            text.set_x((start + 1 + last) / 2)

        moving.append(Moving(text, show))
    return moving


def _readable_on(color):
    """Return black or white, whichever has the higher contrast on a color (WCAG 2.1)."""
    channels = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"


def _range(values):
    """Return limits that include the values and zero, with a margin."""
    low, high = min(values.min(), 0), max(values.max(), 0)
    margin = 0.06 * (high - low) or 1
    return low - (margin if low else 0), high + margin
