"""Invalid arguments: every public function refuses them at once with an error that names the argument."""

import argparse
import functools
import inspect
import pathlib
import re
import time
import types
import warnings

import nengo
import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.cli import argument_types, conversion, ttfs
from nengo_snnconv.events import EVENT, crop, downsample

NAN, INF = float("nan"), float("inf")

# invalid values for each kind of argument
TEXT = ["x", "", b"x"]
ODD = [*TEXT, [1, 2], {}, object(), 1j, np.array([1, 2])]
COUNT = [0, -1, 1.0, 2.5, "3", True, None, NAN, INF, 10**12, *ODD]
POSITIVE = [0, -1, NAN, INF, -INF, True, None, "0.1", *ODD]
NOT_NEGATIVE = [-1, -1e-9, NAN, INF, True, None, "0.1", *ODD]
FRACTION = [-0.1, 1, 1.5, NAN, INF, True, None, "0.5", *ODD]
PERCENTILE = [0, -1, 100.1, NAN, INF, True, None, "99", *ODD]
SEED = [-1, 1.0, NAN, 2**32, True, *ODD]
FLAG = [0, 1, None, "yes", NAN, *ODD]
CHOICE = ["other", 5, True, NAN, b"data", [], {}, object(), np.array(["a", "b"])]
PATH = [5, None, 2.5, True, b"file", "", "a\0b", [], {}, object()]
PROGRESS = [0, 1, "yes", NAN, []]
SYNAPSE = [-0.1, NAN, INF, True, "0.1", [], object(), 1j]
CALLABLE = [5, "x", True, [], {}]
THREADS = [0, -1, 1.0, True, "2", 10**6, NAN, *ODD]
SENSOR = [
    None,
    34,
    "34",
    (34,),
    (34, 34, 2),
    (0, 34),
    (-1, 34),
    (34.0, 34),
    (True, 34),
    (NAN, 34),
    [[34], [34]],
    (2**40, 1),
]
INPUT_SHAPE = [0, 3, "3", (), [], (0, 3), (3, -1), (3.0, 4), (True, 4), (NAN, 4), [[3]], (3, 32, 32), {}, object()]
NETWORK = [None, 5, "net", [], small_cnn()]
BACKEND = ["other", 5, True, NAN, [], {}, object()]


def but(values, *allowed):
    """Return ``values`` without some that are valid for this argument."""
    return [value for value in values if not any(value is each for each in allowed)]


def optional(values):
    return but(values, None)


def floats(values):
    """Return ``values`` without lists and arrays, which are valid for this argument."""
    return [value for value in values if not isinstance(value, list | np.ndarray)]


x = np.random.default_rng(0).random((6, 6, 6, 2)).astype(np.float32)
y = np.array([0, 1, 2, 3, 0, 1])


def with_value(value, dtype=float):
    changed = x.astype(dtype)
    changed[0, 0, 0, 0] = value
    return changed


IMAGES = [
    None,
    5,
    "x",
    x[0],
    x[:0],
    x[..., :1],
    list(x[0, 0]),
    [x[0], x[0, :3]],
    x.astype(complex),
    x.astype(str),
    x.astype(object),
    x.astype("M8[s]"),
    x.astype("m8[s]"),
    x.astype(bytes),
    np.ma.masked_less(x, 0.5),
    with_value(NAN),
    with_value(INF),
    with_value(1e39),
    with_value(-1e300),
    with_value(np.longdouble(1e39), np.longdouble),
    (255 * x).astype(np.uint8),
    object(),
]
FRAMES = [
    np.repeat(x[:, None], 0, axis=1),
    np.repeat(x[:, None, :, :, :1], 3, axis=1),
    np.repeat(with_value(NAN)[:, None], 3, axis=1),
    np.repeat(with_value(1e39)[:, None], 3, axis=1),
    np.repeat(with_value(2**24 + 1, np.int64)[:, None], 3, axis=1),
    np.repeat(with_value(2**63, np.uint64)[:, None], 3, axis=1),
    np.repeat(x.astype(complex)[:, None], 3, axis=1),
    np.repeat(x.astype(str)[:, None], 3, axis=1),
    np.repeat(x.astype(object)[:, None], 3, axis=1),
]
# None is allowed where labels may be left out
LABELS = [
    5,
    "x",
    y[:3],
    y.astype(float),
    y.astype(bool),
    y.astype(complex),
    y.astype(str),
    y.astype(object),
    y.astype("M8[s]"),
    [[0], [1, 2], [3], [0], [1], [2]],
    y[:, None],
    y - 1,
    y + 1,
    np.full(6, 2**63, np.uint64),
    np.full((6, 4), NAN),
    np.full((6, 4), 1e39),
    np.full((6, 4), 1j),
    np.ma.masked_equal(y, 1),
]
# without y, predictions are compared with those of the ANN
TARGETS = LABELS[1:]


def odd_arrays():
    """Yield the arrays of a model with an invalid one."""
    odd = [None, "x", ["a", "b", "c"], [1, 2], np.ones(3, complex), np.ones(3, object), [1, [2], 3], np.full(3, NAN)]
    for bias in [*odd, np.full(3, 1e39), np.ones(3, "M8[s]"), np.ma.masked_array(np.ones(3))]:
        yield {**small_cnn().arrays, "conv/bias": bias}
    yield {**small_cnn().arrays, 5: np.ones(3)}


@functools.cache
def made():
    """Return arguments for the functions, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rates = snc.convert(small_cnn())
        normalized = snc.normalize(rates, x)
        spiking = snc.to_spiking(normalized)
        several = snc.to_spiking(normalized, snc.IntegrateAndFire(max_spikes=4))
        ttfs = snc.to_ttfs(rates, x, n_steps=4)
        rectifying = snc.build_trainable(small_cnn(), nengo.RectifiedLinear())
        learner = snc.build_trainable(small_cnn(), snc.SurrogateLIF(), output_neurons=True)
        evaluation = snc.evaluate(spiking, x, y, n_steps=4)
        recording = snc.record(spiking, x[:2], n_steps=4, potentials=True)
    events = np.zeros(20, EVENT)
    events["t"] = np.sort(np.random.default_rng(0).integers(0, 300_000, 20))
    recordings = snc.Recordings.of([events, events], [0, 1])
    return {
        "keras": snc.rate_model(rates),
        "rates": rates,
        "spiking": spiking,
        "several": several,
        "ttfs": ttfs,
        "rectifying": rectifying,
        "learner": learner,
        "evaluation": evaluation,
        "recording": recording,
        "events": events,
        "recordings": recordings,
        "backwards": events[::-1],
        "digits": snc.load_dataset("digits", train=1, test=1),
    }


class Own(snc.Inputs):
    """User-defined Inputs, some of whose return values are invalid."""

    shape = (6, 6, 2)

    def __init__(self, n_items=6, **answers):
        self.n_items = n_items
        for name, answer in answers.items():
            setattr(self, name, answer)

    def __len__(self):
        return self.n_items

    def batch(self, indices):
        return x[:6][indices]

    def take(self, indices):
        return Own(len(np.arange(self.n_items)[indices]))

    def checksum(self):
        return 0


OWN = [
    Own(n_steps=0),
    Own(n_steps=2.0),
    Own(n_steps="3"),
    Own(shape=None),
    Own(shape=6),
    Own(shape=(6, 6.0, 2)),
    Own(shape=(6, 5, 2)),
    Own(0),
    Own(batch=lambda indices: x[indices][:-1]),
    Own(batch=lambda indices: np.concatenate([x[indices]] * 30)),
    Own(batch=lambda indices: x[indices].astype(complex)),
    Own(batch=lambda indices: with_value(1e39)[indices]),
    Own(batch=lambda indices: with_value(NAN)[indices]),
    Own(batch=lambda indices: x[indices][:, None]),
    Own(batch=lambda indices: None),
    Own(batch=lambda indices: x[indices], n_steps=3),
]
RUN = {
    "x": [*IMAGES, *FRAMES, *OWN],
    "n_steps": optional(COUNT),
    "backend": BACKEND,
    "synapse": SYNAPSE,
    "dt": POSITIVE,
}
SOME_BACKEND = {
    "backend": BACKEND,
    "minibatch_size": optional(COUNT),
    "memory_mb": optional(POSITIVE),
    "dt": POSITIVE,
    "progress": PROGRESS,
}
EVALUATE = {**RUN, **SOME_BACKEND, "y": TARGETS, "skip_steps": [-1, 4, 1.0, True, None, "1", NAN]}
EVALUATE |= {"precision": [*CHOICE, "float16", None], "threads": THREADS}
STOP = [5, "x", True, [1, 1, 1, 1], {}, "<evaluation>"]
WORKERS = {"n_jobs": THREADS, "folder": optional(PATH), "dask": [5, True, "", [], {}]}
EVENTS = [
    None,
    5,
    "x",
    [],
    x,
    np.zeros(3, [("a", "i4")]),
    np.zeros((2, 2), EVENT),
    np.zeros(2, EVENT)[0],
]
OPENED = {"class_names": [5, True, "01", b"0123", ["a"], range(99)]}

GRAPH = types.SimpleNamespace(nodes={}, edges=[], to_dict=dict)


def own_network():
    """Return a network of Nengo's objects, its input and its output."""
    with nengo.Network() as network:
        source, output = nengo.Node([0.0]), nengo.Node(size_in=1)
        nengo.Connection(source, output, synapse=None)
    return network, source, output


OWN = own_network()

# name -> (valid arguments, {argument: invalid values}); arguments in <> come from made()
CASES = {
    "Model": (
        {"layers": list(small_cnn().layers.values()), "arrays": dict(small_cnn().arrays)},
        {
            "layers": [None, 5, "x", [], [5], {}, [None]],
            "arrays": [None, 5, [], {}, *odd_arrays()],
            "output": [5, "other", [], True],
            "metadata": [5, "x", []],
            "ann_arrays": [5, "x", [], {"other/bias": np.ones(3)}, *odd_arrays()],
        },
    ),
    "load_dataset": (
        {"name": "digits"},
        {
            "name": CHOICE,
            "train": optional(but(COUNT, 10**12)),
            "test": [1.5, "3", True],
            "shape": but(INPUT_SHAPE, INPUT_SHAPE[-3]),
            "scale": optional(POSITIVE),
        },
    ),
    "load_events": (
        {"name": "n-mnist"},
        {"name": CHOICE, "train": [1.5, "3", True], "test": [1.5, True], "progress": PROGRESS},
    ),
    "event_frames": (
        {"events": "<events>", "n_steps": 2, "shape": (34, 34)},
        {
            "events": [*EVENTS, "<backwards>"],
            "n_steps": COUNT,
            "shape": [*SENSOR, (2**20, 2**20)],
            "split": [*CHOICE, None],
            "window_us": [0, 5, -1, NAN],
            "merge_polarities": FLAG,
        },
    ),
    "event_statistics": (
        {"recordings": "<recordings>"},
        {
            "recordings": [None, 5, "x", [], "<events>"],
            "part_ends_us": [5, "x", (2, 1), (1, NAN), [[1], [2]], None, (1j,)],
            "bin_us": COUNT,
            "from_first_event": [0, 1, "x", NAN],
        },
    ),
    "Recordings": (
        {"events": "<events>", "starts": [0], "stops": [20], "labels": [0]},
        {
            "events": [*EVENTS, "<backwards>"],
            "starts": [None, "x", [0.5], [True], [-1], [0, 1], [[0]], 0, [30], [1j]],
            "stops": [None, "x", [1.5], [99], [[1]], [NAN]],
            "labels": [None, "x", ["a"], [0.5], [None], [[0], [1, 2]], [[0]], 0, [True], [2**63]],
            "sensor": SENSOR,
            "numbers": ["x", [0.5], [[0]], [0, 1]],
        },
    ),
    "Recordings.of": (
        {"recordings": ["<events>"], "labels": [0]},
        {
            "recordings": [None, 5, "x", "<events>", [5], [None], ["<backwards>"]],
            "labels": [None, "x", [0.5], [0, 1], ["a"]],
            "sensor": SENSOR,
        },
    ),
    "EventFrames": (
        {"recordings": "<recordings>", "n_steps": 3},
        {
            "recordings": [None, 5, "<events>", []],
            "n_steps": COUNT,
            "split": [*CHOICE, None],
            "window_us": [0, 5],
            "merge_polarities": FLAG,
        },
    ),
    "stabilise": (
        {"events": "<events>"},
        {
            "events": EVENTS,
            "path": [None, 5, "x", [(0, 1)], [(0, NAN, 1), (1, 1, 1)], [(1, 0, 0), (0, 0, 0)], [[1], [2, 3]]],
            "sensor": SENSOR,
        },
    ),
    "crop": (
        {"events": "<events>", "shape": (3, 3)},
        {"events": EVENTS, "shape": SENSOR, "corner": [None, 5, (-1, 0), (0.5, 0), (0,), "xy"]},
    ),
    "downsample": ({"events": "<events>", "factor": 2}, {"events": EVENTS, "factor": COUNT}),
    "read_events": ({"path": "none.bin"}, {"path": PATH, "sensor": but(SENSOR, None)}),
    "write_events": ({"path": "none.bin", "events": "<events>"}, {"path": PATH, "events": [*EVENTS, "<backwards>"]}),
    "read_recordings": ({"folder": "none"}, {"folder": PATH, "sensor": SENSOR, "progress": PROGRESS}),
    "write_recordings": (
        {"folder": "none", "recordings": "<recordings>"},
        {"folder": PATH, "recordings": [None, 5, "<events>", []], "progress": PROGRESS},
    ),
    "simulate_recordings": (
        {"images": x[:1, ..., 0], "labels": [0]},
        {
            "images": [None, 5, "x", x[0, 0, 0], 2 * x, x - 1, x.astype(complex), x.astype(str), [[1], [2, 3]]],
            "labels": [None, "x", [0.5], [0, 1], [[0]], [None]],
            "numbers": [[-1], [0.5], [0, 1], "x"],
            "seed": but([*SEED, None], SEED[3]),
            "sensor": [*SENSOR, (256, 3)],
            "inverted": FLAG,
            "path": [5, "x", [(0, 1)], [(0, NAN, 1), (9999, 1, 1)], [(1, 0, 0), (0, 0, 0)], [[1], [2, 3]]],
            **dict.fromkeys(("black_level", "threshold_off", "threshold_on"), POSITIVE),
            **dict.fromkeys(("offset_px", "blur_px", "threshold_spread", "threshold_jitter"), NOT_NEGATIVE),
            **dict.fromkeys(("refractory_us", "noise_off_hz", "noise_on_hz"), NOT_NEGATIVE),
            "n_jobs": THREADS,
            "progress": PROGRESS,
        },
    ),
    "convert": ({"source": "<rates>"}, {"source": [None, 5, [], object()], "seed": SEED, "input_shape": INPUT_SHAPE}),
    "as_model": ({"source": "<rates>"}, {"source": [None, 5, [], object()], "input_shape": INPUT_SHAPE}),
    "inspect_model": (
        {"source": "none.keras"},
        {"source": [None, 5, [], object()], "input_shape": INPUT_SHAPE},
    ),
    "inspect_keras": ({"source": "none.keras"}, {"source": [None, 5, [], object()]}),
    "ConvNetwork": (
        {"model": small_cnn(), "settings": None},
        {"model": [None, 5, "<rates>"], "settings": [None, 5, {}]},
    ),
    "build_trainable": (
        {"model": small_cnn()},
        {
            "model": [None, 5, [], object()],
            "neuron_type": [5, "LIF", nengo.LIF, [], {}, {"neurons": 5}, {"other": nengo.LIF(amplitude=0.01)}],
            "output_neurons": FLAG,
            "max_rates": floats([0, -1, NAN, INF, "x", 1j, "400"]) + [[], [[1], [2, 3]]],
            "intercepts": [NAN, 1, INF, "x", 1j, []],
            "synapse": SYNAPSE,
            "output_synapse": SYNAPSE,
            "lif_smoothing": optional(POSITIVE),
            "stateful": FLAG,
            "planner": [*CHOICE, None],
            "seed": SEED,
        },
    ),
    "collect_trained": ({"network": "<rectifying>"}, {"network": NETWORK, "into": but(NETWORK, None)}),
    "rate_model": (
        {"network": "<rates>"},
        {"network": NETWORK, "layers": ["conv", 5, [], ["other"], [5], [[]], [None]]},
    ),
    "calibrate": (
        {"network": "<spiking>", "x": x, "n_steps": 2},
        {
            "network": [*NETWORK, "<rates>"],
            "x": IMAGES,
            "n_steps": COUNT,
            "fit_weights": FLAG,
            "regularization": optional(NOT_NEGATIVE),
            "dt": POSITIVE,
            "memory_mb": optional(POSITIVE),
            "seed": [*SEED, None],
            "progress": PROGRESS,
        },
    ),
    "quantize_weights": (
        {"network": "<spiking>"},
        {
            "network": NETWORK,
            "x": but(IMAGES, None),
            "bits": [*COUNT, 1, 9],
            "per": [*CHOICE, None],
            "memory_mb": optional(POSITIVE),
        },
    ),
    "split_neurons": (
        {"network": "<several>"},
        {"network": [*NETWORK, "<rates>"], "layers": ["neurons", 5, [], ["other"], [5], [None], {}]},
    ),
    "calibrate time to first spike": ({"network": "<ttfs>", "x": x}, {"n_steps": [*optional(COUNT), 4]}),
    "to_spiking": (
        {"network": "<rates>"},
        {
            "network": NETWORK,
            "neuron_type": [5, "LIF", nengo.LIF, [], {}, {"neurons": 5}, {"other": nengo.LIF(min_voltage=-5)}],
            "input_coding": [*CHOICE, None],
            "input_threshold": optional(POSITIVE),
            "readout": [*CHOICE, None],
            "max_rate": optional(POSITIVE),
            "synapse": SYNAPSE,
            "direct": FLAG,
            "stage_steps": optional(COUNT),
            "seed": SEED,
        },
    ),
    "to_loihi": ({"network": "<spiking>"}, {"network": NETWORK}),
    "to_ttfs": (
        {"network": "<rates>", "x_calibration": x},
        {
            "network": NETWORK,
            "x_calibration": IMAGES,
            "n_steps": COUNT,
            "threshold": ["other", 0, -1, NAN, INF, None, True, [], {}, {"other": 1}, np.ones(3), b"x"],
            "percentile": [5],
            "per": CHOICE,
            "x_max": optional(POSITIVE),
            "input_coding": [*CHOICE, None, "poisson"],
            "seed": SEED,
            "memory_mb": optional(POSITIVE),
            "progress": PROGRESS,
        },
    ),
    "to_ttfs by percentile": (
        {"network": "<rates>", "x_calibration": x, "threshold": "percentile"},
        {"percentile": optional(PERCENTILE)},
    ),
    "normalize": (
        {"network": "<rates>", "x": x},
        {
            "network": NETWORK,
            "x": but([*IMAGES, [5], [x, "y"], [x[:2], None], {"a": x}], IMAGES[6], IMAGES[7]),
            "method": [*CHOICE, None],
            "percentile": PERCENTILE,
            "per": CHOICE,
            "bound_weights": FLAG,
            "input_range": [5, (1, 0), (0, NAN), (0, INF), (0,), ("a", "b"), (True, False), "ab", (0, 1, 2)],
            "batch_size": optional(COUNT),
            "memory_mb": optional(POSITIVE),
            "progress": PROGRESS,
        },
    ),
    "normalize to balance": ({"network": "<rates>", "x": x, "method": "balance", "n_steps": 4}, {"n_steps": COUNT}),
    "IntegrateAndFire": (
        {},
        {
            **dict.fromkeys(("threshold", "amplitude", "tau"), POSITIVE),
            "reset": [*CHOICE, None],
            "initial_potential": [NAN, INF, "x", None, True, []],
            "min_potential": [1, NAN, "x", None, []],
            "max_spikes": [0, -1, 1.5, NAN, "x", None, []],
        },
    ),
    "SignedIntegrateAndFire": (
        {},
        {
            **dict.fromkeys(("threshold", "amplitude", "tau"), POSITIVE),
            "initial_potential": [NAN, INF, "x", None, True, []],
            "max_spikes": [0, -1, 1.5, NAN, "x", None, []],
        },
    ),
    "QCFS": ({}, {"levels": COUNT, "threshold": POSITIVE}),
    "SurrogateLIF": (
        {},
        {
            "tau": [0.5, *POSITIVE],
            "threshold": [NAN, INF, "x", None, True, [], -1],
            "reset": [*CHOICE, None],
            "reset_potential": [NAN, -INF, "x", None, True, [], 2],
            "surrogate": [*CHOICE, None],
            "slope": optional(POSITIVE),
            "detach_reset": FLAG,
            "amplitude": POSITIVE,
        },
    ),
    "TimeToFirstSpike": (
        {},
        {
            "n_steps": but(COUNT, 1.0, 10**12),
            "stage": [-1, 1.5, NAN, "x", None, []],
            "threshold": POSITIVE,
            "offset": FRACTION,
            "amplitude": POSITIVE,
        },
    ),
    "poisson_spikes": (
        {"x": x, "n_steps": 2},
        {
            "x": [
                None,
                5,
                "x",
                x[0, 0, 0],
                x.astype(complex),
                x.astype(str),
                x.astype(object),
                with_value(NAN),
                with_value(1e39),
                [[1], [2, 3]],
            ],
            "n_steps": [*COUNT, 2**31 - 1],
            "threshold": POSITIVE,
            "seed": [*SEED, None],
        },
    ),
    "preset": (
        {"name": "lif-mnist"},
        {
            "name": [*CHOICE, None],
            "input_shape": [
                None,
                5,
                "x",
                (28, 28),
                (28, 28, 0),
                (28, -1, 1),
                (28.0, 28, 1),
                (2, 2, 1),
                ("a", "b", "c"),
            ],
            "classes": COUNT,
            "seed": [*SEED, None],
        },
    ),
    "pretrained": ({"name": "none"}, {"name": [*CHOICE, None, "vgg-cifar10"]}),
    "Simulator": (
        {"network": "<spiking>"},
        {
            "network": NETWORK,
            "dt": POSITIVE,
            "seed": SEED,
            "minibatch_size": optional(COUNT),
            "progress_bar": PROGRESS,
            "memory_mb": POSITIVE,
            "threads": THREADS,
            "precision": [*CHOICE, "float16", None],
        },
    ),
    "random_affine": (
        {},
        {"rotation_deg": NOT_NEGATIVE, "scale": FRACTION, "shift": NOT_NEGATIVE, "data_format": CHOICE},
    ),
    "random_flip_and_shift": ({}, {"flip": FLAG, "shift": [-1, 1.0, NAN, 10**12, True, None, *ODD]}),
    "train": (
        {"network": "<rectifying>", "x": x, "y": y},
        {
            "network": NETWORK,
            "x": [*IMAGES, *FRAMES, *OWN[:8]],
            "y": LABELS,
            "n_steps": optional(COUNT),
            "epochs": COUNT,
            "batch_size": COUNT,
            "optimizer": ["other", 5, True, [], object()],
            "loss": ["other", 5, True, []],
            "levels": optional(COUNT),
            "learning_rate": optional(POSITIVE),
            "schedule": [*CHOICE],
            "validation_split": [*FRACTION, 0.95],
            "validation_data": [5, x, (x,), "xy", (x, y[:3]), (x[..., :1], y)],
            "early_stopping": optional(COUNT),
            "teacher": CALLABLE,
            "augment": CALLABLE,
            "activity_penalty": NOT_NEGATIVE,
            "checkpoint": [*optional(PATH), "/"],
            "engine": [*CHOICE, None],
            "precision": [*CHOICE, "float16", None],
            "seed": [*SEED, None],
            "progress": PROGRESS,
            "loss_weights": [5, True, "a", [], {}, [1.0], {"a": 1}, [0, 0], [-1], [NAN], [INF], ["a"]],
            "on_epoch": CALLABLE,
        },
    ),
    "train_cnn": (
        {"model": "<keras>", "x": x, "y": y, "shift": 1},
        {
            "model": [None, 5, "x", [], object(), small_cnn(), "<rates>"],
            "x": IMAGES,
            "y": LABELS,
            "epochs": COUNT,
            "batch_size": COUNT,
            "learning_rate": optional(POSITIVE),
            "weight_decay": NOT_NEGATIVE,
            "label_smoothing": FRACTION,
            "flip": FLAG,
            "shift": [-1, 6, 1.0, NAN, 10**12, True, None, *ODD],
            "levels": optional(COUNT),
            "precision": [*CHOICE, "float16", None],
            "validation_data": [5, x, (x,), "xy", (x, y[:3]), (x[..., :1], y)],
            "checkpoint": [*optional(PATH), "/"],
            "seed": [*SEED, None],
            "progress": PROGRESS,
            "on_epoch": CALLABLE,
        },
    ),
    "evaluate": (
        {"network": "<spiking>", "x": x, "y": y, "n_steps": 4},
        {"network": NETWORK, **EVALUATE, "stop": STOP, "ann": [None, 1, "x", NAN], "n_jobs": THREADS},
    ),
    "evaluate in closed form": (
        {"network": "<ttfs>", "x": x, "y": y},
        {**EVALUATE, "skip_steps": [-1, 1.0, True], "n_jobs": THREADS},
    ),
    "profile": (
        {"network": "<spiking>", "x": x, "n_steps": 4},
        {
            "network": NETWORK,
            "x": [*IMAGES, *FRAMES],
            **{name: EVALUATE[name] for name in ("n_steps", "dt", "precision")},
        },
    ),
    "present": (
        {"network": "<spiking>", "x": x, "n_steps": 4},
        {"network": NETWORK, "x": [*IMAGES, *FRAMES], "n_steps": COUNT},
    ),
    "record": (
        {"network": "<spiking>", "x": x},
        {"network": NETWORK, **RUN, "potentials": FLAG, "memory_mb": optional(POSITIVE)},
    ),
    "diagnose": (
        {"network": "<spiking>", "x": x, "y": y},
        {
            "network": NETWORK,
            "x": [*IMAGES, *FRAMES],
            "y": TARGETS,
            "n_steps": but(COUNT, None),
            "max_loss": NOT_NEGATIVE,
            "skip_steps": EVALUATE["skip_steps"][2:],
            "x_calibration": IMAGES[1:],
            "try_remedies": FLAG,
            **SOME_BACKEND,
        },
    ),
    "sweep": (
        {"network": "<spiking>", "x": x, "y": y},
        {
            "network": NETWORK,
            "x": [*IMAGES, *FRAMES, *OWN[:8]],
            "y": TARGETS,
            "grid": [
                5,
                "x",
                [],
                [5],
                {"other": [1]},
                {"seed": 5},
                {"seed": []},
                {"seed": [-1]},
                {"synapse": ["x"]},
                {"output_synapse": ["x"]},
                {"skip_steps": [True]},
                {"precision": ["x"]},
                {"initial_potential": [NAN]},
                {"calibrate": [True]},
                {"calibrate": [5]},
                {"input_threshold": ["x"], "input_coding": ["poisson"]},
            ],
            "x_calibration": IMAGES[1:],
            "n_steps": optional(COUNT),
            "shards": optional(COUNT),
            **WORKERS,
            **SOME_BACKEND,
        },
    ),
    "tune": (
        {"network": "<rates>", "x": x, "y": y},
        {
            "network": NETWORK,
            "x": [*IMAGES, *FRAMES],
            "y": TARGETS,
            "max_loss": NOT_NEGATIVE,
            "x_calibration": IMAGES[1:],
            "max_steps": COUNT,
            "space": [
                5,
                "x",
                [],
                [5],
                {"other": [1]},
                {"percentile": [None]},
                {"percentile": ["x"]},
                {"per": [5]},
                {"balance_steps": [0], "method": ["balance"]},
                {"calibrate_steps": [0], "calibrate": [True]},
            ],
            "report_split": [None, "x", True, NAN, -0.1, 0, 1, 1.5],
            "report_data": [5, "x", (5,), (None, None)],
            "seed": SEED,
            **WORKERS,
            **SOME_BACKEND,
        },
    ),
    "compare": (
        {"images": "<digits>"},
        {
            "images": [None, 5, x, "digits"],
            "events": [5, "<recordings>", x],
            "steps": [None, 5, (), (0,), (4, 4), (2.5,), (True,), ("4",), "x", (None,), ([],)],
            "epochs": COUNT,
            "batch_size": COUNT,
            "learning_rate": POSITIVE,
            "augment": CALLABLE,
            "folder": optional(PATH),
            "seed": [*SEED, None],
            "progress": PROGRESS,
            "on_epoch": CALLABLE,
        },
    ),
    "error_bounds": (
        {"network": "<spiking>", "n_steps": 4},
        {"network": NETWORK, "n_steps": COUNT, "skip_steps": EVALUATE["skip_steps"], "dt": POSITIVE},
    ),
    "efficiency": (
        {"network": "<spiking>", "evaluation": "<evaluation>"},
        {"network": NETWORK, "evaluation": [None, 5, "<recording>"]},
    ),
    "threshold_errors": (
        {"network": "<rates>", "x": x},
        {
            "network": NETWORK,
            "x": IMAGES,
            "layer": ["other", 5, [], True],
            "n_steps": [0, -1, 2.5, "x", True, None, NAN, (), (4, 0), [[1], [2, 3]], (1j,)],
            "thresholds": [0, -1, "x", (), (1, NAN), (1, "x"), [[1], [2, 3]], 1.0, (1j,)],
            "memory_mb": optional(POSITIVE),
            "progress": PROGRESS,
        },
    ),
    "nir_losses": (
        {"network": "<spiking>", "x": x, "n_steps": 4},
        {"network": NETWORK, "x": [*IMAGES, *FRAMES], "n_steps": COUNT},
    ),
    "to_nir": (
        {"network": "<spiking>"},
        {"network": NETWORK, "dt": POSITIVE, "average_pool": [*CHOICE, "AvgPool1d", None]},
    ),
    "write_nir": (
        {"network": "<spiking>", "path": "none.nir"},
        {"network": NETWORK, "path": PATH, "dt": POSITIVE, "average_pool": [*CHOICE, "AvgPool1d", None]},
    ),
    "from_nir": ({"graph": 5}, {"graph": [None, 5, "x", [], {}, object()]}),
    "from_nir of a graph": ({"graph": GRAPH}, {"dt": optional(POSITIVE), "seed": SEED}),
    "from_nengo": (
        {"network": OWN[0], "input": OWN[1], "output": OWN[2]},
        {
            "network": [None, 5, "x", [], {}, object()],
            "input": [None, 5, "x", [], {}, object()],
            "output": [None, 5, "x", [], {}, object()],
            "simulator": [5, "x", [], {}, object()],
            "seed": SEED,
        },
    ),
    "read_nir": ({"path": "none.nir"}, {"path": PATH, "dt": optional(POSITIVE), "seed": SEED}),
    "save": ({"network": "<rates>", "path": "none.npz"}, {"network": [None, 5, "x"], "path": PATH, "ann": FLAG}),
    "load": ({"path": "none.npz"}, {"path": PATH}),
    "plot_accuracies": (
        {"evaluations": {"a": "<evaluation>"}},
        {"evaluations": [None, 5, {}, {"a": 5}, "<evaluation>"], "axes": [5, [], [1, 2], "xy"]},
    ),
    "plot_accuracy": ({"evaluation": "<evaluation>"}, {"evaluation": [None, 5, "<recording>"], "axes": [5, [], "xy"]}),
    "plot_comparison": ({"comparison": None}, {"comparison": [None, 5]}),
    "plot_confusion": (
        {"evaluation": "<evaluation>"},
        {"evaluation": [None, 5], **OPENED, "step": [4, -5, 1.0, True, None, "x"], "axes": [5, [], "xy"]},
    ),
    "plot_diagnosis": ({"diagnosis": None}, {"diagnosis": [None, 5]}),
    "plot_event_frames": (
        {"frames": np.ones((2, 3, 3, 2))},
        {
            "frames": [
                None,
                5,
                "x",
                np.ones((3, 3, 2)),
                np.ones((0, 3, 3, 2)),
                np.full((1, 3, 3, 2), NAN),
                np.ones((1, 3, 3, 2), complex),
            ],
            "max_count": optional(POSITIVE),
            "columns": COUNT,
            "axes": [5, [], [1, 2]],
        },
    ),
    "plot_event_statistics": (
        {"recordings": {"a": "<recordings>"}},
        {"recordings": [None, 5, {}, {"a": 5}], "axes": [5, [], {}]},
    ),
    "plot_events": ({"events": "<events>"}, {"events": EVENTS, "sensor": SENSOR, "axes": [5, []]}),
    "plot_history": ({"history": {"loss": [1]}}, {"history": [None, 5, {}, []], "axes": [5, [], [1, 2]]}),
    "plot_image_response": (
        {"recording": "<recording>"},
        {
            "recording": [None, 5, "<evaluation>"],
            "image": [2, -3, 1.0, True, None, "x"],
            "true_class": [4, -1, 1.0, True, "x"],
            **OPENED,
            "max_neurons": COUNT,
            "axes": [5, [], [1, 2]],
        },
    ),
    "plot_input_spikes": (
        {"x": x[0], "spikes": np.ones((3, *x[0].shape))},
        {
            "x": [None, 5, "x", x, x[0].astype(complex)],
            "spikes": [None, 5, "x", x[0], np.full((3, *x[0].shape), NAN)],
            "steps": [5, (), (0,), (4,), (1.0,), "x", (None,)],
            "threshold": POSITIVE,
            "data_format": CHOICE,
            "axes": [5, [], [1, 2]],
        },
    ),
    "plot_life": (
        {"recording": "<recording>"},
        {
            "recording": [None, 5, "<evaluation>"],
            "image": [2, -1, 1.0, True, None, "x"],
            "true_class": [4, -1, 1.0, True, "x"],
            **OPENED,
            "step": [0, 5, 1.0, True, "x"],
            "layers": ["other", 5, ["other"], [5], [[]]],
            "max_maps": but(COUNT, 10**12),
            "max_neurons": but(COUNT, 10**12),
        },
    ),
    "animate_life": (
        {"recording": "<recording>", "path": "none.gif"},
        {
            "recording": [None, 5, "<evaluation>"],
            "path": [*PATH, "none.txt", "none"],
            "steps": [5, (), (0,), (5,), (1.0,), "x", (None,)],
            "fps": POSITIVE,
            "dpi": POSITIVE,
            "progress": PROGRESS,
        },
    ),
    "plot_operations": ({"efficiency": None}, {"efficiency": [None, 5, "<evaluation>"]}),
    "plot_spike_counts": ({"evaluation": "<evaluation>"}, {"evaluation": [None, 5], "axes": [5, [], [1, 2]]}),
    "plot_spike_times": (
        {"network": "<ttfs>", "evaluation": "<evaluation>"},
        {"network": NETWORK, "evaluation": [None, 5, "<evaluation>"]},
    ),
    "plot_stop": (
        {"evaluation": "<evaluation>"},
        {"evaluation": [None, 5], "rules": [5, [], "x", {"a": 5}], "axes": [5, [], [1, 2]]},
    ),
    "MarginStop": (
        {"margins": [1, 2]},
        {"margins": [None, 5, "x", b"x", {}, [], [-1], [1, NAN], ["1"], [None], [True]], "calibration": [5, "x", []]},
    ),
    "choose_stop": (
        {"evaluation": "<evaluation>", "max_loss": 60.0, "confidence": 0.5},
        {
            "evaluation": [None, 5, "<recording>"],
            "max_loss": [*POSITIVE, 100.1, 1e-3],
            "confidence": [*FRACTION, 0, 0.0],
            "labels": FLAG,
        },
    ),
    "plot_sweep": ({"sweep": None}, {"sweep": [None, 5, "<evaluation>"]}),
    "plot_threshold_errors": ({"errors": None}, {"errors": [None, 5, "<evaluation>"]}),
    "plot_tuning": ({"tuning": None}, {"tuning": [None, 5, "<evaluation>"]}),
    "write_report": (
        {"path": "none.html", "network": "<spiking>", "evaluation": "<evaluation>"},
        {
            "path": PATH,
            "network": NETWORK,
            "evaluation": [None, 5, "<recording>"],
            "title": [5, True, [], b"x"],
            "data": [5, True, [], x],
            "recording": [5, "x", "<evaluation>"],
            **OPENED,
            "images": [5, "x", [0]],
            "run": [5, "x", [1]],
            "diagnosis": [5, "x", "<evaluation>"],
            "sections": [5, [5], ["x"], [()], [("heading",)], [(5, "text")]],
            "command": [5, True, []],
        },
    ),
    "check_hardware": ({"network": "<spiking>", "chip": "loihi2"}, {"network": NETWORK, "chip": CHOICE}),
    "read_report": ({"path": "none.html"}, {"path": PATH}),
    "GuiNetwork": (
        {"network": "<spiking>", "x": x, "y": y},
        {"network": NETWORK, "x": IMAGES, "y": [None, *LABELS], **OPENED, "examples": COUNT},
    ),
    "write_gui_script": (
        {"path": "none.py", "network_file": "none.npz"},
        {
            "path": [*PATH, "none", "none.txt"],
            "network_file": PATH,
            "data": [*CHOICE, None],
            "examples": COUNT,
            "seed": SEED,
            "input_range": [5, (1, 0), (0, NAN), (0, INF), (0,), ("a", "b"), "ab", (0, 1, 2)],
            "scale": optional(POSITIVE),
            "class_names": [5, True, "01", b"0123", [1, 2], range(99)],
        },
    ),
}
CLASSES = {"Recordings.of": snc.Recordings.of, "crop": crop, "downsample": downsample}
# patterns for arguments that messages describe in other words
CALLED = {
    "network": "network|takes|needs|expected|Nengo GUI",
    "x": r"\bx\b|Own|data|integers|n_steps|frames",
    "y": r"\by\b|classes",
    "x_calibration": r"\bx\b|calibration|integers",
    "shape": "shape|sensor|frames of",
    "train": "train",
    "images": "images|labels",
    "recordings": "recordings|events",
    "backend": "back end|backend",
    "neuron_type": "neuron_type|spike",
    "grid": "grid|seed|synapse|precision|potential|threshold|skip_steps",
    "space": "grid|percentile|per|steps",
    "validation_data": r"validation_data|\bx\b|\by\b|equally many",
    "step": "step",
    "arrays": "array",
    "ann_arrays": "array",
    "steps": "steps?",
    "path": "path|file|script|ends in|let it end",
    "evaluation": "valuation",
    "recording": "ecording",
    "sections": "section",
    "layers": "layer",
    "source": "source|model|Keras|file",
    "model": "model|Keras",
    "name": "name|data set|recordings|preset|pretrained model",
    "data": "data",
    "split": "split|window",
    "max_rates": "max_rates",
    "errors": "errors",
    "starts": "starts|events|labels",
    "stops": "stops|starts|labels",
}


def function_of(name):
    name = name.split(" ")[0]
    return CLASSES[name] if name in CLASSES else getattr(snc, name)


def filled(value):
    """Return a value with placeholders <NAME> replaced by the objects of made()."""
    if isinstance(value, str) and value.startswith("<"):
        return made()[value[1:-1]]
    if type(value) is list and value and all(isinstance(each, str) and each.startswith("<") for each in value):
        return [filled(each) for each in value]
    if type(value) is dict:
        return {key: filled(each) for key, each in value.items()}
    return value


def odd_arguments():
    for name, (_, arguments) in CASES.items():
        for argument in arguments:
            yield pytest.param(name, argument, id=f"{name}-{argument}")


@pytest.mark.parametrize(("name", "argument"), odd_arguments())
def test_odd_arguments_are_refused(name, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base, arguments = CASES[name]
    working = {key: filled(value) for key, value in base.items()}
    missed = []
    for value in arguments[argument]:
        changed = {**working, argument: filled(value)}
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function_of(name)(**changed)
                problem = "accepted"
            except (snc.SnnConvError, nengo.exceptions.ValidationError) as error:
                problem = wrong_message(argument, str(error)) or wrong_attribute(name, argument, error)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
        if time.process_time() - started > 10:
            problem = "takes long"
        if problem:
            missed.append(f"{argument}={value!r:.60}: {problem:.200}")
    assert not missed, "\n".join(missed)
    assert not list(tmp_path.iterdir()), "a file was written"


def wrong_message(argument, message):
    """Return a description of the fault of an error message, or "" if it is good."""
    if not re.search(CALLED.get(argument, argument), message):
        return f"does not name it: {message}"
    return f"is long: {message}" if len(message) > 450 or message.count("\n") > 2 else ""


def wrong_attribute(name, argument, error):
    """Return the fault of the attribute ``argument`` of an error, or "" if it names a parameter or is None."""
    named = getattr(error, "argument", None)
    parameters = inspect.signature(function_of(name)).parameters.values()
    known = {each.name for each in parameters}
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters)
    if named is None or takes_any or named in known or argument.startswith(f"{named}_"):
        return ""
    return "" if re.search(CALLED.get(argument, "^$"), named) else f"has argument={named!r}"


def test_every_public_function_is_here():
    """All arguments have cases here, except matplotlib objects and arguments with tests elsewhere."""
    untested = []
    plain = {"Dataset", "EventDataset", "EventStatistics", "Inputs", "Diagnosis", "Evaluation", "Efficiency", "Profile"}
    plain |= {
        "HardwareCheck",
        "NIRLosses",
        "ThresholdErrors",
        "Recording",
        "Comparison",
        "Sweep",
        "Trial",
        "Tuning",
        "__version__",
    }
    elsewhere = {"axes", "label", "initial_state", "dask", "training", "class_names", "settings", "numbers"}
    elsewhere |= {"recording", "image", "true_class", "layers", "max_maps", "max_neurons", "on_step", "options"}
    for name in snc.__all__:
        found = getattr(snc, name)
        if name in plain or inspect.ismodule(found) or (isinstance(found, type) and issubclass(found, BaseException)):
            continue
        tested = {each for case in CASES if case.split(" ")[0] == name for each in CASES[case][1]}
        untested += [
            f"{name}({each})" for each in inspect.signature(found).parameters if each not in tested | elsewhere
        ]
    assert not untested


WHOLE = ["1.5", "x", "", "nan", "inf", "1e3", "None", "-1"]
REAL = ["x", "", "nan", "-inf", "None", "1,5"]
# invalid texts for each type of option
TEXTS = {
    argument_types.positive: [*WHOLE, "0", str(2**31)],
    argument_types.natural: [*WHOLE, str(2**31)],
    argument_types.seed_number: [*WHOLE, str(2**32)],
    argument_types.n_workers: [*WHOLE, "0", "1000000"],
    argument_types.positive_or_infinite: ["1.5", "x", "", "nan", "-inf", "0", "-1"],
    argument_types.finite: [*REAL, "inf"],
    argument_types.above_zero: [*REAL, "inf", "0", "-1"],
    argument_types.at_least_zero: [*REAL, "inf", "-0.1"],
    argument_types.fraction: [*REAL, "inf", "1", "-0.1"],
    argument_types.share: [*REAL, "inf", "0", "1", "-0.1"],
    argument_types.percentage: [*REAL, "inf", "0", "100.1", "-1"],
    conversion._layer_and_neuron: ["lif", "", "=lif", "conv1=", "conv1=other"],
    ttfs._threshold: [*REAL, "inf", "0", "-1", "other"],
}


def command_line_options():
    for command, parser in cli.commands().items():
        for action in parser._actions:
            if action.option_strings and action.nargs != 0 and action.type is not pathlib.Path:
                yield pytest.param(parser, action, id=f"{command}{action.option_strings[0]}")


@pytest.mark.parametrize(("parser", "action"), command_line_options())
def test_odd_options_are_wrong_usage(parser, action, capsys):
    texts = ["other", ""] if action.choices else TEXTS.get(action.type)
    if texts is None:
        assert action.dest in ("data", "preset", "start", "dask", "class_names"), "names, which functions check"
        return
    files = [
        next(iter(each.choices)) if each.choices else "file"
        for each in parser._actions
        if not each.option_strings and not isinstance(each, argparse._SubParsersAction)
    ]
    for text in texts:
        with pytest.raises(SystemExit) as exit:
            parser.parse_args([*files, f"{action.option_strings[0]}={text}"])
        assert exit.value.code == 2
        assert f"argument {action.option_strings[0]}" in capsys.readouterr().err, text
