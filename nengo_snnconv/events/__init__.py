"""Events: recordings of event cameras, measured and simulated, and their conversion to frames for networks."""

from .dataset import EventDataset, load_events
from .event import EVENT
from .files import read_events, write_events
from .folders import read_recordings, write_recordings
from .frames import event_frames
from .recordings import Recordings
from .simulation import simulate_recordings
from .statistics import EventStatistics, event_statistics
from .transforms import crop, downsample, stabilise

__all__ = [
    "EVENT",
    "EventDataset",
    "EventStatistics",
    "Recordings",
    "crop",
    "downsample",
    "event_frames",
    "event_statistics",
    "load_events",
    "read_events",
    "read_recordings",
    "simulate_recordings",
    "stabilise",
    "write_events",
    "write_recordings",
]
