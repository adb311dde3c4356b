"""Neuron types: their spiking form for each back end, and the rate form that they are trained with."""
