"""Parts that the readers of all foreign models share: the specs they add, and the report on what was read."""
