"""Pictures of trainings, evaluations and single images, drawn with matplotlib."""

from .animation import animate_life
from .comparison import plot_comparison
from .diagnosis import plot_diagnosis
from .evaluation import plot_accuracies, plot_accuracy, plot_confusion, plot_history, plot_spike_counts
from .events import plot_event_frames, plot_event_statistics, plot_events
from .figures import BLUE, GREEN, GREY, ORANGE, Figure
from .first_spike import plot_operations, plot_spike_times, plot_threshold_errors
from .images import plot_image_response, plot_input_spikes
from .life import plot_life
from .tuning import plot_sweep, plot_tuning

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "Figure",
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
    "plot_sweep",
    "plot_threshold_errors",
    "plot_tuning",
]
