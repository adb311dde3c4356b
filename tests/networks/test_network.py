"""ConvNetwork: settings and layers to probe that a network does not have."""

import pytest
from models import small_cnn

import nengo_snnconv as snc


@pytest.mark.parametrize("build", [snc.convert, snc.build_trainable])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probe_layers": ["unknown"]}, "'unknown', but the layers are 'image'"),
        ({"probe_layers": "conv"}, "must hold names"),
        ({"probe_layers": 5}, "must hold names"),
        ({"nonsense": 1}, "no setting 'nonsense'"),
    ],
)
def test_rebuild_refuses_settings_that_a_network_does_not_have(build, changes, message):
    with pytest.raises(snc.SettingsError, match=message) as caught:
        build(small_cnn()).rebuild(**changes)
    assert caught.value.argument in changes
