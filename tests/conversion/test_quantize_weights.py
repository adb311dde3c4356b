"""Integer weights: rounding as by NumPy, files, NIR, and spikes of networks whose weights were integers before."""

import nengo
import numpy as np
import pytest
from models import activity, branched, dyadic_images, make, small_cnn, spiking

import nengo_snnconv as snc
from nengo_snnconv.conversion.integer_fit import rounded_with_compensation
from nengo_snnconv.model import Model
from nengo_snnconv.model import layers as specs
from nengo_snnconv.model.integers import integer_arrays
from nengo_snnconv.passes import round_weights

BITS = [2, 4, 8]


def error(found, exact):
    return np.linalg.norm(np.subtract(found, exact, dtype=float)) / np.linalg.norm(np.asarray(exact, float))


def images(model, n=12):
    return np.random.default_rng(1).random((n, *model.shapes[model.input]), dtype=np.float32)


class TestRounding:
    @pytest.mark.parametrize("bits", BITS)
    @pytest.mark.parametrize("per", ["channel", "layer"])
    def test_nearest_integers(self, bits, per):
        model = small_cnn()
        rounded, largest = round_weights(model, bits, per), 2 ** (bits - 1) - 1
        for name in ("conv", "scores"):
            kernel, bias = (model.arrays[f"{name}/{array}"].astype(float) for array in ("kernel", "bias"))
            scale = np.abs(kernel.reshape(-1, kernel.shape[-1])).max(0 if per == "channel" else None) / largest
            integers = np.round(kernel / scale)
            assert np.abs(integers).max() == largest
            assert np.allclose(rounded.arrays[f"{name}/kernel"], scale * integers, rtol=1e-6, atol=0)
            unit = scale / 64
            assert np.abs(rounded.arrays[f"{name}/bias"] - bias).max() <= 0.501 * np.max(unit)
            remainder = rounded.arrays[f"{name}/bias"] / unit
            assert np.allclose(remainder, np.round(remainder), rtol=0, atol=1e-2)
            declared = rounded.metadata["quantization"]["scales"][name]
            assert np.allclose(declared, scale, rtol=1e-6)
            weights = rounded.metadata["quantization"]["errors"][name]["weights"]
            assert weights == pytest.approx(error(scale * integers, kernel), rel=1e-3)
        assert round_weights(model, bits, per).arrays.keys() == model.arrays.keys()

    def test_layers_that_a_sum_adds_share_scales(self):
        model = make(
            specs.Input("image", shape=(5, 5, 3)),
            specs.Conv("a", "image", filters=3, kernel_size=(3, 3), padding="same"),
            specs.Conv("b", "image", filters=3, kernel_size=(1, 1)),
            specs.Add("sum", ("a", "b")),
            specs.Affine("c", "image"),
            specs.Add("all", ("sum", "c")),
            specs.Rectifier("neurons", "all"),
            specs.Conv("d", "neurons", filters=3, kernel_size=(1, 1)),
        )
        scales = round_weights(model, 8).metadata["quantization"]["scales"]
        assert scales["a"] == scales["b"] == scales["c"] != scales["d"]
        largest = np.max(
            [np.abs(model.arrays[k].reshape(-1, 3)).max(0) for k in ("a/kernel", "b/kernel", "c/scale")], 0
        )
        assert np.allclose(scales["a"], largest / 127, rtol=1e-6)
        alone = round_weights(make(specs.Input("image", shape=(4,)), specs.Affine("c", "image")), 2)
        assert alone.metadata["quantization"]["errors"]["c"]["weights"] < 1e-7

    def test_biases_stay_in_accumulators(self):
        layers = small_cnn().layers.values()
        arrays = {key: array * (1e-6 if key.endswith("kernel") else 1) for key, array in small_cnn().arrays.items()}
        arrays["conv/kernel"][..., 1] = 0
        arrays["conv/bias"][2] = 0
        arrays["conv/kernel"][..., 2] = 0
        rounded = round_weights(Model(layers, arrays), 8)
        integers = integer_arrays(rounded)
        assert integers.keys() == arrays.keys()
        assert np.abs(integers["scores/bias"]).max() == 2**23 - 1
        for name in ("conv/bias", "scores/bias"):
            assert np.allclose(rounded.arrays[name], arrays[name], rtol=1e-4, atol=0)
        assert not rounded.arrays["conv/kernel"][..., 1:].any()

    def test_twice_is_once(self):
        once = round_weights(branched(), 8)
        again = round_weights(once, 8)
        assert all(np.allclose(again.arrays[key], array, rtol=1e-6) for key, array in once.arrays.items())

    def test_weights_that_are_integers_stay(self):
        model = dyadic(small_cnn(), 8)
        rounded = round_weights(model, 8)
        assert all(np.array_equal(rounded.arrays[key], array) for key, array in model.arrays.items())
        assert not rounded.ann_arrays
        assert all(of_layer["weights"] == 0 for of_layer in rounded.metadata["quantization"]["errors"].values())


def dyadic(model, bits):
    """Return a model whose weights are integers of some bits times a power of two, with the largest in each channel."""
    rng, largest, arrays = np.random.default_rng(0), 2 ** (bits - 1) - 1, {}
    for key, array in model.arrays.items():
        arrays[key] = rng.integers(-largest, largest + 1, array.shape) / (largest + 1)
        if not key.endswith("bias"):
            arrays[key].reshape(-1, array.shape[-1])[0] = largest / (largest + 1)
    return model.replace(arrays=arrays)


class TestNetworks:
    @pytest.mark.parametrize("bits", BITS)
    @pytest.mark.parametrize("per", ["channel", "layer"])
    def test_spikes_of_integer_weights_are_the_same(self, bits, per):
        network = snc.to_spiking(snc.convert(dyadic(branched(), bits)), snc.IntegrateAndFire(max_spikes=np.inf))
        quantized = snc.quantize_weights(network, bits=bits, per=per)
        x = dyadic_images(network.model, 3)
        before, after = (snc.record(n, x, n_steps=8) for n in (network, quantized))
        assert all(spikes.any() for spikes in before.spikes.values())
        assert all(np.array_equal(spikes, after.spikes[name]) for name, spikes in before.spikes.items())
        assert np.array_equal(before.output, after.output)

    @pytest.mark.filterwarnings("ignore:the network was not normalized")
    def test_spikes_of_a_chip_with_integers(self):
        """Integers alone, in NumPy: accumulators and thresholds in 1 / 64 of the unit of a weight."""
        model = make(
            specs.Input("image", shape=(6,)),
            specs.Dense("a", "image", units=5),
            specs.Rectifier("neurons", "a"),
            specs.Dense("b", "neurons", units=4),
            specs.Rectifier("more", "b"),
        )
        # scales of 1 / 256, so that float32 sums and thresholds of integers are exact
        arrays = {
            key: array / np.abs(array).max(axis=0) * 127 / 256 for key, array in model.arrays.items() if "k" in key
        }
        model = model.replace(arrays={**arrays, **{k: 0.1 * v for k, v in model.arrays.items() if k not in arrays}})
        network = snc.to_spiking(snc.convert(model), snc.IntegrateAndFire())
        quantized = snc.quantize_weights(network, bits=8)
        integers = {key: array.astype(int) for key, array in integer_arrays(quantized.model).items()}
        threshold, x = 64 * 256, np.array([[0, 1, 1, 0, 1, 1]])
        potentials = [np.full(5, threshold // 2), np.full(4, threshold // 2)]
        spikes, found = x[0], {"neurons": [], "more": []}
        for _ in range(20):
            spikes = x[0]
            for i, (weights, name) in enumerate((("a", "neurons"), ("b", "more"))):
                potentials[i] = (
                    potentials[i] + 64 * (spikes @ integers[f"{weights}/kernel"]) + integers[f"{weights}/bias"]
                )
                spikes = (potentials[i] >= threshold).astype(int)
                potentials[i] = potentials[i] - threshold * spikes
                found[name].append(spikes)
        recording = snc.record(quantized, x.astype(np.float32), n_steps=20)
        for name, expected in found.items():
            assert np.any(expected)
            assert np.array_equal(recording.spikes[name][0], expected), name

    @pytest.mark.parametrize("kind", ["rates", "spiking", "direct", "LIF", "staged", "calibrated", "ttfs", "loihi"])
    def test_kinds_of_networks(self, kind):
        rates = snc.normalize(snc.convert(small_cnn()), method="model")
        x = images(rates.model)
        network = {
            "rates": lambda: rates,
            "spiking": lambda: snc.to_spiking(rates),
            "direct": lambda: snc.to_spiking(rates, direct=True),
            "LIF": lambda: snc.to_spiking(rates, nengo.LIF(min_voltage=-5), max_rate=300),
            "staged": lambda: snc.to_spiking(rates, stage_steps=4),
            "calibrated": lambda: snc.calibrate(snc.to_spiking(rates), x, n_steps=4, progress=False),
            "ttfs": lambda: snc.to_ttfs(rates, x, n_steps=4, progress=False),
            "loihi": lambda: (
                pytest.importorskip("nengo_loihi")
                and snc.to_loihi(snc.to_spiking(rates, nengo.LIF(min_voltage=-5), readout="spikes"))
            ),
        }[kind]()
        quantized = snc.quantize_weights(network, x, bits=4)
        assert quantized.settings == network.settings
        assert quantized.model.ann.arrays.keys() == network.model.arrays.keys()
        assert all(np.array_equal(a, quantized.model.ann.arrays[key]) for key, a in network.model.ann.arrays.items())
        assert integer_arrays(quantized.model).keys() == network.model.arrays.keys()
        assert (snc.rate_model(quantized)(x).numpy() == snc.rate_model(network)(x).numpy()).all()
        if kind != "loihi":
            n_steps = None if kind in ("staged", "ttfs") else 4
            run = snc.evaluate(quantized, x, np.zeros(len(x), int), n_steps=n_steps, progress=False)
            assert run.ann_accuracy == snc.evaluate(network, x, np.zeros(len(x), int), n_steps=n_steps).ann_accuracy

    @pytest.mark.parametrize("memory_mb", [None, 0.001])
    def test_errors_of_outputs(self, memory_mb):
        network = spiking(branched())
        x, model = images(network.model), network.model
        options = {} if memory_mb is None else {"memory_mb": memory_mb}
        quantized = snc.quantize_weights(network, x, bits=4, **options)
        exact, found = activity(model, x), activity(quantized.model.replace(ann_arrays={}), x)
        errors = quantized.model.metadata["quantization"]["errors"]
        assert set(errors) == {"a", "b", "c", "scores", "a_neurons_scaled", "b_neurons_scaled"} & set(model.layers)
        for name, of_layer in errors.items():
            assert of_layer["output"] == pytest.approx(error(found[name], exact[name]), rel=1e-3)
        assert "error of output" in quantized.report()

    def test_integers_fitted_to_images_err_less(self):
        """On other images, too; for ordinary, depthwise and grouped convolutions, dense layers and sums."""
        model = make(
            specs.Input("image", shape=(8, 8, 3)),
            specs.Conv("a", "image", filters=6, kernel_size=(3, 3), padding="same"),
            specs.Rectifier("a_neurons", "a"),
            specs.Conv("b", "a_neurons", filters=6, kernel_size=(3, 3), padding="same", groups=3),
            specs.Affine("c", "a_neurons"),
            specs.Add("sum", ("b", "c")),
            specs.Rectifier("neurons", "sum"),
            specs.Flatten("flat", "neurons"),
            specs.Dense("scores", "flat", units=5),
        )
        network = snc.to_spiking(snc.normalize(snc.convert(model), images(model, 60)))
        x, others = images(model, 200), np.random.default_rng(2).random((50, 8, 8, 3), dtype=np.float32)
        exact, found = activity(network.model, others), {}
        for kind, given in {"nearest": None, "fitted": x}.items():
            quantized = snc.quantize_weights(network, given, bits=3).model
            assert integer_arrays(quantized).keys() == network.model.arrays.keys()
            assert (
                max(np.abs(array).max() for key, array in integer_arrays(quantized).items() if "bias" not in key) <= 3
            )
            assert np.array_equal(quantized.ann.arrays["a/kernel"], network.model.arrays["a/kernel"])
            found[kind] = error(activity(quantized.replace(ann_arrays={}), others)["scores"], exact["scores"])
        assert found["fitted"] < 0.6 * found["nearest"]

    @pytest.mark.parametrize("seed", range(3))
    def test_compensation(self, seed):
        """The quadratic error is smaller than that of the nearest integers, and equal if inputs are independent."""
        rng = np.random.default_rng(seed)
        weights, scales = rng.normal(size=(12, 4)), np.full(4, 0.5)
        mixed = rng.normal(size=(12, 12))
        covariance = mixed @ mixed.T

        def quadratic(integers):
            difference = weights - scales * integers
            return np.sum(difference * (covariance @ difference))

        nearest = np.clip(np.rint(weights / scales), -7, 7)
        fitted = rounded_with_compensation(weights, covariance, scales, 7)
        assert np.array_equal(fitted, np.rint(fitted)) and np.abs(fitted).max() <= 7
        assert quadratic(fitted) < 0.7 * quadratic(nearest)
        independent = rounded_with_compensation(weights, np.diag(rng.random(12) + 0.1), scales, 7)
        assert np.array_equal(independent, nearest)

    def test_fewer_bits_err_more(self):
        network, x = spiking(branched()), images(branched())
        errors = [
            snc.quantize_weights(network, x, bits=bits).model.metadata["quantization"]["errors"]["scores"]["output"]
            for bits in (2, 4, 8)
        ]
        assert errors == sorted(errors, reverse=True)

    def test_networks_that_are_refused(self):
        quantized = snc.quantize_weights(spiking(small_cnn()))
        x = images(small_cnn())
        with pytest.raises(snc.ConversionError, match="integers already"):
            snc.quantize_weights(quantized)
        with pytest.raises(snc.ConversionError, match="call convert first"):
            snc.quantize_weights(snc.build_trainable(small_cnn(), nengo.RectifiedLinear()))
        for change in (
            lambda: snc.normalize(quantized, x),
            lambda: snc.calibrate(quantized, x, n_steps=4),
            lambda: snc.convert(quantized),
        ):
            with pytest.raises(snc.ConversionError, match="quantize_weights changed"):
                change()
        surrogates = snc.convert(snc.build_trainable(small_cnn(), snc.SurrogateLIF()))
        assert integer_arrays(snc.quantize_weights(surrogates).model)
        with pytest.raises(snc.ConversionError):
            snc.quantize_weights(surrogates, x)


class TestFiles:
    @pytest.mark.parametrize("bits", BITS)
    @pytest.mark.parametrize("per", ["channel", "layer"])
    def test_the_same_weights(self, bits, per, tmp_path):
        network = snc.quantize_weights(spiking(branched()), bits=bits, per=per)
        for ann in (True, False):
            snc.save(network, tmp_path / "n.npz", ann=ann)
            model = snc.load(tmp_path / "n.npz").model
            assert {k: a.tobytes() for k, a in model.arrays.items()} == {
                k: a.tobytes() for k, a in network.model.arrays.items()
            }
            assert model.metadata == network.model.metadata
            assert list(model.ann_arrays) == (list(network.model.ann_arrays) if ann else [])
        with np.load(tmp_path / "n.npz") as file:
            assert file["integers/c/kernel"].dtype == np.int8
            assert not [name for name in file.files if name.startswith("model/")]

    def test_size(self, tmp_path):
        model = make(specs.Input("image", shape=(300,)), specs.Dense("scores", "image", units=200))
        network = snc.convert(model)
        for name, each in {"whole": network, **{n: snc.quantize_weights(network, bits=n) for n in (8, 4)}}.items():
            snc.save(each, tmp_path / f"{name}.npz", ann=False)
        sizes = {name: (tmp_path / f"{name}.npz").stat().st_size for name in ("whole", "8", "4")}
        assert sizes["8"] < 0.3 * sizes["whole"]
        assert sizes["4"] < 0.6 * sizes["8"]

    def test_weights_that_changed_are_not_integers(self, tmp_path):
        model = snc.quantize_weights(spiking(small_cnn())).model
        changed = model.replace(arrays={"conv/kernel": model.arrays["conv/kernel"] * np.float32(1.001)})
        assert integer_arrays(changed).keys() == model.arrays.keys() - {"conv/kernel"}
        snc.save(changed, tmp_path / "n.npz")
        read = snc.load(tmp_path / "n.npz")
        assert all(np.array_equal(read.arrays[key], array) for key, array in changed.arrays.items())

    @pytest.mark.parametrize(
        "damage",
        [
            {"scales": {"conv": [0.1, 0.2], "scores": [0.1] * 4}},
            {"scales": {"conv": [[0.1, 0.1, 0.1]], "scores": [0.1] * 4}},
            {"scales": {"conv": [1e39] * 3, "scores": [0.1] * 4}},
            {"scales": {"conv": ["x"] * 3, "scores": [0.1] * 4}},
            {"scales": {"conv": [-0.1] * 3, "scores": [0.1] * 4}},
            {"scales": {"scores": [0.1] * 4}},
            {"scales": {"conv": [0.1] * 3, "scores": [0.1] * 4, "other": [1.0]}},
            {"scales": 5},
            {"errors": {"conv": {"weights": "x"}}},
            {"errors": {"conv": 5}},
            {"errors": None},
            {"bits": "8"},
            {"per": 1},
        ],
        ids=str,
    )
    def test_damaged_scales(self, damage, tmp_path):
        from nengo_snnconv.model.archive import read_arrays, write_arrays

        snc.save(snc.quantize_weights(spiking(small_cnn())), tmp_path / "n.npz")
        description, arrays = read_arrays(tmp_path / "n.npz")
        description["model"]["metadata"]["quantization"] |= damage
        write_arrays(tmp_path / "n.npz", description, arrays)
        with pytest.raises(snc.FileFormatError, match="damaged"):
            snc.load(tmp_path / "n.npz")

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_nir(self, tmp_path):
        nir = pytest.importorskip("nir")
        network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), method="model"), snc.IntegrateAndFire())
        quantized = snc.quantize_weights(network)
        integers = integer_arrays(quantized.model)
        snc.write_nir(quantized, tmp_path / "n.nir", dt=1e-3)
        graph = nir.read(tmp_path / "n.nir")
        for name, order in (("conv", (3, 2, 0, 1)), ("scores", None)):
            node = graph.nodes[name]
            assert node.metadata["bits"] == 8
            weight = node.weight / node.metadata["weight_scale"].reshape(-1, *(1,) * (node.weight.ndim - 1))
            assert np.allclose(weight, np.rint(weight), rtol=0, atol=1e-4)
            if order:
                assert np.array_equal(np.rint(weight), integers[f"{name}/kernel"].transpose(order))
            assert np.allclose(node.bias / node.metadata["bias_scale"], integers[f"{name}/bias"], rtol=1e-5)
        x = images(network.model, 3)
        read = snc.read_nir(tmp_path / "n.nir")
        first, second = (snc.record(n, x, n_steps=10) for n in (quantized, read))
        assert np.array_equal(first.spikes["neurons"], second.spikes["neurons"])
        assert first.spikes["neurons"].any()
