"""Networks: ``nengo.Network`` objects built from a model, and their files.

- ``network.py``: ``ConvNetwork``, and ``BuildConfig``, the base class of the settings of all builders.
- Builders: ``native.py`` (``convert`` and ``to_spiking``), ``trainable.py`` and ``trainable_settings.py``
  (``build_trainable``), ``surrogate.py`` (``convert`` of networks that were trained through time), ``layerwise.py``
  (the same and ``read_nir``, if layers differ), ``ttfs.py`` (``to_ttfs``), ``staged.py``
  (``to_spiking(..., stage_steps=...)``), ``loihi/`` (``to_loihi``); ``neuron_types.py`` (neurons of each layer).
- Parts of builders: ``layer_visitor.py`` (dispatch over kinds of layers), ``nengo_objects.py`` (nodes and ensembles),
  ``connections.py`` (weights as Nengo transforms), ``stages.py`` (order of layers that wait for one another),
  ``keras_layers.py`` and ``trainable_layers.py`` (Keras layers).
- Parts of larger networks: ``input_node.py`` (connections to the input), ``resetting.py`` (reset by a signal),
  ``presenting.py`` (``present``), ``context.py`` (functions called in the context of another network).
- ``rate_model.py``: the ANN of a network, as a Keras model.
- ``edits.py``: changes that a user made by hand.
- ``storage.py``: ``save`` and ``load``.
"""
