"""Inputs of networks: data that do not fit are refused early."""

import re

import numpy as np
import pytest
from models import make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.inputs import as_inputs
from nengo_snnconv.inputs import inputs as ins
from nengo_snnconv.model import layers as specs


@pytest.fixture(scope="module")
def network():
    x = np.random.default_rng(1).random((20, 6, 6, 2))
    return snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((7, 6, 6, 2)).astype(np.float32)


class Wrong(snc.Inputs):
    """Images whose batches hold ``more`` items than requested."""

    shape = (6, 6, 2)

    def __init__(self, x, more=0):
        self.x, self.more = x, more

    def __len__(self):
        return len(self.x)

    def batch(self, indices):
        batch = self.x[indices]
        return np.concatenate([batch, *[batch] * self.more]) if self.more > 0 else batch[: len(batch) + self.more]

    def take(self, indices):
        return Wrong(self.x[indices], self.more)

    def checksum(self):
        return 1


class WrongImages(ins.Images):
    """A subclass of ``Images`` whose batches hold more items than requested."""

    def batch(self, indices):
        return np.concatenate([super().batch(indices)] * 50)


class TestOwnInputs:
    @pytest.mark.parametrize("backend", ["fast", "tensorflow", "nengo_dl", "nengo"])
    @pytest.mark.parametrize("more", [-1, 1, 500])
    def test_wrong_numbers_of_items_are_refused(self, network, x, backend, more):
        with pytest.raises(snc.SettingsError, match=r"Wrong.batch must return .* for \d items") as caught:
            snc.evaluate(network, Wrong(x, more), [0] * 7, n_steps=3, backend=backend, minibatch_size=4)
        assert caught.value.argument == "x"
        with pytest.raises(snc.SettingsError, match=r"Wrong.batch must return"):
            snc.record(network, Wrong(x, more), n_steps=3, backend=backend)

    def test_wrong_numbers_of_items_of_a_subclass_of_images_are_refused(self, network, x):
        with pytest.raises(snc.SettingsError, match=r"WrongImages.batch must .*for 7") as caught:
            snc.evaluate(network, WrongImages(x), [0] * 7, n_steps=3)
        assert caught.value.argument == "x"

    def test_results_of_take_are_checked(self, x):
        inputs = as_inputs(small_cnn(), Wrong(x))
        assert len(inputs.take([0, 2])) == 2
        assert np.array_equal(inputs.take(slice(1, 4)).batch([2]), x[3:4])
        for given in (None, Wrong(x[:3]), x):
            inputs.inputs.take = lambda indices, given=given: given
            with pytest.raises(snc.SettingsError, match="Wrong.take must return Inputs"):
                inputs.take([0, 1])

    def test_correct_inputs_give_the_scores_of_images(self, network, x):
        own, images = (snc.evaluate(network, each, [0] * 7, n_steps=5, minibatch_size=3) for each in (Wrong(x), x))
        assert np.array_equal(own.scores, images.scores)


class TestNumbers:
    def test_numbers_too_large_for_float32(self, network, x):
        largest = float(np.finfo(np.float32).max)
        for value, fits in ((largest, True), (1.001 * largest, False), (-1e39, False)):
            shown = x.astype(float)
            shown[0, 0, 0, 0] = value
            if fits:
                assert np.isfinite(as_inputs(network.model, shown).batch(slice(None))).all()
                continue
            for given in (shown, np.repeat(shown[:, None], 3, axis=1)):
                with pytest.raises(snc.SettingsError, match="finite as float32") as caught:
                    as_inputs(network.model, given)
                assert caught.value.argument == "x"

    def test_whole_numbers_of_frames(self, network, x):
        frames = np.zeros((2, 3, 6, 6, 2), np.int64)
        frames[0, 0, 0, 0] = 2**24, -(2**24)
        assert as_inputs(network.model, frames).batch([0])[0, 0, 0, 0].tolist() == [2**24, -(2**24)]
        frames[0, 0, 0, 0] = 2**24 + 1
        with pytest.raises(snc.SettingsError, match="holds whole numbers from"):
            as_inputs(network.model, frames)

    def test_booleans_are_zero_and_one(self, network, x):
        shown = x > 0.5
        one, other = (snc.evaluate(network, each, [0] * 7, n_steps=4) for each in (shown, shown.astype(np.float32)))
        assert np.array_equal(one.scores, other.scores)

    def test_frames_of_a_tensor_or_a_list(self, network, x):
        frames = np.repeat(x[:2, None], 3, axis=1)
        assert as_inputs(network.model, frames.tolist()).n_steps == 3

    def test_one_column_of_classes(self, network, x):
        with pytest.raises(snc.SettingsError, match=r"the column, y\[:, 0\]") as caught:
            snc.evaluate(network, x, np.zeros((7, 1), int), n_steps=3)
        assert caught.value.argument == "y"


class TestOtherForms:
    """The call in the message gives the images."""

    @pytest.mark.parametrize(
        ("shape", "form", "words"),
        [
            ((6, 6, 2), lambda x: x.reshape(7, -1), ""),
            ((6, 6, 2), lambda x: x.reshape(7, 1, -1), ""),
            (
                (6, 6, 2),
                lambda x: np.tile(x.reshape(7, 1, -1), (1, 5, 1)),
                "repeats each image for 5 steps; .* n_steps=5",
            ),
            ((72,), lambda x: x, ""),
            ((36,), lambda x: x[..., 0], ""),
            ((72,), lambda x: np.tile(x[:, None], (1, 5, 1, 1, 1)), "repeats each image for 5 steps"),
        ],
    )
    def test_images(self, x, shape, form, words):
        given, images = form(x), x[..., 0] if shape == (36,) else x
        model = make(specs.Input("image", shape=shape))
        with pytest.raises(snc.SettingsError, match=rf"x must have shape \(images.*{words}") as caught:
            as_inputs(model, given)
        call = re.search(r"x(\[:, 0\])?\.reshape\([^()]*(\(x\))?[^()]*\)", str(caught.value)).group()
        found = as_inputs(model, eval(call, {"x": given, "len": len}))
        assert np.array_equal(found.batch(slice(None)), images.reshape(7, *shape))

    def test_frames(self, x):
        frames = np.stack([x, 2 * x], axis=1)
        model = make(specs.Input("image", shape=(6, 6, 2)))
        with pytest.raises(snc.SettingsError, match="x has 2 steps of each item; as frames") as caught:
            as_inputs(model, frames.reshape(7, 2, -1))
        call = str(caught.value).partition("as frames, ")[2]
        found = as_inputs(model, eval(call, {"x": frames.reshape(7, 2, -1)}))
        assert found.n_steps == 2
        assert np.array_equal(found.batch(slice(None)), frames)

    def test_frames_of_one_step_for_flat_images(self, x):
        found = as_inputs(make(specs.Input("image", shape=(72,))), x.reshape(7, 1, 72))
        assert (found.n_steps, found.shape) == (1, (72,))
