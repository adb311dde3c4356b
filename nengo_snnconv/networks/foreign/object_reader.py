"""ObjectReader: the objects of a user's network as layer specs, from its input to its output."""

from __future__ import annotations

import collections
import dataclasses
import graphlib
import re
import typing

import nengo
import numpy as np

from ...compat import nengo_dl
from ...errors import ConversionError
from ...formats.shared.reading_report import ReadingReport
from ...formats.shared.spec_builder import SpecBuilder, Tensor
from ...model import Model
from ...model import layers as specs
from .parameters import Parameters
from .responses import Response, input_change, matching_settings
from .tensor_nodes import ends_in_softmax, model_of_tensor_node, name_of_tensor_node
from .transforms import add_affine, add_transform, matrix_of_sparse, of_channels, shaped

KERAS_NEURONS = nengo.RectifiedLinear()  # neurons that compute a rectifier inside a Keras layer


class ObjectReader:
    """Reads the objects of a network between its input and its output.

    Parameters
    ----------
    network : nengo.Network
    source : nengo.Node
        Input of the network.
    target : nengo.Node or nengo.ensemble.Neurons
        Object that carries the output.
    parameters : Parameters

    Attributes
    ----------
    model : Model
    neuron_types : list of nengo.neurons.NeuronType
        Type of each rectifier of the model, in order.
    neuron_seeds : list of int
        Seeds of their ensembles.
    settings : dict
        ``max_rates``, ``intercepts`` and ``synapse`` of the trainable network.

    Raises
    ------
    ConversionError
        If an object or a connection cannot be read; the message names it.
    """

    def __init__(self, network: nengo.Network, source: nengo.Node, target: typing.Any, parameters: Parameters) -> None:
        self.source, self.parameters = source, parameters
        self.builder, self.report = SpecBuilder(), ReadingReport()
        self._into: dict[typing.Any, list[nengo.Connection]] = collections.defaultdict(list)
        for connection in network.all_connections:
            self._into[connection.post_obj].append(connection)
        order = self._order(target)
        self.responses = {
            obj: Response(obj.ensemble.neuron_type, *parameters.gain_bias(obj.ensemble))
            for obj in order
            if isinstance(obj, nengo.ensemble.Neurons)
        }
        self.settings = matching_settings(list(self.responses.values())) if self.responses else {}
        self.settings["synapse"] = self._synapse(order)
        self._types: dict[str, nengo.neurons.NeuronType] = {}
        self._seeds: dict[str, int] = {}
        self._constants: dict[typing.Any, np.ndarray] = {}
        self._specs: dict[typing.Any, str] = {}
        self._names: dict[typing.Any, str] = {}
        for obj in order:
            self._read(obj, obj is target)
        if target not in self._specs:
            raise ConversionError(f"no path leads from the input {source} to the output {target}")
        spec = self._specs[target]
        output = Tensor(spec, tuple(range(len(self.builder.shapes[spec]))))
        self.model: Model = self.builder.model({}, {spec: output}, {"reading": list(self.report.rows.values())})
        self.neuron_types = [self._types[name] for name in self.model.neurons]
        self.neuron_seeds = [self._seeds.get(name, 0) for name in self.model.neurons]

    # the graph of objects

    def _order(self, target):
        """Return the objects on which the output depends, each after those that it reads."""
        graph, waiting = {}, [target]
        while waiting:
            obj = waiting.pop()
            if obj in graph:
                continue
            graph[obj] = [] if obj is self.source else [self._checked(c).pre_obj for c in self._into[obj]]
            waiting += graph[obj]
        try:
            return list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            loop = " to ".join(map(str, error.args[1]))
            raise ConversionError(
                f"the network has a loop, {loop}: only networks that pass signals forward can be read"
            ) from None

    @staticmethod
    def _checked(connection):
        """Return a connection; raise ConversionError if its signals are not those of nodes and neurons."""
        reason = None
        for end, role in ((connection.pre_obj, "decodes"), (connection.post_obj, "goes into")):
            if isinstance(end, nengo.Ensemble):
                reason = f"{role} the ensemble {end.label or 'without label'}: connect its .neurons instead"
        if connection.learning_rule_type:
            reason = "learns: remove its learning_rule_type"
        elif reason is None and getattr(connection, "function", None) is not None:
            reason = "computes a function: use a neuron type or a Keras layer"
        if reason:
            raise ConversionError(f"{connection} cannot be read, because it {reason}")
        return connection

    def _synapse(self, order):
        """Return the synapse of all connections from neurons; raise ConversionError if they differ."""
        synapses = {}
        for obj in order:
            for connection in self._into[obj] if obj is not self.source else ():
                if isinstance(connection.pre_obj, nengo.ensemble.Neurons):
                    synapses[connection] = connection.synapse
                elif connection.synapse is not None:
                    raise ConversionError(
                        f"{connection} filters a signal that is not of neurons, with {connection.synapse}: set its "
                        "synapse to None, and filter spikes, on the connections from neurons"
                    )
        distinct: list[typing.Any] = []
        for connection, synapse in synapses.items():
            if synapse not in distinct:
                distinct.append(synapse)
            if len(distinct) > 1:
                raise ConversionError(
                    f"connections from neurons have different synapses, {distinct[0]} and {synapse} ({connection}): "
                    f"give all of them the same, as in connection.synapse = 0.005{_left_out(synapses)}"
                )
        return distinct[0] if distinct else None

    # objects

    def _read(self, obj, is_output):
        """Read an object: as a constant, or as specs."""
        if obj is self.source:
            name = self._named(obj, "input")
            self._specs[obj] = self.builder.add_spec(specs.Input, name, shape=self._input_shape()).spec
        elif isinstance(obj, nengo_dl.TensorNode):
            self._reported(obj, f"TensorNode ({type(obj.tensor_func).__name__})", self._read_tensor_node, is_output)
        elif isinstance(obj, nengo.ensemble.Neurons):
            kind = f"Ensemble ({type(obj.ensemble.neuron_type).__name__})"
            self._reported(obj, kind, self._read_neurons)
        elif isinstance(obj, nengo.Node) and obj.size_in and obj.output is None:
            self._reported(obj, "Node", self._read_node)
        elif isinstance(obj, nengo.Node) and isinstance(obj.output, np.ndarray):
            self._constants[obj] = np.asarray(obj.output, np.float64)
        else:
            raise ConversionError(
                f"{obj} cannot be read: only Keras layers in TensorNodes, neurons, constants and nodes that pass on "
                "their input can be between the input and the output"
            )

    def _reported(self, obj, kind, read, *arguments):
        """Read an object, and add what it became to the report."""
        before = len(self.builder.layers)
        remark = read(obj, *arguments)
        added = list(self.builder.layers)[before:]
        if obj in self._specs and added:
            path = self._names[obj]
            self.report.add_layer(path, kind)
            if remark:
                self.report.set_status(path, "approximated", remark)
            self.report.add_specs(path, added)

    def _read_node(self, node):
        name = self._named(node, "node")
        spec, shift = self._input(node, name)
        if spec is None:
            self._constants[node] = shift
        else:
            self._specs[node] = self._shifted(spec, shift, name)

    def _read_neurons(self, neurons):
        ensemble = neurons.ensemble
        if ensemble.noise is not None:
            raise ConversionError(f"{ensemble} has noise, which cannot be read: set its noise to None")
        label = clean(ensemble.label) if ensemble.label else None
        spec, shift = self._input(neurons, label or "neurons")
        if spec is None:
            raise ConversionError(f"{ensemble} does not depend on the input, so it cannot be read: remove it")
        own = spec == label
        scale, offset = input_change(self.responses[neurons], self.settings_of_rates)
        base = label or spec
        if (scale == 1).all():
            spec = self._shifted(spec, shift + offset, f"{base}_bias")
        else:
            spec = add_affine(self.builder, spec, scale, scale * shift + offset, f"{base}_gain")
        name = self._named(neurons, f"{base}_neurons" if own or not label else label)
        rectifier = self.builder.add_spec(specs.Rectifier, name, spec).spec
        self._specs[neurons], self._types[rectifier] = rectifier, ensemble.neuron_type
        self._seeds[rectifier] = int(self.parameters.seeds[ensemble])

    def _read_tensor_node(self, node, is_output):
        name = self._named(node, name_of_tensor_node(node))
        spec, shift = self._input(node, f"{name}_in")
        if spec is None:
            raise ConversionError(f"{name!r} does not depend on the input, so it cannot be read: remove it", layer=name)
        spec = shaped(self.builder, self._shifted(spec, shift, f"{name}_in"), tuple(map(int, node.shape_in)))
        model = model_of_tensor_node(node)
        softmax = ends_in_softmax(model)
        if softmax and not is_output:
            raise ConversionError(
                f"{name!r} ends in a softmax, which can only be the output of the network: remove it", layer=name
            )
        self._specs[node] = self._spliced(model, spec, node)
        return "softmax is left out: scores are its input" if softmax else ""

    def _spliced(self, model, spec, node):
        """Add the layers of a model that reads a spec; return the spec of its output."""
        new, keras_name = {model.input: spec}, clean(getattr(node.tensor_func, "name", ""))
        for name, layer in model.layers.items():
            if isinstance(layer, specs.Input):
                continue
            fields = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
            del fields["name"], fields["inputs"]
            label = name.replace(keras_name, clean(node.label), 1) if node.label and keras_name else name
            inputs, arrays = [new[each] for each in layer.inputs], list(model.arrays_of(name).values())
            new[name] = self.builder.add_spec(type(layer), label, inputs, arrays=arrays, **fields).spec
            if isinstance(layer, specs.Rectifier):
                self._types[new[name]] = KERAS_NEURONS
        return new[model.output]

    # inputs of objects

    def _input(self, obj, name):
        """Return the spec of the sum of an object's inputs, None if all are constant, and the sum of the constants."""
        shift, terms, places = np.zeros(obj.size_in), [], []
        for connection in self._into[obj]:
            transform = self.parameters.transform(connection)
            if connection.pre_obj in self._constants:
                shift[connection.post_slice] += self._constant(connection, transform)
                continue
            source = self._specs[connection.pre_obj]
            if connection.pre_slice != slice(None):
                raise ConversionError(
                    f"{connection} reads a part of {connection.pre_obj}, which cannot be read: use a Keras layer such "
                    "as Cropping2D"
                )
            terms.append(add_transform(transform, self.builder, source, name, connection))
            places.append(np.arange(obj.size_in)[connection.post_slice])
        if not terms:
            return None, shift
        if any(len(place) != obj.size_in for place in places):
            return self._concatenated(obj, name, terms, places), shift
        if len(terms) == 1:
            return terms[0], shift
        shape = self.builder.shapes[terms[0]]
        terms = [shaped(self.builder, term, shape) for term in terms]
        return self.builder.add_spec(specs.Add, name, terms).spec, shift

    def _constant(self, connection, transform):
        """Return what a connection adds to a constant input."""
        if connection.synapse is not None:
            raise ConversionError(f"{connection} filters a constant: set its synapse to None")
        value = self._constants[connection.pre_obj][connection.pre_slice]
        if isinstance(transform, nengo.transforms.NoTransform):
            return value
        if isinstance(transform, nengo.Sparse):
            return matrix_of_sparse(transform) @ value
        if isinstance(transform, nengo.Dense):
            matrix = np.asarray(transform.init)
            return matrix @ value if matrix.ndim == 2 else matrix * value
        raise ConversionError(
            f"the {type(transform).__name__} transform of {connection} from a constant cannot be read: use nengo.Dense"
        )

    def _concatenated(self, obj, name, terms, places):
        """Return the spec of signals that end in different parts of an object, side by side along the last axis."""
        shapes = [self.builder.shapes[term] for term in terms]
        # in order of the first unit of each
        by_place = sorted(range(len(terms)), key=lambda i: places[i][0])
        if len({shape[:-1] for shape in shapes}) == 1 and sum(map(len, places)) == obj.size_in:
            units = np.arange(obj.size_in).reshape(*shapes[0][:-1], -1)
            ends = np.cumsum([0, *(shapes[i][-1] for i in by_place)])
            parts = [units[..., begin:end].ravel() for begin, end in zip(ends[:-1], ends[1:], strict=True)]
            if all(np.array_equal(places[i], part) for i, part in zip(by_place, parts, strict=True)):
                return self.builder.add_spec(specs.Concatenate, name, [terms[i] for i in by_place], axis=-1).spec
        raise ConversionError(
            f"connections end in parts of {obj} that are not side by side along the last axis: connect signals of the "
            "same height and width, each to its own channels"
        )

    def _shifted(self, spec, shift, name):
        """Return the spec of a signal plus constants: the bias of a layer that was just made, or one of its own."""
        layer, values = self.builder.layers[spec], of_channels(shift, self.builder.shapes[spec])
        fresh = isinstance(layer, specs.Conv | specs.Dense) and not layer.use_bias and spec not in self._specs.values()
        if values is None or not fresh or not shift.any():
            return add_affine(self.builder, spec, np.ones(len(shift)), shift, name)
        self.builder.layers[spec] = dataclasses.replace(layer, use_bias=True)
        self.builder.arrays[f"{spec}/bias"] = values
        return spec

    # names and shapes

    @property
    def settings_of_rates(self) -> dict[str, typing.Any]:
        """The settings that determine gains and biases."""
        return {name: value for name, value in self.settings.items() if name != "synapse"}

    def _named(self, obj, default):
        """Return the name of an object: its label, or ``default``."""
        label = None if isinstance(obj, nengo.ensemble.Neurons) else obj.label
        self._names[obj] = clean(label or default)
        return self._names[obj]

    def _input_shape(self):
        """Return the shape of the images: that which the first layers give their input."""
        readers = (
            connection
            for connections in self._into.values()
            for connection in connections
            if connection.pre_obj is self.source and connection.pre_slice == slice(None)
        )
        shapes = {shape for shape in map(_shape_of_input, readers) if shape}
        return shapes.pop() if len(shapes) == 1 else (int(self.source.size_out),)


def _shape_of_input(connection):
    """Return the shape that a connection, or the layer that it ends in, gives its input; None if it gives none."""
    if isinstance(connection.transform, nengo.Convolution):
        return tuple(int(n) for n in connection.transform.input_shape.shape)
    if isinstance(connection.post_obj, nengo_dl.TensorNode):
        return tuple(int(n) for n in connection.post_obj.shape_in or ())
    return None


def clean(name: str) -> str:
    """Return a name that a layer may have: without slashes, and without the number of the Converter's first calls."""
    return re.sub(r"\.0$", "", name.replace("/", ".")) or "layer"


def _left_out(synapses):
    """Return a note on a connection to a Keras layer, whose synapse NengoDL's Converter leaves out; else nothing."""
    for connection, synapse in synapses.items():
        if synapse is None and isinstance(connection.post_obj, nengo_dl.TensorNode):
            return f" (NengoDL's Converter leaves it out before layers that stay in Keras, as in {connection})"
    return ""
