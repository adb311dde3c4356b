import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.presets import PRESETS


def shapes_of(name, **options):
    model = snc.as_model(snc.preset(name, **options))
    return [model.shapes[name] for name in model.layers]


def test_lif_mnist():
    shapes = shapes_of("lif-mnist")
    assert shapes[::2][:3] == [(28, 28, 1), (26, 26, 32), (12, 12, 64)]
    assert shapes[-3:] == [(5, 5, 128), (3200,), (10,)]


def test_diehl_mnist():
    model = snc.as_model(snc.preset("diehl-mnist"))
    assert [model.shapes[name] for name in ("conv1", "pool1", "conv2", "pool2", "dense1")] == [
        (24, 24, 12),
        (12, 12, 12),
        (8, 8, 64),
        (4, 4, 64),
        (10,),
    ]
    assert list(model.arrays) == ["conv1/kernel", "conv2/kernel", "dense1/kernel"]


def test_other_images_and_classes():
    assert shapes_of("lif-mnist", input_shape=(32, 32, 3), classes=7)[-1] == (7,)


def test_same_seed_same_weights():
    first, again, other = (snc.preset("lif-mnist", seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_unknown_name():
    with pytest.raises(snc.SettingsError, match="no preset 'lenet'") as caught:
        snc.preset("lenet")
    assert caught.value.argument == "name"
    assert all(name in str(caught.value) for name in PRESETS)
