"""Explanations of a network's accuracy and cost: diagnosis, error bounds, efficiency."""
