"""The server of Nengo GUI, for the command line."""

import itertools
import socket
import threading
import warnings
import webbrowser

from ..errors import SettingsError

FIRST_PORT = 8080


def serve(script, port=None, browser=True):
    """Run Nengo GUI on a script until Control-C is pressed or the last page is closed.

    Prints the address, with the token that a browser needs.

    Parameters
    ----------
    script : str or path
    port : int, optional
        Port of the server; the first free one from 8080 by default.
    browser : bool
        Open the page in a web browser.

    Raises
    ------
    SettingsError
        If the port is in use, or is not a port number.
    """
    gui = _gui(str(script), _free_port(port))
    print(f"Nengo GUI runs at {gui.server.get_url()}\nPress Control-C to stop it", flush=True)
    if browser:
        address = str(gui.server.get_url(token="one-time"))
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        gui.start()
        print("stopped: the last page was closed")
    except KeyboardInterrupt:
        gui.server.shutdown()
        print("\nstopped")


def _gui(script, port):
    from nengo_gui.components.editor import NoEditor
    from nengo_gui.gui import BaseGUI
    from nengo_gui.guibackend import GuiServerSettings, ModelContext
    from nengo_gui.page import PageSettings

    with warnings.catch_warnings():
        # localhost may have an IPv4 and an IPv6 address, and some machines serve one of them only
        warnings.filterwarnings("ignore", message="Cannot bind to address")
        settings = GuiServerSettings(("localhost", port))
        return BaseGUI(ModelContext(filename=script), settings, PageSettings(editor_class=NoEditor))


def _free_port(port):
    """Return ``port`` after checking that it is free; the first free port if it is None."""
    if port is None:
        return next(number for number in itertools.count(FIRST_PORT) if not _is_in_use(number))
    if not 0 < port < 2**16:
        raise SettingsError(f"port must be from 1 to {2**16 - 1}, got {port}", argument="port")
    if _is_in_use(port):
        raise SettingsError(f"port {port} is in use: choose another one, or leave it out", argument="port")
    return port


def _is_in_use(port):
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True
