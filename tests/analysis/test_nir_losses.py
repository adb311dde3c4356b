"""nir_losses: the differences to networks whose neurons follow NIR, which are run here one by one."""

import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.networks.layerwise import LayerwiseConfig
from nengo_snnconv.networks.network import ConvNetwork
from nengo_snnconv.networks.surrogate import SurrogateConfig

x = np.random.default_rng(0).random((30, 6, 6, 2), dtype=np.float32)
N_STEPS = 16


@pytest.fixture(scope="module")
def rates():
    return snc.normalize(snc.convert(small_cnn()), x)


def test_each_property_by_itself(rates):
    losses = snc.nir_losses(snc.to_spiking(rates, snc.IntegrateAndFire()), x, n_steps=N_STEPS)
    kinds = {
        "reset by subtraction": snc.IntegrateAndFire(reset="zero"),
        "initial potential": snc.IntegrateAndFire(initial_potential=0.0),
        "all together": snc.IntegrateAndFire(reset="zero", initial_potential=0.0),
    }
    assert [loss.lost for loss in losses.losses] == list(kinds)
    own = snc.record(snc.to_spiking(rates, snc.IntegrateAndFire()), x, n_steps=N_STEPS)
    for loss, neuron_type in zip(losses.losses, kinds.values(), strict=True):
        other = snc.record(snc.to_spiking(rates, neuron_type), x, n_steps=N_STEPS)
        scores = [recording.output.mean(axis=1) for recording in (own, other)]
        counts = [recording.spikes["neurons"].sum(axis=1) for recording in (own, other)]
        assert loss.score_error == pytest.approx(np.abs(scores[1] - scores[0]).max() / np.abs(scores[0]).max())
        assert loss.spike_error == np.abs(counts[1] - counts[0]).max() > 0
        assert loss.changed == np.sum(scores[0].argmax(axis=1) != scores[1].argmax(axis=1))
    assert "reset by subtraction" in losses.summary()
    assert losses.to_dict()["images"] == 30
    assert len(losses.remarks) == 2


def test_nothing_is_lost(rates):
    losses = snc.nir_losses(
        snc.to_spiking(rates, snc.IntegrateAndFire(reset="zero", initial_potential=0.0)), x, n_steps=4
    )
    assert losses.losses == ()
    assert losses.summary() == "nothing is lost: a simulator that follows NIR gives the same spikes"


def test_layers_of_different_neurons_and_trained_networks():
    settings = LayerwiseConfig(
        snc.SurrogateLIF(), neuron_types=(snc.SurrogateLIF(tau=2.0, reset="subtract", threshold=0.2),), keeps=(0.5,)
    )
    (loss,) = snc.nir_losses(ConvNetwork(small_cnn(), settings), x, n_steps=8).losses
    assert loss.lost == "reset by subtraction" and loss.spike_error > 0
    learner = snc.build_trainable(small_cnn(), snc.SurrogateLIF(reset="subtract", threshold=0.1))
    (loss,) = snc.nir_losses(learner, x, n_steps=8).losses
    network = ConvNetwork(small_cnn(), SurrogateConfig(snc.SurrogateLIF(reset="subtract", threshold=0.1)))
    assert snc.nir_losses(network, x, n_steps=8).losses == (loss,)


def test_neurons_that_nir_lacks(rates):
    with pytest.raises(snc.ConversionError, match="to_spiking first"):
        snc.nir_losses(rates, x, n_steps=4)
