"""Networks: ``nengo.Network`` objects that are built from a model."""
