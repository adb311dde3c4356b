"""Builders: from a model to a ``nengo.Network``."""
