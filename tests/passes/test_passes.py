"""Law 2: a pass keeps the function; law 3: normalization only scales."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import random_model
from models import activity, make

import nengo_snnconv as snc
from nengo_snnconv.model import Model
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes import (
    CONVERSION,
    drop_dropout,
    find_units,
    fold_affine,
    rectify_before_max,
    rescale,
    simplify,
    spread_affine,
    untie_shortcuts,
)

EXAMPLES = settings(max_examples=20, deadline=None, derandomize=True)


def assert_keeps_the_function(one_pass, model, x, but=()):
    """Check that a pass keeps the output and all layers that exist before and after it."""
    after = one_pass(model)
    names = [name for name in model.layers if name in after.layers and name not in but]
    before, now = activity(model, x), activity(after, x)
    for name in names:
        scale = max(np.abs(before[name]).max(), 1e-3)
        assert np.abs(before[name] - now[name]).max() <= 1e-5 * scale, name
    one, other = before[model.output], now[after.output]
    assert np.abs(one - other).max() <= 1e-5 * max(np.abs(one).max(), 1e-3)
    return after


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.sampled_from([*CONVERSION, simplify, untie_shortcuts]))
@EXAMPLES
def test_passes_keep_the_function(seed, n_layers, one_pass):
    model = snc.as_model(random_model(seed, n_layers))
    x = np.random.default_rng(seed).normal(size=(2, *model.shapes[model.input])).astype(np.float32)
    # except layers that absorb a scale or are exchanged
    affine = {
        name for name, layer in model.layers.items() if isinstance(layer, specs.Affine | specs.BatchNormalization)
    }
    but = {i for name in affine for i in model.layers[name].inputs}
    pools = specs.MaxPool | specs.GlobalMaxPool | specs.AveragePool | specs.GlobalAveragePool
    for _ in model.layers:  # an Affine layer is folded past pooling layers
        but |= {i for name in but if isinstance(model.layers[name], pools) for i in model.layers[name].inputs}
    but |= {layer.name for layer in model.layers.values() if isinstance(layer, specs.MaxPool | specs.GlobalMaxPool)}
    but |= {layer.name for name in list(but) for layer in model.consumers(name)}
    assert_keeps_the_function(one_pass, model, x, but)


class TestFoldAffine:
    def conv(self, *more, **options):
        options = {"filters": 4, "kernel_size": (3, 3), **options}
        return make(specs.Input("image", shape=(6, 6, 2)), specs.Conv("conv", "image", **options), *more)

    @pytest.mark.parametrize("use_bias", [True, False])
    def test_behind_a_convolution(self, use_bias, rng):
        model = self.conv(specs.Affine("norm", "conv"), specs.Rectifier("relu", "norm"), use_bias=use_bias)
        after = assert_keeps_the_function(fold_affine, model, rng.normal(size=(2, 6, 6, 2)), but={"conv"})
        assert list(after.layers) == ["image", "conv", "relu"]

    @pytest.mark.parametrize(
        "options", [{"groups": 2}, {"use_bias": False}, {"strides": 2, "padding": "valid"}], ids=str
    )
    def test_before_a_convolution(self, options, rng):
        conv = specs.Conv("conv", "norm", filters=4, kernel_size=(3, 3), **options)
        model = make(specs.Input("image", shape=(6, 6, 2)), specs.Affine("norm", "image"), conv)
        after = assert_keeps_the_function(fold_affine, model, rng.normal(size=(2, 6, 6, 2)))
        assert list(after.layers) == ["image", "conv"]

    def test_a_shift_is_not_folded_over_padding(self, rng):
        conv = specs.Conv("conv", "norm", filters=4, kernel_size=(3, 3), padding="same")
        model = make(specs.Input("image", shape=(6, 6, 2)), specs.Affine("norm", "image"), conv)
        after = assert_keeps_the_function(fold_affine, model, rng.normal(size=(2, 6, 6, 2)))
        assert "norm" in after.layers
        unshifted = model.replace(arrays={"norm/bias": np.zeros(2)})
        assert "norm" not in fold_affine(unshifted).layers

    @pytest.mark.parametrize("pool", [specs.MaxPool, specs.AveragePool])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_past_pooling(self, pool, sign, rng):
        """Maxima and scales can be exchanged if all scales are positive, means always."""
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Conv("conv", "image", filters=3, kernel_size=(3, 3), padding="same", use_bias=False),
            pool("pool", "conv", pool_size=(2, 2)),
            specs.Affine("norm", "pool"),
            specs.Rectifier("neurons", "norm"),
        )
        scale = np.array([0.5, sign * 2.0, 1.5])
        model = model.replace(arrays={"norm/scale": scale})
        x = rng.normal(size=(3, 6, 6, 2)).astype(np.float32)
        after = assert_keeps_the_function(fold_affine, model, x, but={"conv", "pool"})
        assert ("norm" in after.layers) == (sign < 0 and pool is specs.MaxPool)

    def test_not_where_something_else_reads_the_convolution(self, rng):
        model = self.conv(specs.Affine("norm", "conv"), specs.Add("sum", ("norm", "conv")))
        assert_keeps_the_function(fold_affine, model, rng.normal(size=(2, 6, 6, 2)))

    def test_at_the_output(self, rng):
        model = self.conv(specs.Affine("norm", "conv"))
        after = assert_keeps_the_function(fold_affine, model, rng.normal(size=(2, 6, 6, 2)), but={"conv"})
        assert after.output == "conv"


def test_dropout_goes():
    model = make(specs.Input("image", shape=(4,)), specs.Dropout("drop", "image"), specs.Dense("out", "drop", units=2))
    assert list(drop_dropout(model).layers) == ["image", "out"]


def test_maxima_are_taken_of_rectified_values(rng):
    model = make(
        specs.Input("image", shape=(6, 6, 2)),
        specs.Conv("conv", "image", filters=3, kernel_size=(3, 3)),
        specs.MaxPool("max", "conv", pool_size=(2, 2)),
        specs.Rectifier("relu", "max"),
        specs.Flatten("flat", "relu"),
    )
    x = rng.normal(size=(2, 6, 6, 2))
    after = assert_keeps_the_function(rectify_before_max, model, x, but={"max", "relu"})
    assert list(after.layers) == ["image", "conv", "relu", "max", "flat"]
    assert np.array_equal(activity(after, x)["max"], activity(model, x)["relu"])


class TestUntieShortcuts:
    def residual(self):
        return make(
            specs.Input("image", shape=(4, 4, 2)),
            specs.Conv("conv1", "image", filters=3, kernel_size=(3, 3), padding="same"),
            specs.Rectifier("neurons1", "conv1"),
            specs.Conv("conv2", "neurons1", filters=3, kernel_size=(3, 3), padding="same"),
            specs.Add("sum", ("conv2", "neurons1")),
            specs.Rectifier("neurons2", "sum"),
            specs.Flatten("flat", "neurons2"),
            specs.Dense("scores", "flat", units=3),
        )

    def test_layers_of_a_residual_block_have_scales_of_their_own(self, rng):
        model = self.residual()
        tied = find_units(model).labels
        assert set(np.unique(tied["neurons1"])) == set(np.unique(tied["neurons2"]))
        x = rng.normal(size=(3, 4, 4, 2)).astype(np.float32)
        after = assert_keeps_the_function(untie_shortcuts, model, x)
        assert list(after.layers) == [*list(model.layers)[:4], "neurons1_scaled", *list(model.layers)[4:]]
        assert after.layers["sum"].inputs == ("conv2", "neurons1_scaled")
        units = find_units(after, "channel")
        assert not set(np.unique(units.labels["neurons1"])) & set(np.unique(units.labels["neurons2"]))

    def test_models_without_shortcuts_stay(self):
        model = self.residual()
        once = untie_shortcuts(model)
        assert untie_shortcuts(once) is once

    def test_each_layer_gets_its_own_percentile(self, rng):
        """Shared scales were up to 1.81 times a layer's own percentile."""
        x = rng.random((50, 4, 4, 2)).astype(np.float32)
        network = snc.normalize(snc.convert(self.residual()), x, percentile=100)
        activities = activity(network.model, x)
        assert [activities[name].max() for name in ("neurons1", "neurons2")] == pytest.approx([1, 1], rel=1e-5)


class TestRescale:
    @given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.sampled_from(["layer", "channel"]))
    @EXAMPLES
    def test_scales_and_nothing_else(self, seed, n_layers, per):
        model = simplify(snc.as_model(random_model(seed, n_layers)))
        rng = np.random.default_rng(seed)
        units = find_units(model, per)
        scales = rng.uniform(0.5, 4, units.n_units)
        scales[units.fixed] = 1
        after = rescale(model, units, scales)
        x = rng.normal(size=(4, *model.shapes[model.input])).astype(np.float32)
        before, now = activity(model, x), activity(after, x)
        for name in model.layers:
            scale = np.append(scales, 1)[units.labels[name]]
            tolerance = 1e-5 * max(np.abs(before[name]).max(), 1e-3)
            assert np.abs(now[name] * scale - before[name]).max() <= tolerance, name
        one, other = before[model.output].reshape(4, -1), now[model.output].reshape(4, -1)
        gap = np.diff(np.sort(one, axis=1)[:, -2:])[:, 0] > 1e-4
        assert np.array_equal(one.argmax(axis=1)[gap], other.argmax(axis=1)[gap])
        for name, declared in after.metadata["scales"].items():
            tolerance = 1e-5 * max(np.abs(before[name]).max(), 1e-3)
            assert np.abs(now[name] * np.array(declared) - before[name]).max() <= tolerance, name

    def test_branches_that_meet_share_a_scale(self):
        from models import branched

        units = find_units(branched(), "channel")
        assert np.array_equal(units.labels["a_neurons"], units.labels["b_neurons"])
        assert not set(np.unique(units.labels["a_neurons"])) & set(np.unique(units.labels["c_neurons"]))
        assert len(np.unique(units.labels["c_neurons"])) == 4
        assert len(np.unique(units.labels["scores"])) == 1
        assert len(np.unique(find_units(branched(), "layer").labels["c_neurons"])) == 1

    def test_scales_of_several_rescalings_multiply(self):
        from models import small_cnn

        model = small_cnn()
        units = find_units(model)
        scales = np.full(units.n_units, 2.0)
        scales[units.fixed] = 1
        twice = rescale(rescale(model, units, scales), units, scales)
        assert set(np.ravel(twice.metadata["scales"]["neurons"])) == {4.0}
        assert isinstance(twice, Model)

    @pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf])
    def test_bad_scales(self, bad):
        from models import small_cnn

        units = find_units(small_cnn())
        scales = np.ones(units.n_units)
        scales[-1 if units.fixed == 0 else 0] = bad
        with pytest.raises(snc.ModelError, match="scales must be"):
            rescale(small_cnn(), units, scales)
        with pytest.raises(snc.ModelError, match="scale of the input"):
            rescale(small_cnn(), units, np.full(units.n_units, 2.0))


class TestSpreadAffine:
    @pytest.fixture
    def images(self, rng):
        return rng.normal(size=(2, 6, 6, 2)).astype(np.float32)

    def sum_of_convs(self, *more):
        return make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Conv("one", "image", filters=3, kernel_size=(3, 3), padding="same"),
            specs.Conv("other", "image", filters=3, kernel_size=(1, 1)),
            specs.Add("sum", ("one", "other")),
            specs.Affine("affine", "sum"),
            *more,
        )

    def test_from_a_sum_into_the_layers_before_it(self, images):
        model = self.sum_of_convs(specs.Rectifier("relu", "affine", levels=2**12))
        spread = assert_keeps_the_function(spread_affine, model, images, but=("sum",))
        assert not any(isinstance(layer, specs.Affine) for layer in fold_affine(spread).layers.values())
        assert_keeps_the_function(simplify, model, images, but=("one", "other", "sum"))

    def test_stays_behind_a_sum_that_others_read(self, images):
        model = self.sum_of_convs(specs.Add("again", ("affine", "sum")))
        assert spread_affine(model) is model

    def test_into_each_reader(self, images):
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Rectifier("relu", "image", levels=2**12),
            specs.Affine("affine", "relu"),
            specs.Conv("one", "affine", filters=2, kernel_size=(3, 3)),
            specs.Conv("other", "affine", filters=2, kernel_size=(3, 3)),
            specs.Add("sum", ("one", "other")),
        )
        after = assert_keeps_the_function(simplify, model, images)
        assert [type(layer).__name__ for layer in after.layers.values()].count("Affine") == 0

    def test_past_pooling_and_flatten_into_a_dense_layer(self, images):
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Rectifier("relu", "image", levels=2**12),
            specs.Affine("affine", "relu"),
            specs.MaxPool("pool", "affine", pool_size=(2, 2)),
            specs.Flatten("flatten", "pool"),
            specs.Dense("dense", "flatten", units=4),
        )
        model = model.replace(arrays={"affine/scale": np.array([0.5, 2.0])})
        after = assert_keeps_the_function(fold_affine, model, images, but=("pool", "flatten"))
        assert "affine" not in after.layers
