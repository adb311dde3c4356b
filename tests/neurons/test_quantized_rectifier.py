import nengo
import numpy as np
import pytest
from test_qcfs import qcfs_cnn

import nengo_snnconv as snc
from nengo_snnconv.neurons.qcfs import quantized
from nengo_snnconv.neurons.quantized_rectifier import QuantizedRectifier, rectifier_neurons


@pytest.mark.parametrize("amplitude", [1.0, 0.5])
@pytest.mark.parametrize("backend", ["nengo", "nengo_dl", "fast"])
def test_every_back_end_rounds(backend, amplitude):
    from nengo_snnconv.compat import nengo_dl

    current = np.linspace(-1.01, 3, 60)
    with nengo.Network() as network:
        neurons = nengo.Ensemble(
            60, 1, neuron_type=QuantizedRectifier(4, amplitude), gain=np.ones(60), bias=current
        ).neurons
        other = nengo.Ensemble(60, 1, neuron_type=QuantizedRectifier(3), gain=np.ones(60), bias=current).neurons
        probes = nengo.Probe(neurons), nengo.Probe(other)
    simulators = {"nengo": nengo.Simulator, "nengo_dl": nengo_dl.Simulator, "fast": snc.Simulator}
    with simulators[backend](network, progress_bar=False) as simulator:
        simulator.step()
        first, second = (np.ravel(simulator.data[probe]) for probe in probes)
    assert np.allclose(first, quantized(amplitude * current, 4))
    assert np.allclose(second, quantized(current, 3))


def test_only_rates_are_rounded():
    assert rectifier_neurons(nengo.RectifiedLinear(2), 3) == QuantizedRectifier(3, 2)
    for neuron_type, levels in ((nengo.RectifiedLinear(), None), (nengo.SpikingRectifiedLinear(), 3)):
        assert rectifier_neurons(neuron_type, levels) is neuron_type


@pytest.mark.parametrize("backend", ["nengo", "nengo_dl", "fast"])
def test_networks_of_rates_compute_the_model(backend):
    x = np.random.default_rng(0).random((20, 8, 8, 2)).astype(np.float32)
    network = snc.convert(qcfs_cnn(3))
    scores = snc.evaluate(network, x, np.zeros(20, int), n_steps=1, backend=backend).scores
    difference = np.abs(scores - snc.rate_model(network).predict(x, verbose=0))
    # rounding of sums can move a value to the next level
    assert np.quantile(difference, 0.9) < 1e-5 * np.abs(scores).max()
    assert "rounded to 3 levels" in network.report()
