"""Experiments of many evaluations: sweeps over parameters, automatic tuning, and the jobs that run them."""
