"""The builder for Loihi: networks that nengo_loihi runs on the chip or in its emulator.

- ``builder.py``: ``loihi_form``, which builds the network, and its settings.
- ``plan.py``: the choice of the layers on the chip.
- ``linear_maps.py``: all linear layers between two layers of neurons, merged into one convolution or matrix.
- ``cores.py``: the distribution of a layer's neurons over the cores of the chip.
"""
