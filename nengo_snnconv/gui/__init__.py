"""Nengo GUI: a network with its images, chosen by sliders, and how it answers, laid out to be looked at."""

from .network import GuiNetwork
from .script import write_gui_script

__all__ = ["GuiNetwork", "write_gui_script"]
