"""Fine-tuning of converted networks on their own spikes: train(to_spiking(...), x, n_steps=...)."""

import contextlib

import nengo
import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.training.tandem_model import tandem_model

layers = tf.keras.layers
SIGNED = snc.SignedIntegrateAndFire()
NEURON_TYPES = [
    snc.IntegrateAndFire(),
    SIGNED,
    snc.SignedIntegrateAndFire(max_spikes=4),
    snc.IntegrateAndFire(reset="zero"),
    snc.IntegrateAndFire(threshold=0.7, initial_potential=0.2, min_potential=-0.5),
    snc.IntegrateAndFire(max_spikes=np.inf, amplitude=0.002),
    nengo.LIF(min_voltage=-2, initial_state={"voltage": nengo.dists.Choice([0.9])}),
]


def cnn():
    """Return a CNN with an identity shortcut, a shortcut from the input, and maxima."""
    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input((6, 6, 2))
    start = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(start)
    x = layers.ReLU()(layers.Add()([x, start, layers.Conv2D(4, 1)(image)]))
    x = layers.MaxPooling2D(2)(layers.Conv2D(5, 3, padding="same", activation="relu", name="third")(x))
    x = layers.Dense(6, activation="relu")(layers.Flatten()(x))
    return tf.keras.Model(image, layers.Dense(4)(x))


@pytest.fixture(scope="module")
def network(problem):
    """Converted network whose CNN was trained, with thresholds for two steps."""
    model = cnn()
    model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*problem, epochs=15, batch_size=20, verbose=0)
    return snc.normalize(snc.convert(model), problem[0], method="balance", n_steps=2)


@pytest.fixture(scope="module")
def signed(network):
    return snc.to_spiking(network, SIGNED)


def fine_tuned(network, x, y=None, **options):
    options = {"n_steps": 2, "epochs": 8, "batch_size": 20, "learning_rate": 0.002, **options}
    return snc.train(network, x, y, **options)


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("neuron_type", NEURON_TYPES, ids=str)
def test_trains_the_spikes_that_the_network_emits(network, problem, neuron_type, n_steps):
    x = problem[0][:20]
    snn = snc.to_spiking(network, neuron_type)
    keras, names = tandem_model(snn, n_steps), snn.model.neurons
    means = tf.keras.Model(keras.input, [keras.get_layer(name).output for name in names])(x)
    recording = snc.record(snn, x, n_steps=n_steps)
    for name, mean in zip(names, means, strict=True):
        height = snn.settings.of_layer(snn.model, name).spike_amplitude / 0.001
        expected = height * recording.spikes[name].mean(axis=1)
        assert expected.any()
        assert np.allclose(np.reshape(mean, expected.shape), expected, atol=1e-6), name


def test_scores_are_those_of_the_network(signed, problem):
    x, y = problem
    evaluation = snc.evaluate(signed, x, y, n_steps=3)
    scores = tandem_model(signed, 3).predict(x, verbose=0)
    assert np.mean(scores.argmax(axis=1) == y) == pytest.approx(evaluation.accuracy[-1])


def test_gradients_are_those_of_a_network_of_rates(signed, problem):
    """With many steps spikes are activations, up to rounding; so the gradients are those of the ANN."""
    x = 0.2 * problem[0][:20]  # too small for clipping
    weighted = [name for name, layer in signed.model.layers.items() if isinstance(layer, specs.Conv | specs.Dense)]
    gradients = []
    for keras in (tandem_model(signed, 60), snc.rate_model(signed)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(keras(x)[:, 0])
        gradients.append(
            [np.asarray(g) for g in tape.gradient(loss, [keras.get_layer(name).kernel for name in weighted])]
        )
    for spiking, rate in zip(*gradients, strict=True):
        assert np.linalg.norm(spiking - rate) < 0.2 * np.linalg.norm(rate)


@pytest.mark.parametrize(("n_steps", "max_spikes"), [(1, 1), (4, 1), (1, 4), (2, np.inf)])
@pytest.mark.parametrize("start", [0.5, 0.25])
def test_gradient_is_that_of_the_mean_over_currents_of_half_a_spike(n_steps, max_spikes, start):
    """Against the difference of means over intervals of 1 / n_steps."""
    model = make(
        specs.Input("image", shape=(1,)),
        specs.Dense("dense", "image", units=1, use_bias=False),
        specs.Rectifier("neurons", "dense"),
    ).replace(arrays={"dense/kernel": np.ones((1, 1))})
    neuron_type = snc.IntegrateAndFire(max_spikes=max_spikes, initial_potential=start)
    with pytest.warns(snc.errors.SnnConvWarning) if max_spikes == 1 else contextlib.nullcontext():
        snn = snc.to_spiking(snc.convert(model), neuron_type)
    x = tf.constant(np.linspace(-1, 5, 241)[:, None], tf.float32)
    keras = tandem_model(snn, n_steps)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(keras(x))
    found = tape.gradient(total, x).numpy()
    # an interval of the clipped rectifier's length 1 / n_steps, moved by the initial potential
    fine = np.linspace(-0.5, 0.5, 2001) / n_steps + (start - 0.5) / n_steps
    currents = x.numpy() + fine
    slope = ((currents > 0) & (currents < max_spikes)).mean(axis=1, keepdims=True)
    assert np.allclose(found, slope, atol=2e-3)


class TestTraining:
    def test_reduces_the_disagreement_with_the_ann(self, signed, problem):
        x, y = problem
        trained = fine_tuned(signed, x, n_steps=3)
        before, after = (snc.evaluate(n, x, y, n_steps=3) for n in (signed, trained))
        agreement = trained.history["accuracy"]
        assert trained.history["loss"][-1] < trained.history["loss"][0]
        assert agreement[-1] > agreement[0]
        assert after.ann_accuracy == before.ann_accuracy
        before, after = (1 - e.to_dict()["agreement_with_the_ann"][-1] for e in (before, after))
        assert 0 < after < 0.75 * before

    def test_learns_classes(self, signed, problem):
        trained = fine_tuned(signed, *problem, validation_data=problem)
        assert trained.history["val_accuracy"][-1] > snc.evaluate(signed, *problem, n_steps=2).accuracy[-1]
        evaluation = snc.evaluate(trained, *problem, n_steps=2)
        assert evaluation.accuracy[-1] == pytest.approx(trained.history["val_accuracy"][-1])

    def test_continues_after_calibration_and_keeps_the_ann(self, signed, problem, tmp_path):
        x, _ = problem
        calibrated = snc.calibrate(signed, x, n_steps=2)
        trained = fine_tuned(calibrated, x, epochs=1)
        assert trained.settings == signed.settings
        assert [s["targets"] for s in trained.model.metadata["training"]] == ["ANN"]
        for name, array in calibrated.model.ann.arrays.items():
            assert np.array_equal(trained.model.ann.arrays[name], array), name
        assert not np.array_equal(trained.model.arrays["third/kernel"], calibrated.model.arrays["third/kernel"])
        snc.save(trained, tmp_path / "trained.snn.npz")
        loaded = snc.load(tmp_path / "trained.snn.npz")
        assert np.array_equal(snc.rate_model(loaded)(x), snc.rate_model(calibrated)(x))
        recordings = [snc.record(n, x[:5], n_steps=2).spikes for n in (trained, loaded)]
        assert all(np.array_equal(spikes, recordings[1][name]) for name, spikes in recordings[0].items())

    def test_adds_biases(self, signed, problem):
        trained = fine_tuned(signed, problem[0], epochs=1)
        weighted = {name.rpartition("/")[0] for name in trained.model.arrays if name.endswith("/kernel")}
        without = {name for name in weighted if f"{name}/bias" not in signed.model.arrays}
        assert len(without) == 1
        assert all(np.any(trained.model.arrays[f"{name}/bias"]) for name in without)
        assert not any(np.any(trained.model.ann.arrays[f"{name}/bias"]) for name in without)

    def test_resumes(self, signed, problem, tmp_path):
        whole = fine_tuned(signed, problem[0], epochs=3)
        for epochs in (2, 3):
            resumed = fine_tuned(signed, problem[0], epochs=epochs, checkpoint=tmp_path / "training.npz")
        for name, array in whole.model.arrays.items():
            assert np.array_equal(resumed.model.arrays[name], array), name
        with pytest.raises(snc.SettingsError, match="targets"):
            fine_tuned(signed, *problem, epochs=3, checkpoint=tmp_path / "training.npz")

    def test_augments_what_the_ann_sees(self, signed, problem):
        """Targets are computed after augmentation: for black images all of them are the same."""
        trained = fine_tuned(signed, problem[0], epochs=1, augment=lambda images, rng: np.zeros_like(images))
        assert trained.history["accuracy"] == [0] or trained.history["accuracy"] == [1]

    def test_half_precision(self, signed, problem):
        trained = fine_tuned(signed, problem[0], precision="bfloat16")
        assert trained.model.metadata["training"][0]["precision"] == "bfloat16"
        assert trained.history["loss"][-1] < trained.history["loss"][0]

    def test_validation_with_targets_of_the_ann(self, signed, problem):
        trained = fine_tuned(signed, problem[0], validation_data=problem, early_stopping=1, epochs=2)
        assert np.isfinite(trained.history["val_loss"]).all()

    def test_default_learning_rate(self, signed, problem):
        assert fine_tuned(signed, problem[0], epochs=1, learning_rate=None).history["learning_rate"] == [
            pytest.approx(2e-4)
        ]


class TestRefused:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda n: snc.to_spiking(n, input_coding="poisson"), "train needs constant input"),
            (lambda n: snc.to_spiking(n, synapse=0.001), "train needs a network without synapses"),
            (lambda n: snc.to_spiking(n, readout="spikes"), 'readout="potential"'),
            (lambda n: snc.to_spiking(n, nengo.SpikingRectifiedLinear(amplitude=0.001)), "does not support Spiking"),
            (
                lambda n: snc.to_spiking(n, snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Choice([0])})),
                "give initial_potential",
            ),
        ],
    )
    def test_networks(self, network, problem, make, message):
        with pytest.raises(snc.ConversionError, match=message):
            fine_tuned(make(network), problem[0])

    @pytest.mark.parametrize(
        "make", [lambda n, x: snc.to_spiking(n, stage_steps=2), lambda n, x: snc.to_ttfs(n, x, n_steps=4)]
    )
    def test_networks_in_stages(self, network, problem, make):
        with pytest.raises(snc.SettingsError, match="with convert and to_spiking"):
            fine_tuned(make(network, problem[0]), problem[0])

    def test_networks_for_loihi(self, problem):
        tf.keras.utils.set_random_seed(0)
        hidden = [layers.Dense(6, activation="relu") for _ in range(2)]
        dense = tf.keras.Sequential([layers.Input((6, 6, 2)), layers.Flatten(), *hidden, layers.Dense(4)])
        normalized = snc.normalize(snc.convert(dense), problem[0])
        spiking = snc.to_spiking(normalized, nengo.LIF(min_voltage=-5), max_rate=300)
        with pytest.raises(snc.ConversionError, match="train the network before that"):
            fine_tuned(snc.to_loihi(spiking), problem[0])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_steps": None}, "n_steps=4"),
            ({"levels": 2}, "levels is for networks of rates"),
            ({"engine": "nengo_dl"}, 'engine="keras"'),
            ({"validation_split": 0.2}, "validation_split needs y"),
            ({"precision": "float16"}, "precision"),
        ],
    )
    def test_options(self, signed, problem, options, message):
        with pytest.raises(snc.SettingsError, match=message):
            fine_tuned(signed, problem[0], **options)

    def test_frames(self, signed, problem):
        with pytest.raises(snc.SettingsError, match="not on frames"):
            fine_tuned(signed, np.stack([problem[0]] * 2, axis=1))

    def test_labels_are_needed_by_other_networks(self, problem):
        with pytest.raises(snc.SettingsError, match="y must hold"):
            snc.train(snc.build_trainable(cnn()), problem[0])

    def test_calibration_afterwards(self, signed, problem):
        trained = fine_tuned(signed, problem[0], epochs=1)
        with pytest.raises(snc.ConversionError, match="before that"):
            snc.calibrate(trained, problem[0], n_steps=2)
