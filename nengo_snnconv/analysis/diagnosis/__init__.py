"""Diagnosis: where a spiking network loses accuracy compared with its ANN, why, and how to improve it."""

from .diagnose import diagnose
from .findings import Finding
from .layer_diagnosis import LayerDiagnosis
from .remedies import Remedy
from .result import Diagnosis

__all__ = ["Diagnosis", "Finding", "LayerDiagnosis", "Remedy", "diagnose"]
