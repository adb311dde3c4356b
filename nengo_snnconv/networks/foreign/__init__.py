"""from_nengo: networks that users build of Nengo's and NengoDL's objects, read into ``ConvNetwork``.

``parameters`` finds current weights, gains and biases; ``tensor_nodes`` reads the Keras layers of TensorNodes;
``object_reader`` turns objects into layers, with ``transforms`` for connections; ``responses`` finds settings for the
neurons; ``from_nengo`` is the public function.
"""
