"""Read ONNX models from memory or from files, as PyTorch and other frameworks export them.

The package ``onnx`` defines the messages of which a model consists; it is loaded when the first model is read.  Nothing
in a file is run.

``as_model`` has the public functions.  ``files`` reads the messages and their arrays, and checks sizes before.
``graph_reader`` reads the nodes one by one: ``folding`` computes those whose inputs are constants, and a function of
``layers`` reads each of the others; it takes a ``NodeCall``, adds specs and returns an ``OnnxTensor``.  Images are
channels-last in a Model: ``graph_input`` finds out which axis is the channel, and ``tensors`` keeps track of the order.

To add an operator:

1. Write a function ``my_operator(call)`` in the module of ``layers`` that holds similar ones.  Get attributes by
   ``call.attributes``, since those that nobody reads are refused, and constant inputs by ``call.weights`` and its like.
   Add specs with ``call.add_spec``, and raise ``UnsupportedLayer`` for what cannot be kept, with the way out.
2. Enter it into ``READERS`` in ``layers/table.py``, and remove it from ``ADVICE`` in ``unsupported.py``.
3. The node tests of the package ``onnx``, which tests/formats/onnx runs, try it in many ways.
"""

from .as_model import is_onnx, read_onnx

__all__ = ["is_onnx", "read_onnx"]
