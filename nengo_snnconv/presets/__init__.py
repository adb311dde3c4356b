"""Published networks by name: ``preset`` without training, ``pretrained`` with trained weights."""

from .presets import PRESETS, preset
from .trained_presets import PRETRAINED, pretrained, write_pretrained

__all__ = ["PRESETS", "PRETRAINED", "preset", "pretrained", "write_pretrained"]
