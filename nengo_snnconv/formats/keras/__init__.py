"""Reads Keras models into models.  It looks at configuration and weights, not at one version's classes.

So it takes live objects of tf.keras, tf-keras and Keras 3 alike, and needs none of them itself, not even for their
files: nothing that a file names is imported or run.

``calls`` tells which layer reads what.  ``layers`` is the table of what becomes of each kind of layer, with its
readers there, in ``windows`` and in ``pointwise``; a reader gets a ``Use`` and puts specs into a ``Builder``, which
keeps account of the order of axes.  ``slices`` reads what only takes entries out of tensors, ``advice`` says what to do
about layers that cannot be read, ``shapes`` what they give out, so that the layers behind them can be judged, and
``foreign`` what to do about models that are not Keras'.  ``walk`` goes over the model, ``report`` says what became of
each layer, and ``live`` tells own classes from those of Keras.  ``files`` opens files, whose arrays ``hdf5`` reads and
``stored`` finds for each layer; ``reader`` has the public functions.
"""

from .reader import as_model, inspect_keras

__all__ = ["as_model", "inspect_keras"]
