"""Draw the map of the package's rooms: ``python docs/figures/rooms.py`` writes docs/development/rooms.png.

The rooms and their imports are those of the table in docs/development/architecture.md.  A room stands one row above the
highest room that it imports.  An arrow is left out where a longer way along other arrows leads to the same room.
"""

import pathlib
import re

import matplotlib.pyplot as plt
from make_figures import save

FOLDER = pathlib.Path(__file__).parents[1] / "development"
# rooms that nearly every other room imports: drawn as the ground, without arrows
GROUND = ("_version", "errors", "_util", "compat")
# rooms that only start the program
ENTRIES = ("__main__", "__init__")
SHADES = {
    "model": ("model", "passes", "formats", "presets"),
    "data": ("data", "events", "inputs"),
    "networks": ("neurons", "networks", "conversion"),
    "runs": ("jobs", "simulator", "evaluation", "training"),
    "insight": ("analysis", "experiments", "plots"),
    "surface": ("report", "gui", "cli"),
}
COLORS = dict(zip(SHADES, ("#d9e8f6", "#e3e0f3", "#d8f0e3", "#fdebc8", "#f9dcd6", "#e8e8e8"), strict=True))


def read_table(page):
    """Return {room: set of the rooms that it imports} in the order of the page, without ground and entries."""
    rows = re.findall(r"^\| `(\w+)/?` \| [^|]* \| ([^|]*) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    table = {room: set(re.findall(r"`(\w+)`", imported)) for room, imported in rows}
    hidden = {*GROUND, *ENTRIES}
    return {room: imported - hidden for room, imported in table.items() if room not in hidden}


def reduce_arrows(table):
    """Return {room: imported rooms} without the arrows that a longer way implies."""
    below = {}
    for room, imported in table.items():  # the table lists a room after those that it imports
        below[room] = imported.union(*(below[other] for other in imported))
    return {
        room: {other for other in imported if not any(other in below[between] for between in imported)}
        for room, imported in table.items()
    }


def place(table, arrows):
    """Return {room: (x, row)}; within a row, rooms stand above the mean of the rooms that they import."""
    rows = {}
    for room, imported in table.items():
        rows[room] = 1 + max((rows[other] for other in imported), default=-1)
    places = {}
    for row in range(max(rows.values()) + 1):
        members = [room for room in table if rows[room] == row]
        means = {
            room: sum(places[other][0] for other in arrows[room]) / len(arrows[room]) if arrows[room] else i
            for i, room in enumerate(members)
        }
        members.sort(key=means.get)
        for i, room in enumerate(members):
            places[room] = (i - (len(members) - 1) / 2, row)
    return places


def draw():
    """Draw the map and return its figure."""
    table = read_table(FOLDER / "architecture.md")
    arrows = reduce_arrows(table)
    places = place(table, arrows)
    color_of = {room: COLORS[shade] for shade, rooms in SHADES.items() for room in rooms}
    top = max(row for _, row in places.values())
    width = max(abs(x) for x, _ in places.values()) + 0.5
    figure, ax = plt.subplots(figsize=(7.5, 6.5), layout="constrained")
    for room, imported in arrows.items():
        for other in imported:
            (x0, y0), (x1, y1) = places[room], places[other]
            ax.annotate(
                "",
                (x1, y1 + 0.27),
                (x0, y0 - 0.27),
                arrowprops={"arrowstyle": "-|>", "color": "#888888", "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
            )
    for room, (x, row) in places.items():
        box = {"boxstyle": "round,pad=0.35", "fc": color_of.get(room, "white"), "ec": "#555555", "lw": 0.8}
        ax.text(x, row, room, ha="center", va="center", fontsize=11, bbox=box)
    ground = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": "#555555", "lw": 0.8}
    ax.text(0, -0.9, "ground, imported from anywhere:   errors   _util   compat", ha="center", va="center", bbox=ground)
    ax.set(xlim=(-width - 0.1, width + 0.1), ylim=(-1.3, top + 0.5))
    ax.axis("off")
    plt.close(figure)
    return figure


if __name__ == "__main__":
    save(draw(), FOLDER / "rooms.png")
