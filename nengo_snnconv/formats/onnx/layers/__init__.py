"""Readers of ONNX nodes: functions that take a NodeCall, add specs and return the output, an OnnxTensor.

``table`` assigns a reader to each operator.
"""
