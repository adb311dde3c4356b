"""Arguments and input that to_ttfs and networks with time to first spike cannot use."""

import pytest
from models import branched, dyadic_images, small_cnn

import nengo_snnconv as snc


def test_bad_arguments_are_named():
    model = small_cnn()
    network, x = snc.convert(model), dyadic_images(model, 4)
    for arguments, message in (
        ({"n_steps": 0}, "n_steps must be"),
        ({"threshold": "most"}, "threshold must be one of"),
        ({"threshold": -1.0}, "'neurons' must be above 0"),
        ({"threshold": {"neuron": 1.0}}, "must name each layer"),
        ({"threshold": {"neurons": [1, 2]}}, "one number or 3"),
        ({"threshold": {"neurons": "a"}}, "'neurons' must be above 0"),
        ({"threshold": True}, "'neurons' must be above 0"),
        ({"x_max": 0}, "x_max must be above 0"),
        ({"x_max": "2"}, "x_max must be above 0"),
        ({"percentile": 50}, "percentile is for threshold='percentile'"),
        ({"threshold": 1.0, "per": "layer"}, "per is for"),
    ):
        with pytest.raises(snc.SettingsError, match=message):
            snc.to_ttfs(network, x, **arguments)
    with pytest.raises(snc.SettingsError, match="needs calibration data") as caught:
        snc.to_ttfs(network)
    assert caught.value.argument == "x_calibration"
    with pytest.raises(snc.SettingsError, match="x must have shape"):
        snc.to_ttfs(network, x[..., :1])
    snn = snc.to_ttfs(network, x)
    for wrong in (small_cnn(), snn):
        with pytest.raises(snc.ConversionError, match="call convert first"):
            snc.to_ttfs(wrong, x)
    with pytest.raises(snc.SettingsError, match="takes 32 steps"):
        snc.evaluate(snn, x, [0] * 4, n_steps=30)


@pytest.mark.parametrize("backend", ["fast", "nengo_dl"])
@pytest.mark.parametrize(("factor", "advice"), [(2, "with x_max=2"), (-1, "with such images among x_calibration")])
def test_input_outside_the_range_of_spikes(backend, factor, advice):
    model = small_cnn()
    x = dyadic_images(model, 4)
    x[0, 0, 0, 0] = 1
    snn = snc.to_ttfs(snc.convert(model), x)
    with pytest.warns(UserWarning, match=f"range from 0 to 1 .*to_ttfs.* {advice}"):
        snc.evaluate(snn, factor * x, [0] * 4, backend=backend)


def test_arguments_are_checked_for_the_closed_form_too():
    model = small_cnn()
    network, x = snc.convert(model), dyadic_images(model, 4)
    snn = snc.to_ttfs(network, x)
    for seed in (-1, 2**40, "a"):
        with pytest.raises(snc.SettingsError, match="seed must be"):
            snc.to_ttfs(network, x, seed=seed)
    for options, message in (
        ({"minibatch_size": -5}, "minibatch_size must be"),
        ({"dt": 0}, "dt must be from"),
        ({"n_steps": 32.0}, "n_steps must be"),
    ):
        with pytest.raises(snc.SettingsError, match=message):
            snc.evaluate(snn, x, [0] * 4, backend="fast", **options)
    with pytest.raises(snc.SettingsError, match="array of images.* tuple") as caught:
        snc.to_ttfs(network, (x, [0] * 4))
    assert caught.value.argument == "x_calibration"
    with pytest.raises(snc.ConversionError, match="has time to first"):
        snc.convert(snn)


def test_added_activations_need_one_threshold():
    network = snc.convert(branched())
    x = dyadic_images(network.model, 3)
    with pytest.raises(snc.SettingsError, match="the same threshold; got") as caught:
        snc.to_ttfs(network, x, threshold={"a_neurons": 1.0, "b_neurons": 2.0, "max_neurons": 1.0, "c_neurons": 1.0})
    assert caught.value.argument == "threshold"
