"""The activity penalty: measure, effect, early stopping."""

import numpy as np
import pytest
from corner_images import train
from models import make

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.training.activity_penalty import count_active


def test_measure_counts_equally_active_neurons():
    activity = np.zeros((4, 3, 5, 2), np.float32)
    activity[1, 0, 0, 0] = 7
    activity[2, :, 1] = 0.5
    activity[3] = 1e-3
    np.testing.assert_allclose(count_active(tf.constant(activity))[:, 0], [0, 1, 6, 30], rtol=1e-5)


def test_fewer_neurons_are_active(problem):
    plain, sparse = (train(problem, activity_penalty=weight, epochs=8) for weight in (0.0, 3.0))
    x = problem[0]
    names = [name for name, layer in plain.model.layers.items() if isinstance(layer, specs.Rectifier)]
    shares = [np.mean([(a > 0).mean() for a in as_list(snc.rate_model(n, names)(x))]) for n in (plain, sparse)]
    assert shares[1] < 0.7 * shares[0]
    assert "active" not in plain.history
    assert sparse.history["active"][-1] < sparse.history["active"][0]


def test_trainers_make_the_same_steps(problem):
    one, other = (train(problem, activity_penalty=1.0, epochs=2, engine=e).history for e in ("keras", "nengo_dl"))
    for name in ("loss", "accuracy", "active"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4)


def test_early_stopping_waits_for_the_final_weight(problem):
    options = {"validation_data": problem, "early_stopping": 1, "learning_rate": 1e-9}  # no improvement
    assert len(train(problem, epochs=8, **options).history["loss"]) < 4
    penalized = train(problem, epochs=8, activity_penalty=1.0, **options)
    assert 4 <= len(penalized.history["loss"]) <= 6


def test_a_network_without_neurons_is_refused(problem):
    model = make(specs.Input("image", shape=(6, 6, 2)), specs.Flatten("f", "image"), specs.Dense("d", "f", units=4))
    with pytest.raises(snc.SettingsError, match="has none") as caught:
        train(problem, model, activity_penalty=1.0)
    assert caught.value.argument == "activity_penalty"


@pytest.mark.parametrize("weight", [-1, np.inf, np.nan, "1", True])
def test_invalid_weights_are_refused(problem, weight):
    with pytest.raises(snc.SettingsError) as caught:
        train(problem, activity_penalty=weight)
    assert caught.value.argument == "activity_penalty"


def as_list(activity):
    return [each.numpy() for each in (activity if isinstance(activity, list) else [activity])]
