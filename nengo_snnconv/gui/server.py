"""Nengo GUI's server, as the command line starts it."""

import itertools
import socket
import threading
import warnings
import webbrowser

from ..errors import SettingsError

FIRST_PORT = 8080


def serve(script, port=None, browser=True):
    """Run Nengo GUI on a script until Control-C, or until its last page has been closed.

    Prints its address, with the token that lets a browser in.

    Parameters
    ----------
    script : str or path
    port : int, optional
        The first that is free from 8080 up by default.
    browser : bool
        Open the page in a web browser.

    Raises
    ------
    SettingsError
        If the port is taken, or is none.
    """
    gui = _gui(str(script), _free_port(port))
    print(f"Nengo GUI runs at {gui.server.get_url()}\nControl-C ends it", flush=True)
    if browser:
        address = str(gui.server.get_url(token="one-time"))
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        gui.start()
        print("its last page was closed")
    except KeyboardInterrupt:
        gui.server.shutdown()
        print("\nended")


def _gui(script, port):
    from nengo_gui.components.editor import NoEditor
    from nengo_gui.gui import BaseGUI
    from nengo_gui.guibackend import GuiServerSettings, ModelContext
    from nengo_gui.page import PageSettings

    with warnings.catch_warnings():
        # localhost may have two addresses, of which a machine without IPv6 serves one
        warnings.filterwarnings("ignore", message="Cannot bind to address")
        settings = GuiServerSettings(("localhost", port))
        return BaseGUI(ModelContext(filename=script), settings, PageSettings(editor_class=NoEditor))


def _free_port(port):
    """``port``, or the first that is free if it is None."""
    if port is None:
        return next(number for number in itertools.count(FIRST_PORT) if not _is_taken(number))
    if not 0 < port < 2**16:
        raise SettingsError(f"port must be from 1 to {2**16 - 1}, got {port}")
    if _is_taken(port):
        raise SettingsError(f"port {port} is taken: name another one, or none")
    return port


def _is_taken(port):
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True
