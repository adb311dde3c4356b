"""Diagnosis: where a spiking network loses accuracy compared with its ANN, why, and how to improve it."""

from .diagnose import diagnose
from .findings import Finding
from .remedies import Remedy
from .result import Diagnosis, LayerDiagnosis

__all__ = ["Diagnosis", "Finding", "LayerDiagnosis", "Remedy", "diagnose"]
