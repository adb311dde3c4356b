"""Edits: changes that were made to a network's objects by hand, which its model and settings do not know."""

import warnings

import nengo
import numpy as np

from ..errors import SettingsError, SnnConvWarning

# attributes without effect on neurons that are driven directly, or on anything at all
WITHOUT_EFFECT = {"label", "encoders", "eval_points", "n_eval_points", "normalize_encoders"}
# the settings, by their names, that do what an attribute of a Nengo object would
SETTINGS = {
    "neuron_type": ("neuron_type",),
    "gain": ("max_rates", "max_rate"),
    "max_rates": ("max_rates", "max_rate"),
    "intercepts": ("intercepts",),
    "synapse": ("synapse",),
    "seed": ("seed",),
}
PARTS = ("model", "settings", "input", "output", "seed")
NAMED = 3  # that a message tells of
ROUNDING = 1e-5  # NengoDL hands parameters back in single precision


class Snapshot:
    """The parts of a network and the attributes of all of its objects, as they were built.

    It holds references, no copies: arrays are made read-only, and Nengo's own parameters are immutable.

    Parameters
    ----------
    network : ConvNetwork
        Just built.
    """

    def __init__(self, network):
        self.parts = {name: getattr(network, name) for name in PARTS}
        self.layers = dict(network.layers)
        self.attributes = {obj: self._attributes_of(obj, network) for obj in _objects(network)}
        for attributes in self.attributes.values():
            for value in attributes.values():
                if isinstance(value, np.ndarray):
                    value.setflags(write=False)

    @staticmethod
    def _attributes_of(obj, network):
        # users show the input whatever they like in simulators of their own
        ignored = {*WITHOUT_EFFECT, "output", "size_in"} if obj is network.input else WITHOUT_EFFECT
        return {name: getattr(obj, name) for name in obj.params if name not in ignored}

    def edits(self, network):
        """Return what differs now: a list of (what, name of the attribute or None, object or None)."""
        found = [
            (f"network.{name}", name, None)
            for name, value in self.parts.items()
            if getattr(network, name) is not value and not _same(value, getattr(network, name))
        ]
        if network.layers.keys() != self.layers.keys() or any(
            network.layers[name] is not obj for name, obj in self.layers.items()
        ):
            found.append(("network.layers", "layers", None))
        present = set(_objects(network))
        for obj, attributes in self.attributes.items():
            if obj not in present:
                if not isinstance(obj, nengo.Probe):  # whoever evaluates a network has probes of their own
                    found.append((f"{_described(obj)}, which is gone", None, obj))
                continue
            for name, value in attributes.items():
                now = getattr(obj, name)
                if now is not value and not _same(value, now):
                    found.append((f"{name} of {_described(obj)}", name, obj))
        return found

    def intruders(self, network):
        """Return the user's own connections that end in objects of the network."""
        own = {obj for obj in self.attributes if not isinstance(obj, nengo.Connection | nengo.Probe)}
        connections = (c for c in network.all_connections if c not in self.attributes)
        return [c for c in connections if getattr(c.post_obj, "ensemble", c.post_obj) in own]


def check_unedited(network):
    """Raise SettingsError if objects of a network were changed by hand since it was built; added ones are fine."""
    edits = network.snapshot.edits(network)
    if edits:
        names = ", ".join(what for what, _, _ in edits[:NAMED])
        more = f" and {len(edits) - NAMED} more" if len(edits) > NAMED else ""
        raise SettingsError(
            f"this network was changed by hand after it was built: {names}{more}. What evaluates, converts or saves it "
            f"goes by its model and settings, and would ignore that: take {_way_out(network, edits)}"
        )


def warn_of_intruders(network):
    """Warn of connections that were added by hand and end in objects of the network."""
    intruders = network.snapshot.intruders(network)
    if intruders:
        warnings.warn(
            f"{_described(intruders[0])} was added by hand and ends in an object of the network: it works in "
            "simulators of your own, but what evaluates, converts or saves the network leaves it out",
            SnnConvWarning,
            stacklevel=4,
        )


def _objects(network):
    return [*network.all_nodes, *network.all_ensembles, *network.all_connections, *network.all_probes]


def _way_out(network, edits):
    """Return what does the same in a way that counts."""
    _, name, obj = edits[0]
    fields = vars(network.snapshot.parts["settings"])
    names = ("output_synapse",) if isinstance(obj, nengo.Probe) else SETTINGS.get(name, ())
    setting = next((each for each in names if each in fields), None)
    if name in ("model", "settings"):
        return "network.rebuild(), which builds a network from what they are now"
    if setting and (obj is not None or name == "seed"):
        return f"network.rebuild({setting}=...), which returns a new network"
    if isinstance(obj, nengo.Connection | nengo.Node) or name == "bias":
        return (
            'network.rebuild(network.model.replace(arrays={"conv/kernel": ...})), which returns a network with other '
            "weights or biases"
        )
    return "network.rebuild(), which returns it as it was, and leave its own objects as they are"


def _described(obj):
    if isinstance(obj, nengo.Connection):
        ends = [getattr(end, "ensemble", end) for end in (obj.pre_obj, obj.post_obj)]
        return f"the connection from {' to '.join(repr(end.label or type(end).__name__) for end in ends)}"
    return f"{type(obj).__name__} {obj.label!r}" if obj.label else type(obj).__name__


def _same(before, now):
    """Whether two values of an attribute are the same, up to rounding in single precision."""
    if isinstance(before, nengo.transforms.Transform) and isinstance(now, nengo.transforms.Transform):
        return _same_transform(before, now)
    if isinstance(before, np.ndarray) or isinstance(now, np.ndarray):
        return _close(before, now)
    try:
        return bool(before == now)
    except ValueError:  # of arrays somewhere inside
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
    """Rows, columns and values of a sparse matrix of either kind, in one order."""
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
