"""Random ONNX models: any operators in any order, with branches that are merged."""

import numpy as np
from onnx_comparison import make_model, node


class RandomGraph:
    """Makes a random model.

    Parameters
    ----------
    choose : callable
        Function that returns one entry of a sequence.
    seed : int
        Seed of the weights.
    n_nodes : int

    Attributes
    ----------
    shape : tuple of int
        Shape of an item.
    model : ModelProto
    """

    def __init__(self, choose, seed, n_nodes):
        self._choose, self._rng = choose, np.random.default_rng(seed)
        rank = choose([1, 2, 2, 2, 3])
        # different lengths, so that a wrong order of axes cannot go unnoticed
        self.shape = (choose([1, 2, 3]), *range(5, 5 + rank))
        self._nodes, self._arrays, self._shapes = [], {}, {"x": self.shape}
        last = "x"
        for _ in range(n_nodes):
            last = self._add_node(last)
        if choose([True, False]) and len(self._shapes[last]) > 1:
            last = self._add("Flatten", last, (int(np.prod(self._shapes[last])),))
        if choose([True, True, False]) and len(self._shapes[last]) == 1:
            last = self._dense(last)
        self._nodes.append(node("Identity", last))
        self.model = make_model(self._nodes, self.shape, self._arrays, opset=choose([13, 18, 21]))

    def _constant(self, *shape, low=None):
        name = f"c{len(self._arrays)}"
        values = self._rng.normal(0, 0.5, shape) if low is None else self._rng.uniform(low, 2, shape)
        self._arrays[name] = values.astype(np.float32)
        return name

    def _integers(self, *values):
        name = f"c{len(self._arrays)}"
        self._arrays[name] = np.array(values, np.int64)
        return name

    def _add(self, kind, inputs, shape, **attributes):
        name = f"t{len(self._nodes)}"
        self._nodes.append(node(kind, inputs, name, **attributes))
        self._shapes[name] = tuple(shape)
        return name

    def _add_node(self, x):
        shape = self._shapes[x]
        kinds = [self._elementwise, self._elementwise, self._scale]
        if len(shape) == len(self.shape) and min(shape[1:], default=0) >= 3:
            kinds += [self._convolution] * 4 + [self._pool] * 3 + [self._move] * 2
        if len(shape) > 1:
            kinds += [self._reorder]
        if any(self._shapes[name] == shape for name in self._shapes if name != x):
            kinds += [self._merge] * 3
        if len(shape) == 1:
            kinds += [self._dense, self._split]
        return self._choose(kinds)(x)

    def _convolution(self, x):
        channels, *lengths = self._shapes[x]
        choose, rank = self._choose, len(self._shapes[x]) - 1
        size = [choose([1, 2, 3]) for _ in lengths]
        strides, pads = [choose([1, 1, 2]) for _ in lengths], [choose([0, 1]) for _ in range(2 * rank)]
        groups = choose([1, channels]) if rank < 3 else 1
        filters = groups * choose([1, 2])
        if choose([True, True, False]):
            kernel = self._constant(filters, channels // groups, *size)
            spans = zip(lengths, size, strides, pads[:rank], pads[rank:], strict=True)
            out = [(n + before + after - k) // s + 1 for n, k, s, before, after in spans]
            inputs = " ".join([x, kernel, *([self._constant(filters)] if choose([True, False]) else [])])
            return self._add("Conv", inputs, (filters, *out), strides=strides, pads=pads, group=groups)
        kernel = self._constant(channels, filters // groups, *size)
        spans = zip(lengths, size, strides, strict=True)
        out = [(n - 1) * s + k for n, k, s in spans]
        if np.prod(out) > 2000:
            return self._elementwise(x)
        return self._add("ConvTranspose", f"{x} {kernel}", (filters, *out), strides=strides, group=groups)

    def _pool(self, x):
        channels, *lengths = self._shapes[x]
        choose, rank = self._choose, len(lengths)
        kind = choose(["MaxPool", "MaxPool", "AveragePool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])
        if kind.startswith("Global"):
            return self._add(kind, x, (channels, *[1] * rank))
        size, strides = [choose([2, 3]) for _ in lengths], [choose([1, 2]) for _ in lengths]
        pads = [choose([0, 0, 1]) if k > 2 else 0 for k in size] * 2
        ceil = choose([0, 0, 1])
        out = []
        for n, k, s, pad in zip(lengths, size, strides, pads, strict=False):
            count = -(-(n + 2 * pad - k) // s) + 1 if ceil else (n + 2 * pad - k) // s + 1
            out.append(count - (ceil and (count - 1) * s >= n + pad))
        attributes = {"kernel_shape": size, "strides": strides, "pads": pads, "ceil_mode": ceil}
        # onnxruntime counts the entries of windows that reach over the end in other ways if padding counts
        attributes |= {"count_include_pad": choose([0, 1 - ceil])} if kind == "AveragePool" else {}
        return self._add(kind, x, (channels, *out), **attributes)

    def _elementwise(self, x):
        kind = self._choose(["Relu", "Relu", "LeakyRelu", "Abs", "Neg", "Dropout", "Clip"])
        if kind == "Clip":
            self._arrays |= {"low": np.float32(-0.5), "high": np.float32(1)}
            return self._add("Clip", f"{x} low high", self._shapes[x])
        return self._add(kind, x, self._shapes[x])

    def _scale(self, x):
        shape = self._shapes[x]
        channels = (shape[0], *[1] * (len(shape) - 1))
        kind = self._choose(["BatchNormalization", "Mul", "Add", "Sub", "Div", "PRelu"])
        if kind == "BatchNormalization":
            names = [self._constant(shape[0], low=low) for low in (None, None, None, 0.5)]
            return self._add(kind, " ".join([x, *names]), shape)
        constant = self._constant(*self._choose([channels, channels, shape[-1:], ()]), low=0.5)
        if kind == "PRelu":
            constant = self._constant(*channels)
        return self._add(kind, f"{x} {constant}", shape)

    def _move(self, x):
        channels, *lengths = self._shapes[x]
        rank = len(lengths)
        if self._choose([True, False]) or max(lengths) > 8:
            pads = [self._choose([-1, 0, 1, 2]) for _ in range(2 * rank)]
            out = [n + pads[i] + pads[rank + i] for i, n in enumerate(lengths)]
            value = self._integers(0, 0, *pads[:rank], 0, 0, *pads[rank:])
            return self._add("Pad", f"{x} {value}", (channels, *out))
        scales = f"c{len(self._arrays)}"
        self._arrays[scales] = np.float32([1, 1, *[2] * rank])
        return self._add("Resize", f"{x}  {scales}", (channels, *(2 * n for n in lengths)))

    def _reorder(self, x):
        shape = self._shapes[x]
        rank = len(shape)
        kind = self._choose(["Transpose", "Flatten", "Reshape"])
        if kind == "Transpose":
            order = self._choose([[*range(1, rank), 0], [rank - 1, *range(rank - 1)], list(range(rank))[::-1]])
            perm = [0, *(axis + 1 for axis in order)]
            return self._add(kind, x, [shape[axis] for axis in order], perm=perm)
        if kind == "Flatten":
            return self._add(kind, x, [int(np.prod(shape))])
        merged = self._choose([(shape[0], int(np.prod(shape[1:]))), (int(np.prod(shape[:-1])), shape[-1])])
        return self._add("Reshape", f"{x} {self._integers(0, *merged)}", merged)

    def _merge(self, x):
        shape = self._shapes[x]
        others = [name for name in self._shapes if name != x and self._shapes[name] == shape]
        other = self._choose(others)
        kind = self._choose(["Add", "Sub", "Max", "Min", "Concat"])
        if kind == "Concat":
            return self._add(kind, f"{x} {other}", (2 * shape[0], *shape[1:]), axis=1)
        return self._add(kind, f"{x} {other}", shape)

    def _dense(self, x):
        (n,) = self._shapes[x]
        units = self._choose([2, 3, 5])
        if self._choose([True, False]):
            inputs = f"{x} {self._constant(units, n)} {self._constant(units)}"
            return self._add("Gemm", inputs, (units,), transB=1)
        return self._add("MatMul", f"{x} {self._constant(n, units)}", (units,))

    def _split(self, x):
        (n,) = self._shapes[x]
        if n < 2:
            return self._elementwise(x)
        first = f"t{len(self._nodes)}"
        self._nodes.append(node("Split", f"{x} {self._integers(1, n - 1)}", f"{first} {first}b", axis=1))
        self._shapes |= {first: (1,), f"{first}b": (n - 1,)}
        return f"{first}b"
