"""GraphReader: reads the graph of an ONNX model node by node."""

import dataclasses
import re

import numpy as np

from ...errors import ConversionError, FileFormatError, ModelError
from ...model import layers as specs
from ..shared.left_out import pass_on, without
from ..shared.reading_report import ReadingReport
from ..shared.refusals import NotChecked, UnsupportedLayer
from ..shared.spec_builder import inverse_permutation
from .attributes import Attributes
from .folding import fold
from .graph_input import batch_and_shape, channel_axis, check_type, find_inputs, shapes_of_inputs
from .layers.table import READERS
from .node_call import NodeCall, Uses
from .tensors import OnnxBuilder, OnnxTensor
from .unsupported import operator_advice

MAX_NODES = 10_000
MAX_NAME = 200  # characters
MAX_REASON = 1500
MAX_FOLDED = 2**28  # entries of all computed constants
OLDEST, NEWEST = 11, 28  # versions of the operators that are read
DOMAINS = ("", "ai.onnx")
# operators whose output has the shape of their first input, so that what follows is checked too if one is refused
SAME_SHAPE = {
    *("BatchNormalization", "Clip", "Elu", "Erf", "Exp", "Gelu", "GroupNormalization", "HardSigmoid", "HardSwish"),
    *("InstanceNormalization", "LRN", "LayerNormalization", "LeakyRelu", "Mish", "PRelu", "Selu", "Softmax"),
    *("Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu", "Mul", "Div", "Swish", "QuantizeLinear"),
}
# operators that keep all entries of their input
REARRANGING = {"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}


@dataclasses.dataclass(frozen=True)
class UnknownTensor:
    """A tensor whose shape is unknown, with the reason for the nodes that take it."""

    reason: str


class GraphReader:
    """Reads an ONNX model.

    Parameters
    ----------
    model : ModelProto
    arrays : ArrayReader
    input_shape : tuple of int, or dict or list of them, optional
        Shape of an item of each input, for axes that the model leaves open.

    Attributes
    ----------
    builder : OnnxBuilder
        The specs.
    report : ReadingReport
    inputs : dict of str to str
        Spec of each input of the model, by name, in order.
    outputs : dict of str to Tensor or None
        Each output of the model, by name; None if its shape is unknown because of a node that cannot be read.
    """

    def __init__(self, model, arrays, input_shape=None):
        self.builder, self.report = OnnxBuilder(), ReadingReport()
        self._arrays, self._uses, self._n_folded, self._names = arrays, Uses(), 0, set()
        self._opset = _operator_version(model)
        self._functions = {(function.domain, function.name) for function in model.functions}
        graph = model.graph
        if len(graph.node) > MAX_NODES:
            raise ConversionError(f"the ONNX model has more than {MAX_NODES:,} nodes: make it smaller")
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        sparse = {tensor.values.name for tensor in graph.sparse_initializer}
        self._values = {name: UnknownTensor("a sparse array, which is not read") for name in sparse}
        self._shapes = {value.name: value for value in graph.value_info}
        self._n_batch, self.inputs = 1, {}
        values = find_inputs(graph, self._initializers.keys() | sparse)
        for value, shape in zip(values, shapes_of_inputs(values, input_shape), strict=True):
            self._values[value.name] = tensor = self._read_input(graph, value, shape)
            if isinstance(tensor, OnnxTensor):
                self.inputs[tensor.spec] = tensor.spec
        outputs = [output.name for output in graph.output]
        self._roles = _find_roles(graph.node, outputs)
        for index, node in enumerate(graph.node):
            self._read_node(index, node)
        self.outputs = {_valid_name(name, "output"): self._read_output(name) for name in outputs}

    def _read_input(self, graph, value, input_shape):
        name = self._unique_name(value.name or "input")
        self.report.add_layer(name, "Input")
        try:
            self._n_batch, shape = batch_and_shape(value, input_shape)
            kind = check_type(value, graph.node)
            channel = channel_axis(graph, value.name, shape)
            order = (*(axis for axis in range(len(shape)) if axis != channel), channel)
            channels_last = tuple(shape[axis] for axis in order)
            tensor = self.builder.add_spec(specs.Input, name, order=inverse_permutation(order), shape=channels_last)
        except (UnsupportedLayer, ModelError) as error:
            self._refuse(name, error)
            return UnknownTensor("its input is refused")
        self.report.add_specs(name, [tensor.spec])
        if kind in ("float16", "bfloat16", "double"):
            self.report.set_status(name, "approximated", f"computed in float32, not in {kind}")
        elif channels_last != shape:
            self.report.rows[name]["remark"] = f"{shape} in ONNX; the network takes {channels_last}, the channel last"
        return tensor

    def _unique_name(self, name):
        """Return a name for a node without slashes, which separate layers and arrays in a Model."""
        name = _valid_name(name, "node")
        unique, n = name, 1
        while unique in self._names:
            n += 1
            unique = f"{name}_{n}"
        self._names.add(unique)
        return unique

    def _refuse(self, name, error):
        # the text of a ModelError begins with name and class of the spec, the report has those of the node
        text = re.sub(r"^layer '.*?' \(\w+\) ", "", str(error))
        self.report.set_status(name, "refused", text[:MAX_REASON])

    def _operand(self, name):
        """Return the value of an input of a node: an OnnxTensor, an array, an UnknownTensor or None."""
        if not name:
            return None
        if name not in self._values:
            if name not in self._initializers:
                raise ConversionError(
                    f"the ONNX model uses {name[:80]!r} before it is computed: export the model again"
                )
            self._values[name] = self._arrays.read(self._initializers[name])
        return self._values[name]

    def _read_node(self, index, node):
        """Read a node and keep its outputs."""
        name = node.name or f"{node.op_type.lower()}_{index}"
        try:
            operands = [self._operand(source) for source in node.input]
        except UnsupportedLayer as error:
            operands, problem = [], error
        else:
            problem = None
        involved = [operand for operand in operands if isinstance(operand, OnnxTensor | UnknownTensor)]
        is_shape = node.op_type in ("Shape", "Size") and isinstance((operands or [None])[0], OnnxTensor)
        if not problem and (not involved or is_shape):
            outputs = self._folded(name, node, operands)
        else:
            name = self._unique_name(name)
            self.report.add_layer(name, node.op_type[:MAX_NAME] or "?")
            outputs = self._read_or_replace(name, node, operands, problem)
        for i, output in enumerate(node.output):
            if output:
                unknown = UnknownTensor(f"it takes output {i} of {name!r}, which is not read")
                self._values[output] = outputs[i] if i < len(outputs) else unknown

    def _call(self, name, node, operands):
        outputs, attributes = [output for output in node.output if output], Attributes(node.attribute)
        role = "output" if self._roles.intersection(outputs) else ""
        return NodeCall(
            self.builder,
            name,
            node.op_type,
            self._opset,
            self._n_batch,
            attributes,
            operands,
            len(outputs),
            self._uses,
            role,
        )

    def _folded(self, name, node, operands):
        """Return the outputs of a node without a tensor that depends on the image."""
        if node.op_type in ("Shape", "Size"):
            operands = [self._shape_as_array(operand) for operand in operands]
        call = self._call(name, node, operands)
        try:
            self._check_operator(node)
            outputs = fold(call, self._arrays.read)
            call.attributes.check_all_read()
            self._n_folded += sum(value.size for value in outputs)
            if self._n_folded > MAX_FOLDED:
                raise UnsupportedLayer("and others make too many constants: make the model smaller")
            return outputs
        except UnsupportedLayer as error:
            name = self._unique_name(name)
            self.report.add_layer(name, node.op_type[:MAX_NAME] or "?")
            self._refuse(name, error)
            return []

    def _shape_as_array(self, operand):
        """Return an array of the shape of a tensor, without memory for its entries."""
        if not isinstance(operand, OnnxTensor):
            return operand
        return np.broadcast_to(np.float32(0), (self._n_batch, *self.builder.shape(operand)))

    def _check_operator(self, node):
        if node.domain not in DOMAINS or (node.domain, node.op_type) in self._functions:
            if (node.domain, node.op_type) in self._functions:
                raise UnsupportedLayer(
                    "is a function of the model: pass onnx.inliner.inline_local_functions(onnx.load(path)) instead"
                )
            raise UnsupportedLayer(operator_advice(node.domain, node.op_type))

    def _read_or_replace(self, name, node, operands, problem):
        """Return the outputs of a node, and report on it.

        If the node cannot be read, its output has the shape of its input where that is known, so that the following
        nodes are checked too.
        """
        n_specs = len(self.builder.layers)
        try:
            if problem:
                raise problem
            outputs = self._read_tensors(name, node, operands)
        except NotChecked as error:
            self.report.set_status(name, "not checked", str(error))
            return []
        except (UnsupportedLayer, ModelError) as error:
            self._refuse(name, error)
            return self._replacement(name, node, operands)
        self.report.add_specs(name, list(self.builder.layers)[n_specs:])
        return outputs

    def _read_tensors(self, name, node, operands):
        self._check_operator(node)
        if node.op_type not in READERS:
            raise UnsupportedLayer(operator_advice("", node.op_type))
        for operand in operands:
            if isinstance(operand, UnknownTensor):
                raise NotChecked(operand.reason)
        unmarked = [without(operand) for operand in operands]
        call = self._call(name, node, unmarked)
        result = READERS[node.op_type](call)
        call.attributes.check_all_read()
        results = [_as_onnx(each) for each in (result if isinstance(result, list) else [result])]
        return [pass_on(self.report, name, operands, each, node.op_type in REARRANGING) for each in results]

    def _replacement(self, name, node, operands):
        """Return stand-ins for the outputs of a node that cannot be read, with their shape, if it is known."""
        tensors = [operand for operand in operands if isinstance(operand, OnnxTensor)]
        if node.op_type in SAME_SHAPE and tensors and tensors[0].flattened is None:
            axes, shape = tensors[0].axes, self.builder.shapes[tensors[0].spec]
            return [self.builder.add_spec(specs.Input, name, order=axes, shape=shape)]
        return [UnknownTensor(f"the output shape of {name!r} is unknown")]

    def _read_output(self, name):
        try:
            value = self._operand(name)
        except UnsupportedLayer:
            value = None
        if isinstance(value, np.ndarray) or value is None:
            raise ConversionError(
                f"the output {name[:80]!r} of the ONNX model does not depend on its input: export the model again, or "
                "cut it with onnx.utils.extract_model(path, new_path, inputs, outputs)"
            )
        return self.builder.output(value, "output") if isinstance(value, OnnxTensor) else None


def _valid_name(name, default):
    """Return the name of a node or value without slashes, which separate layers and arrays in a Model."""
    return re.sub(r"/+", ".", name.strip("/"))[:MAX_NAME] or default


def _operator_version(model):
    """Return the version of the operators; raise an error for versions that are not read."""
    if model.graph.node and not model.opset_import:
        raise FileFormatError("it does not say which version of the operators it needs: export it again")
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS] or [NEWEST]
    if not OLDEST <= versions[0] <= NEWEST:
        raise ConversionError(
            f"the ONNX model needs version {versions[0]} of the operators, and {OLDEST} to {NEWEST} are read: pass "
            "onnx.version_converter.convert_version(onnx.load(path), 18), or export it with opset_version=18"
        )
    return versions[0]


def _find_roles(nodes, outputs):
    """Return the names of the values that become the output of the model unchanged."""
    roles = set(outputs)
    for node in reversed(nodes):
        if roles.intersection(node.output) and node.op_type in ("Identity", "Dropout", "Flatten", "Reshape", "Squeeze"):
            roles.update(node.input[:1])
    return roles


def _as_onnx(tensor):
    """Return a tensor of the shared builder as an OnnxTensor."""
    if isinstance(tensor, OnnxTensor):
        return tensor
    return OnnxTensor(tensor.spec, tensor.axes, tensor.left_out)
