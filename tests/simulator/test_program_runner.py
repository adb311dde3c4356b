"""Runner of programs: data that do not fit are refused before memory is written."""

import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.simulator.program_runner import ProgramRunner, _blocks


@pytest.fixture(scope="module")
def network():
    x = np.random.default_rng(1).random((20, 6, 6, 2))
    return snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x))


class TestProgramRunner:
    """The compiled machine trusts sizes: whatever reaches it is looked at before."""

    @pytest.fixture(scope="class")
    def runner(self, network):
        return ProgramRunner(network, 0.001, 4, [network.probes["output"]], threads=1)

    @pytest.mark.parametrize(
        ("shape", "n_images"),
        [
            ((5, 1, 72), 5),
            ((400, 1, 72), 400),
            ((5, 1, 72), None),
            ((3, 1, 72), None),
            ((2, 1, 72), 3),
            ((4, 2, 72), None),
            ((4, 4, 72), None),
            ((4, 0, 72), None),
            ((0, 1, 72), None),
            ((4, 1, 71), None),
            ((4, 1, 73), None),
            ((4, 72), None),
            ((4, 1, 6, 12), None),
            ((4, 1, 72), 0),
            ((4, 1, 72), -1),
            ((4, 1, 72), 2.0),
        ],
    )
    def test_what_does_not_fit(self, network, runner, shape, n_images):
        with pytest.raises(snc.SettingsError) as caught:
            runner.run(3, {network.input: np.zeros(shape, np.float32)}, n_images)
        assert caught.value.argument in ("data", "n_images")
        assert runner.steps_done == 0

    @pytest.mark.parametrize("n_steps", [0, -1, 1.0, "3", None, True])
    def test_numbers_of_steps(self, network, runner, n_steps):
        with pytest.raises(snc.SettingsError, match="n_steps must be"):
            runner.run(n_steps, {network.input: np.zeros((4, 1, 72), np.float32)})


@pytest.mark.parametrize(("memory_mb", "chunk"), [(500, 4), (2, 1)])
def test_rows_that_exceed_the_cache(memory_mb, chunk):
    # several steps together read the weights of a layer once
    layers = tf.keras.layers
    wide = [layers.Conv2D(filters, 1, activation="relu") for filters in (1, 64)]
    model = tf.keras.Sequential([tf.keras.Input((40, 40, 1)), *wide, layers.Flatten(), layers.Dense(2)])
    x = np.random.default_rng(2).random((2, 40, 40, 1))
    network = snc.to_spiking(snc.normalize(snc.convert(model), x))
    runner = ProgramRunner(network, 0.001, 1, [network.probes["output"]], memory_mb=memory_mb, threads=1)
    assert runner.program({network.input: False})[1] == chunk


class TestRunSteps:
    """Data of any strides and type are read correctly, or refused."""

    def layouts(self, data, rng):
        """Yield arrays of the same numbers with other memory layouts and types."""
        padded = np.zeros((9, data.shape[1], 2 * data.shape[2]), np.float32)
        padded[1:8:2, :, ::2] = data
        yield padded[1:8:2, :, ::2]
        yield np.asfortranarray(data)
        yield data[::-1, :, ::-1].copy()[::-1, :, ::-1]
        yield data.astype(">f4")
        yield data.astype(np.float64)
        yield data.tolist()
        yield np.moveaxis(np.moveaxis(data, 0, 2).copy(), 2, 0)
        read_only = data.copy()
        read_only.flags.writeable = False
        yield read_only
        unaligned = np.zeros(data.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(data.shape)
        unaligned[...] = data
        yield unaligned
        yield data.astype(object).astype(np.float16 if (data == data.astype(np.float16)).all() else np.float32)

    @pytest.mark.parametrize("n_data", [1, 5])
    def test_strides_and_types(self, network, rng, n_data):
        data = (rng.integers(0, 9, (4, n_data, 72)) / 8).astype(np.float32)
        with snc.Simulator(network, minibatch_size=4, threads=1, progress_bar=False) as simulator:
            found = []
            for shown in [data, *self.layouts(data, rng)]:
                simulator.reset()
                simulator.run_steps(5, data={network.input: shown})
                found.append(simulator.data[network.probes["output"]].copy())
        assert found[0].any()
        assert all(np.array_equal(found[0], each) for each in found[1:])

    def test_random_shapes_and_types(self, network, rng):
        """Data are refused, or their shape fits and there is an output for each item and step."""
        n_right = 0
        with snc.Simulator(network, minibatch_size=3, threads=1, progress_bar=False) as simulator:
            for _ in range(300):
                size = [int(rng.choice([0, 1, 2, 3, 4, 6, 72, 73])) for _ in range(rng.integers(0, 6))]
                kind = rng.choice(["f4", "f8", "i8", "u1", "?", "c8", "U3", "M8[s]", "O"], p=[0.4, 0.2, *[0.4 / 7] * 7])
                shape = (3, *size[1:]) if rng.random() < 0.7 and size else tuple(size)
                shape = (*shape[:-1], 72) if rng.random() < 0.7 and shape else shape
                values, n_steps = np.zeros(shape, kind), int(rng.integers(1, 4))
                simulator.reset()
                try:
                    simulator.run_steps(n_steps, data={network.input: values})
                except snc.SettingsError as error:
                    assert "data of" in str(error)
                    fits = shape[0:1] == (3,) and shape in ((3, 72), (3, 1, 72), (3, n_steps, 72))
                    assert not (fits and kind in ("f4", "f8", "i8", "u1", "?"))
                else:
                    n_right += 1
                    assert shape[0] == 3
                    assert simulator.data[network.probes["output"]].shape == (3, n_steps, 4)
        assert n_right > 20

    def test_more_memory_than_the_machine_has(self, network):
        with (
            snc.Simulator(network, minibatch_size=2**31 - 1, progress_bar=False) as simulator,
            pytest.raises(snc.SettingsError, match="GB, more than the"),
        ):
            simulator.run_steps(1)
        with (
            snc.Simulator(network, progress_bar=False) as simulator,
            pytest.raises(snc.SettingsError, match="n_steps=2147483647.* GB"),
        ):
            simulator.run_steps(2**31 - 1)


@pytest.mark.parametrize(("n_images", "n_threads"), [(1, 1), (1, 4), (7, 2), (100, 2), (1000, 16)])
def test_threads_share_images(n_images, n_threads):
    """Each image is run once, and a thread gets one at a time when few are left."""
    blocks = [tuple(block) for block in _blocks(n_images, n_threads)]
    assert [image for first, end in blocks for image in range(first, end)] == list(range(n_images))
    sizes = [end - first for first, end in blocks]
    assert max(sizes) <= 8
    assert all(size == 1 for size in sizes[-2 * n_threads :])
