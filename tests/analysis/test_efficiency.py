"""efficiency: operations, neuron updates and energy calculated by hand; layers add up to the total."""

import json

import nengo
import numpy as np
import pytest
from models import branched, make, meeting_late, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.analysis.efficiency import Costs
from nengo_snnconv.analysis.energy import HOROWITZ, LOIHI, EnergyModel
from nengo_snnconv.model import connectivity
from nengo_snnconv.model import layers as specs

T = 8


def ones(n, *shape):
    return np.ones((n, *shape), np.float32), np.zeros(n, int)


def signs():
    """Return a convolution with a positive and a negative filter; only the first makes its neurons active."""
    model = make(
        specs.Input("image", shape=(4, 4, 1)),
        specs.Conv("conv", "image", filters=2, kernel_size=(3, 3)),
        specs.Rectifier("neurons", "conv"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=3),
    )
    arrays = {name: np.zeros_like(array) for name, array in model.arrays.items()}
    arrays["conv/kernel"][..., 0], arrays["conv/kernel"][..., 1] = 1 / 9, -1 / 9
    return model.replace(arrays=arrays)


def first_spikes(model, x, **options):
    return snc.to_ttfs(snc.convert(model), x, T, **{"threshold": 1.0, "x_max": 1, **options})


class TestTimeToFirstSpike:
    @pytest.fixture(scope="class")
    def found(self):
        x, y = ones(5, 4, 4, 1)
        network = first_spikes(signs(), x)
        return snc.efficiency(network, snc.evaluate(network, x, y, backend="fast"))

    def test_operations(self, found):
        # of the ANN 4 positions of 9 pixels and 2 filters, and 8 neurons times 3 classes; every pixel spikes, and
        # 4 of the 8 neurons
        assert found.flops == 2 * (4 * 9 * 2 + 8 * 3)
        assert found.synaptic_operations == found.operations == 4 * 9 * 2 + 4 * 3
        assert found.input_operations == 0
        assert found.ratio == pytest.approx(192 / 84)
        assert (found.n_neurons, found.spikes_per_neuron) == (8, 0.5)
        assert vars(found.layers["image"]) == {"flops": 144, "operations": 72}
        assert vars(found.layers["neurons"]) == {"flops": 48, "operations": 12}
        assert list(found.layers) == ["image", "neurons"]
        assert found.accuracy == found.ann_accuracy == 1

    def test_neurons_add_in_two_stages(self, found):
        assert found.neuron_updates == 8 * 2 * T
        assert found.idle_updates == 0  # the run has two stages, and the only layer uses both

    def test_energy(self, found):
        chip45, loihi = found.energies
        assert chip45.ann == pytest.approx(96 * 4.6e-12)
        assert chip45.snn == pytest.approx(84 * 0.9e-12)
        assert chip45.snn_with_updates == pytest.approx((84 + 128) * 0.9e-12)
        assert loihi.ann is None
        assert loihi.snn == pytest.approx(84 * 23.6e-12)
        assert loihi.snn_with_updates == pytest.approx((84 * 23.6 + 128 * 81) * 1e-12)
        own = found.energy(EnergyModel("mine", addition=1, update=2, idle_update=3, multiply_accumulate=4))
        assert (own.ann, own.snn, own.snn_with_updates) == pytest.approx((96 * 4e-12, 84e-12, 340e-12))

    def test_table(self, found):
        rows = {row[0]: row[1:] for row in found.rows()}
        assert rows["per image"] == ("ANN", "spikes", "ANN / spikes")
        assert rows["operations"] == ("192", "84", "2.3")
        assert rows["spikes per neuron"][1] == "0.500"
        assert rows["neuron updates (not in operations)"][1] == "128"
        assert rows[f"energy, {HOROWITZ.source}"] == ("0.000442 µJ", "7.56e-05 µJ", "5.8")
        assert rows[f"energy, {LOIHI.source}"] == ("", "0.00198 µJ", "")
        assert found.layer_rows()[1:] == [("image", "144", "72", "2.0"), ("neurons", "48", "12", "4.0")]
        text = found.table()
        for words in ("Horowitz 2014", "Davies et al. 2018", "without memory access and data transfer", "neurons"):
            assert words in text

    def test_as_json(self, found):
        read = json.loads(json.dumps(found.to_dict()))
        assert read["ratio"] == found.ratio
        assert read["layers"]["image"] == {"flops": 144, "operations": 72}
        assert read["energies"][1]["ann"] is None
        assert read["energies"][0]["source"] == HOROWITZ.source


def test_name_of_earlier_versions():
    assert Costs is EnergyModel


def test_idle_and_relaying_neurons_of_time_to_first_spike():
    """Layer a emits in stages 1 to 3, since it is added to c: three times its neurons, idle half of the time."""
    model = meeting_late(specs.Flatten("flat", "sum"), specs.Dense("scores", "flat", units=3), seed=3)
    x, y = ones(2, 4, 4, 2)
    network = first_spikes(model, x)
    evaluation = snc.evaluate(network, x, y, backend="fast")
    found = snc.efficiency(network, evaluation)
    assert evaluation.n_steps == 4 * T
    assert found.neuron_updates == (3 + 1 + 1) * 32 * 2 * T
    assert found.idle_updates == (3 + 1 + 1) * 32 * 2 * T
    spikes = evaluation.layers["a_neurons"].spikes_per_neuron * 32
    assert spikes > 0
    assert vars(found.layers["a_neurons again"]) == {"flops": 0, "operations": pytest.approx(2 * spikes)}
    # "same" padding: 4 inner pixels are covered 9 times, 8 on the sides 6 times, 4 in the corners 4 times
    convolution, dense = (4 * 9 + 8 * 6 + 4 * 4) * 2 * 2, 32 * 3
    # the dense layer reads the sum of two layers, which the ANN multiplies once
    assert found.layers["a_neurons"].flops == 2 * (convolution + dense / 2)
    assert found.layers["b_neurons"].flops == 2 * convolution
    assert found.layers["c_neurons"].flops == 2 * dense / 2
    energy = found.energies[1]
    assert energy.snn_with_updates - energy.snn == pytest.approx(found.neuron_updates * (81 + 52) * 1e-12)


def test_constant_current_costs_its_multiply_accumulates_once():
    x, y = ones(3, 4, 4, 1)
    network = snc.to_spiking(snc.normalize(snc.convert(signs()), method="model"))
    found = snc.efficiency(network, snc.evaluate(network, x, y, n_steps=6))
    # the input of 4 neurons equals their threshold, so they spike in each of 6 steps
    assert found.synaptic_operations == 4 * 3 * 6
    assert found.input_operations == 4 * 9 * 2
    assert found.operations == 72 + 2 * 72
    assert vars(found.layers["image"]) == {"flops": 144, "operations": 144}
    assert found.neuron_updates == 8 * 6
    assert found.idle_updates == 0
    assert found.energies[0].snn == pytest.approx((72 * 0.9 + 72 * 4.6) * 1e-12)
    assert found.energies[1].snn == pytest.approx((72 * 23.6 + 72 * 4.6) * 1e-12)
    assert ("of which for the constant input", "144", "144", "") in found.rows()


def pooled(*, joined=False):
    """Return a model with average pooling and two branches, followed by their concatenation or by maxima."""
    middle = [specs.Concatenate("both", ("pool", "b_neurons"))] if joined else [specs.MaxPool("both", "pool", (2, 2))]
    return make(
        specs.Input("image", shape=(8, 8, 1)),
        specs.Conv("a", "image", filters=2, kernel_size=(1, 1)),
        specs.Rectifier("a_neurons", "a"),
        specs.AveragePool("pool", "a_neurons", pool_size=(2, 2)),
        specs.Conv("b", "pool", filters=3, kernel_size=(1, 1)),
        specs.Rectifier("b_neurons", "b"),
        *middle,
        specs.Conv("c", "both", filters=1, kernel_size=(1, 1)),
        specs.GlobalMaxPool("largest", "c"),
        specs.GlobalAveragePool("mean", "b_neurons"),
        specs.Concatenate("all", ("largest", "mean")),
        specs.Dense("scores", "all", units=2),
    )


@pytest.mark.parametrize(
    "model", [small_cnn(), branched(), pooled(), pooled(joined=True)], ids=["cnn", "branched", "maxima", "joined"]
)
@pytest.mark.parametrize("make_network", [first_spikes, lambda model, x: snc.to_spiking(snc.convert(model))])
@pytest.mark.filterwarnings("ignore:the network was not normalized")
def test_layers_add_up_to_the_total(model, make_network, rng):
    x, y = rng.random((4, *model.shapes[model.input]), np.float32), np.zeros(4, int)
    network = make_network(model, x)
    evaluation = snc.evaluate(network, x, y, n_steps=None if make_network is first_spikes else 5)
    found = snc.efficiency(network, evaluation)
    assert sum(layer.flops for layer in found.layers.values()) == pytest.approx(found.flops)
    assert sum(layer.operations for layer in found.layers.values()) == pytest.approx(found.operations)
    assert found.flops == 2 * sum(connectivity.multiply_accumulates(network.model).values())


def test_joined_layers_share_what_the_ann_computes(rng):
    """Convolution c reads two channels of pool and three of b; the dense layer a maximum and three means of b."""
    model = pooled(joined=True)
    x, y = rng.random((2, 8, 8, 1), np.float32), np.zeros(2, int)
    network = first_spikes(model, x)
    found = snc.efficiency(network, snc.evaluate(network, x, y, backend="fast"))
    assert found.layers["a_neurons"].flops == pytest.approx(2 * (16 * 2 * 3 + 16 * 2))
    assert found.layers["b_neurons"].flops == pytest.approx(2 * (16 * 3 + 3 * 2))
    assert found.layers["largest"].flops == pytest.approx(2 * 2)


def test_each_maximum_has_its_row(rng):
    model = pooled()
    x, y = rng.random((2, 8, 8, 1), np.float32), np.zeros(2, int)
    network = first_spikes(model, x)
    found = snc.efficiency(network, snc.evaluate(network, x, y, backend="fast"))
    assert found.layers["both"].flops == pytest.approx(2 * 2 * 2 * 2)
    assert found.layers["largest"].flops == pytest.approx(2 * 2)
    assert found.layers["both"].operations > 0


def test_weighted_layers_that_read_sums_are_named(rng):
    """As in separable convolutions."""
    model = make(
        specs.Input("image", shape=(4, 4, 2)),
        specs.Conv("depthwise", "image", filters=2, kernel_size=(3, 3), groups=2),
        specs.Dropout("dropout", "depthwise", rate=0.5),
        specs.Conv("pointwise", "dropout", filters=3, kernel_size=(1, 1)),
        specs.Rectifier("neurons", "pointwise"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=2),
    )
    x, y = rng.random((2, 4, 4, 2), np.float32), np.zeros(2, int)
    network = first_spikes(model, x)
    found = snc.efficiency(network, snc.evaluate(network, x, y, backend="fast"))
    assert found.graded == ("pointwise",)
    assert "Synaptic operations do not include 'pointwise'" in found.table()
    assert found.layers["image"].flops == 2 * (4 * 9 * 2 + 4 * 2 * 3)


def test_a_silent_network():
    x = np.zeros((2, 4, 4, 1), np.float32)
    network = first_spikes(signs(), x)
    found = snc.efficiency(network, snc.evaluate(network, x, [0, 0], backend="fast"))
    assert found.ratio == np.inf
    assert json.loads(json.dumps(found.to_dict()))["ratio"] is None
    assert ("operations", "192", "0", "inf") in found.rows()


def test_networks_of_build_trainable(rng):
    network = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
    x, y = rng.random((2, 6, 6, 2), np.float32), np.zeros(2, int)
    found = snc.efficiency(network, snc.evaluate(network, x, y, n_steps=4))
    assert found.neuron_updates == 48 * 4
    assert found.input_operations == 16 * 9 * 2 * 3


def test_refused(rng):
    x, y = rng.random((2, 6, 6, 2), np.float32), np.zeros(2, int)
    rates = snc.convert(small_cnn())
    network = snc.to_ttfs(rates, x, T)
    evaluation = snc.evaluate(network, x, y, backend="fast")
    other = first_spikes(branched(), np.ones((1, 8, 8, 2)))
    for arguments, message in (
        ((rates, snc.evaluate(rates, x, y, n_steps=1)), "no spiking neurons"),
        ((network, 0.5), "evaluation must be"),
        ((other, evaluation), "of another network"),
    ):
        with pytest.raises(snc.SettingsError, match=message) as caught:
            snc.efficiency(*arguments)
        assert caught.value.argument == "evaluation"
    with pytest.raises(snc.SettingsError, match="got Model"):
        snc.efficiency(small_cnn(), evaluation)


def test_wording_of_errors(rng):
    network = snc.to_ttfs(snc.convert(small_cnn()), rng.random((2, 6, 6, 2), np.float32), T)
    with pytest.raises(snc.SettingsError) as caught:
        snc.efficiency(network, 0.5)
    assert str(caught.value) == "evaluation must be an Evaluation, got float: evaluate(...) returns one"


def test_evaluations_of_networks_with_the_same_neurons_are_refused(rng):
    x, y = rng.random((2, 6, 6, 2), np.float32), np.zeros(2, int)
    rates = snc.convert(small_cnn())
    network = snc.to_ttfs(rates, x, T)
    spiking = snc.to_spiking(snc.normalize(rates, x))
    shorter = snc.evaluate(spiking, x, y, n_steps=5)
    same_length = snc.evaluate(spiking, x, y, n_steps=2 * T)
    for other, evaluation, message in (
        (network, shorter, "with the same neurons"),
        (network, same_length, "another input coding"),
        (rates, snc.evaluate(network, x, y, backend="fast"), "with the same neurons"),
    ):
        with pytest.raises(snc.SettingsError, match=message):
            snc.efficiency(other, evaluation)
