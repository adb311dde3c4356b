"""Functions of conversion refuse networks with another response than the rectifier, with a way out that works."""

import nengo
import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc

X, Y = np.random.default_rng(0).uniform(size=(20, 6, 6, 2)).astype(np.float32), np.arange(20) % 4

FUNCTIONS = {
    "convert": snc.convert,
    "normalize": lambda network: snc.normalize(network, X),
    "to_spiking": snc.to_spiking,
    "calibrate": lambda network: snc.calibrate(network, X, n_steps=2),
    "to_ttfs": lambda network: snc.to_ttfs(network, X, n_steps=2),
    "quantize_weights": lambda network: snc.quantize_weights(network, bits=8),
}


@pytest.fixture(scope="module")
def lif_network():
    return snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01), max_rates=100, intercepts=0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_sends_a_lif_network_to_another_that_refuses_it(name, lif_network):
    with pytest.raises(snc.SnnConvError, match=r"(?s)LIF.*not the rectifier.*evaluate it as it is") as caught:
        FUNCTIONS[name](lif_network)
    assert "first" not in str(caught.value)


def test_the_way_out(lif_network):
    network = snc.train(snc.build_trainable(lif_network.model, nengo.RectifiedLinear()), X, Y)
    snn = snc.to_spiking(snc.normalize(snc.convert(network), X))
    assert np.isfinite(snc.evaluate(snn, X, Y, n_steps=2).scores).all()
