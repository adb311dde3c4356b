"""Layers of converted and of trainable networks: the fast simulator agrees with nengo and nengo_dl."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import averages_are_dyadic, dyadic_model
from models import branched, small_cnn
from simulators import (
    DT,
    GRAPHS,
    LOWPASS,
    ROUNDING,
    SECOND_ORDER,
    assert_equal,
    keras_like,
    probed,
    random_images,
    rounded,
    run_fast,
    run_nengo,
    run_nengo_dl,
    spiking_network,
)

import nengo_snnconv as snc
from nengo_snnconv.simulator import Simulator


class TestConvertedNetworks:
    """Back ends agree spike for spike, in every layer."""

    @given(
        st.integers(0, 2**32 - 1),
        st.integers(2, 7),
        st.booleans(),
        st.booleans(),
        st.sampled_from(["potential", "spikes"]),
    )
    @GRAPHS
    def test_random_graphs(self, seed, n_layers, poisson, direct, readout):
        model = dyadic_model(seed, n_layers)
        if not averages_are_dyadic(model):
            return
        coding = "poisson" if poisson else "constant"
        network = spiking_network(model, input_coding=coding, direct=direct, readout=readout, seed=seed % 1000)
        data = {probed(network).input: random_images(model, np.random.default_rng(seed), 2)}
        assert_equal(run_fast(network, 6, data), run_nengo(network, 6, data))

    @given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.booleans())
    @settings(GRAPHS, max_examples=4)
    def test_random_graphs_in_nengo_dl(self, seed, n_layers, poisson):
        model = dyadic_model(seed, n_layers)
        if not averages_are_dyadic(model):
            return
        network = probed(spiking_network(model, input_coding="poisson" if poisson else "constant"))
        data = {network.input: random_images(model, np.random.default_rng(seed), 3, n_steps=6)}
        assert_equal(run_fast(network, 6, data), run_nengo_dl(network, 6, data))

    @pytest.mark.parametrize(
        "neuron_type",
        [
            snc.IntegrateAndFire(),
            snc.IntegrateAndFire(reset="zero"),
            snc.IntegrateAndFire(min_potential=-0.25),
            snc.IntegrateAndFire(threshold=0.5, initial_potential=0, max_spikes=4),
            snc.IntegrateAndFire(max_spikes=np.inf, initial_state={"voltage": nengo.dists.Choice([0.25, 0.75])}),
        ],
        ids=str,
    )
    def test_neurons_with_average_and_max_pooling(self, neuron_type, rng):
        model = rounded(branched())
        network = probed(spiking_network(model, neuron_type))
        data = {network.input: random_images(model, rng)}
        seen = run_fast(network, 9, data)
        assert_equal(seen, run_nengo(network, 9, data))
        assert all(values.any() for values in seen.values())

    @given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.sampled_from([4, 16]), st.booleans())
    @settings(GRAPHS, max_examples=10)
    def test_time_to_first_spike(self, seed, n_layers, n_steps, signed):
        model = dyadic_model(seed, n_layers)
        if not averages_are_dyadic(model):
            return
        x = random_images(model, np.random.default_rng(seed), 2)
        x = x if signed else np.abs(x)
        network = probed(snc.to_ttfs(snc.convert(model), x, n_steps, threshold=1.0, x_max=1))
        total = network.settings.total_steps(network.model)
        data = {network.input: x}
        # one step more than all stages; scores are averages over steps
        assert_equal(run_fast(network, total + 1, data), run_nengo(network, total + 1, data), rtol=ROUNDING)

    def test_rates(self, rng):
        """Rates equal those of nengo up to rounding in every layer, and the output equals that of the ANN."""
        network = probed(snc.convert(branched()))
        x = rng.random((4, 8, 8, 2), dtype=np.float32)
        data = {network.input: x}
        seen = run_fast(network, 2, data)
        assert_equal(seen, run_nengo(network, 2, data), rtol=1e-6)
        expected = snc.rate_model(network).predict(x, verbose=0)
        np.testing.assert_allclose(seen[network.probes["output"]][:, -1], expected, atol=1e-6 * np.abs(expected).max())

    def test_filtered_spikes(self, rng):
        model = rounded(branched())
        network = probed(spiking_network(model, synapse=LOWPASS))
        data = {network.input: random_images(model, rng)}
        assert_equal(run_fast(network, 8, data), run_nengo(network, 8, data))


class TestTrainableNetworks:
    """Networks of Keras layers, which are simulated in their native form."""

    @pytest.mark.parametrize(
        ("neuron_type", "options"),
        [
            (nengo.LIF(amplitude=DT, tau_rc=0.01, min_voltage=-2), {"max_rates": 400, "intercepts": 0.125}),
            (nengo.LIF(amplitude=DT, tau_rc=0.01), {"max_rates": 400, "synapse": LOWPASS}),
            (nengo.SpikingRectifiedLinear(amplitude=DT), {"output_neurons": True, "synapse": LOWPASS}),
            (snc.SurrogateLIF(amplitude=DT, threshold=0.25), {"synapse": SECOND_ORDER}),
            (snc.SurrogateLIF(amplitude=DT, threshold=0.25, tau=4, reset="subtract"), {}),
            (snc.IntegrateAndFire(amplitude=DT, tau=DT), {"stateful": False}),
        ],
        ids=str,
    )
    def test_every_layer_agrees_with_nengo_dl(self, neuron_type, options, rng):
        model = keras_like()
        network = probed(snc.build_trainable(model, neuron_type, seed=3, **options))
        neurons = network.layers["a_neurons"]
        with network:
            nengo.Probe(neurons, "voltage")
            nengo.Probe(neurons, "input")
        data = {network.input: random_images(model, rng)}
        seen = run_fast(network, 8, data, dt=DT)
        # spikes are whole numbers; potentials of LIF accumulate the difference of two libraries' exponentials
        assert_equal(seen, run_nengo_dl(network, 8, data, dt=DT), rtol=8 * ROUNDING)
        assert all(values.any() for values in seen.values())

    def test_trained_arrays_must_be_collected(self, rng):
        network = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
        layer = network.layers["scores"].tensor_func
        layer.build((None, 12))
        layer.set_weights([weights + 1 for weights in layer.get_weights()])
        with pytest.raises(snc.SettingsError, match="collect_trained"):
            Simulator(network)
