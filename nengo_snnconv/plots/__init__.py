"""Plots of trainings, evaluations, single images, sweeps and event recordings, drawn with matplotlib.

The functions draw into the given axes, or into a new figure, and return a :class:`Plot`: a notebook displays it, its
entries are the axes, and ``plot.savefig(path)`` writes it to a file.  Figures do not need pyplot.
"""

from .animation import animate_life
from .comparison import plot_comparison
from .diagnosis import plot_diagnosis
from .efficiency import plot_operations
from .evaluation import plot_accuracies, plot_accuracy, plot_confusion, plot_spike_counts, plot_stop
from .events import plot_event_frames, plot_event_statistics, plot_events
from .figures import BLUE, GREEN, GREY, ORANGE, Figure
from .images import plot_image_response, plot_input_spikes
from .life import plot_life
from .plot import Plot
from .threshold_errors import plot_threshold_errors
from .training import plot_history
from .ttfs import plot_spike_times
from .tuning import plot_sweep, plot_tuning

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "Figure",
    "Plot",
    "animate_life",
    "plot_accuracies",
    "plot_accuracy",
    "plot_comparison",
    "plot_confusion",
    "plot_diagnosis",
    "plot_event_frames",
    "plot_event_statistics",
    "plot_events",
    "plot_history",
    "plot_image_response",
    "plot_input_spikes",
    "plot_life",
    "plot_operations",
    "plot_spike_counts",
    "plot_spike_times",
    "plot_stop",
    "plot_sweep",
    "plot_threshold_errors",
    "plot_tuning",
]
