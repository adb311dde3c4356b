"""Conversion of a trained network: convert, normalize, to_spiking, to_loihi, to_ttfs."""
