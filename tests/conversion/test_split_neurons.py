"""split_neurons: groups of neurons with one spike a step emit the spikes of neurons with several."""

import numpy as np
import pytest
from models import branched, dyadic_images, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.native import NativeConfig
from nengo_snnconv.networks.neuron_types import types_of
from nengo_snnconv.neurons.repeated import Repeated
from nengo_snnconv.passes import split_rectifiers
from nengo_snnconv.report.python_code import python_code

N_STEPS = 5


def one_layer_read_by(*others):
    """Return a model of neurons that read the image, the layers ``others``, which read "neurons", and class scores."""
    return make(
        specs.Input("image", shape=(6, 6, 2)),
        specs.Conv("a", "image", filters=4, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("neurons", "a"),
        *others,
        specs.Flatten("flat", others[-1].name),
        specs.Dense("scores", "flat", units=3),
    )


MODELS = (
    small_cnn(),
    branched(),
    one_layer_read_by(specs.MaxPool("max", "neurons", pool_size=(2, 2))),
    one_layer_read_by(specs.GlobalAveragePool("mean", "neurons", keepdims=True)),
    one_layer_read_by(specs.GlobalMaxPool("max", "neurons", keepdims=True)),
    one_layer_read_by(specs.Affine("scaled", "neurons"), specs.Add("twice", ("neurons", "scaled", "scaled"))),
    one_layer_read_by(
        specs.Conv("b", "neurons", filters=4, kernel_size=(3, 3), groups=2), specs.Rectifier("c_neurons", "b")
    ),
    one_layer_read_by(specs.Permute("permuted", "neurons", axes=(2, 0, 1))),
    one_layer_read_by(specs.Pad("padded", "neurons", before=(1, 0, 0), after=(0, 1, 0))),
    one_layer_read_by(specs.Reshape("reshaped", "neurons", shape=(12, 12))),
    one_layer_read_by(specs.Upsample("upsampled", "neurons", size=(2, 1, 1))),
    # neurons that share their input, or read the image itself
    make(
        specs.Input("image", shape=(5, 4)),
        specs.Conv("a", "image", filters=3, kernel_size=(3,)),
        specs.Rectifier("neurons", "a"),
        specs.Rectifier("a_neurons", "a"),
        specs.Concatenate("both", ("neurons", "a_neurons")),
        specs.Flatten("flat", "both"),
        specs.Dense("scores", "flat", units=3),
    ),
    make(
        specs.Input("image", shape=(7,)),
        specs.Rectifier("neurons", "image"),
        specs.Dense("scores", "neurons", units=3),
    ),
)


def dyadic(model, factor=1.0):
    """Return the model with weights of few bits, so that float32 rounds no sum."""
    return model.replace(arrays={name: np.round(factor * 2**8 * a) / 2**8 for name, a in model.arrays.items()})


def several(model, *, cls=snc.SignedIntegrateAndFire, others=None, **options):
    """Return a spiking network of a model with neurons of several spikes in the layers that read the image."""
    neuron_type = cls(**{"max_spikes": 4, **options})
    types = tuple(
        neuron_type if name in ("neurons", "a_neurons", "b_neurons") else others or cls() for name in model.neurons
    )
    return snc.ConvNetwork(model, NativeConfig(types[0], 0, neuron_types=types))


def spikes_of_groups(network, recording, name):
    """Return the number of spikes of each group of neurons in each step."""
    spikes = recording.spikes[name]
    n = network.model.shapes[name][-1]
    return spikes.reshape(*spikes.shape[:2], -1, n // 4, 4).sum(axis=-1).reshape(*spikes.shape[:2], -1)


class TestSpikes:
    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("cls", [snc.IntegrateAndFire, snc.SignedIntegrateAndFire])
    @pytest.mark.parametrize("start", [0.5, 0.25])
    def test_equal_in_every_step(self, model, cls, start):
        # activations of more than 4, which clip, are among them
        model = dyadic(model, 8)
        network = several(model, cls=cls, initial_potential=start)
        split = snc.split_neurons(network)
        x = dyadic_images(model, 4)
        before, after = (snc.record(each, x, n_steps=N_STEPS) for each in (network, split))
        for name in model.neurons:
            if split.model.shapes[name] == model.shapes[name]:
                assert np.array_equal(after.spikes[name], before.spikes[name])
            else:
                assert np.array_equal(spikes_of_groups(split, after, name), before.spikes[name])
                assert after.spikes[name].max() == 1
        assert np.allclose(after.output, before.output, atol=1e-5)

    @pytest.mark.parametrize("backend", ["nengo", "nengo_dl", "tensorflow"])
    def test_other_back_ends(self, backend):
        model = dyadic(small_cnn(), 3)
        split, x = snc.split_neurons(several(model)), dyadic_images(model, 2)
        ours, theirs = (snc.record(split, x, n_steps=N_STEPS, backend=each) for each in ("fast", backend))
        for name in split.model.neurons:
            assert ours.spikes[name].any()
            assert np.array_equal(theirs.spikes[name], ours.spikes[name])

    def test_threshold_and_time_constant(self):
        model = dyadic(small_cnn(), 3)
        network = several(model, threshold=2.0, tau=0.002)
        split, x = snc.split_neurons(network), dyadic_images(model, 2)
        before, after = (snc.record(each, x, n_steps=N_STEPS) for each in (network, split))
        assert np.array_equal(spikes_of_groups(split, after, "neurons"), before.spikes["neurons"])
        assert np.allclose(after.output, before.output, atol=1e-5)

    def test_calibrated_network_and_its_ann(self):
        model = branched()
        x = dyadic_images(model, 40)
        network = snc.calibrate(several(model), x, n_steps=2)
        split = snc.split_neurons(network)
        assert split.model.metadata["calibration"] == network.model.metadata["calibration"]
        before, after = (snc.record(each, x[:10], n_steps=2).output for each in (network, split))
        assert np.allclose(after, before, atol=1e-4)
        anns = [snc.rate_model(each)(x[:10]) for each in (network, split)]
        assert np.allclose(*anns, atol=1e-5)
        assert not np.allclose(anns[0], before.mean(axis=1), atol=1e-2)

    def test_one_layer_of_two(self):
        model = branched()
        split = snc.split_neurons(several(model), ["b_neurons"])
        assert split.model.shapes["b_neurons"] == (8, 8, 16)
        assert split.model.shapes["a_neurons"] == (8, 8, 4)
        types = dict(zip(split.model.neurons, split.settings.of_types, strict=True))
        assert types["a_neurons"] == snc.SignedIntegrateAndFire(max_spikes=4)
        potentials = Repeated([0.125, 0.375, 0.625, 0.875])
        assert types["b_neurons"] == snc.SignedIntegrateAndFire(initial_state={"voltage": potentials})

    def test_file(self, tmp_path):
        split = snc.split_neurons(several(small_cnn()))
        snc.save(split, tmp_path / "split.snn.npz")
        loaded = snc.load(tmp_path / "split.snn.npz")
        assert loaded.settings == split.settings
        x = dyadic_images(split.model, 2)
        spikes = [snc.record(each, x, n_steps=3).spikes["neurons"] for each in (split, loaded)]
        assert np.array_equal(*spikes)

    def test_operations(self):
        """Spikes reach as many synapses, and the ANN has as many multiplications."""
        for model in map(dyadic, MODELS):
            network, x = several(model), dyadic_images(model, 3)
            before, after = (snc.evaluate(each, x, n_steps=3) for each in (network, snc.split_neurons(network)))
            assert after.synaptic_operations == pytest.approx(before.synaptic_operations)
            assert after.ann_operations == before.ann_operations
            assert after.input_operations == before.input_operations
            assert after.operations_ratio == pytest.approx(before.operations_ratio)

    def test_report_has_the_calls(self):
        network = snc.split_neurons(several(snc.normalize(snc.convert(small_cnn()), method="model").model))
        code = python_code(network, snc.evaluate(network, dyadic_images(network.model, 3), n_steps=3))
        assert "{'neurons': snc.SignedIntegrateAndFire(max_spikes=4), '*'" in code
        assert "network = snc.split_neurons(network, layers=['neurons'])" in code


class TestModel:
    @pytest.mark.parametrize("model", MODELS)
    def test_same_function(self, model):
        names = model.first_neurons
        split = split_rectifiers(model, dict.fromkeys(names, 3))
        x = dyadic_images(model, 5)
        networks = [snc.convert(each) for each in (model, split.replace(metadata={}))]
        assert np.allclose(*(snc.rate_model(each)(x) for each in networks), atol=1e-5)
        assert all(split.shapes[name][-1] == 3 * model.shapes[name][-1] for name in names)

    def test_wider_layers_instead_of_more(self):
        model = make(
            specs.Input("image", shape=(4, 4, 2)),
            specs.Conv("a", "image", filters=4, kernel_size=(3, 3), groups=2),
            specs.Rectifier("a_neurons", "a"),
            specs.Conv("b", "a_neurons", filters=3, kernel_size=(2, 2)),
        )
        split = split_rectifiers(model, {"a_neurons": 2})
        assert list(split.layers) == list(model.layers)
        assert split.metadata["split"] == {"neurons": {"a_neurons": 2}, "sources": {"a": 2}, "readers": {"b": 2}}
        x = dyadic_images(model, 5)
        networks = [snc.convert(each) for each in (model, split.replace(metadata={}))]
        assert np.allclose(*(snc.rate_model(each)(x) for each in networks), atol=1e-5)

    def test_scales(self):
        model = snc.normalize(snc.convert(small_cnn()), dyadic_images(small_cnn(), 20), per="channel").model
        scales = split_rectifiers(model, {"neurons": 2}).metadata["scales"]["neurons"]
        assert scales == np.repeat(model.metadata["scales"]["neurons"], 2).tolist()


class TestRefusals:
    def test_layers_that_read_spikes(self):
        network = several(branched(), others=snc.SignedIntegrateAndFire(max_spikes=2))
        with pytest.raises(
            snc.errors.ConversionError, match="c_neurons reads .* the image are 'a_neurons', 'b_neurons'"
        ):
            snc.split_neurons(network, ["c_neurons"])
        assert snc.split_neurons(network).model.shapes["c_neurons"] == network.model.shapes["c_neurons"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"max_spikes": 1}, "one spike in a step: use neurons with max_spikes=4"),
            ({"max_spikes": np.inf}, "any number of spikes"),
            ({"initial_state": {"voltage": Repeated([0.5])}}, "use initial_potential"),
            ({"cls": snc.IntegrateAndFire, "min_potential": -1.0}, "leave min_potential out"),
        ],
    )
    def test_neurons(self, options, message):
        with pytest.raises(snc.errors.ConversionError, match=message):
            snc.split_neurons(several(small_cnn(), **options))

    def test_poisson_input(self):
        network = several(small_cnn()).rebuild(input_coding="poisson")
        with pytest.raises(snc.errors.ConversionError, match="constant input"):
            snc.split_neurons(network)

    def test_integer_weights(self):
        with pytest.raises(snc.errors.ConversionError, match="split first, then quantize"):
            snc.split_neurons(snc.quantize_weights(several(small_cnn())))

    def test_levels(self):
        layers = [
            specs.Rectifier("neurons", "conv", levels=4) if name == "neurons" else layer
            for name, layer in small_cnn().layers.items()
        ]
        model = small_cnn().replace(layers=layers, arrays=small_cnn().arrays)
        with pytest.raises(snc.errors.ConversionError, match="levels"):
            snc.split_neurons(several(model))

    def test_class_scores(self):
        model = make(
            specs.Input("image", shape=(3,)), specs.Dense("a", "image", units=2), specs.Rectifier("neurons", "a")
        )
        with pytest.raises(snc.errors.ConversionError, match="is the output of the network"):
            snc.split_neurons(several(model))

    def test_training_afterwards(self):
        model = small_cnn()
        with pytest.raises(snc.errors.SnnConvError, match="before split_neurons"):
            snc.train(snc.split_neurons(several(model)), dyadic_images(model, 8), n_steps=2)

    def test_other_neurons_afterwards(self):
        """Equal initial potentials would make all neurons of a group spike together."""
        split = snc.split_neurons(several(MODELS[6]))
        changed = split.rebuild(neuron_type={"c_neurons": snc.IntegrateAndFire()})
        assert [type(each) for each in types_of(split.model, changed.settings).values()] == [
            snc.SignedIntegrateAndFire,
            snc.IntegrateAndFire,
        ]
        for other in (snc.IntegrateAndFire(), {"neurons": snc.SignedIntegrateAndFire(initial_potential=0.2)}):
            with pytest.raises(snc.SettingsError, match="4 different potentials.*before split_neurons"):
                split.rebuild(neuron_type=other)

    def test_functions_that_need_the_network_before(self):
        split = snc.split_neurons(several(small_cnn()))
        x = dyadic_images(split.model, 8)
        for function, arguments in {
            snc.to_spiking: (),
            snc.normalize: (x,),
            snc.calibrate: (x,),
            snc.diagnose: (x,),
            snc.split_neurons: (),
            snc.convert: (),
        }.items():
            options = {"n_steps": 2} if function in (snc.calibrate, snc.diagnose) else {}
            with pytest.raises(snc.errors.SnnConvError, match="before split_neurons"):
                function(split, *arguments, **options)
        with pytest.raises(snc.errors.ConversionError, match="the network before split_neurons"):
            snc.error_bounds(split, n_steps=2)
        with pytest.raises(snc.errors.ConversionError, match="NIR has no initial potentials"):
            snc.to_nir(split)

    @pytest.mark.parametrize("layers", [["neurons"], ["conv"], ("neurons", "conv"), np.array(["neurons"])])
    def test_names(self, layers):
        assert snc.split_neurons(several(small_cnn()), layers).model.shapes["neurons"] == (4, 4, 12)

    def test_no_neurons(self):
        model = make(specs.Input("image", shape=(3,)), specs.Dense("scores", "image", units=2))
        with pytest.warns(snc.errors.SnnConvWarning):
            snn = snc.to_spiking(snc.convert(model))
        with pytest.raises(snc.errors.ConversionError, match="the network has no neurons"):
            snc.split_neurons(snn)
