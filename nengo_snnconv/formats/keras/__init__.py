"""Read Keras models from memory or from files.

The reader looks at configurations and weights only.  It therefore reads models of tf.keras, tf-keras and Keras 3 alike
and needs none of these libraries, not even for files: nothing that a file names is imported or run.

``as_model`` has the public functions.  ``graph`` lists the calls of a model's layers, ``model_reader`` turns them into
specs one by one, and a ``ReadingReport`` notes the result for each layer.  ``files`` reads Keras files.  ``layers`` has
a function for each class of layer; it takes a ``LayerCall``, adds specs to the ``SpecBuilder`` and returns a
``Tensor``.  What other formats need too is in ``formats/shared``.

To add a layer:

1. Write a function ``my_layer(call)`` in the module of ``layers`` that holds similar layers.  Get each option with
   ``call.options["name"]``, since options that nobody reads are refused.  Add specs with ``call.add_spec``, and raise
   ``UnsupportedLayer`` for an option that cannot be kept, with the way out.
2. Enter it into ``KERAS_LAYERS`` in ``layers/table.py``; functions such as ``tf.nn.relu`` go into ``OPERATIONS`` there.
   Remove the class from ``ADVICE`` in ``unsupported.py``, if it is there.
3. If the layer has weights, add their names to ``ARRAYS`` in ``files/stored_layers.py``, so that they are found in
   nested models of ``.h5`` files.  If it keeps the shape of its input, add it to ``SAME_SHAPE`` in
   ``output_shapes.py``, so that the layers after it are checked too if one of its options is refused.
4. Add it with its options to ``CASES`` in tests/formats/keras/test_keras_layers.py, which compares it with Keras;
   functions go into ``OPERATIONS`` in test_keras_operations.py.
"""

from .as_model import as_model, inspect_keras

__all__ = ["as_model", "inspect_keras"]
