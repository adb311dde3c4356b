"""Draw the figures of the documentation: ``python docs/figures/make_figures.py [NAME ...]``, or ``make figures``.

Each script in this folder defines ``draw()``, which returns a matplotlib figure, a Plot or axes.  The picture is saved
beside the script as NAME.png, with few colors, so that it is small enough to be committed.
"""

import importlib.util
import pathlib
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).parent
# modules that draw nothing themselves; rooms.py writes its figure beside the page that shows it
HELPERS = ("make_figures", "networks", "rooms")
COLORS = (256, 64, 32)
MAX_BYTES = 60_000


def scripts():
    """Return the scripts that draw figures, in alphabetical order."""
    return sorted(path for path in FOLDER.glob("*.py") if path.stem not in HELPERS)


def draw(script):
    """Return the figure that a script draws."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))  # scripts import the module networks
    spec = importlib.util.spec_from_file_location(f"figure_{script.stem}", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = module.draw()
    return drawn if hasattr(drawn, "savefig") else np.ravel(drawn)[0].figure


def save(figure, path, dpi=100):
    """Save a figure as a PNG file below 60 kB if possible, with a palette of at most 256 colors."""
    from PIL import Image

    figure.savefig(path, dpi=dpi, facecolor="white")
    with Image.open(path) as image:
        image = image.convert("RGB")
    for colors in COLORS:
        image.quantize(colors, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MAX_BYTES:
            return


def main(names):
    """Draw the named figures, by default all of them."""
    for script in scripts():
        if not names or script.stem in names:
            path = script.with_suffix(".png")
            save(draw(script), path)
            print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
