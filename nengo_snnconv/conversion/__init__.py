"""Conversion of trained networks: ``convert``, ``normalize``, ``to_spiking``, ``calibrate`` and the other targets."""
