"""Trainers: both make the same training steps."""

import contextlib

import nengo
import numpy as np
import pytest
from corner_images import LIF, train
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.training.optimizers import copy_optimizer
from nengo_snnconv.training.trainers import TRAINERS


@pytest.mark.parametrize(
    ("model", "neuron_type", "optimizer"),
    [
        (small_cnn(), LIF, "sgd"),
        (small_cnn(), nengo.SpikingRectifiedLinear(amplitude=0.01), "rmsprop"),
        (branched(), LIF, "adam"),
    ],
    ids=["chain-LIF-sgd", "chain-rectified-rmsprop", "branches-LIF-adam"],
)
def test_one_step(model, neuron_type, optimizer, rng):
    """It changes every array in plain Keras as in NengoDL."""
    x = rng.random((20, *model.shapes["image"]), dtype=np.float32)
    y = rng.integers(0, 3, 20)
    # away from zero, where LIF's response has an infinite slope and rounding decides
    network = snc.build_trainable(model, neuron_type, lif_smoothing=0.05)
    keras, reference = (
        snc.train(network, x, y, epochs=1, batch_size=20, optimizer=optimizer, learning_rate=0.01, engine=engine)
        for engine in ("keras", "nengo_dl")
    )
    for name, before in network.model.arrays.items():
        change = reference.model.arrays[name] - before
        difference = keras.model.arrays[name] - reference.model.arrays[name]
        assert np.abs(change).max() > 1e-5, name
        assert np.abs(difference).max() <= 2e-3 * np.abs(change).max(), name


def test_losses_over_epochs(problem):
    losses = [train(problem, engine=engine).history["loss"] for engine in ("keras", "nengo_dl")]
    assert np.allclose(*losses, rtol=0.02)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("engine", TRAINERS)
def test_steps_are_traced_once(engine, rows, problem):
    x, y = problem
    network, loss = snc.build_trainable(small_cnn(), LIF), tf.keras.losses.MeanSquaredError()
    with contextlib.closing(TRAINERS[engine](network, copy_optimizer(None), loss, 40, target_rows=rows)) as trainer:
        for _ in range(2):
            trainer.fit(x, np.eye(4)[y] if rows else y, [])
        step = trainer.step if engine == "keras" else trainer.keras.train_tf_function
        assert step.experimental_get_tracing_count() == 1


def test_nengo_dl_trains_networks_with_synapses(problem):
    network = snc.build_trainable(small_cnn(), LIF, synapse=0.01)
    trained = snc.train(network, *problem, epochs=1, engine="nengo_dl")
    assert trained.settings.synapse == network.settings.synapse
