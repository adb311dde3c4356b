"""Fine-tuning of networks for few time steps: train(levels=...)."""

import nengo
import numpy as np
import pytest
from corner_images import LIF, same

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.conversion.levels import with_levels
from nengo_snnconv.neurons.qcfs import quantized

layers = tf.keras.layers


def residual_cnn():
    """Return a CNN with an identity shortcut, maxima and batch normalization, without softmax."""
    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input((6, 6, 2))
    start = layers.Conv2D(4, 3, padding="same", activation="relu", name="start")(image)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="inside")(start)
    x = layers.Conv2D(4, 3, padding="same", name="end")(x)
    x = layers.ReLU(name="sum")(layers.Add()([x, start]))
    x = layers.MaxPooling2D(2)(layers.Conv2D(5, 3, padding="same", name="last")(x))
    x = layers.Flatten()(layers.ReLU(name="top")(x))
    return tf.keras.Model(image, layers.Dense(4, name="scores")(x))


@pytest.fixture(scope="module")
def trained(problem):
    """Network of rectifiers, trained for the problem."""
    network = snc.build_trainable(residual_cnn(), snc.IntegrateAndFire())
    return snc.train(network, *problem, epochs=6, batch_size=20, learning_rate=0.01)


def fine_tuned(network, problem, levels=2, **options):
    return snc.train(network, *problem, levels=levels, **{"epochs": 2, "batch_size": 20, **options})


def scores(network, x):
    return snc.rate_model(network).predict(x, verbose=0)


class TestInitialThresholds:
    def test_many_levels_only_clip(self, trained, problem):
        x, _ = problem
        network = with_levels(trained, x, 2000)
        assert set(network.model.levels.values()) == {2000}
        activations = snc.rate_model(network, network.model.neurons)(x)
        within = np.all([np.max(a.numpy().reshape(len(x), -1), axis=1) < 1 for a in activations], axis=0)
        expected = scores(trained, x)
        assert within.sum() > 10
        assert np.allclose(scores(network, x)[within], expected[within], atol=0.02 * np.abs(expected).max())

    @pytest.mark.parametrize("n_levels", [1, 4])
    def test_have_the_least_error(self, trained, problem, n_levels):
        x, _ = problem
        values = snc.rate_model(trained, ["start_relu"]).predict(x, verbose=0)
        network = with_levels(trained, x, n_levels)
        kernels = [n.model.arrays["start/kernel"] for n in (trained, network)]
        threshold = np.median(kernels[0] / kernels[1])
        assert np.allclose(kernels[1] * threshold, kernels[0], rtol=1e-5)

        def error(scale):
            return np.mean((scale * quantized(values / scale, n_levels) - values) ** 2)

        assert error(threshold) <= 1.02 * min(error(scale) for scale in np.linspace(0.02, 1.2, 60) * values.max())

    def test_trained_ones_are_kept(self, trained, problem):
        fine = fine_tuned(trained, problem, epochs=1)
        again = with_levels(fine, problem[0], 5)
        assert set(again.model.levels.values()) == {5}
        assert all(np.array_equal(again.model.arrays[name], array) for name, array in fine.model.arrays.items())

    def test_the_output_keeps_its_units(self, problem):
        x, _ = problem
        network = snc.build_trainable(residual_cnn(), nengo.RectifiedLinear(), output_neurons=True)
        coarse = with_levels(network, x, 2000)
        expected, got = scores(network, x), scores(coarse, x)
        assert coarse.model.output_scale != 1
        unclipped = got < 0.99 * coarse.model.output_scale
        assert np.allclose(got[unclipped], expected[unclipped], atol=0.02 * expected.max())
        again = snc.build_trainable(coarse.model, nengo.RectifiedLinear())
        assert np.array_equal(scores(again, x), got)
        simulated = snc.evaluate(again, x, np.zeros(len(x), int), n_steps=1, synapse=None)
        assert np.allclose(simulated.scores, got, atol=1e-5)


class TestTraining:
    def test_learns_what_coarse_activations_lost(self, trained, problem):
        x, y = problem
        before = snc.evaluate(with_levels(trained, x, 1), x, y, n_steps=1).ann_accuracy
        fine = fine_tuned(trained, problem, levels=1, epochs=6, learning_rate=0.01)
        assert fine.history["loss"][-1] < fine.history["loss"][6]
        assert snc.evaluate(fine, x, y, n_steps=1).ann_accuracy >= max(before, 0.9)
        assert fine.model.metadata["training"][-1]["levels"] == 1
        assert "levels" not in trained.model.metadata["training"][-1]

    def test_one_step_with_one_level_is_exact(self, trained, problem):
        x, y = problem
        fine = fine_tuned(trained, problem, levels=1)
        for snn in (fine, snc.to_spiking(snc.convert(fine), snc.IntegrateAndFire())):
            evaluation = snc.evaluate(snn, x, y, n_steps=1)
            assert np.array_equal(evaluation.predictions, evaluation.ann_predictions)

    def test_engines_make_the_same_steps(self, trained, problem):
        keras, reference = (
            fine_tuned(trained, problem, epochs=1, optimizer="sgd", engine=e) for e in ("keras", "nengo_dl")
        )
        for name, before in with_levels(trained, problem[0], 2).model.arrays.items():
            change = reference.model.arrays[name] - before
            assert np.abs(keras.model.arrays[name] - reference.model.arrays[name]).max() <= 2e-3 * np.abs(change).max()

    def test_gradients_pass_rounding(self, problem):
        """The first step of plain gradient descent, computed in NumPy."""
        x, y = problem
        tf.keras.utils.set_random_seed(1)
        model = tf.keras.Sequential(
            [layers.Conv2D(3, 3, activation="relu", input_shape=(6, 6, 2), name="conv"), layers.Flatten()]
        )
        model.add(layers.Dense(4, name="dense"))
        before = with_levels(snc.build_trainable(model, nengo.RectifiedLinear()), x, 2)
        options = {"epochs": 1, "batch_size": len(x), "optimizer": "sgd", "learning_rate": 1.0}
        step = {
            name: before.model.arrays[name] - array
            for name, array in snc.train(before, x, y, **options).model.arrays.items()
        }
        (current,) = [snc.rate_model(before, ["conv"]).predict(x, verbose=0)]
        output = quantized(current, 2).reshape(len(x), -1)
        kernel = before.model.arrays["dense/kernel"]
        logits = output @ kernel
        difference = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - np.eye(4)[y]
        assert np.allclose(step["dense/kernel"], output.T @ difference / len(x), atol=1e-5)
        to_current = (difference @ kernel.T).reshape(current.shape) * ((current > 0) & (current < 1))
        assert np.allclose(step["conv/bias"], to_current.sum(axis=(0, 1, 2)) / len(x), atol=1e-5)

    def test_resumed_equals_uninterrupted(self, trained, problem, tmp_path):
        path = tmp_path / "run.npz"
        whole = fine_tuned(trained, problem, epochs=3)
        fine_tuned(trained, problem, epochs=1, checkpoint=path)
        assert snc.load(path).model.levels == whole.model.levels
        assert same(whole, fine_tuned(trained, problem, epochs=3, checkpoint=path))
        with pytest.raises(snc.SettingsError, match=r"levels \(was 2, is 3\)"):
            fine_tuned(trained, problem, levels=3, checkpoint=path)
        with pytest.raises(snc.SettingsError, match=r"levels \(was 2, is None\)"):
            fine_tuned(trained, problem, levels=None, checkpoint=path)

    def test_files_and_further_training_keep_levels(self, trained, problem, tmp_path):
        fine = fine_tuned(trained, problem, validation_split=0.2, activity_penalty=0.1)
        snc.save(fine, tmp_path / "fine.snn.npz")
        loaded = snc.load(tmp_path / "fine.snn.npz")
        assert same(loaded, fine)
        assert np.array_equal(scores(loaded, problem[0]), scores(fine, problem[0]))
        assert fine_tuned(loaded, problem, levels=None, epochs=1).model.levels == fine.model.levels

    def test_models_with_qcfs_layers(self, problem):
        model = tf.keras.Sequential(
            [
                layers.Conv2D(4, 3, input_shape=(6, 6, 2)),
                snc.QCFS(3, 0.5),
                layers.Flatten(),
                layers.Dense(4),
            ]
        )
        network = snc.build_trainable(model, nengo.SpikingRectifiedLinear(amplitude=0.01))
        assert np.allclose(scores(network, problem[0]), model(problem[0]), atol=1e-5)
        after = snc.train(network, *problem, epochs=2, batch_size=20)
        assert after.history["loss"][1] < after.history["loss"][0]
        assert after.model.levels == network.model.levels != {}
        assert "rounded to 3 levels" in after.report()


class TestRefusals:
    @pytest.mark.parametrize(
        ("neuron_type", "settings"),
        [(LIF, {}), (nengo.RectifiedLinear(), {"intercepts": 0.1}), (snc.SurrogateLIF(), {})],
    )
    def test_of_neurons_that_do_not_rectify(self, problem, neuron_type, settings):
        network = snc.build_trainable(residual_cnn(), neuron_type, **settings)
        steps = {"n_steps": 3} if isinstance(neuron_type, snc.SurrogateLIF) else {}
        with pytest.raises(snc.SettingsError, match=r"levels needs neurons.*RectifiedLinear") as caught:
            fine_tuned(network, problem, **steps)
        assert caught.value.argument == "levels"
        with pytest.raises(snc.SettingsError, match=r"\(QCFS\) need neurons.*IntegrateAndFire"):
            snc.build_trainable(with_qcfs(), neuron_type, **settings)

    def test_of_other_neurons_later(self, trained, problem):
        with pytest.raises(snc.SettingsError, match="need neurons"):
            fine_tuned(trained, problem, epochs=1).rebuild(neuron_type=LIF)

    def test_of_networks_without_neurons(self, problem):
        model = tf.keras.Sequential([layers.Flatten(input_shape=(6, 6, 2)), layers.Dense(4)])
        network = snc.build_trainable(model, nengo.RectifiedLinear())
        with pytest.raises(snc.SettingsError, match="has none"):
            fine_tuned(network, problem)

    @pytest.mark.parametrize("levels", [0, 1.5, "4", True])
    def test_of_invalid_levels(self, trained, problem, levels):
        with pytest.raises(snc.SettingsError, match="levels") as caught:
            fine_tuned(trained, problem, levels=levels)
        assert caught.value.argument == "levels"


def with_qcfs():
    return tf.keras.Sequential([layers.Conv2D(4, 3, input_shape=(6, 6, 2)), snc.QCFS(3), layers.Flatten()])
