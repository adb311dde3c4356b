"""Readers of Keras layers: functions that take a LayerCall, add specs and return the output, a Tensor.

``table`` assigns a reader to each class of layer and to each function.
"""
