"""StoredLayer: a layer in a Keras file with its arrays, a stand-in for the live layer that needs no Keras.

Keras stores arrays in two ways.  A ``.keras`` archive names the group of a layer after its class and its number among
the layers of that class ("layers/conv2d_1/vars/0"); the layers of a nested model are in the model's group.  An ``.h5``
file names the group after the layer and lists its arrays in an attribute; all arrays of a nested model are in one list,
trainable ones first.
"""

import dataclasses
import re
from typing import NamedTuple

from ...hdf5 import UnreadableFile
from ...shared.refusals import UnsupportedLayer
from ..config_entries import is_nested_model, is_operation, layer_name

# the group of the layers; Keras 2.12 and 2.13 use the second name
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
MAX_NAMES = 2**24  # bytes of the names of one layer's arrays
AMBIGUOUS = (
    "is in a nested model whose arrays cannot be assigned to layers in this file: load the file in Keras, and pass the "
    "model"
)

# class -> {name of array: option that enables it, or None}, in Keras' order
ARRAYS = {
    "Dense": {"kernel": None, "bias": "use_bias"},
    **{f"Conv{rank}D{kind}": {"kernel": None, "bias": "use_bias"} for rank in (1, 2, 3) for kind in ("", "Transpose")},
    **{f"DepthwiseConv{rank}D": {"depthwise_kernel": None, "bias": "use_bias"} for rank in (1, 2)},
    **{
        f"SeparableConv{rank}D": {"depthwise_kernel": None, "pointwise_kernel": None, "bias": "use_bias"}
        for rank in (1, 2)
    },
    "BatchNormalization": {"gamma": "scale", "beta": "center", "moving_mean": None, "moving_variance": None},
    "PReLU": {"alpha": None},
}
NOT_TRAINABLE = {"moving_mean", "moving_variance", "mean", "variance", "count"}


class ArraySlot(NamedTuple):
    """Place of one array in the list of a nested model.

    Attributes
    ----------
    path : tuple of int
        Index of the layer in its model, after the indices of the nested models that contain it.
    layer : str
        Name of the layer.
    variable : str
        Name of the array.
    trainable : bool
    """

    path: tuple
    layer: str
    variable: str
    trainable: bool


@dataclasses.dataclass
class StoredLayer:
    """A layer, or a model with its layers, in a file.

    Attributes
    ----------
    name : str
    layers : list of StoredLayer
        Layers of a nested model.
    weights : list of ndarray or None
        Arrays of the layer; None if they cannot be told from those of other layers.
    """

    name: str
    layers: list = dataclasses.field(default_factory=list)
    weights: list | None = dataclasses.field(default_factory=list)

    def get_weights(self):
        """Return the layer's own arrays, in Keras' order."""
        if self.weights is None:
            raise UnsupportedLayer(AMBIGUOUS)
        return self.weights


# ---- .keras


def from_archive(entry, group):
    """Return the layer of an entry, with its arrays from a group of ``model.weights.h5``.

    Parameters
    ----------
    entry : dict
        Entry of a layer, or of the whole model.
    group : hdf5.Group or None
        None if the file has no group for the layer, since Keras omits that of a layer without arrays.
    """
    layer = StoredLayer(layer_name(entry))
    if is_nested_model(entry):
        children = [child for child in entry["config"]["layers"] if not is_operation(child)]
        groups = _groups_of_layers(children, group)
        layer.layers = [from_archive(child, subgroup) for child, subgroup in zip(children, groups, strict=True)]
    elif group is not None:
        layer.weights = _numbered_arrays(group.get("vars"), layer.name)
    return layer


def _groups_of_layers(entries, group):
    """Return the group of each layer of a model; None for a layer without one."""
    containers = [group.get(name) for name in CONTAINERS] if group is not None else []
    container = next((each for each in containers if each is not None), None)
    if container is None:
        return [None] * len(entries)
    kinds = [snake_case(entry["class_name"]) for entry in entries]
    present = container.children()
    if container is containers[0]:
        names = [f"{kind}_{n}" if (n := kinds[:i].count(kind)) else kind for i, kind in enumerate(kinds)]
    else:
        # these versions count a layer with arrays twice, so only the order of the numbers is meaningful
        ranked = {kind: [name for _, name in sorted(_numbers(kind, present))] for kind in kinds}
        ranked["input_layer"] = ["input_layer"] * len(kinds)  # that of a Sequential is in the configuration only
        if any(len(ranked[kind]) != kinds.count(kind) for kind in kinds if kind != "input_layer"):
            raise UnreadableFile("its arrays do not belong to the layers in its configuration")
        names = [ranked[kind][kinds[:i].count(kind)] for i, kind in enumerate(kinds)]
    return [container.get(name) if name in present else None for name in names]


def _numbers(kind, names):
    """Yield (number, name) for each name of the form "kind" or "kind_number"."""
    for name in names:
        match = re.fullmatch(rf"{re.escape(kind)}(?:_(\d+))?", name)
        if match:
            yield int(match[1] or 0), name


def _numbered_arrays(group, name):
    """Return the arrays of a group, which are named 0, 1, ..., after checking that it belongs to the layer ``name``."""
    if group is None:
        return []
    if group.attribute("name", MAX_NAMES) not in (None, name):  # Keras 3.8 and later write the layer's name
        raise UnreadableFile(f"it has other arrays where those of {name!r} should be")
    present = group.children()
    if set(present) != {str(i) for i in range(len(present))}:
        raise UnreadableFile(f"the arrays of {name!r} are not numbered as in Keras")
    return [group.get(str(i)).array() for i in range(len(present))]


def snake_case(name):
    """Return the name of a class as Keras writes it in a file: "Conv2D" as "conv2d"."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


# ---- .h5


def from_hdf5(entry, group):
    """Return the model of an entry, with its arrays from the group ``model_weights``."""
    model = StoredLayer(layer_name(entry))
    for child in entry["config"]["layers"]:
        subgroup = group.get(layer_name(child))
        names = _weight_names(subgroup) if subgroup is not None else []
        if is_nested_model(child):
            model.layers.append(_nested_model(child, names, subgroup))
        else:
            arrays = [_array(subgroup, name) for name in names]
            model.layers.append(StoredLayer(layer_name(child), weights=arrays))
    return model


def _weight_names(group):
    names = group.attribute("weight_names", MAX_NAMES)
    if names is not None:
        return names
    collected, part = [], 0
    while (names := group.attribute(f"weight_names{part}", MAX_NAMES)) is not None:  # Keras splits lists above 64 kB
        collected, part = collected + names, part + 1
    return collected


def _array(group, path):
    dataset = group.get(path)
    if dataset is None:
        raise UnreadableFile(f"it lists an array {path!r} but does not hold it")
    return dataset.array()


def _nested_model(entry, names, group):
    """Return a nested model, whose arrays are in one list, trainable ones first."""
    by_layer, trainable, others = _array_slots(entry, (), names)
    order = next((order for order in (trainable + others, by_layer) if _names_match(order, names)), None)
    if order is None:
        return _with_arrays(entry, (), None)
    arrays = {}
    for slot, name in zip(order, names, strict=True):
        arrays[slot] = _array(group, name)
    arrays_of_path = {}
    for slot in by_layer:
        arrays_of_path.setdefault(slot.path, []).append(arrays[slot])
    return _with_arrays(entry, (), arrays_of_path)


def _with_arrays(entry, path, arrays_of_path):
    """Return the layer of an entry with its arrays; ``arrays_of_path`` is None if they cannot be assigned to layers."""
    layer = StoredLayer(layer_name(entry))
    if is_nested_model(entry):
        children = enumerate(entry["config"]["layers"])
        layer.layers = [_with_arrays(child, (*path, i), arrays_of_path) for i, child in children]
    else:
        layer.weights = None if arrays_of_path is None else arrays_of_path.get(path, [])
    return layer


def _array_slots(entry, path, names):
    """Return the slots (layer by layer, of trainable arrays, of other arrays); the last two as Keras lists them."""
    config = entry["config"]
    if is_nested_model(entry):
        children = [_array_slots(child, (*path, i), names) for i, child in enumerate(config["layers"])]
        by_layer, trainable, others = ([slot for child in children for slot in child[part]] for part in range(3))
    else:
        by_layer = [
            ArraySlot(path, layer_name(entry), variable, variable not in NOT_TRAINABLE)
            for variable in _variable_names(entry, names)
        ]
        trainable, others = ([slot for slot in by_layer if slot.trainable is part] for part in (True, False))
    return (by_layer, trainable, others) if config.get("trainable", True) else (by_layer, [], by_layer)


def _variable_names(entry, names):
    config, kind = entry["config"], entry["class_name"]
    if kind in ARRAYS:
        return [variable for variable, option in ARRAYS[kind].items() if option is None or config.get(option, True)]
    if kind == "Normalization":
        return ["mean", "variance", "count"] if config.get("mean") is None else []
    # an unsupported layer
    return [_variable_of(name) for name in names if _layer_of(name) == layer_name(entry)]


def _names_match(slots, names):
    """Return whether arrays with these names can be in these slots."""
    if len(slots) != len(names) or len(set(slots)) != len(slots):
        return False
    layers = {slot.layer for slot in slots}
    owners = {}
    for slot, name in zip(slots, names, strict=True):
        owner = _layer_of(name)
        # Keras 3 names the kernel of a DepthwiseConv2D "kernel"
        same = _variable_of(name) in (slot.variable, slot.variable.removeprefix("depthwise_"))
        if not same or (owner in layers and owner != slot.layer):
            return False
        if "/" in name and owners.setdefault(name.rpartition("/")[0], slot.path) != slot.path:
            return False
    return True


def _layer_of(name):
    """Return the layer in the name of an array, "" if there is none: "conv" for "block/conv/kernel:0"."""
    return name.rpartition("/")[0].rpartition("/")[2]


def _variable_of(name):
    """Return the variable in the name of an array: "kernel" for "block/conv/kernel:0"."""
    return re.sub(r"(_\d+)?(:\d+)?$", "", name.rpartition("/")[2])
