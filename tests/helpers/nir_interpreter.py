"""A simulator of NIR graphs in plain NumPy, written from the equations of NIR's documentation, as an independent truth.

It runs a graph as a dict, with the channel first, by the forward Euler step of each equation.  NIR does not say with
which potential neurons start: here it is v_reset, or 0 without one, and v_leak for those that do not spike.
"""

import itertools

import h5py
import numpy as np


def write_hdf5(path, graph, version="1.0.8", compression="gzip"):
    """Write a graph as nir.write does, without the package nir."""

    def write(group, values):
        for name, value in values.items():
            if isinstance(value, dict):
                write(group.create_group(name), value)
            elif isinstance(value, str):
                group.create_dataset(name, data=value, dtype=h5py.string_dtype())
            elif isinstance(value, np.ndarray) and value.ndim:
                group.create_dataset(name, data=value, compression=compression)
            else:
                group.create_dataset(name, data=value)

    with h5py.File(path, "w") as file:
        file.create_dataset("version", data=version, dtype=h5py.string_dtype())
        write(file.create_group("node"), graph)


def chain(**nodes):
    """Return a graph of nodes in a row."""
    return {"type": "NIRGraph", "nodes": nodes, "edges": list(itertools.pairwise(nodes))}


def run(graph, frames, dt):
    """Run a graph on frames (steps, channel, ...); return ({node: spikes, (steps, ...)}, outputs, (steps, ...))."""
    nodes, edges = graph["nodes"], graph["edges"]
    order, states, spikes, outputs = sorted_nodes(nodes, edges), {}, {}, []
    for frame in np.asarray(frames, np.float64):
        values = {}
        for name in order:
            node = nodes[name]
            x = frame if node["type"] == "Input" else sum(values[a] for a, b in edges if b == name)
            values[name] = STEPS[node["type"]](node, x, states.setdefault(name, {}), dt)
            if node["type"] in SPIKING:
                spikes.setdefault(name, []).append(values[name])
            if node["type"] == "Output":
                outputs.append(values[name])
    return {name: np.array(steps) for name, steps in spikes.items()}, np.array(outputs)


def sorted_nodes(nodes, edges):
    order = []
    while len(order) < len(nodes):
        order += [name for name in nodes if name not in order and all(a in order for a, b in edges if b == name)]
    return order


def convolve(node, x, state, dt):
    weight, rank = np.asarray(node["weight"], float), x.ndim - 1
    stride, padding, dilation = (np.broadcast_to(node[key], rank) for key in ("stride", "padding", "dilation"))
    groups, size = int(node["groups"]), weight.shape[2:]
    x = np.pad(x, [(0, 0), *((p, p) for p in padding)])
    extents = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    shape = [(n - e) // s + 1 for n, e, s in zip(x.shape[1:], extents, stride, strict=True)]
    out = np.zeros((len(weight), *shape)) + np.asarray(node["bias"]).reshape(-1, *(1,) * rank)
    per_group = len(weight) // groups
    for place in np.ndindex(*size):
        window = tuple(
            slice(k * d, k * d + (n - 1) * s + 1, s) for k, d, n, s in zip(place, dilation, shape, stride, strict=True)
        )
        for filter_ in range(len(weight)):
            first = filter_ // per_group * weight.shape[1]
            for channel in range(weight.shape[1]):
                out[filter_] += weight[(filter_, channel, *place)] * x[(first + channel, *window)]
    return out


def pool(node, x, state, dt):
    size, stride, padding = (np.broadcast_to(node[key], 2) for key in ("kernel_size", "stride", "padding"))
    x = np.pad(x, [(0, 0), *((p, p) for p in padding)])
    shape = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:], size, stride, strict=True)]
    out = np.zeros((len(x), *shape))
    for i, j in np.ndindex(*shape):
        rows, columns = (slice(p * s, p * s + k) for p, s, k in zip((i, j), stride, size, strict=True))
        out[:, i, j] = x[:, rows, columns].sum(axis=(1, 2))
    return out / np.prod(size) if node["type"] == "AvgPool2d" else out


def spike(node, v, state):
    """Emit spikes above the threshold, and reset: to v_reset, or, if the node has none, by subtraction."""
    fires = v > node["v_threshold"]
    state["v"] = np.where(fires, node["v_reset"] if "v_reset" in node else v - node["v_threshold"], v)
    return fires.astype(float)


def integrate(node, x, state, dt):
    return spike(node, state.get("v", node.get("v_reset", 0.0)) + dt * node["r"] * x, state)


def leak(node, x, state, dt, tau="tau"):
    v = state.get("v", node.get("v_reset", 0.0))
    return spike(node, v + dt / node[tau] * (node["v_leak"] - v + node["r"] * x), state)


def leak_with_current(node, x, state, dt):
    current = state.get("i", 0.0)
    state["i"] = current + dt / node["tau_syn"] * (node["w_in"] * x - current)
    return leak(node, state["i"], state, dt, "tau_mem")


def leaky(node, x, state, dt, tau="tau"):
    """Integrate without spikes, from the leak potential on."""
    v = state.get("v", node["v_leak"])
    state["v"] = v + dt / node[tau] * (node["v_leak"] - v + node["r"] * x)
    return state["v"]


def leaky_with_current(node, x, state, dt):
    current = state.get("i", 0.0)
    state["i"] = current + dt / node["tau_syn"] * (node["w_in"] * x - current)
    return leaky(node, state["i"], state, dt, "tau_mem")


def delayed(node, x, state, dt):
    line = state.setdefault("line", [np.zeros_like(x)] * round(np.ravel(node["delay"])[0] / dt))
    line.append(x)
    return line.pop(0)


def accumulate(node, x, state, dt):
    state["v"] = state.get("v", 0.0) + dt * node["r"] * x
    return state["v"]


SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
STEPS = {
    "Input": lambda node, x, state, dt: x,
    "Output": lambda node, x, state, dt: x,
    "Affine": lambda node, x, state, dt: node["weight"] @ x + node["bias"],
    "Linear": lambda node, x, state, dt: node["weight"] @ x,
    "Scale": lambda node, x, state, dt: node["scale"] * x,
    "Flatten": lambda node, x, state, dt: x.reshape(-1),
    "Conv1d": convolve,
    "Conv2d": convolve,
    "AvgPool2d": pool,
    "SumPool2d": pool,
    "Threshold": lambda node, x, state, dt: (x > node["threshold"]).astype(float),
    "IF": integrate,
    "LIF": leak,
    "CubaLIF": leak_with_current,
    "I": accumulate,
    "LI": leaky,
    "CubaLI": leaky_with_current,
    "Delay": delayed,
}
