"""The directive ``drawn``: a figure that the package draws while the documentation is built.

    ```{drawn} ../figures/lif_response.py
    :alt: What is to be seen, for those who do not see it

    The caption.
    ```

The script defines ``draw()``, which returns a matplotlib figure, or axes of one.  Its code is folded under the figure.
``sphinx-build -D draw_figures=0`` draws nothing, and shows the code only.
"""

import hashlib
import importlib.util
import os
import pathlib
import sys

import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.parsers.rst.directives.images import Figure


class Drawn(Figure):
    """A figure, whose argument is a script in the place of a picture's file."""

    option_spec = {**Figure.option_spec, "format": lambda text: directives.choice(text, ("svg", "png"))}

    def run(self):
        environment = self.state.document.settings.env
        _, path = environment.relfn2path(self.arguments[0])
        script = pathlib.Path(path)
        environment.note_dependency(script)
        suffix = self.options.pop("format", "svg")
        if "alt" not in self.options:
            raise self.error(f"the figure {script.name} needs an :alt: text")
        if not environment.config.draw_figures:
            function_of(script)  # which is there
            return self._code(script)
        picture = pathlib.Path(environment.doctreedir, "drawn", f"{script.stem}-{digest(script)}.{suffix}")
        if not picture.exists():
            save(function_of(script)(), picture)
        self.options.setdefault("width", "100%")  # and so a click shows it in its own size
        self.arguments[0] = "/" + os.path.relpath(picture, environment.srcdir).replace(os.sep, "/")
        return [*super().run(), *self._code(script)]

    def _code(self, script):
        """The code of the figure, folded."""
        code = script.read_text(encoding="utf-8")
        literal = nodes.literal_block(code, code, language="python")
        begin = nodes.raw("", '<details class="drawn"><summary>Code of this figure</summary>', format="html")
        return [begin, literal, nodes.raw("", "</details>", format="html")]


def function_of(script):
    """``draw`` of a script, which may import what lies beside it."""
    folder = str(script.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(f"figures_{script.stem}", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.draw


def save(drawn, picture):
    """Write what ``draw`` returned to a file."""
    first = next(iter(drawn.values())) if isinstance(drawn, dict) else np.ravel(drawn)[0]
    figure = first if hasattr(first, "savefig") else first.figure
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=130, facecolor="white", metadata={"Date": None} if picture.suffix == ".svg" else None)


def digest(script):
    """Of the scripts in a folder: one that changes may be of use to others."""
    contents = b"".join(each.read_bytes() for each in [script, *sorted(script.parent.glob("for_figures.py"))])
    return hashlib.sha256(contents).hexdigest()[:8]


def setup(app):
    app.add_config_value("draw_figures", True, "env", bool)
    app.add_directive("drawn", Drawn)
    return {"parallel_read_safe": True}
