"""Many evaluations: sweeps over settings, tuning, and the jobs that run them."""
