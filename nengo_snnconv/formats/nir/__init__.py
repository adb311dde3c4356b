"""Read and write NIR graphs, the exchange format of simulators and neuromorphic chips (Pedersen et al. 2024).

In this room a graph is a dict as ``nir.NIRGraph.to_dict`` returns it: {"type": "NIRGraph", "nodes": {name: node},
"edges": [(source, target), ...], "metadata": {...}}, where a node is a dict with "type" and the fields of its class.  A
model's neurons are described by ``Neurons``, one for each rectifier; ``networks/nir.py`` turns them into Nengo's types.

``nir_file`` reads files into dicts, without the packages nir and h5py.  ``graph_reader`` turns a dict into a model and
its neurons: ``flat_graph`` has the nodes in order, with nested graphs inlined, ``node_readers`` a function for each
class of node, ``neurons`` the equations.  ``graph_writer`` goes the other way, with a function for each class of layer.

To read another class of node, write a function ``my_node(node, reader)`` in ``node_readers.py`` that adds specs with
``reader.add_spec`` and returns a ``Signal``, and enter it into ``NODE_READERS``.

Paper: "Neuromorphic intermediate representation: a unified instruction set for interoperable brain-inspired computing",
doi 10.1038/s41467-024-52259-9.  Conventions that it leaves open are those of the package nir 1.0.8.
"""
