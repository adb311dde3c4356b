"""check_hardware: resources counted by hand from the published rules of each chip."""

import nengo
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.analysis.hardware import speck
from nengo_snnconv.compat import tf

layers = tf.keras.layers
LIF = nengo.LIF(min_voltage=-5)

# activations do not matter here
pytestmark = pytest.mark.filterwarnings("ignore:the network was not normalized")


def spiking(*stack, shape=(34, 34, 2), **options):
    """Return a network of integrate-and-fire neurons with a stack of Keras layers."""
    model = snc.convert(tf.keras.Sequential([layers.Input(shape), *stack]))
    return snc.to_spiking(model, snc.IntegrateAndFire(), input_coding="poisson", **options)


def conv(filters, size=3, **options):
    return layers.Conv2D(filters, size, activation="relu", **options)


@pytest.fixture(scope="module")
def fitting():
    return spiking(
        conv(16, strides=2, padding="same"), conv(32), layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(10)
    )


class TestSpeck:
    def test_memory_of_the_example_in_the_documentation(self):
        """16 channels of 64 x 64, 32 filters of 3 x 3, padded: 8 Ki of kernel memory and 128 Ki neurons."""
        check = snc.check_hardware(spiking(conv(32, padding="same"), shape=(64, 64, 16)), "speck")
        (layer,) = check.layers
        assert layer.details == "8 Ki of kernel memory, 128 Ki of neurons"
        assert layer.cores is None
        assert not check.fits
        # 64 x 64 positions with 16 filters are 64 Ki neurons
        assert "16 filters would fit" in check.all_problems[0]

    def test_a_network_that_fits(self, fitting):
        check = snc.check_hardware(fitting, "speck")
        assert check.fits, check.summary()
        assert [layer.cores for layer in check.layers] == [1, 1, 1]
        assert check.layers[1].n_neurons == 15 * 15 * 32
        assert check.layers[1].fan_in == 3 * 3 * 16
        # the dense layer is a convolution with the whole image of 7 x 7 x 32 as its kernel: 32 x 2^(6 + 4)
        assert check.layers[2].details.startswith("32 Ki of kernel memory")

    @pytest.mark.parametrize(
        "stack, message",
        [
            ([conv(8), layers.MaxPooling2D(), conv(8)], "takes maxima of spikes: train the model with average pooling"),
            (
                [conv(8), layers.AveragePooling2D(3), conv(8)],
                "pooling windows have 1, 2 or 4 entries on each side, not 3 x 3",
            ),
            ([conv(8), layers.AveragePooling2D(2, 1), conv(8)], "pooling windows may not overlap"),
            ([conv(8, strides=3)], r"its strides are \(3, 3\); possible are 1, 2, 4, 8"),
            ([conv(8, (3, 5))], "its kernel is 3 x 5"),
            ([conv(8, 17)], "at most 16 x 16"),
            ([conv(8, groups=2)], "grouped and depthwise convolutions are not supported"),
            ([conv(8, dilation_rate=2)], "dilation is not supported"),
        ],
    )
    def test_what_a_core_cannot_do(self, stack, message):
        check = snc.check_hardware(spiking(*stack), "speck")
        with pytest.raises(AssertionError, match=message):
            assert check.fits, "\n".join(check.all_problems)

    def test_neurons_and_input(self, fitting):
        model = snc.convert(tf.keras.Sequential([layers.Input((9, 9, 1)), conv(4)]))
        check = snc.check_hardware(snc.to_spiking(model, snc.SignedIntegrateAndFire()), "speck")
        assert len(check.problems) == 2
        assert "not SignedIntegrateAndFire" in check.problems[0]
        assert "input_coding='poisson'" in check.problems[1]

    def test_more_layers_than_cores(self):
        check = snc.check_hardware(spiking(*[conv(2, 1) for _ in range(10)], shape=(4, 4, 2)), "speck")
        assert "10 layers need a core each, Speck has 9" in check.problems[0]

    def test_layers_that_need_the_same_cores(self):
        """Only cores 5 and 6 have 64 Ki entries of kernel memory; three layers with so many do not fit together."""
        needs = [(64 * 1024, 100)] * 2
        assert speck._assignment(needs)
        assert not speck._assignment([*needs, (33 * 1024, 100)])
        assert speck._assignment([(16 * 1024, 64 * 1024)] * 3)
        assert not speck._assignment([(16 * 1024, 64 * 1024)] * 4)


class TestManyCores:
    def test_memory_decides(self):
        """A dense layer of 1,000 x 1,000 weights has 1 MB; a core of SpiNNaker2 has 131,072 bytes."""
        check = snc.check_hardware(spiking(layers.Dense(1000, activation="relu"), shape=(1000,)), "spinnaker2")
        # a neuron takes 1,000 bytes of weights and 4 of state: 130 neurons on a core
        assert check.cores == int(np.ceil(1000 / 130))
        assert check.fits

    def test_the_number_of_neurons_decides(self):
        check = snc.check_hardware(spiking(conv(64, 1), shape=(64, 64, 1)), "loihi2")
        assert check.cores == 64 * 64 * 64 // 8192
        assert check.n_chips == 1

    def test_a_neuron_that_does_not_fit(self):
        check = snc.check_hardware(spiking(layers.Dense(2, activation="relu"), shape=(200_000,)), "loihi2")
        assert check.cores is None
        assert "the weights of one neuron take 200,004 bytes, a core has 196,608" in check.all_problems[0]

    def test_several_chips(self):
        network = spiking(*[conv(512, 3, padding="same") for _ in range(3)], shape=(48, 48, 1))
        check = snc.check_hardware(network, "loihi2")
        assert check.n_chips == 4
        assert "use 4 chips" in check.problems[0]


@pytest.fixture(scope="module")
def rates():
    """Return two layers of neurons and an output, without pooling."""
    stack = [conv(2, strides=2, name="c1"), conv(3, name="c2"), layers.Flatten(), layers.Dense(2, name="out")]
    return snc.convert(tf.keras.Sequential([layers.Input((8, 8, 1)), *stack]))


class TestNeuronsOfLayers:
    """Each layer is checked, and the network that the advice for it makes fits."""

    def test_speck(self, rates):
        mixed = snc.to_spiking(rates, {"c1": LIF, "*": snc.IntegrateAndFire()}, input_coding="poisson")
        check = snc.check_hardware(mixed, "Speck")
        assert check.all_problems == [
            "c1_relu: neurons are integrate-and-fire, not LIF: "
            "network.rebuild(neuron_type={'c1_relu': IntegrateAndFire()})"
        ]
        assert snc.check_hardware(mixed.rebuild(neuron_type={"c1_relu": snc.IntegrateAndFire()}), "speck").fits

    def test_output_neurons(self, rates):
        types = {"c1": snc.IntegrateAndFire(), "c2": snc.IntegrateAndFire(), "*": LIF}
        options = {"input_coding": "poisson", "readout": "spikes"}
        (problem,) = snc.check_hardware(snc.to_spiking(rates, types, **options), "speck").all_problems
        assert problem.startswith("out: neurons are integrate-and-fire, not LIF")

    def test_one_problem_if_all_are_refused(self, rates):
        check = snc.check_hardware(snc.to_spiking(rates, LIF, input_coding="poisson"), "speck")
        assert check.all_problems == ["neurons are integrate-and-fire, not LIF: to_spiking(..., IntegrateAndFire())"]


class TestSpeckInput:
    def test_constant_input(self, rates):
        for network in (
            snc.to_spiking(rates, snc.IntegrateAndFire()),
            snc.build_trainable(rates.model, snc.IntegrateAndFire()),
        ):
            (problem,) = snc.check_hardware(network, "speck").all_problems
            assert problem.startswith("the input must be events"), network

    def test_networks_that_may_take_frames(self, rates):
        trained = snc.build_trainable(rates.model, snc.SurrogateLIF())
        check = snc.check_hardware(trained, "speck")
        assert not any("events" in problem for problem in check.all_problems)
        assert any("frames of an event camera" in remark for remark in check.remarks)

    def test_remarks_fit_the_layers(self, rates, fitting):
        pooling = [
            any("pooling" in remark for remark in snc.check_hardware(network, "speck").remarks)
            for network in (rates, fitting)
        ]
        assert pooling == [False, True]


class TestLoihi:
    def test_the_cores_of_to_loihi(self, rates):
        check = snc.check_hardware(snc.to_spiking(rates, LIF, max_rate=300), "loihi")
        assert check.fits, check.summary()
        assert check.layers[0].details == "on the host"
        assert check.cores == sum(layer.cores for layer in check.layers) > 0
        pooled = snc.check_hardware(spiking(conv(8), layers.MaxPooling2D(), conv(8)), "loihi")
        assert "no neurons for maxima" in pooled.all_problems[0]

    def test_fits_if_to_loihi_takes_it(self, rates):
        """Otherwise the message of ``to_loihi`` is a problem."""
        pytest.importorskip("nengo_loihi", reason="nengo-loihi is not installed")
        cases = [
            snc.to_spiking(rates, LIF),
            snc.to_spiking(rates, {"c1": LIF, "*": nengo.SpikingRectifiedLinear()}, readout="spikes"),
            snc.to_spiking(rates, snc.IntegrateAndFire()),
            snc.to_spiking(rates, snc.SignedIntegrateAndFire(), input_coding="poisson"),
            snc.to_spiking(rates, LIF, synapse=nengo.Alpha(0.01)),
            snc.to_spiking(rates, {"c1": LIF, "c2": LIF, "*": snc.IntegrateAndFire()}, readout="spikes"),
            rates,
            snc.build_trainable(rates.model, nengo.LIF(amplitude=0.01)),
            snc.build_trainable(rates.model, snc.SurrogateLIF()),
        ]
        for network in cases:
            problems = snc.check_hardware(network, "loihi").all_problems
            try:
                snc.to_loihi(network)
            except snc.ConversionError as error:
                reason = str(error).partition(":")[0]
                assert any(reason in problem for problem in problems), (reason, problems)
            else:
                assert not problems

    def test_single_layers(self, rates):
        mixed = snc.to_spiking(rates, {"c1": LIF, "*": snc.IntegrateAndFire()})
        (problem,) = snc.check_hardware(mixed, "loihi").all_problems
        assert problem.startswith("c2_relu: Loihi has no IntegrateAndFire neurons")
        assert "network.rebuild(neuron_type={'c2_relu': nengo.LIF(min_voltage=-5)})" in problem
        assert snc.check_hardware(mixed.rebuild(neuron_type={"c2_relu": LIF}), "loihi").fits


def test_exit_code(rates, tmp_path, capsys):
    snc.save(snc.to_spiking(rates, snc.IntegrateAndFire()), tmp_path / "n.snn.npz")
    command = ["check-hardware", str(tmp_path / "n.snn.npz")]
    assert cli.main([*command, "SpiNNaker2"]) == 0
    assert cli.main([*command, "spinnaker2", "Speck"]) == 1
    assert "the network does not fit on one chip" in capsys.readouterr().out


def test_text_and_report(fitting, tmp_path):
    check = snc.check_hardware(fitting, "speck")
    assert "the network fits on one chip" in check.summary()
    assert "overview.md" in check.summary()  # the source
    assert "quantize_weights(network, bits=8)" in check.summary()
    assert check.to_dict()["cores"] == 3
    evaluation = snc.evaluate(fitting, np.zeros((2, 34, 34, 2), np.float32), [0, 1], n_steps=2)
    snc.write_report(tmp_path / "r.html", fitting, evaluation, sections=[check.section()])
    assert "Hardware: Speck" in (tmp_path / "r.html").read_text()
    quantized = snc.quantize_weights(fitting, bits=8)
    assert "quantize_weights" not in snc.check_hardware(quantized, "speck").summary()


def test_refused(fitting):
    with pytest.raises(snc.SettingsError, match="chip must be"):
        snc.check_hardware(fitting, "tpu")
    ttfs = snc.to_ttfs(snc.convert(snc.preset("diehl-mnist")), np.zeros((2, 28, 28, 1), np.float32), n_steps=4)
    with pytest.raises(snc.SettingsError, match="stages that run one after another"):
        snc.check_hardware(ttfs, "speck")
