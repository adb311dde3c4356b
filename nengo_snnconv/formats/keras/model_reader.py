"""ModelReader: reads a Keras model call by call, including nested models."""

import collections
import dataclasses
import re
import reprlib

import numpy as np

from ...errors import ConversionError, ModelError
from ...model import layers as specs
from ..shared.left_out import pass_on, without
from ..shared.reading_report import ReadingReport
from ..shared.refusals import NotChecked, UnsupportedLayer
from ..shared.spec_builder import SpecBuilder, Tensor
from .config_entries import MODEL_CLASSES, is_custom_class, layer_kind
from .graph import TensorRef, read_graph
from .layer_call import LayerCall, LayerOptions
from .layers import activations
from .layers.table import OPERATIONS, TRAINING_ONLY, find_reader
from .live_layers import class_name, complete_config, custom_classes, has_custom_call, output_shape_of_single_call
from .output_shapes import infer_output_shape, recorded_shapes

MAX_CALLS = 10_000
MAX_REASON = 1500  # characters, since a file can contain names of any length
# classes that return their input at inference, or only reshape it: the layer before them computes the model's output
REARRANGING = {"Flatten", "Reshape", "Permute"}
PASS_THROUGH = {"Identity", "Dropout", *REARRANGING, *TRAINING_ONLY}
# classes that scale and shift their input
SCALING = {"Rescaling", "Normalization", "BatchNormalization"}
# roles of calls that compute the output of the model
ENDS = ("output", "scaled output")
# options that do not affect the output shape, with a supported value
SHAPE_NEUTRAL = {"activation": "linear", "interpolation": "nearest"}


@dataclasses.dataclass(frozen=True)
class UnknownTensor:
    """A tensor of the Keras model whose shape is unknown.

    Attributes
    ----------
    reason : str
        Reason why it is unknown, for the layers that take it.
    """

    reason: str


class ModelReader:
    """Reads a Keras model.

    Parameters
    ----------
    config : dict
        Configuration of the model.
    model : Keras model or StoredLayer
        Source of the weights.

    Attributes
    ----------
    builder : SpecBuilder
        The specs.
    report : ReadingReport
    inputs : dict of str to str
        Spec of each input of the model, by name, in order.
    outputs : dict of str to Tensor or None
        Each output of the model, by name; None if its shape is unknown because of a layer that cannot be read.
    """

    def __init__(self, config, model):
        self.builder, self.report, self.inputs = SpecBuilder(), ReadingReport(), {}
        self._n_uses, self._n_calls = collections.Counter(), 0
        outputs = self._read_model(config, model)
        self.outputs = {name: each if isinstance(each, Tensor) else None for name, each in outputs.items()}
        for path, n in self._n_uses.items():
            if n > 1:
                self.report.add_training_note(path, f"is used {n} times, and training will make the copies differ")

    def _read_model(self, config, model, prefix="", inputs=None, role="output"):
        """Read a model and return its outputs by name, each a Tensor or an UnknownTensor.

        For a nested model, ``prefix`` is its path with a dot, ``inputs`` are the tensors that it is called with, and
        ``role`` is the role of its call, see :class:`.LayerCall`.
        """
        nodes, named_inputs, output_refs = read_graph(config)
        layers, input_names = {layer.name: layer for layer in model.layers}, list(named_inputs.values())
        recorded, roles = recorded_shapes(config), _find_roles(nodes, output_refs.values(), role)
        tensors = {}

        def resolve(operand):
            if not isinstance(operand, TensorRef):
                return operand
            outputs = tensors[operand[:2]]
            reason = f"it takes output {operand.output} of {prefix + operand.layer!r}, which is refused"
            return outputs[operand.output] if operand.output < len(outputs) else UnknownTensor(reason)

        for node in nodes:
            operands, path = [resolve(operand) for operand in node.operands], prefix + spec_name(node.name)
            layer, role = layers.get(node.name), roles.get((node.name, node.call), "")
            self._count_call()
            if node.entry["class_name"] in MODEL_CLASSES and not is_custom_class(node.entry):
                outputs = self._read_nested(path, node, recorded, operands, layer, role)
            elif node.name not in input_names:
                outputs = [self._read_or_replace(self._read_layer, path, node, recorded, operands, layer, role)]
            elif inputs is None:
                outputs = [self._read_or_replace(self._read_input, path, node, recorded)]
            else:
                self.report.add_layer(path, node.entry["class_name"])
                outputs = [inputs[input_names.index(node.name)]]
            tensors[node.name, node.call] = outputs
        if inputs is None:
            specs_of = {name: tensors[layer, 0][0] for name, layer in named_inputs.items()}
            self.inputs = {name: each.spec for name, each in specs_of.items() if isinstance(each, Tensor)}
        return {name: resolve(ref) for name, ref in output_refs.items()}

    def _count_call(self):
        # nested models can double the number of calls at each level
        self._n_calls += 1
        if self._n_calls > MAX_CALLS:
            raise ConversionError(f"the Keras model calls its layers more than {MAX_CALLS} times: make it smaller")

    def _read_nested(self, path, node, recorded, operands, model, role):
        """Return the outputs of a nested model."""
        arguments = {key: value for key, value in node.keywords.items() if not _is_off(value)}
        arguments |= {
            f"argument {i}": operand
            for i, operand in enumerate(operands)
            if not isinstance(operand, Tensor | UnknownTensor)
        }
        if arguments:
            reason = f"is called with {reprlib.repr(arguments)}: leave that out, and pass the input only"
        elif has_custom_call(model):
            reason = f"is of your own class {class_name(model)}, with its own call: replace it by a functional model"
        else:
            return list(self._read_model(node.entry["config"], model, f"{path}.", operands, role).values())
        self.report.add_layer(path, node.entry["class_name"])
        self.report.set_status(path, "refused", reason)
        return [self._replacement(path, node, recorded, operands, model)]

    def _read_or_replace(self, read, path, node, recorded, *arguments):
        """Return the tensor that ``read(path, node, *arguments)`` returns, and report on the layer.

        If the layer cannot be read, the result is a tensor of the same shape, so that the following layers are checked
        too.
        """
        self.report.add_layer(path, node.entry["class_name"])
        n_specs, reason = len(self.builder.layers), None
        try:
            tensor = read(path, node, *arguments)
        except NotChecked as error:
            reason = str(error)
            self.report.set_status(path, "not checked", reason)
        except (UnsupportedLayer, ModelError) as error:
            # the text of a ModelError begins with name and class of the spec, the report has those of the layer
            text = re.sub(r"^layer '.*?' \(\w+\) ", "", str(error))
            self.report.set_status(path, "refused", text[:MAX_REASON])
        else:
            self.report.add_specs(path, list(self.builder.layers)[n_specs:])
            return tensor
        return self._replacement(path, node, recorded, *arguments, reason=reason)

    def _replacement(self, path, node, recorded, operands=(), layer=None, *_, reason=None):
        """Return a tensor with the output shape of a call that cannot be read; an UnknownTensor if that is unknown.

        ``reason`` is that of the unknown input of the layer, if it has one.
        """
        shape = infer_output_shape(node, operands, layer, recorded, self.builder)
        shape = shape or self._shape_without_options(path, node, operands, layer)
        if shape is None:
            return UnknownTensor(reason or f"the output shape of {path!r} is unknown")
        return self.builder.add_spec(specs.Input, path, shape=shape)

    def _shape_without_options(self, path, node, operands, layer):
        """Return the output shape of a layer of which only shape-neutral options are unsupported, else None."""
        config = node.entry["config"] | node.keywords
        neutral = {key: value for key, value in SHAPE_NEUTRAL.items() if key in config}
        if not neutral or not all(isinstance(operand, Tensor) for operand in operands):
            return None
        try:
            weights = [] if layer is None else layer.get_weights()
            read = find_reader(node.entry)
            call = LayerCall(self.builder, path, LayerOptions(config | neutral), operands, weights)
            return self.builder.shape(read(call))
        except (UnsupportedLayer, ModelError):
            return None

    def _read_input(self, path, node):
        config = node.entry["config"]
        shape = tuple(config.get("batch_shape") or config.get("batch_input_shape"))[1:]
        if None in shape:
            raise UnsupportedLayer(f"has the shape {shape}, with an open axis: fix its size")
        if config.get("sparse") or config.get("ragged"):
            raise UnsupportedLayer("is sparse or ragged: make it a dense array")
        self._check_precision(path, config)
        return self.builder.add_spec(specs.Input, path, shape=shape)

    def _read_layer(self, path, node, operands, layer, role):
        read = find_reader(node.entry, role)
        if layer is not None and custom_classes(layer):
            raise UnsupportedLayer(f"is of your own class {class_name(layer)}: replace it by Keras layers")
        if layer is not None and has_custom_call(layer):
            raise UnsupportedLayer("has a call method that is not Keras': replace it by Keras layers")
        for operand in operands:
            if isinstance(operand, UnknownTensor):
                if "activation" in node.entry["config"]:  # can be checked without the operand
                    options = LayerOptions(node.entry["config"])
                    activations.read_activation(LayerCall(self.builder, path, options, [], [], None, role))
                raise NotChecked(operand.reason)
        weights = [] if layer is None else layer.get_weights()
        self._check_call(path, node, operands, weights)
        options = LayerOptions(complete_config(layer, node.entry["config"]) | node.keywords)
        unmarked = [without(operand) for operand in operands]
        activation = getattr(layer, "activation", None)
        tensor = read(LayerCall(self.builder, path, options, unmarked, weights, activation, role))
        if unread := options.unread():
            raise UnsupportedLayer(f"has {reprlib.repr(unread)}, which is not supported: leave it out")
        self._check_shape(tensor, output_shape_of_single_call(layer))
        self._note_training(path, node.entry, weights)
        return pass_on(self.report, path, operands, tensor, node.entry["class_name"] in REARRANGING)

    def _check_call(self, path, node, operands, weights):
        """Refuse properties of a call that readers do not check."""
        config = node.entry["config"]
        self._check_precision(path, config)
        is_operation = layer_kind(node.entry) in OPERATIONS
        for operand in operands:
            if not isinstance(operand, Tensor | np.ndarray if is_operation else Tensor):
                raise UnsupportedLayer(f"is called with {reprlib.repr(operand)}: leave it out")
        keywords = {key: value for key, value in node.keywords.items() if value is not False}
        if keywords and not is_operation:
            raise UnsupportedLayer(f"is called with {reprlib.repr(keywords)}: leave that out, and pass the input only")
        if config.get("lora_rank"):
            raise UnsupportedLayer("has LoRA weights: merge them into the kernel first")
        if not all(np.isfinite(np.asarray(weight, float)).all() for weight in weights):
            raise UnsupportedLayer("holds NaN or infinity: its training diverged, so train the model again")

    def _check_shape(self, tensor, expected):
        """Refuse a layer whose output shape is not that in Keras: an option was misunderstood."""
        shape = self.builder.shape(tensor)
        known = expected is not None and len(expected) == len(shape) and None not in expected
        if known and shape != expected:
            raise UnsupportedLayer(
                f"has output shape {expected} in Keras but {shape} here: please report it, with the layer's options"
            )

    def _check_precision(self, path, config):
        policy = config.get("dtype") or "float32"
        kind, name = (policy["class_name"], policy["config"].get("name")) if isinstance(policy, dict) else ("", policy)
        if isinstance(policy, dict) and is_custom_class(policy):
            raise UnsupportedLayer("has a custom data type: use 'float32'")
        if config.get("quantization_config") or kind not in ("", "DTypePolicy", "Policy"):
            raise UnsupportedLayer("is quantized: pass the model as it was before quantization")
        if name != "float32":
            self.report.set_status(path, "approximated", f"computed in float32, not in {name}")

    def _note_training(self, path, entry, weights):
        if weights:
            self._n_uses[path] += 1
        if self._n_uses[path] > 1:
            return
        config = entry["config"]
        ignored = [key for key, value in config.items() if value and key.endswith(("_regularizer", "_constraint"))]
        ignored += ["trainable=False"] if weights and config.get("trainable") is False else []
        if ignored:
            self.report.add_training_note(path, f"has {', '.join(ignored)}, which training in nengo_snnconv ignores")
        if layer_kind(entry) in TRAINING_ONLY:
            self.report.add_training_note(path, "has no effect in nengo_snnconv's training")


def _is_off(value):
    return value in (None, False) or (isinstance(value, list) and all(map(_is_off, value)))


def _find_roles(nodes, outputs, role):
    """Return the roles of calls, {(layer name, call number): role}; see :class:`.LayerCall`.

    A call whose output only passes through other layers has the role of the last of them.  ``role`` is that of the
    outputs of the model.
    """
    roles = {ref[:2]: role for ref in outputs} if role in ENDS else {}
    for node in reversed(nodes):
        kind, activation = node.entry["class_name"], node.entry["config"].get("activation")
        inputs = [operand for operand in node.operands if isinstance(operand, TensorRef)]
        is_product = kind == "Multiply" or node.entry["config"].get("function") == "math.multiply"
        passes_through = kind in PASS_THROUGH or (kind, activation) == ("Activation", "linear")
        if is_product and len(inputs) > 1:
            roles |= {ref[:2]: "gate" for ref in inputs}
        elif (node.name, node.call) in roles and passes_through:
            roles |= {ref[:2]: roles[node.name, node.call] for ref in inputs}
        elif roles.get((node.name, node.call)) in ENDS and kind in SCALING:
            roles |= {ref[:2]: "scaled output" for ref in inputs}
    return roles


def spec_name(name):
    """Return a layer's name without slashes, which separate layers and arrays in a Model."""
    return name.replace("/", ".")
