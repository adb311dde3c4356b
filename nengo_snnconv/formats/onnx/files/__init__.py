"""ONNX files: the protocol buffer, and arrays in it or in files beside it."""
