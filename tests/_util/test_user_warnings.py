"""Warnings name the user's line."""

import nengo
import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc


@pytest.mark.parametrize(
    "call",
    [
        lambda: snc.to_spiking(snc.convert(small_cnn()), nengo.LIF()),
        lambda: snc.build_trainable(small_cnn(), nengo.SpikingRectifiedLinear()),
        lambda: snc.evaluate(snc.to_spiking(snc.convert(small_cnn())), *images(), n_steps=1, dt=0.01),
        lambda: snc.Simulator(nengo.Network()).run(1e-5),
    ],
    ids=["to_spiking", "build_trainable", "evaluate", "simulator"],
)
def test_whatever_the_depth(call):
    with pytest.warns(snc.SnnConvWarning) as caught:
        call()
    assert {warning.filename for warning in caught if warning.category is snc.SnnConvWarning} == {__file__}


def images():
    model = snc.as_model(small_cnn())
    return np.zeros((2, *model.shapes[model.input])), np.array([0, 1])
