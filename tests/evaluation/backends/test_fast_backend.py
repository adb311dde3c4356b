"""The back end "fast" of evaluate, record and diagnose: the results of the others, and its own options."""

import nengo
import numpy as np
import pytest
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.evaluation.backends import FastBackend
from nengo_snnconv.simulator.program import as_bfloat16
from nengo_snnconv.simulator.program_runner import ProgramRunner


def spiking(model, rng, **options):
    x = rng.random((7, *model.shapes[model.input]), dtype=np.float32)
    return snc.to_spiking(snc.normalize(snc.convert(model), x, percentile=100), **options), x


@pytest.mark.parametrize("model", [small_cnn(), branched()], ids=["plain", "maxima"])
@pytest.mark.parametrize(
    "options",
    [{}, {"input_coding": "poisson", "readout": "spikes"}, {"neuron_type": snc.IntegrateAndFire(max_spikes=3)}],
    ids=["constant", "poisson", "several"],
)
def test_evaluations_are_the_same(model, options, rng):
    network, x = spiking(model, rng, **options)
    y = np.arange(7) % model.size(model.output)
    # minibatches that are not full, and chunks of time
    run = {"n_steps": 20, "minibatch_size": 3, "skip_steps": 2}
    fast, slow = (snc.evaluate(network, x, y, backend=backend, **run) for backend in (None, "nengo_dl"))
    assert (fast.backend, slow.backend) == ("fast", "nengo_dl")
    np.testing.assert_allclose(fast.scores, slow.scores, rtol=1e-5, atol=1e-6)
    assert fast.layers.keys() == slow.layers.keys()
    for name, layer in slow.layers.items():
        assert layer.spikes_per_neuron > 0
        assert np.array_equal(fast.layers[name].spikes_per_step, layer.spikes_per_step)
        assert np.array_equal(fast.layers[name].rates_hz, layer.rates_hz)
    assert (fast.input_layer is None) == (slow.input_layer is None)
    if slow.input_layer:
        assert np.array_equal(fast.input_layer.rates_hz, slow.input_layer.rates_hz)
    assert fast.relay_operations == slow.relay_operations
    assert fast.synaptic_operations == slow.synaptic_operations > 0


def test_long_runs_are_counted_in_chunks(rng, monkeypatch):
    network, x = spiking(small_cnn(), rng)
    whole = snc.evaluate(network, x, np.zeros(7, int), n_steps=50)
    monkeypatch.setattr("nengo_snnconv.evaluation.runner.LONGEST_CHUNK", 8)
    parts = snc.evaluate(network, x, np.zeros(7, int), n_steps=50)
    assert np.array_equal(whole.step_predictions, parts.step_predictions)
    for name, layer in whole.layers.items():
        assert np.array_equal(layer.spikes_per_step, parts.layers[name].spikes_per_step)
        assert np.array_equal(layer.rates_hz, parts.layers[name].rates_hz)


def test_threads_change_nothing_but_time(rng, monkeypatch):
    network, x = spiking(branched(), rng)
    used, init = [], ProgramRunner.__init__
    monkeypatch.setattr(
        ProgramRunner, "__init__", lambda self, *a, **k: used.append(k["threads"]) or init(self, *a, **k)
    )
    one, two = (snc.evaluate(network, x, [0] * 7, n_steps=9, threads=threads) for threads in (1, 2))
    assert used == [1, 2]
    assert np.array_equal(one.scores, two.scores)
    assert one.synaptic_operations == two.synaptic_operations
    with pytest.raises(snc.SettingsError, match="threads must be"):
        snc.evaluate(network, x, [0] * 7, n_steps=9, threads=0)


def test_frames_are_counted(rng):
    network = snc.convert(snc.build_trainable(small_cnn(), snc.SurrogateLIF(threshold=0.3)))
    frames = rng.poisson(0.7, (5, 6, 6, 6, 2)).astype(np.float32)
    fast, slow = (snc.evaluate(network, frames, [0] * 5, backend=backend) for backend in ("fast", "nengo_dl"))
    assert np.array_equal(fast.step_predictions, slow.step_predictions)
    assert fast.synaptic_operations == slow.synaptic_operations
    assert fast.input_layer.spikes_per_neuron == slow.input_layer.spikes_per_neuron > 0


def test_recordings_and_diagnoses_are_the_same(rng):
    network, x = spiking(branched(), rng)
    fast, slow = (snc.record(network, x, n_steps=9, backend=backend, potentials=True) for backend in (None, "nengo_dl"))
    for name in slow.spikes:
        assert np.array_equal(fast.spikes[name], slow.spikes[name])
        np.testing.assert_allclose(fast.potentials[name], slow.potentials[name], atol=1e-5)
    one, other = (snc.diagnose(network, x, [0] * 7, n_steps=9, backend=backend) for backend in (None, "nengo_dl"))
    assert one.summary().split("simulation")[0] == other.summary().split("simulation")[0]


def test_networks_that_it_cannot_run_use_nengo_dl(rng):
    network, x = spiking(small_cnn(), rng, neuron_type=nengo.RegularSpiking(nengo.RectifiedLinear()), max_rate=100)
    assert snc.evaluate(network, x, [0] * 7, n_steps=3).backend == "nengo_dl"
    assert snc.record(network, x, n_steps=3).output.shape == (7, 3, 4)
    for options in ({"backend": "fast"}, {"precision": "bfloat16"}):
        with pytest.raises(snc.ConversionError, match="does not support RegularSpiking"):
            snc.evaluate(network, x, [0] * 7, n_steps=3, **options)


class TestPrecision:
    def test_weights_are_rounded_to_the_nearest_with_eight_bits(self, rng):
        weights = np.concatenate([rng.normal(size=1000), [0, 1, -2, 1 + 2**-8, 1 + 3 * 2**-8, 1e-30]]).astype(
            np.float32
        )
        rounded = (as_bfloat16(weights).astype(np.uint32) << 16).view(np.float32)
        mantissa, exponent = np.frexp(weights.astype(float))
        # ties to even, as rint does
        assert np.array_equal(rounded, np.ldexp(np.rint(mantissa * 2**8), exponent - 8).astype(np.float32))

    def test_weights_of_eight_bits_give_the_same_spikes(self, rng):
        model = branched()
        model = model.replace(arrays={name: np.round(8 * array) / 16 for name, array in model.arrays.items()})
        network = snc.to_spiking(snc.convert(model), snc.IntegrateAndFire(max_spikes=4))
        x = (rng.integers(0, 17, (3, 8, 8, 2)) / 16).astype(np.float32)
        one, other = (snc.evaluate(network, x, [0] * 3, n_steps=9, precision=p) for p in ("float32", "bfloat16"))
        assert np.array_equal(one.scores, other.scores)

    def test_other_weights_give_similar_scores(self, rng):
        network, x = spiking(small_cnn(), rng)
        one, other = (snc.evaluate(network, x, [0] * 7, n_steps=9, precision=p) for p in ("float32", "bfloat16"))
        assert 0 < np.abs(one.scores - other.scores).max() < 0.2 * np.abs(one.scores).max()

    def test_it_is_checked(self, rng):
        network, x = spiking(small_cnn(), rng)
        with pytest.raises(snc.SettingsError, match="got 'float16'") as caught:
            snc.evaluate(network, x, [0] * 7, n_steps=3, precision="float16")
        assert caught.value.argument == "precision"
        with pytest.raises(snc.SettingsError, match="'bfloat16' is supported by") as caught:
            snc.evaluate(network, x, [0] * 7, n_steps=3, precision="bfloat16", backend="nengo_dl")
        assert caught.value.argument == "precision"


def test_minibatches_that_are_too_large_are_refused(rng):
    simulator = FastBackend(spiking(small_cnn(), rng)[0], (), 4, 0.001)
    simulator.start(np.zeros((200, 1, 72), np.float32), 0)
    with pytest.raises(snc.SettingsError, match="n_images must be") as caught:
        simulator.run(3)
    assert caught.value.argument == "n_images"
