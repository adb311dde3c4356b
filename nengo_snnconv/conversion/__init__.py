"""Conversion of trained networks: ``convert``, ``normalize``, ``to_spiking``, ``to_loihi`` and ``to_ttfs``."""
