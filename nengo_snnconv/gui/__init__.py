"""Networks and scripts for Nengo GUI, with sliders that choose an image and a layout that shows the network's answer.

``network`` has the network that Nengo GUI runs, ``restarting`` its reset for each image, ``views`` the pictures,
``layout`` the places of all components on the page, ``script`` the script that Nengo GUI opens, ``server`` its server.
"""

from .network import GuiNetwork
from .script import write_gui_script

__all__ = ["GuiNetwork", "write_gui_script"]
