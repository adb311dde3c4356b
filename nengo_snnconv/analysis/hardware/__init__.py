"""check_hardware: whether a network fits on a neuromorphic chip, from the published resources of the chip."""

from ..chips import Chip as Chip
from .check_hardware import check_hardware as check_hardware
from .result import HardwareCheck as HardwareCheck
from .result import LayerOnChip as LayerOnChip
