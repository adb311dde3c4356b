"""Keras files, read without Keras and without the HDF5 library.

``keras_file`` opens ``.keras`` and ``.h5`` files, ``formats/hdf5`` reads groups and arrays, ``stored_layers`` assigns
arrays to layers.
"""
