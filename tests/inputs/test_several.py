"""Dicts, lists and data sets for several inputs and outputs give the same result as arrays by name."""

import numpy as np
import pytest
from models import several_ports

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.evaluation.task import as_task
from nengo_snnconv.inputs import as_data, as_images, image_batches

MODEL = several_ports()
keras = tf.keras
rng = np.random.default_rng(0)
N = 12
X = {"image": rng.random((N, 6, 6, 1), dtype=np.float32), "facts": rng.random((N, 3), dtype=np.float32)}
Y = {"kind": rng.integers(0, 4, N), "odd": rng.integers(0, 2, N), "size": rng.random((N, 2), dtype=np.float32)}
VECTORS = np.concatenate([X["image"].reshape(N, -1), X["facts"]], axis=1)
LISTS = list(X.values()), list(Y.values())


def dataset(items, batch):
    data = tf.data.Dataset.from_tensor_slices(items)
    return data.batch(batch) if batch else data


FORMS = {
    "dicts": lambda: (X, Y),
    "lists": lambda: LISTS,
    "tuples": lambda: tuple(map(tuple, LISTS)),
    "vectors": lambda: (VECTORS, Y),
    "pair": lambda: ((X, Y), None),
    "pair of lists": lambda: (LISTS, None),
    "dicts in batches": lambda: (dataset((X, Y), 5), None),
    "items": lambda: (dataset((X, Y), 0), None),
    "tuples in batches": lambda: (dataset(tuple(map(tuple, LISTS)), 5), None),
    "one dict": lambda: (dataset({**X, **Y}, 5), None),
    "all in one list": lambda: ([[*LISTS[0], *LISTS[1]]], None),
    "list of pairs": lambda: ([list(LISTS)], None),
    "generator": lambda: (((X, Y) for _ in range(1)), None),
    "labels apart": lambda: (dataset(X, 5), LISTS[1]),
    "labels twice": lambda: (dataset((X, Y), 5), Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    inputs, y = as_data(MODEL, *FORMS[form]())
    np.testing.assert_array_equal(inputs.batch(slice(None)), VECTORS)
    task = as_task(MODEL, N, y)
    assert task.head.kind == "heads: kind classes, odd binary, size values"
    for name, values in Y.items():
        np.testing.assert_array_equal(task.y[name], values)


def test_batches_of_lists_and_of_data_sets():
    for x in ([LISTS[0]], [X], dataset(X, 5), iter([(X, Y)])):
        _, batches = image_batches(MODEL, x, 7)
        np.testing.assert_array_equal(np.concatenate(list(batches)), VECTORS)


def test_arrays_are_read_a_batch_at_a_time(tmp_path):
    np.save(tmp_path / "image.npy", X["image"].astype(np.float64))
    stored = np.load(tmp_path / "image.npy", mmap_mode="r")
    inputs, _ = as_data(MODEL, {"image": stored, "facts": X["facts"]})
    assert np.shares_memory(inputs.x.parts["image"], stored)
    np.testing.assert_array_equal(inputs.batch(np.array([3, 1])), VECTORS[[3, 1]])
    np.testing.assert_array_equal(inputs.take(slice(2, 5)).batch(slice(None)), VECTORS[2:5])
    assert inputs.checksum() == as_data(MODEL, VECTORS)[0].checksum()


def test_frames_beside_what_does_not_move():
    steps = np.stack([X["image"], 0 * X["image"]], axis=1)
    inputs, _ = as_data(MODEL, {"image": steps, "facts": X["facts"]})
    assert inputs.n_steps == 2
    frames = inputs.batch(slice(None))
    np.testing.assert_array_equal(frames[:, 0], VECTORS)
    np.testing.assert_array_equal(frames[:, 1, 36:], X["facts"])
    mean, _ = as_images(MODEL, {"image": steps, "facts": X["facts"]}, means=True)
    np.testing.assert_allclose(mean[:, 36:], X["facts"], rtol=1e-6)


def test_one_input_and_several_outputs():
    metadata = {key: value for key, value in MODEL.metadata.items() if key != "inputs"}
    model = MODEL.replace(metadata=metadata)
    forms = [(VECTORS, Y), (VECTORS, LISTS[1]), ((VECTORS, Y), None), (dataset({"x": VECTORS, **Y}, 5), None)]
    forms += [([[VECTORS, *LISTS[1]]], None), (dataset((VECTORS, Y), 0), None)]
    for x, y in forms:
        inputs, y = as_data(model, x, y)
        np.testing.assert_array_equal(inputs.batch(slice(None)), VECTORS)
        np.testing.assert_array_equal(as_task(model, N, y).y["odd"], Y["odd"])


# (x, y) -> the part of the message that names what is wrong
PROBLEMS = {
    "an input is missing": ({"image": X["image"]}, Y, "x lacks 'facts'"),
    "an input too many": ({**X, "more": X["facts"]}, Y, "x has 'more'"),
    "one array": (X["image"], Y, "give a dict with the keys 'image', 'facts'"),
    "a wrong shape": ({**X, "facts": X["facts"][:, :2]}, Y, r"x\['facts'\] must have shape \(images, 3\)"),
    "other numbers of items": ({**X, "facts": X["facts"][:5]}, Y, "'image' 12, 'facts' 5"),
    "integers": ({**X, "image": (255 * X["image"]).astype(int)}, Y, r"x\['image'\] holds integers up to"),
    "an output is missing": (X, {"kind": Y["kind"]}, "y lacks 'odd', 'size'"),
    "one array of targets": (X, Y["kind"], "y must be a dict with the keys 'kind', 'odd', 'size'"),
    "classes that do not exist": (X, {**Y, "kind": Y["kind"] + 4}, r"the classes in y\['kind'\] go from"),
    "other numbers of targets": (X, {**Y, "odd": Y["odd"][:5]}, "'odd' 5"),
    "other targets": (dataset((X, Y), 5), {**Y, "odd": 1 - Y["odd"]}, "y differs from the labels"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_problems(problem):
    x, y, message = PROBLEMS[problem]
    with pytest.raises(snc.SettingsError, match=message) as caught:
        inputs, y = as_data(MODEL, x, y)
        as_task(MODEL, len(inputs), y)
    assert caught.value.argument in "xy"


def test_inputs_in_a_dict_are_refused_by_name():
    inputs, _ = as_data(MODEL, VECTORS)
    with pytest.raises(snc.SettingsError, match=r"x\['image'\] must be an array, got Images"):
        as_data(MODEL, {**X, "image": inputs})


def test_pixels_up_to_255_are_refused_for_images_that_no_layer_scales():
    image, facts = keras.Input((6, 6, 1), name="image"), keras.Input((3,), name="facts")

    def network(body):
        facts_scaled = keras.layers.Normalization(mean=[1.0, 100.0, 3.0], variance=[4.0, 900.0, 1.0])(facts)
        joined = keras.layers.Concatenate()([keras.layers.Flatten()(body), facts_scaled])
        return snc.convert(keras.Model({"image": image, "facts": facts}, keras.layers.Dense(2)(joined)))

    pixels = {"image": np.full((N, 6, 6, 1), 200, np.uint8), "facts": np.full((N, 3), 90)}
    unscaled = network(keras.layers.Conv2D(2, 3)(image))
    for use in (snc.evaluate, snc.normalize):
        with pytest.raises(snc.SettingsError, match=r"x\['image'\] holds integers up to 200: divide images by 255"):
            use(unscaled, pixels)
    as_data(unscaled.model, {**pixels, "image": pixels["image"] / 255})
    scaled = network(keras.layers.Conv2D(2, 3)(keras.layers.Rescaling(1 / 255)(image)))
    as_data(scaled.model, pixels)
    as_data(snc.normalize(scaled, pixels).model, pixels)
    with pytest.raises(snc.SettingsError, match="holds integers up to 200"):
        as_data(MODEL, pixels)
