"""Damaged and hostile files: each is refused quickly with one of nengo_snnconv's errors, or read correctly.

NENGO_SNNCONV_MUTATIONS=1000 tries a thousand mutations of each file instead of some dozens.
"""

import json
import os
import random
import warnings

import nengo
import numpy as np
import pytest
from models import small_cnn
from random_damage import N_MUTATIONS, changed_archive, changed_json, damaged

import nengo_snnconv as snc
from nengo_snnconv import events as ev
from nengo_snnconv.data import datasets
from nengo_snnconv.errors import SnnConvError
from nengo_snnconv.model import Model, archive
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.layerwise import LayerwiseConfig
from nengo_snnconv.networks.network import ConvNetwork


def networks():
    """Yield a network of each builder, and a model."""
    model = small_cnn()
    x = np.random.default_rng(0).random((20, 6, 6, 2), dtype=np.float32)
    rates = snc.convert(model)
    scaled = snc.normalize(rates, x)
    lif, surrogate = nengo.LIF(amplitude=0.01, min_voltage=-5), snc.build_trainable(model, snc.SurrogateLIF())
    history = {"loss": [1.0, 0.5], "accuracy": [0.1, 0.2], "val_loss": [None, 2.0]}
    spiking = snc.to_spiking(scaled)
    return {
        "model": model,
        "rates": rates,
        "spiking": spiking.rebuild(spiking.model.replace(metadata={**spiking.model.metadata, "history": history})),
        "poisson": snc.to_spiking(scaled, input_coding="poisson", readout="spikes"),
        "lif": snc.to_spiking(scaled, nengo.LIF(min_voltage=-5), max_rate=300, synapse=nengo.Alpha(0.003)),
        "first spike": snc.to_ttfs(rates, x, n_steps=8),
        "integer weights": snc.quantize_weights(spiking),
        "trainable": snc.build_trainable(model, lif),
        "surrogate": surrogate,
        "native surrogate": snc.convert(surrogate),
        "layerwise": ConvNetwork(
            model, LayerwiseConfig(snc.SurrogateLIF(), neuron_types=(snc.IntegrateAndFire(),), keeps=(0.5,))
        ),
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("saved"), networks()
    for name, network in made.items():
        snc.save(network, folder / name)
    return {name: ((folder / name).read_bytes(), network) for name, network in made.items()}


def same(one, other):
    one_model, other_model = (getattr(each, "model", each) for each in (one, other))
    return (
        list(one_model.layers.values()) == list(other_model.layers.values())
        and all(np.array_equal(array, other_model.arrays[name]) for name, array in one_model.arrays.items())
        and json.dumps(dict(one_model.metadata)) == json.dumps(dict(other_model.metadata))
        and getattr(one, "settings", None) == getattr(other, "settings", None)
    )


@pytest.mark.parametrize("name", networks())
def test_networks(saved, name, tmp_path):
    data, network = saved[name]
    rng, path, refused, ran = random.Random(name), tmp_path / "network.npz", 0, 0
    for _ in range(N_MUTATIONS):
        kind, bad = (damaged if rng.random() < 0.3 else changed_archive)(data, rng)
        path.write_bytes(bad)
        try:
            loaded = snc.load(path)
        except snc.FileFormatError as error:
            assert "network.npz" in str(error)
            assert len(str(error)) < 700
            refused += 1
            continue
        if kind in ("flip", "cut", "remove", "insert"):
            assert same(loaded, network), kind
        elif name != "model" and ran < 3:
            run_shortly(loaded)
            ran += 1
    assert refused > N_MUTATIONS / 2


def run_shortly(network):
    """Check that a loaded network runs, or is refused with an error."""
    network.report()
    x = np.full((2, *network.model.shapes[network.model.input]), 0.5, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflows caused by weights of 1e38
        try:
            snc.evaluate(network, x, np.zeros(2, int), n_steps=None, progress=False)
        except SnnConvError:
            return


def test_every_flipped_bit_of_a_small_file(tmp_path):
    model = Model([specs.Input("x", shape=(1,)), specs.Dense("y", "x", units=1)], {"y/kernel": [[2]], "y/bias": [1]})
    snc.save(model, tmp_path / "good")
    good, path = (tmp_path / "good").read_bytes(), tmp_path / "bad"
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        path.write_bytes(bad)
        try:
            assert same(snc.load(path), model)
        except snc.FileFormatError:
            continue


def train(path):
    rng = np.random.default_rng(0)
    network = snc.build_trainable(small_cnn(), nengo.RectifiedLinear(), seed=0)
    x, y = rng.random((20, 6, 6, 2), dtype=np.float32), rng.integers(4, size=20)
    options = {"epochs": 2, "batch_size": 10, "validation_data": (x, y), "early_stopping": 5, "progress": False}
    return snc.train(network, x, y, checkpoint=path, **options)


def test_checkpoints(tmp_path):
    path = tmp_path / "checkpoint.npz"
    trained = train(path)
    good, rng, refused = path.read_bytes(), random.Random(1), 0
    for _ in range(N_MUTATIONS // 2):
        kind, bad = (damaged if rng.random() < 0.3 else changed_archive)(good, rng)
        path.write_bytes(bad)
        try:
            again = train(path)
        except (snc.FileFormatError, snc.SettingsError) as error:
            assert str(path) in str(error)
            refused += 1
        else:
            assert kind not in ("flip", "cut", "remove", "insert") or same(again, trained)
    assert refused > N_MUTATIONS / 4


def test_an_optimizer_state_of_other_shapes(tmp_path):
    path = tmp_path / "checkpoint.npz"
    train(path)
    description, arrays = archive.read_arrays(path)
    # epochs remain, so training continues
    description["training"] |= {"epoch": 1, "best_epoch": 1}
    name = next(name for name, array in arrays.items() if name.startswith("optimizer/") and array.ndim > 1)
    archive.write_arrays(path, description, {**arrays, name: arrays[name][:1]})
    with pytest.raises(snc.FileFormatError, match="variables do not fit"):
        train(path)
    archive.write_arrays(path, description, {key: array for key, array in arrays.items() if key != name})
    with pytest.raises(snc.FileFormatError, match="the optimizer is missing"):
        train(path)


def test_reports(tmp_path):
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), method="model"))
    x = np.random.default_rng(0).random((4, 6, 6, 2), dtype=np.float32)
    path = tmp_path / "report.html"
    snc.write_report(path, network, snc.evaluate(network, x, np.arange(4), n_steps=3, progress=False))
    good, figures, rng, refused = path.read_bytes(), snc.read_report(path), random.Random(2), 0
    start = good.index(b'<script type="application/json"')
    begin, end = good.index(b">", start) + 1, good.index(b"</script", start)
    for _ in range(2 * N_MUTATIONS):
        place = slice(*rng.choice([(0, len(good)), (start, end)]))
        bad = good[: place.start] + damaged(good[place], rng)[1] + good[place.stop :]
        if rng.random() < 0.3:
            bad = good[:begin] + changed_json(good[begin:end], rng) + good[end:]
        path.write_bytes(bad)
        try:
            found = snc.read_report(path)
        except snc.FileFormatError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            # the damage is elsewhere, or removed the checksum
            assert found == figures or b"data-crc32=" not in bad[start:begin]
    assert refused > N_MUTATIONS / 2
    path.write_bytes(good.replace(b"\n", b"\r\n"))  # as version control may do
    assert snc.read_report(path) == figures
    path.write_bytes(b"<script " * 10**5 + b"<!--" * 10**5)
    with pytest.raises(snc.FileFormatError, match="no element with statistics"):
        snc.read_report(path)


@pytest.mark.filterwarnings("ignore:a result is computed again")
def test_results_of_sweeps(tmp_path):
    x = np.random.default_rng(0).random((8, 6, 6, 2), dtype=np.float32)
    network = snc.convert(small_cnn())
    options = {"x_calibration": x, "n_steps": 3, "folder": tmp_path, "n_jobs": 1, "progress": False}
    grid = {"percentile": [99, 100]}
    wanted = snc.sweep(network, x, np.arange(8) % 4, grid, **options).to_dict()
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    rng = random.Random(3)
    for _ in range(N_MUTATIONS // 4):
        for path, good in kept.items():
            path.write_bytes(good if rng.random() < 0.3 else changed_archive(good, rng)[1])
        found = snc.sweep(network, x, np.arange(8) % 4, grid, **options).to_dict()
        assert found.keys() == wanted.keys()
    for path, good in kept.items():
        path.write_bytes(damaged(good, rng)[1])
    assert plain(snc.sweep(network, x, np.arange(8) % 4, grid, **options).to_dict()) == plain(wanted)


def plain(value):
    """Return a result as plain lists and dicts without times."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if "seconds" not in key}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_recordings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = random.Random(4)
    x = np.random.default_rng(0).random((2, 28, 28, 1), dtype=np.float32)
    ev.write_recordings(tmp_path / "folder", ev.simulate_recordings(x, [0, 1], progress=False))
    paths = sorted((tmp_path / "folder").rglob("*.bin"))
    good = [path.read_bytes() for path in paths]
    for _ in range(N_MUTATIONS):
        paths[0].write_bytes(damaged(good[0], rng)[1])
        for read in (lambda: ev.read_events(paths[0], (34, 34)), lambda: ev.read_recordings(tmp_path / "folder")):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".* recordings have no events")
                try:
                    read()
                except snc.DatasetError as error:
                    assert paths[0].name in str(error)


@pytest.mark.parametrize("name", ["9" * 30, "1" * 19])
def test_numbers_that_64_bits_do_not_hold(name, tmp_path):
    folder = tmp_path / "folder"
    (folder / name).mkdir(parents=True)
    (folder / name / "1.bin").write_bytes(b"")
    with pytest.raises(snc.DatasetError, match="class is a number"):
        ev.read_recordings(folder)


def test_a_folder_with_a_pipe(tmp_path):
    (tmp_path / "0").mkdir()
    os.mkfifo(tmp_path / "0" / "1.bin")
    with pytest.raises(snc.DatasetError, match=r"0/1\.bin .*an ordinary file"):
        ev.read_recordings(tmp_path)


def test_digits_of_a_damaged_installation(tmp_path, monkeypatch):
    whole = datasets.DIGITS.read_bytes()
    monkeypatch.setattr(datasets, "DIGITS", tmp_path / "digits.npz")
    for content in (None, b"", whole[:5000], whole[:20_000] + b"x" + whole[20_001:]):
        if content is not None:
            datasets.DIGITS.write_bytes(content)
        with pytest.raises(snc.DatasetError, match="digits.npz is damaged"):
            snc.load_dataset("digits")


@pytest.mark.parametrize("value", [[0], [255, 0], [0, "255"], [0, True], "0 255", {}, 255])
def test_a_range_of_pixels_that_is_none(value, tmp_path):
    for name, given in (("good", [0.0, 255.0]), ("unknown", None)):
        snc.save(small_cnn().replace(metadata={"input_range": given}), tmp_path / f"{name}.npz")
        assert snc.load(tmp_path / f"{name}.npz").metadata["input_range"] == given
    snc.save(small_cnn().replace(metadata={"input_range": value}), tmp_path / "bad.npz")
    with pytest.raises(snc.FileFormatError, match="'input_range' were not written"):
        snc.load(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    "array",
    [np.ones(2, complex), np.array(["1", "2"]), np.array([1, None]), np.array(["NaT"] * 2, "M8[s]")],
    ids=lambda array: array.dtype.name,
)
def test_models_hold_real_numbers(array):
    layers = [specs.Input("x", shape=(2,)), specs.Affine("y", "x")]
    with pytest.raises(snc.ModelError, match="'y/scale' must be numbers") as caught:
        Model(layers, {"y/scale": array, "y/bias": [0, 0]})
    assert caught.value.layer == "y"
    with pytest.raises(snc.ModelError, match="'y/scale' must be finite"):
        Model(layers, {"y/scale": np.array([1e300, 1]), "y/bias": [0, 0]})
