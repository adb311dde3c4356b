"""Checks of a session after imports of nengo_snnconv, TensorFlow and Keras in various orders.

test_compat.py runs this file in a new process, with three arguments: code with the imports, the version of Keras that
``tf.keras`` is expected to be, and the extent of the checks, "all" or "nengo_dl".
"""

import contextlib
import copy
import pathlib
import pickle
import sys
import tempfile
import warnings

IMAGES = [[[[row + column / 4] for column in range(4)] for row in range(4)] for _ in range(8)]
LABELS = [0, 1] * 4


def small_model(keras):
    """Return a CNN, built with this version of Keras."""
    layers = keras.layers
    image = keras.Input((4, 4, 1))
    hidden = layers.Conv2D(2, 3, activation="relu", kernel_initializer="ones", bias_initializer="ones")(image)
    scores = layers.Dense(2, kernel_initializer="glorot_uniform")(layers.Flatten()(hidden))
    return keras.Model(image, scores)


def check_own_functions(keras, snc):
    """Check convert, normalize, evaluate, train, save and load, with a live model and its file."""
    import numpy as np

    images = np.array(IMAGES, dtype=np.float32) / 4
    model = small_model(keras)
    model.compile("sgd", "mse")
    model.fit(images, np.ones((8, 2)), verbose=0)
    expected = model.predict(images, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Keras 3 on NumPy 2
            model.save(path)
        for source in (model, path):
            assert np.allclose(snc.rate_model(snc.convert(source))(images), expected, rtol=1e-5, atol=1e-6)
        network = snc.normalize(snc.convert(model), images)
        snc.save(network, path.with_suffix(".snn.npz"))
        network = snc.load(path.with_suffix(".snn.npz"))
    spiking = snc.to_spiking(network, neuron_type=snc.IntegrateAndFire())
    for backend in ("fast", "nengo_dl"):
        assert len(snc.evaluate(spiking, images, LABELS, n_steps=4, backend=backend).predictions) == 8
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.125, 10, 0.5), momentum=0.5)
    trained = snc.train(
        snc.build_trainable(model),
        images,
        LABELS,
        epochs=1,
        batch_size=4,
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    assert trained.model.metadata["training"][-1]["optimizer"] == "SGD"


def check_nengo_dl(keras2, layers):
    """Check plain use of NengoDL: layers, training, prediction, Converter."""
    import nengo
    import nengo_dl
    import numpy as np

    with nengo.Network(seed=0) as network:
        source = nengo.Node([1.0, 2.0])
        probe = nengo.Probe(nengo_dl.Layer(layers.Dense(1, kernel_initializer="ones", use_bias=False))(source))
    with nengo_dl.Simulator(network, minibatch_size=2, progress_bar=False) as simulator:
        x = np.arange(8, dtype=np.float32).reshape(4, 1, 2)
        sums = x.sum(axis=2, keepdims=True)
        assert np.array_equal(simulator.predict(x, verbose=0)[probe], sums)
        simulator.compile(keras2.optimizers.SGD(0.0), loss=keras2.losses.mse, metrics=["mae"])
        callbacks = [keras2.callbacks.EarlyStopping(monitor="loss")]
        assert simulator.fit(x, sums, epochs=1, verbose=0, callbacks=callbacks).history["loss"] == [0.0]
    model = small_model(keras2)
    converter = nengo_dl.Converter(model)
    with nengo_dl.Simulator(converter.net, progress_bar=False) as simulator:
        image = np.array(IMAGES[0], dtype=np.float32)
        data = {converter.inputs[model.input]: image.reshape(1, 1, -1)}
        scores = simulator.predict(data, verbose=0)[converter.outputs[model.output]]
    assert np.allclose(scores[0], model.predict(image[None], verbose=0), rtol=1e-5, atol=1e-6)


def check_refusals(keras, use):
    """Check that NengoDL refuses Keras 3 objects with advice."""
    import nengo
    import nengo_dl

    from nengo_snnconv import CompatibilityError

    @contextlib.contextmanager
    def refused(what):
        try:
            yield
        except CompatibilityError as error:
            assert "NengoDL needs Keras 2" in str(error), error
            assert what in str(error), error
            assert "\n" not in str(error)
        else:
            raise AssertionError(f"not refused: {what}")

    class Own(keras.layers.Layer):
        pass

    with nengo.Network() as network:
        source = nengo.Node([1.0])
        nengo.Probe(source)
        with refused(f"Dense 'mine' is a layer of Keras 3: use {use}.layers.Dense"):
            nengo_dl.Layer(keras.layers.Dense(1, name="mine"))(source)
        with refused("is a layer of Keras 3"):
            nengo_dl.TensorNode(keras.layers.Dense(1), shape_in=(1,))
        with refused(f"Own 'own' is a layer of Keras 3: use one of {use}.layers, or derive one from its Layer"):
            nengo_dl.Layer(Own(name="own"))(source)
    with refused("is a model of Keras 3: build it in Keras 2"):
        nengo_dl.Converter(small_model(keras))
    with nengo_dl.Simulator(network, progress_bar=False) as simulator:
        with refused(f"is an optimizer of Keras 3: use {use}.optimizers.Adam"):
            simulator.compile(keras.optimizers.Adam(), loss="mse")
        with refused(f"is a metric of Keras 3: use {use}.metrics.MeanSquaredError"):
            simulator.compile("sgd", loss="mse", metrics=[keras.metrics.MeanSquaredError()])
        simulator.compile("sgd", loss="mse")
        with refused(f"EarlyStopping is a callback of Keras 3: use {use}.callbacks.EarlyStopping"):
            simulator.fit(n_steps=1, callbacks=[keras.callbacks.EarlyStopping()])


def check_modules(version):
    """Check that packages are unchanged for their own users, and that compat provides Keras 2."""
    import keras
    import nengo_dl
    import tensorflow as tf
    import tf_keras

    from nengo_snnconv import compat

    assert keras.__version__.startswith("3.")
    assert (tf.keras.layers.Dense is tf_keras.layers.Dense) == (version == 2), tf.keras
    assert (tf.keras.layers.Dense is keras.layers.Dense) == (version == 3), tf.keras
    from tensorflow.keras.layers import Dense

    assert tf.keras.layers.Dense is Dense, "two statements that mean the same find different versions of Keras"
    assert sys.modules["tensorflow"] is tf
    assert compat.nengo_dl is nengo_dl
    assert (compat.tf is tf) == (version == 2)
    assert compat.tf.keras.layers.Dense is tf_keras.layers.Dense
    assert compat.tf.losses.Loss is tf_keras.losses.Loss
    assert compat.tf.constant is tf.constant

    for module in (nengo_dl, nengo_dl.simulator, *([] if compat.tf is tf else [compat.tf])):
        assert pickle.loads(pickle.dumps(module)) is copy.deepcopy(module) is module


def main(imports, version, what):
    exec(imports, {})
    import keras
    import tensorflow as tf
    import tf_keras

    import nengo_snnconv as snc

    check_modules(version)
    if what == "all":
        for each in (tf.keras, keras):
            check_own_functions(each, snc)
        check_refusals(keras, "tf.keras" if version == 2 else "tf_keras")
    check_nengo_dl(tf_keras, tf.keras.layers if version == 2 else tf_keras.layers)
    check_modules(version)


if __name__ == "__main__":
    _, imports, tf_keras_is, what = sys.argv
    main(imports, int(tf_keras_is), what)
    print("every check passed")
