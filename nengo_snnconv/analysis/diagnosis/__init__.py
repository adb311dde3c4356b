"""Diagnosis: where a converted network loses accuracy, why, and what would help."""

from .diagnose import Diagnosis, LayerDiagnosis, diagnose
from .findings import Finding
from .remedies import Remedy

__all__ = ["Diagnosis", "Finding", "LayerDiagnosis", "Remedy", "diagnose"]
