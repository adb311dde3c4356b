"""Training through time: its two trainers, its data, its checkpoints."""

import nengo
import numpy as np
import pytest
from corner_images import same
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.events import EVENT
from nengo_snnconv.inputs import Images, as_inputs
from nengo_snnconv.training.batches import EpochBatches
from nengo_snnconv.training.losses import FiringRateError
from nengo_snnconv.training.unrolled_model import unrolled_model

N_STEPS = 4


def network(model=None, **settings):
    """Return a network with output neurons, and with weights that are large enough for spikes."""
    model = small_cnn() if model is None else model
    model = model.replace(arrays={name: 2 * array for name, array in model.arrays.items()})
    return snc.build_trainable(model, snc.SurrogateLIF(), **{"output_neurons": True, **settings})


def train(problem, net=None, **options):
    settings = {"epochs": 3, "batch_size": 20, "learning_rate": 0.01} | options
    return snc.train(network() if net is None else net, *problem, **settings)


@pytest.fixture
def problem(rng):
    """Frames of four classes; the class is the corner with most events."""
    y = rng.integers(0, 4, 80)
    x = rng.poisson(0.2, (80, N_STEPS, 6, 6, 2)).astype(np.float32)
    for frames, label in zip(x, y, strict=True):
        corner = frames[:, 3 * (label // 2) :, 3 * (label % 2) :][:, :3, :3]
        corner += rng.poisson(1.5, corner.shape)
    return x, y


@pytest.fixture
def recordings(rng):
    """Recordings of 6 x 6 pixels, of the same classes as ``problem``."""
    y, events = rng.integers(0, 4, 60), []
    for label in y:
        some = np.empty(120, EVENT)
        some["x"], some["y"] = rng.integers(0, 3, (2, 120)) + [[3 * (label % 2)], [3 * (label // 2)]]
        some["polarity"], some["t"] = rng.integers(0, 2, 120), np.sort(rng.integers(0, 300000, 120))
        events.append(some)
    return snc.Recordings.of(events, y, (6, 6))


class TestTrainers:
    """Training the unrolled Keras model changes every array as training in NengoDL does."""

    @pytest.mark.parametrize("case", ["frames", "still", "rows", "penalty", "logits", "merged polarities"])
    def test_same_arrays(self, case, problem, recordings):
        x, y = problem
        net, options = network(), {}
        if case == "still":
            x, options = x[:, 0], {"n_steps": N_STEPS}
        if case == "rows":
            y = np.eye(4, dtype=np.float32)[y]
        if case == "penalty":
            options = {"activity_penalty": 0.5}
        if case == "logits":
            net = network(output_neurons=False)
        if case == "merged polarities":
            model = branched()
            x = np.repeat(problem[0].sum(axis=-1, keepdims=True), 2, axis=-1)
            x, net = np.pad(x, [(0, 0), (0, 0), (0, 2), (0, 2), (0, 0)]), network(model)
            y = y % 3
        keras, reference = (train((x, y), net, epochs=2, engine=engine, **options) for engine in ("keras", "nengo_dl"))
        for name, before in net.model.arrays.items():
            change = reference.model.arrays[name] - before
            difference = keras.model.arrays[name] - reference.model.arrays[name]
            assert np.abs(change).max() > 1e-4, name
            assert np.abs(difference).max() <= 2e-3 * np.abs(change).max(), name
        for figure in ("loss", "accuracy"):
            assert np.allclose(keras.history[figure], reference.history[figure], atol=1e-5)


class TestData:
    def test_learns(self, problem):
        trained = train(problem, epochs=40, validation_split=0.25)
        assert trained.history["accuracy"][-1] > 0.9
        assert trained.history["val_accuracy"][-1] > 0.8
        seconds = zip(trained.history["val_seconds"], trained.history["seconds"], strict=True)
        assert all(0 < validation < whole for validation, whole in seconds)
        evaluation = snc.evaluate(trained, problem[0][60:], problem[1][60:])
        assert evaluation.n_steps == N_STEPS
        assert np.isclose(evaluation.accuracy[-1], trained.history["val_accuracy"][-1])

    def test_recordings_are_their_frames(self, recordings):
        one = train((recordings, recordings.labels), n_steps=N_STEPS)
        other = train((recordings.frames(N_STEPS), recordings.labels))
        assert same(one, other)
        assert one.history["loss"] == pytest.approx(other.history["loss"])

    def test_other_splits(self, recordings):
        frames = snc.EventFrames(recordings, N_STEPS, split="time", merge_polarities=True)
        assert frames.shape == (6, 6, 1)
        assert np.array_equal(frames.batch([3]), recordings[[3]].frames(N_STEPS, split="time", merge_polarities=True))
        image = tf.keras.Input((6, 6, 1))
        keras = tf.keras.Model(image, tf.keras.layers.Dense(4)(tf.keras.layers.Flatten()(image)))
        net = snc.build_trainable(keras, snc.SurrogateLIF(), output_neurons=True)
        assert train((frames, recordings.labels), net).history["loss"]
        with pytest.raises(snc.SettingsError, match=r"shape \(6, 6, 1\)") as caught:
            train((recordings, recordings.labels), net, n_steps=N_STEPS)
        assert caught.value.argument == "x"

    def test_custom_inputs(self, problem):
        seen = []

        class Doubled(snc.Inputs):
            n_steps, shape = N_STEPS, (6, 6, 2)

            def __init__(self, x):
                self.x = x

            def __len__(self):
                return len(self.x)

            def batch(self, indices):
                seen.append(len(self.x[indices]))
                return 2 * self.x[indices]

            def take(self, indices):
                return Doubled(self.x[indices])

            def checksum(self):
                return 0

        x, y = problem
        trained = train((Doubled(x), y), validation_split=0.25)
        assert same(trained, train((2 * x, y), validation_split=0.25))
        assert max(seen) == 20  # never more than a batch
        evaluation = snc.evaluate(trained, Doubled(x), y, minibatch_size=20)
        assert np.array_equal(evaluation.scores, snc.evaluate(trained, 2 * x, y).scores)

    def test_inputs_with_wrong_batches(self, problem):
        class Own(snc.Inputs):
            n_steps, shape = N_STEPS, [6, 6, 2]

            def __init__(self, x):
                self.x = x

            def __len__(self):
                return len(self.x)

            def batch(self, indices):
                return self.x[indices].tolist()

            def take(self, indices):
                return Own(self.x[indices])

            def checksum(self):
                return 0

        x, y = problem
        assert train((Own(x), y), epochs=1).history["loss"]  # lists will do
        shape = r"Own.batch must return .* \(\d+, 4, 6, 6, 2\)"
        for wrong, message in ((x[:, :3], shape), (np.full_like(x, np.nan), "Own.batch must be finite")):
            with pytest.raises(snc.SettingsError, match=message):
                train((Own(wrong), y), epochs=1)

    def test_whole_numbers_become_floats_a_batch_at_a_time(self, problem):
        x, y = problem
        inputs = as_inputs(small_cnn(), x.astype(np.uint8))
        assert inputs.x.dtype == np.uint8
        assert inputs.batch(slice(3)).dtype == np.float32
        assert same(train((x.astype(np.uint8), y)), train((x, y)))

    def test_steps_are_remembered(self, recordings, tmp_path):
        trained = train((recordings, recordings.labels), n_steps=N_STEPS, epochs=1)
        snc.save(trained, tmp_path / "network.npz")
        for network in (trained, snc.convert(trained), snc.load(tmp_path / "network.npz")):
            assert snc.evaluate(network, recordings, recordings.labels).n_steps == N_STEPS
            still = recordings.frames(1)[:, 0]
            assert snc.evaluate(network, still, recordings.labels).n_steps == N_STEPS

    def test_an_epoch_sees_each_item_once_in_its_own_order(self, problem):
        x, y = problem
        order = np.random.default_rng(0).permutation(80)
        batches = EpochBatches(Images(x, moving=True), y, order, 20, None, [0, 0])
        frames, targets = zip(*(batches[i] for i in range(len(batches))), strict=True)
        assert np.array_equal(np.concatenate(frames), x[order])
        assert np.array_equal(np.concatenate(targets), y[order])

    def test_augmentation_changes_all_steps_alike(self, problem):
        x, y = problem

        def moved(images, rng):
            assert images.shape == (20, 6, 6, 2 * N_STEPS)
            return np.roll(images, rng.integers(1, 6), axis=1)

        batches = EpochBatches(Images(x, moving=True), y, np.arange(80), 20, moved, [0, 0])
        frames, _ = batches[1]
        assert any(np.array_equal(frames, np.roll(x[20:40], n, axis=2)) for n in range(1, 6))
        assert np.array_equal(frames, batches[1][0])
        with pytest.raises(snc.SettingsError, match="augment must keep"):
            EpochBatches(Images(x, moving=True), y, np.arange(80), 20, lambda x, rng: x[:1], [0, 0])[0]

    def test_same_seed_same_result(self, problem):
        options = {"augment": snc.random_affine(), "seed": 3}
        assert same(train(problem, **options), train(problem, **options))
        assert not same(train(problem, **options), train(problem, **{**options, "seed": 4}))


class TestLoss:
    def test_firing_rates_against_one_hot(self, rng):
        rates, y = rng.random((6, 4)).astype(np.float32), rng.integers(0, 4, 6)
        expected = np.mean((rates - np.eye(4)[y]) ** 2)
        assert float(FiringRateError()(y[:, None], rates)) == pytest.approx(expected)
        assert float(FiringRateError(target_rows=True)(np.eye(4)[y], rates)) == pytest.approx(expected)
        single = FiringRateError(target_rows=True)(np.zeros((6, 1)), rates[:, :1])
        assert float(single) == pytest.approx(np.mean(rates[:, 0] ** 2))

    def test_is_the_default_for_rates_only(self, problem):
        x, y = problem
        net = network()
        rates = unrolled_model(net, N_STEPS).predict(x, verbose=0)
        found = train(problem, net, epochs=1, learning_rate=1e-9).history["loss"][0]
        assert found == pytest.approx(np.mean((rates - np.eye(4)[y]) ** 2), rel=1e-4)
        net = network(output_neurons=False)
        scores = unrolled_model(net, N_STEPS).predict(x, verbose=0)
        found = train(problem, net, epochs=1, learning_rate=1e-9).history["loss"][0]
        expected = tf.losses.SparseCategoricalCrossentropy(from_logits=True)(y, scores)
        assert found == pytest.approx(float(expected), rel=1e-4)


class TestCheckpoints:
    def test_interrupted_and_continued_is_the_same(self, recordings, tmp_path):
        data, path = (recordings, recordings.labels), tmp_path / "checkpoint.npz"
        options = {"n_steps": N_STEPS, "epochs": 4, "schedule": "cosine", "augment": snc.random_affine()}

        def stop(epoch, figures):
            if epoch == 2:
                raise KeyboardInterrupt

        with pytest.raises(snc.TrainingInterrupted, match="after 2 of 4"):
            train(data, checkpoint=path, on_epoch=stop, **options)
        assert same(train(data, checkpoint=path, **options), train(data, **options))

    def test_numbers_of_numpy(self, problem, tmp_path):
        numbers = {"batch_size": np.int64(20), "seed": np.int64(1), "activity_penalty": np.float32(0.5)}
        path = tmp_path / "checkpoint.npz"
        trained = train(problem, epochs=1, n_steps=np.int64(N_STEPS), checkpoint=path, **numbers)
        assert trained.model.metadata["n_steps"] == N_STEPS

    @pytest.mark.parametrize("change", ["steps", "events", "split"])
    def test_of_another_training_is_refused(self, change, recordings, tmp_path):
        path = tmp_path / "checkpoint.npz"
        train((recordings, recordings.labels), n_steps=N_STEPS, epochs=1, checkpoint=path)
        data, n_steps = recordings, N_STEPS
        if change == "steps":
            n_steps = 5
        if change == "events":
            data = recordings.transformed(lambda events: events[1:])
        if change == "split":
            data = snc.EventFrames(recordings, N_STEPS, split="time")
        with pytest.raises(snc.SettingsError, match="a different training"):
            train((data, recordings.labels), n_steps=n_steps, epochs=2, checkpoint=path)


class TestErrors:
    def test_before_anything_is_trained(self, problem, recordings):
        x, y = problem
        rates = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
        for net, data, options, message in (
            (network(), x[:, 0], {}, "such as n_steps=16"),
            (network(), recordings, {}, "for recordings, as the number of frames"),
            (network(), x, {"n_steps": 5}, "n_steps=5, but x has 4"),
            (network(), x, {"n_steps": 0}, "n_steps must be a positive integer"),
            (network(), x[..., :1], {}, r"steps have shape \(6, 6, 2\)"),
            (network(), np.full_like(x, np.nan), {}, "NaN"),
            (network(), x[:5], {}, "equally many"),
            (rates, x, {}, "trained on its firing"),
            (rates, x[:, 0], {"n_steps": 4}, "trained on its firing"),
            (network(synapse=0.002), x, {}, "without synapses"),
        ):
            labels = recordings.labels if data is recordings else y
            with pytest.raises(snc.SettingsError, match=message):
                train((data, labels), net, **options)

    def test_where_images_are_wanted(self, recordings):
        network = snc.convert(small_cnn())
        for x in (recordings, [recordings[0], recordings[1][:5]], recordings.events):
            with pytest.raises(snc.SettingsError, match="x must be an array of images"):
                snc.normalize(network, x)

    def test_bad_recordings(self, recordings):
        with pytest.raises(snc.SettingsError, match="Recordings, got ndarray") as caught:
            snc.EventFrames(np.zeros(3), 4)
        assert caught.value.argument == "recordings"
        with pytest.raises(snc.SettingsError, match="got 'half'") as caught:
            snc.EventFrames(recordings, 4, split="half")
        assert caught.value.argument == "split"
        with pytest.raises(snc.SettingsError, match="got 0 items") as caught:
            as_inputs(small_cnn(), recordings[:0], 4)
        assert caught.value.argument == "x"


class TestEvaluation:
    def test_of_frames(self, problem):
        x, y = problem
        net = network()
        found = snc.evaluate(net, x, y)
        assert found.moving
        assert found.ann_accuracy is found.ann_predictions is found.loss_points is None
        assert "ANN)" not in found.summary()
        assert found.input_layer.spikes_per_neuron == pytest.approx((x != 0).sum(axis=1).mean())
        spikes = snc.record(net, x).spikes
        for name, layer in found.layers.items():
            assert layer.spikes_per_neuron == pytest.approx(spikes[name].sum(axis=1).mean()), name
        chunked = snc.evaluate(net, x, y, memory_mb=1e-3)  # a step at a time
        assert np.array_equal(found.step_predictions, chunked.step_predictions)

    def test_of_rates_compares_with_the_ann_of_the_mean_frame(self, problem):
        x, y = problem
        net = snc.convert(small_cnn())
        snn = snc.to_spiking(snc.normalize(net, x.mean(axis=1)))
        found = snc.evaluate(snn, x, y)
        still = snc.evaluate(snn, x.mean(axis=1), y, n_steps=N_STEPS)
        assert np.array_equal(found.ann_predictions, still.ann_predictions)
        assert found.input_operations == 0 < still.input_operations

    def test_recordings_and_the_reference(self, recordings):
        net = snc.convert(train((recordings, recordings.labels), n_steps=N_STEPS, epochs=1))
        one = snc.evaluate(net, recordings[:6], recordings.labels[:6], n_steps=N_STEPS)
        other = snc.evaluate(net, recordings[:6], recordings.labels[:6], n_steps=N_STEPS, backend="nengo")
        assert np.allclose(one.scores, other.scores, atol=1e-6)

    def test_efficiency_without_an_ann(self, problem):
        net = network()
        found = snc.efficiency(net, snc.evaluate(net, *problem))
        assert found.ann_accuracy is None
        assert found.operations > 0
        assert "accuracy" in found.table()

    def test_time_to_first_spike_does_not_move(self, problem):
        x, y = problem
        net = snc.to_ttfs(snc.convert(small_cnn()), x[:, 0], n_steps=4)
        with pytest.raises(snc.SettingsError, match="do not change over") as caught:
            snc.evaluate(net, x, y)
        assert caught.value.argument == "x"
