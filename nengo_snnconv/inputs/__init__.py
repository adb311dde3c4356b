"""Data of any form as inputs of a network: arrays, data sets, loaders, recordings, and users' own classes."""

from .data import as_data, as_images, as_inputs, as_pair, check_pair, image_batches
from .inputs import CHECKED_TOGETHER, Data, EventFrames, Images, Inputs, batches, warn_of_clipped_input

__all__ = [
    "CHECKED_TOGETHER",
    "Data",
    "EventFrames",
    "Images",
    "Inputs",
    "as_data",
    "as_images",
    "as_inputs",
    "as_pair",
    "batches",
    "check_pair",
    "image_batches",
    "warn_of_clipped_input",
]
