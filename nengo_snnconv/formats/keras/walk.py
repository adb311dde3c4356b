"""Walk: goes through a Keras model call by call, nested models included."""

import collections
import dataclasses
import re
import reprlib

import numpy as np

from ...errors import ConversionError, ModelError, listed
from ...model import layers as specs
from . import pointwise
from .builder import Builder, Refused, Tensor
from .calls import NESTED, Ref, is_own_class, read_calls
from .layers import OPERATIONS, VANISHING, kind_of, reader_of
from .live import class_name, complete_config, has_own_call, output_shape, own_classes
from .report import Report
from .shapes import shape_behind, written_shapes
from .use import Options, Use

MAX_CALLS = 10_000
MAX_REASON = 1500  # characters, as a file can name things of any length
# kinds that hand on what they read, so that the layer before them gives the output of the model where they do
HANDING_ON = {"Identity", "Dropout", "Flatten", "Reshape", *VANISHING}
# options that do not change the shape that a layer gives out, with values that can be read
PLAIN = {"activation": "linear", "interpolation": "nearest"}


@dataclasses.dataclass(frozen=True)
class Unknown:
    """A tensor of the Keras model of which not even the shape is known, and why."""

    reason: str


class Walk:
    """Reads a Keras model.

    Parameters
    ----------
    config : dict
        The model's configuration.
    model : Keras model or StoredLayer
        It holds the weights.

    Attributes
    ----------
    build : Builder
        Holds the specs.
    report : Report
    output : Tensor or None
        None where a layer on the way is refused.
    """

    def __init__(self, config, model):
        self.build, self.report = Builder(), Report()
        self._uses, self._n_calls = collections.Counter(), 0
        output = self._model(config, model)[0]
        self.output = output if isinstance(output, Tensor) else None
        for path, n in self._uses.items():
            if n > 1:
                self.report.note(path, f"is used {n} times, which training does not keep equal")

    def _model(self, config, model, path="", given=None, at_end=True):
        """Read a model, and return the tensors that it gives out, Unknown where they cannot be had.

        A nested model is ``given`` its inputs, and told whether it gives the output of the whole (``at_end``).
        """
        calls, inputs, outputs = read_calls(config)
        layers = {layer.name: layer for layer in model.layers}
        written, roles = written_shapes(config), _roles(calls, outputs if at_end else [])
        values = {}

        def value(operand):
            if not isinstance(operand, Ref):
                return operand
            made = values[operand[:2]]
            several = f"it reads output {operand.tensor} of {path + operand.layer!r}, which is refused"
            return made[operand.tensor] if operand.tensor < len(made) else Unknown(several)

        for call in calls:
            operands, name = [value(operand) for operand in call.operands], path + clean(call.name)
            live, role = layers.get(call.name), roles.get((call.name, call.node), "")
            self._count_call()
            if call.entry["class_name"] in NESTED and not is_own_class(call.entry):
                made = self._nested(name, call, written, operands, live, role)
            elif call.name not in inputs:
                made = [self._reported(self._layer, name, call, written, operands, live, role)]
            elif given is None:
                made = [self._reported(self._input, name, call, written, inputs)]
            else:
                self.report.begin(name, call.entry["class_name"])
                made = [given[inputs.index(call.name)]]
            values[call.name, call.node] = made
        if given is None and len(outputs) > 1:
            self._refuse_outputs(calls, [ref.layer for ref in outputs])
        return [value(ref) for ref in outputs]

    def _count_call(self):
        # models within models can double their calls at each level
        self._n_calls += 1
        if self._n_calls > MAX_CALLS:
            raise ConversionError(f"the Keras model calls its layers more than {MAX_CALLS} times: make it smaller")

    def _nested(self, path, call, written, operands, live, role):
        """Return the tensors that a nested model gives out."""
        asked = {key: value for key, value in call.options.items() if not _is_off(value)}
        asked |= {f"argument {i}": x for i, x in enumerate(operands) if not isinstance(x, Tensor | Unknown)}
        if asked:
            reason = f"is called with {reprlib.repr(asked)}: leave that out, and give the model its input only"
        elif has_own_call(live):
            owner = class_name(live)
            reason = f"is of a class of your own, {owner}, with its own call: put a functional model in its place"
        else:
            return self._model(call.entry["config"], live, f"{path}.", operands, role == "end")
        self.report.begin(path, call.entry["class_name"])
        self.report.say(path, "refused", reason)
        return [self._stand_in(path, call, written, operands, live)]

    def _refuse_outputs(self, calls, names):
        for call in calls:
            if call.name in names:
                self.report.begin(clean(call.name), call.entry["class_name"])
                reason = f"is one of {len(names)} outputs, {listed(names)}: make a model of one of them"
                self.report.say(clean(call.name), "refused", reason)

    def _reported(self, read, path, call, written, *arguments):
        """Return the tensor that ``read`` makes of a call; the layer's row says what became of it.

        Behind a layer that is refused stands a tensor of the same shape, so that others are judged by themselves.
        """
        self.report.begin(path, call.entry["class_name"])
        n_specs, why = len(self.build.layers), None
        try:
            tensor = read(path, call, *arguments)
        except NotChecked as error:
            why = str(error)
            self.report.say(path, "not checked", why)
        except (Refused, ModelError) as error:
            # a spec's error begins with the name and the kind of the spec, the report with those of the layer
            reason = re.sub(r"^layer '.*?' \(\w+\) ", "", str(error))
            self.report.say(path, "refused", reason[:MAX_REASON])
        else:
            self.report.became(path, list(self.build.layers)[n_specs:])
            return tensor
        return self._stand_in(path, call, written, *arguments, why=why)

    def _stand_in(self, path, call, written, operands, layer=None, *_, why=None):
        """Return a tensor of the shape that a call would give out, had it been read; Unknown where that is not known.

        ``why`` tells of the layer in front because of which it is not known.
        """
        shape = shape_behind(call, operands, layer, written, self.build)
        shape = shape or self._plain_shape(path, call, operands, layer)
        if shape is None:
            return Unknown(why or f"the shape that {path!r} gives out is not known")
        return self.build.put(specs.Input, path, shape=shape)

    def _plain_shape(self, path, call, operands, layer):
        """Return the shape that a layer gives out where only options are refused that do not matter for that."""
        config = call.entry["config"] | call.options
        plain = {key: value for key, value in PLAIN.items() if key in config}
        if not plain or not all(isinstance(operand, Tensor) for operand in operands):
            return None
        try:
            weights = [] if layer is None else layer.get_weights()
            read = reader_of(call.entry)
            return self.build.shape(read(Use(self.build, path, Options(config | plain), operands, weights)))
        except (Refused, ModelError):
            return None

    def _input(self, path, call, inputs):
        config = call.entry["config"]
        shape = tuple(config.get("batch_shape") or config.get("batch_input_shape"))[1:]
        if call.name != inputs[0]:
            raise Refused("is a further input: make a model of one input")
        if None in shape:
            raise Refused(f"has the shape {shape}, with an open axis: fix its size")
        if config.get("sparse") or config.get("ragged"):
            raise Refused("is sparse or ragged: make it a plain array")
        self._check_precision(path, config)
        return self.build.put(specs.Input, path, shape=shape)

    def _layer(self, path, call, operands, layer, role):
        read = reader_of(call.entry, role)
        if layer is not None and (own_classes(layer) or has_own_call(layer)):
            raise Refused(f"is of a class of your own, {class_name(layer)}: put layers of Keras in its place")
        for operand in operands:
            if isinstance(operand, Unknown):
                if "activation" in call.entry["config"]:  # which can be judged without the operand
                    pointwise.activation_of(Use(self.build, path, Options(call.entry["config"]), [], [], None, role))
                raise NotChecked(operand.reason)
        weights = [] if layer is None else layer.get_weights()
        self._check(path, call, operands, weights)
        options = Options(complete_config(layer, call.entry["config"]) | call.options)
        plain = [without_softmax(operand) for operand in operands]
        tensor = read(Use(self.build, path, options, plain, weights, getattr(layer, "activation", None), role))
        unheeded = options.unheeded()
        if unheeded:
            raise Refused(f"has {reprlib.repr(unheeded)}, which cannot be kept: leave it out")
        self._check_shape(tensor, output_shape(layer))
        self._note_training(path, call.entry, weights)
        tensor = self._pass_softmax(path, operands, tensor)
        if tensor.logits_of == path:
            self.report.say(path, "approximated", "read out as logits: the class with the largest score stays the same")
        return tensor

    def _check(self, path, call, operands, weights):
        """Refuse what no reader of a layer looks at."""
        config = call.entry["config"]
        self._check_precision(path, config)
        is_operation = kind_of(call.entry) in OPERATIONS
        for operand in operands:
            if not isinstance(operand, Tensor | np.ndarray if is_operation else Tensor):
                raise Refused(f"is called with {reprlib.repr(operand)}: leave it out")
        asked = {key: value for key, value in call.options.items() if value is not False}
        if asked and not is_operation:
            raise Refused(f"is called with {reprlib.repr(asked)}: leave that out, and give the layer its input only")
        if config.get("lora_rank"):
            raise Refused("has LoRA weights beside its kernel: read a model into whose kernels they are merged")
        if not all(np.isfinite(np.asarray(weight, float)).all() for weight in weights):
            raise Refused("holds NaN or infinity: the training that made it diverged, so train it again")

    def _check_shape(self, tensor, expected):
        """Refuse a layer whose output here has another shape than in Keras: an option was not understood."""
        shape = self.build.shape(tensor)
        known = expected is not None and len(expected) == len(shape) and None not in expected
        if known and shape != expected:
            raise Refused(f"gives {expected} in Keras but {shape} here: please report it, with the layer's options")

    def _check_precision(self, path, config):
        policy = config.get("dtype") or "float32"
        kind, name = (policy["class_name"], policy["config"].get("name")) if isinstance(policy, dict) else ("", policy)
        if isinstance(policy, dict) and is_own_class(policy):
            raise Refused("has a data type of your own: use 'float32'")
        if config.get("quantization_config") or kind not in ("", "DTypePolicy", "Policy"):
            raise Refused("is quantised: read the model as it was before that")
        if name != "float32":
            self.report.say(path, "approximated", f"computed in float32, not in {name}")

    def _pass_softmax(self, path, operands, tensor):
        """The tensor, marked as logits if the layer only hands on those that it reads."""
        for operand in operands:
            softmax = getattr(operand, "logits_of", None)
            if softmax and tensor.end == operand.end:
                return dataclasses.replace(tensor, logits_of=tensor.logits_of or softmax)
            if softmax:
                reason = f"has a softmax in the middle of the model, before {path!r}: it can only be its last layer"
                self.report.say(softmax, "refused", reason)
        return tensor

    def _note_training(self, path, entry, weights):
        if weights:
            self._uses[path] += 1
        if self._uses[path] > 1:
            return
        config = entry["config"]
        dropped = [key for key, value in config.items() if value and key.endswith(("_regularizer", "_constraint"))]
        dropped += ["trainable=False"] if weights and config.get("trainable") is False else []
        if dropped:
            self.report.note(path, f"has {', '.join(dropped)}, which nengo_snnconv does not heed while it trains")
        if kind_of(entry) == "BatchNormalization":
            self.report.note(path, "is trained as a plain scale and shift, without normalisation")
        if kind_of(entry) in VANISHING:
            self.report.note(path, "does nothing while nengo_snnconv trains")


def _is_off(value):
    return value in (None, False) or (isinstance(value, list) and all(map(_is_off, value)))


class NotChecked(Exception):
    """A layer cannot be read because of another one; the text says why."""


def _roles(calls, outputs):
    """Return the role, see :class:`Use`, of calls (layer, node) that have one.

    It is also that of the calls whose tensor is only handed on.
    """
    roles = {ref[:2]: "end" for ref in outputs}
    for call in reversed(calls):
        kind, activation = call.entry["class_name"], call.entry["config"].get("activation")
        tensors = [operand for operand in call.operands if isinstance(operand, Ref)]
        is_product = kind == "Multiply" or call.entry["config"].get("function") == "math.multiply"
        if is_product and len(tensors) > 1:
            roles |= {ref[:2]: "gate" for ref in tensors}
        elif (call.name, call.node) in roles and (kind in HANDING_ON or (kind, activation) == ("Activation", "linear")):
            roles |= {ref[:2]: roles[call.name, call.node] for ref in tensors}
    return roles


def clean(name):
    """A Keras name as a spec's, in which a slash would part layer and array."""
    return name.replace("/", ".")


def without_softmax(operand):
    """The operand without the mark that a softmax was left out."""
    return dataclasses.replace(operand, logits_of=None) if isinstance(operand, Tensor) else operand
