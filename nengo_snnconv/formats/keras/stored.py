"""Find the arrays of each layer in a Keras file: a stand-in for the live model, made without Keras.

Keras keeps them in two ways.  A ``.keras`` archive names a layer's group after its class ("layers/conv2d_1/vars/0"),
counted in the order of the layers, and a nested model's layers lie in its group.  An ``.h5`` file names the group
after the layer, lists its arrays in an attribute, and puts all arrays of a nested model into one list, the trainable
ones first.
"""

import dataclasses
import re
from typing import NamedTuple

from .builder import Refused
from .calls import NESTED, is_operation
from .hdf5_data import Unreadable

# what Keras 2.12 and 2.13 call "layers"
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
MAX_NAMES = 2**24  # bytes of the names of one layer's arrays
CANNOT_BE_TOLD = (
    "stands in a nested model whose arrays the file does not tell apart: load the file in Python, and pass the model"
)


# names of the arrays of layers, in Keras' order, and the option that says whether there is one
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
NOT_TRAINED = {"moving_mean", "moving_variance", "mean", "variance", "count"}


class Slot(NamedTuple):
    """One array in the list of a nested model: of the layer at ``path`` (its place in each model) called ``layer``."""

    path: tuple
    layer: str
    variable: str
    trained: bool


@dataclasses.dataclass
class StoredLayer:
    """A layer, or a model with its layers, as a file keeps it.

    Attributes
    ----------
    name : str
    layers : list of StoredLayer
        Those of a nested model.
    weights : list of ndarray or None
        None where they cannot be told from those of other layers.
    """

    name: str
    layers: list = dataclasses.field(default_factory=list)
    weights: list | None = dataclasses.field(default_factory=list)

    def get_weights(self):
        """Return the layer's own arrays, in Keras' order."""
        if self.weights is None:
            raise Refused(CANNOT_BE_TOLD)
        return self.weights


def name_of(entry):
    """The name of a layer, from its entry in the configuration."""
    return entry.get("name") or entry["config"]["name"]


def is_nested(entry):
    return entry["class_name"] in NESTED and "layers" in entry["config"]


# ---- .keras


def from_archive(entry, group):
    """Return the layer that an entry describes, with its arrays from a group of ``model.weights.h5``.

    Parameters
    ----------
    entry : dict
        Of the configuration; at first that of the whole model.
    group : hdf5.Group or None
        None where the file has no group for the layer, as Keras makes none for a layer without arrays.
    """
    layer = StoredLayer(name_of(entry))
    if is_nested(entry):
        children = [child for child in entry["config"]["layers"] if not is_operation(child)]
        layer.layers = [
            from_archive(child, found) for child, found in zip(children, _groups(children, group), strict=True)
        ]
    elif group is not None:
        layer.weights = _numbered(group.get("vars"), layer.name)
    return layer


def _groups(entries, group):
    """For each layer of a model, its group; None where there is none."""
    containers = [group.get(name) for name in CONTAINERS] if group is not None else []
    container = next((found for found in containers if found is not None), None)
    if container is None:
        return [None] * len(entries)
    kinds = [snake_case(entry["class_name"]) for entry in entries]
    present = container.children()
    if container is containers[0]:
        names = [f"{kind}_{n}" if (n := kinds[:i].count(kind)) else kind for i, kind in enumerate(kinds)]
    else:
        # these count a layer with arrays twice, so only the order of the numbers is known
        ranked = {kind: [name for _, name in sorted(_numbers(kind, present))] for kind in kinds}
        ranked["input_layer"] = ["input_layer"] * len(kinds)  # a Sequential has it in its configuration alone
        if any(len(ranked[kind]) != kinds.count(kind) for kind in kinds if kind != "input_layer"):
            raise Unreadable("it has arrays for other layers than those that it describes")
        names = [ranked[kind][kinds[:i].count(kind)] for i, kind in enumerate(kinds)]
    return [container.get(name) if name in present else None for name in names]


def _numbers(kind, names):
    for name in names:
        found = re.fullmatch(rf"{re.escape(kind)}(?:_(\d+))?", name)
        if found:
            yield int(found[1] or 0), name


def _numbered(group, name):
    """The arrays of a group that are called 0, 1, ..."""
    if group is None:
        return []
    if group.attribute("name", MAX_NAMES) not in (None, name):  # Keras 3.8 and later say whose they are
        raise Unreadable(f"it has other arrays where those of {name!r} should be")
    present = group.children()
    if set(present) != {str(i) for i in range(len(present))}:
        raise Unreadable(f"the arrays of {name!r} are not numbered as Keras does")
    return [group.get(str(i)).array() for i in range(len(present))]


def snake_case(name):
    """Return the name of a class as Keras writes it in a file: "Conv2D" as "conv2d"."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


# ---- .h5


def from_hdf5(entry, group):
    """Return the model that an entry describes, with its arrays from the group ``model_weights``."""
    model = StoredLayer(name_of(entry))
    for child in entry["config"]["layers"]:
        found = group.get(name_of(child))
        names = _weight_names(found) if found is not None else []
        if is_nested(child):
            model.layers.append(_nested(child, names, found))
        else:
            arrays = [_array(found, name) for name in names]
            model.layers.append(StoredLayer(name_of(child), weights=arrays))
    return model


def _weight_names(group):
    names = group.attribute("weight_names", MAX_NAMES)
    if names is not None:
        return names
    found, part = [], 0
    while (names := group.attribute(f"weight_names{part}", MAX_NAMES)) is not None:  # Keras splits beyond 64 kB
        found, part = found + names, part + 1
    return found


def _array(group, path):
    found = group.get(path)
    if found is None:
        raise Unreadable(f"it lists an array {path!r} and has none")
    return found.array()


def _nested(entry, names, group):
    """A nested model, whose layers' arrays are one list: those that are trained, and then the others."""
    plain, trained, others = _slots(entry, (), names)
    order = next((order for order in (trained + others, plain) if _agrees(order, names)), None)
    if order is None:
        return _filled(entry, (), None)
    arrays = {}
    for slot, name in zip(order, names, strict=True):
        arrays[slot] = _array(group, name)
    by_layer = {}
    for slot in plain:
        by_layer.setdefault(slot.path, []).append(arrays[slot])
    return _filled(entry, (), by_layer)


def _filled(entry, path, arrays):
    """The nested layer, with ``arrays`` of each layer's path; None where it is not known whose they are."""
    layer = StoredLayer(name_of(entry))
    if is_nested(entry):
        layer.layers = [_filled(child, (*path, i), arrays) for i, child in enumerate(entry["config"]["layers"])]
    else:
        layer.weights = None if arrays is None else arrays.get(path, [])
    return layer


def _slots(entry, path, names):
    """(plain, trained, others): the arrays layer by layer, and in the two parts in which Keras lists them."""
    config = entry["config"]
    if is_nested(entry):
        children = [_slots(child, (*path, i), names) for i, child in enumerate(config["layers"])]
        plain, trained, others = ([slot for child in children for slot in child[part]] for part in range(3))
    else:
        plain = [
            Slot(path, name_of(entry), variable, variable not in NOT_TRAINED) for variable in _variables(entry, names)
        ]
        trained, others = ([slot for slot in plain if slot.trained is part] for part in (True, False))
    return (plain, trained, others) if config.get("trainable", True) else (plain, [], plain)


def _variables(entry, names):
    config, kind = entry["config"], entry["class_name"]
    if kind in ARRAYS:
        return [variable for variable, option in ARRAYS[kind].items() if option is None or config.get(option, True)]
    if kind == "Normalization":
        return ["mean", "variance", "count"] if config.get("mean") is None else []
    return [_variable(name) for name in names if _owner(name) == name_of(entry)]  # an unsupported layer


def _agrees(slots, names):
    """Whether the names of arrays are those that layers in this order have."""
    if len(slots) != len(names) or len(set(slots)) != len(slots):
        return False
    layers = {slot.layer for slot in slots}
    owners = {}
    for slot, name in zip(slots, names, strict=True):
        owner = _owner(name)
        # Keras 3 calls the kernel of a DepthwiseConv2D plainly so
        same = _variable(name) in (slot.variable, slot.variable.removeprefix("depthwise_"))
        if not same or (owner in layers and owner != slot.layer):
            return False
        if "/" in name and owners.setdefault(name.rpartition("/")[0], slot.path) != slot.path:
            return False
    return True


def _owner(name):
    """The layer after which an array is called, as far as its name says so: "block/conv/kernel:0" is of "conv"."""
    return name.rpartition("/")[0].rpartition("/")[2]


def _variable(name):
    return re.sub(r"(_\d+)?(:\d+)?$", "", name.rpartition("/")[2])
