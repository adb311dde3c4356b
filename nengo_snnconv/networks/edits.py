"""Edits: changes by hand to the objects of a network, which its model and settings do not reflect."""

from __future__ import annotations

import typing

import nengo
import numpy as np

from .._util.user_warnings import warn_user
from ..errors import SettingsError

# attributes without effect, or without effect on neurons that are driven directly
WITHOUT_EFFECT = {"label", "encoders", "eval_points", "n_eval_points", "normalize_encoders"}
# settings to rebuild a network with instead of changing an attribute of a Nengo object
SETTINGS_OF = {
    "neuron_type": ("neuron_type",),
    "gain": ("max_rates", "max_rate"),
    "max_rates": ("max_rates", "max_rate"),
    "intercepts": ("intercepts",),
    "synapse": ("synapse",),
    "seed": ("seed",),
}
NETWORK_ATTRIBUTES = ("model", "settings", "input", "reset", "output", "seed")
MOST_LISTED = 3  # number of edits that a message lists
ROUNDING = 1e-5  # NengoDL returns parameters in single precision


class Edit(typing.NamedTuple):
    """A change by hand.

    Attributes
    ----------
    text : str
        Description for messages.
    attribute : str or None
        Name of the changed attribute; None if an object was removed.
    obj : Nengo object or None
        Object of the attribute; None if it is the network itself.
    """

    text: str
    attribute: str | None
    obj: typing.Any


class Snapshot:
    """Attributes of a network and of all its objects at the time when it was built.

    It holds references, not copies: arrays are made read-only, and Nengo's own parameters are immutable.

    Parameters
    ----------
    network : ConvNetwork
        Network that was just built.
    """

    def __init__(self, network):
        self.of_network = {name: getattr(network, name) for name in NETWORK_ATTRIBUTES}
        self.layers = dict(network.layers)
        self.attributes = {obj: self._attributes_of(obj, network) for obj in _objects(network)}
        for attributes in self.attributes.values():
            for value in attributes.values():
                if isinstance(value, np.ndarray):
                    value.setflags(write=False)

    @staticmethod
    def _attributes_of(obj, network):
        # users set the outputs of these nodes or connect to them, to present images in simulators of their own
        ignored = {*WITHOUT_EFFECT, "output", "size_in"} if obj in (network.input, network.reset) else WITHOUT_EFFECT
        return {name: getattr(obj, name) for name in obj.params if name not in ignored}

    def edits(self, network):
        """Return the changes since the snapshot, as a list of Edit."""
        edits = [
            Edit(f"network.{name}", name, None)
            for name, value in self.of_network.items()
            if getattr(network, name) is not value and not _same(value, getattr(network, name))
        ]
        if network.layers.keys() != self.layers.keys() or any(
            network.layers[name] is not obj for name, obj in self.layers.items()
        ):
            edits.append(Edit("network.layers", "layers", None))
        present = set(_objects(network))
        for obj, attributes in self.attributes.items():
            if obj not in present:
                if not isinstance(obj, nengo.Probe):  # evaluation uses probes of its own
                    edits.append(Edit(f"{_describe(obj)}, which was removed", None, obj))
                continue
            for name, value in attributes.items():
                now = getattr(obj, name)
                if now is not value and not _same(value, now):
                    edits.append(Edit(f"{name} of {_describe(obj)}", name, obj))
        return edits

    def added_connections(self, network):
        """Return the connections that a user added and that end in objects of the network, other than its inputs."""
        inputs = (network.input, network.reset)
        own = {
            obj
            for obj in self.attributes
            if not isinstance(obj, nengo.Connection | nengo.Probe) and not any(obj is each for each in inputs)
        }
        connections = (c for c in network.all_connections if c not in self.attributes)
        return [c for c in connections if getattr(c.post_obj, "ensemble", c.post_obj) in own]


def check_unedited(network):
    """Check that the objects of a network were not changed by hand since it was built; objects may be added."""
    edits = network.snapshot.edits(network)
    if edits:
        names = ", ".join(edit.text for edit in edits[:MOST_LISTED])
        more = f" and {len(edits) - MOST_LISTED} more" if len(edits) > MOST_LISTED else ""
        raise SettingsError(
            f"this network was changed by hand after it was built: {names}{more}. Functions that evaluate, convert or "
            f"save it use its model and settings and would ignore the change: take {_alternative(network, edits[0])}",
            argument="network",
        )


def warn_of_added_connections(network):
    """Warn of connections that a user added and that end in objects of the network."""
    added = network.snapshot.added_connections(network)
    if added:
        warn_user(
            f"{_describe(added[0])} was added by hand and ends in an object of the network: it works in simulators of "
            "your own, but functions that evaluate, convert or save the network leave it out",
        )


def _objects(network):
    return [*network.all_nodes, *network.all_ensembles, *network.all_connections, *network.all_probes]


def _alternative(network, edit):
    """Return advice on how to get the effect of an edit in a new network, for the message."""
    _, name, obj = edit
    fields = vars(network.snapshot.of_network["settings"])
    names = ("output_synapse",) if isinstance(obj, nengo.Probe) else SETTINGS_OF.get(name, ())
    setting = next((each for each in names if each in fields), None)
    if name in ("model", "settings"):
        return "network.rebuild(), which builds a network from the new ones"
    if setting and (obj is not None or name == "seed"):
        return f"network.rebuild({setting}=...), which returns a new network"
    if isinstance(obj, nengo.Connection | nengo.Node) or name == "bias":
        return (
            'network.rebuild(network.model.replace(arrays={"conv/kernel": ...})), which returns a network with other '
            "weights or biases"
        )
    return "network.rebuild(), which returns it as it was, and do not change its objects"


def _describe(obj):
    if isinstance(obj, nengo.Connection):
        ends = [getattr(end, "ensemble", end) for end in (obj.pre_obj, obj.post_obj)]
        return f"the connection from {' to '.join(repr(end.label or type(end).__name__) for end in ends)}"
    return f"{type(obj).__name__} {obj.label!r}" if obj.label else type(obj).__name__


def _same(before, now):
    """Return True if two values of an attribute are equal, up to rounding in single precision."""
    if isinstance(before, nengo.transforms.Transform) and isinstance(now, nengo.transforms.Transform):
        return _same_transform(before, now)
    if isinstance(before, np.ndarray) or isinstance(now, np.ndarray):
        return _close(before, now)
    try:
        return bool(before == now)
    except ValueError:  # a container of arrays
        return False


def _same_transform(before, now):
    if type(before) is not type(now) or before.size_in != now.size_in or before.size_out != now.size_out:
        return False
    if isinstance(before, nengo.transforms.NoTransform):
        return True
    if isinstance(before, nengo.Convolution):
        geometry = ("strides", "padding", "groups", "channels_last", "kernel_size")
        if any(getattr(before, name) != getattr(now, name) for name in geometry):
            return False
    if isinstance(before, nengo.Sparse):
        return all(_close(*pair) for pair in zip(_entries(before.init), _entries(now.init), strict=True))
    return _close(before.init, now.init)


def _entries(matrix):
    """Return rows, columns and values of a sparse matrix of Nengo or SciPy, sorted by row, then column."""
    if isinstance(matrix, nengo.transforms.SparseMatrix):
        (rows, columns), values = np.transpose(matrix.indices), matrix.data
    else:
        matrix = matrix.tocoo()
        rows, columns, values = matrix.row, matrix.col, matrix.data
    order = np.lexsort((columns, rows))
    return rows[order], columns[order], np.asarray(values)[order]


def _close(before, now):
    try:
        one, two = (np.squeeze(np.asarray(value, float)) for value in (before, now))
    except (TypeError, ValueError):
        return before is now
    return one.shape == two.shape and np.allclose(one, two, rtol=ROUNDING, atol=1e-30)
