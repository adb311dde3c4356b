import io

import pytest

from nengo_snnconv._util import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class ZMQInteractiveShell:
    """Class with the name of a Jupyter kernel's shell."""


@pytest.mark.parametrize(
    ("stream", "shell", "asked", "shown"),
    [
        (io.StringIO, None, None, False),
        (Terminal, None, None, True),
        (io.StringIO, ZMQInteractiveShell(), None, True),
        (io.StringIO, None, True, True),
        (Terminal, None, False, False),
    ],
)
def test_a_bar_is_shown_where_someone_looks(stream, shell, asked, shown, monkeypatch):
    import IPython

    monkeypatch.setattr("sys.stderr", stream())
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    with progress.progress_bar(10, "working", "step", asked) as bar:
        bar.update()
        assert bar.disable is not shown
