"""Evaluations in several processes give the results of one process, and its warnings and errors."""

import pathlib
import subprocess
import sys
import textwrap
import warnings

import nengo
import numpy as np
import pytest
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.evaluation import parallel
from nengo_snnconv.inputs import Images


@pytest.fixture
def data(rng):
    return rng.random((23, 6, 6, 2), dtype=np.float32), rng.integers(0, 4, 23)


def assert_equal(one, other):
    """Check that two evaluations are equal to the last bit, except for times."""
    parts = [(one, other), *((one.layers[name], other.layers[name]) for name in one.layers)]
    assert list(one.layers) == list(other.layers)
    if one.input_layer is not None:
        parts.append((one.input_layer, other.input_layer))
    for measure, same in zip(one.measures, other.measures, strict=True):
        assert (measure.name, measure.steps.tolist(), measure.ann) == (same.name, same.steps.tolist(), same.ann)
    for a, b in parts:
        assert vars(a).keys() == vars(b).keys()
        for name, value in vars(a).items():
            if name not in ("seconds", "build_seconds", "layers", "input_layer", "measures", "task"):
                assert np.array_equal(value, vars(b)[name], equal_nan=name == "margins"), name


def spiking(model, x, **options):
    return snc.to_spiking(snc.normalize(snc.convert(model), x), **options)


class TestResults:
    @pytest.mark.parametrize("backend", ["fast", "nengo", "nengo_dl"])
    @pytest.mark.parametrize("minibatch_size", [5, None])
    def test_back_ends_and_places_in_minibatches(self, backend, minibatch_size, rng):
        """Poisson spikes depend on the place of an image in its minibatch."""
        x, y = rng.random((23, 8, 8, 2), dtype=np.float32), rng.integers(0, 3, 23)
        network = spiking(branched(), x, input_coding="poisson")
        run = {"n_steps": 6, "backend": backend, "minibatch_size": minibatch_size}
        whole = snc.evaluate(network, x, y, **run)
        assert whole.input_layer.spikes_per_neuron > 0
        assert_equal(whole, snc.evaluate(network, x, y, n_jobs=2, **run))

    def test_more_images_than_a_part_holds(self, data, monkeypatch):
        x, y = data
        monkeypatch.setattr(parallel, "IMAGES_PER_SHARD", 3)
        network, sizes = spiking(small_cnn(), x), []
        run_jobs = parallel.run_jobs

        def counting(function, jobs, *arguments, **options):
            sizes.extend(len(make()[0]) for name, make in options["shared"].items() if name != "run")
            return run_jobs(function, jobs, *arguments, **options)

        monkeypatch.setattr(parallel, "run_jobs", counting)
        found = snc.evaluate(network, x, y, n_steps=4, n_jobs=2)
        assert_equal(snc.evaluate(network, x, y, n_steps=4), found)
        assert sizes == [2, 3, 3, 3, 3, 3, 3, 3]

    def test_images_stop_early(self, data):
        x, y = data
        network = spiking(small_cnn(), x)
        margins = np.median(snc.evaluate(network, x, y, n_steps=5).margins, axis=1)
        rule = snc.MarginStop([np.inf, *margins[1:]])
        whole = snc.evaluate(network, x, y, stop=rule)
        assert len(set(whole.stop_steps)) > 1
        found = snc.evaluate(network, x, y, stop=rule, n_jobs=2)
        assert_equal(whole, found)
        assert np.array_equal(found.stop_steps, whole.stop_steps)

    def test_networks_of_every_kind(self, data, rng):
        x, y = data
        frames = rng.poisson(0.7, (23, 5, 6, 6, 2)).astype(np.float32)
        networks = {
            "trainable": (snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01)), x, {"synapse": 0.01}),
            "through time": (snc.build_trainable(small_cnn(), snc.SurrogateLIF(threshold=0.3)), frames, {}),
            "signed": (spiking(small_cnn(), x, neuron_type=snc.SignedIntegrateAndFire()), x, {"skip_steps": 2}),
            "closed form": (snc.to_ttfs(snc.convert(small_cnn()), x, n_steps=4), x, {"minibatch_size": 4}),
        }
        for network, shown, options in networks.values():
            steps = (
                {} if isinstance(network.settings, snc.networks.ttfs.TTFSConfig) or shown is frames else {"n_steps": 5}
            )
            whole = snc.evaluate(network, shown, y, **steps, **options)
            assert_equal(whole, snc.evaluate(network, shown, y, n_jobs=2, **steps, **options))

    def test_a_memory_mapped_array(self, data, tmp_path):
        x, y = data
        np.save(tmp_path / "x.npy", (16 * x).astype(np.uint8) // 16)
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        network = spiking(small_cnn(), x)
        whole = snc.evaluate(network, np.array(mapped, np.float32), y, n_steps=4)
        assert_equal(whole, snc.evaluate(network, mapped, y, n_steps=4))
        assert_equal(whole, snc.evaluate(network, mapped, y, n_steps=4, n_jobs=2))


class Failing(Images):
    """Images whose shape is wrong."""

    def batch(self, indices):
        return super().batch(indices)[:, :3]

    def take(self, indices):
        return Failing(self.x[indices])


class TestErrors:
    def test_an_error_of_a_process_is_that_of_this_one(self, data):
        x, y = data
        network = spiking(small_cnn(), x)
        messages = []
        for n_jobs in (1, 2):
            with pytest.raises(snc.SettingsError, match=r"Failing.batch must return an array of shape") as caught:
                snc.evaluate(network, Failing(x), y, n_steps=3, minibatch_size=5, n_jobs=n_jobs)
            messages.append(caught.value.argument)
        assert messages == ["x", "x"]

    def test_a_network_that_the_back_end_refuses(self, data):
        x, y = data
        network = snc.to_spiking(
            snc.convert(small_cnn()), nengo.PoissonSpiking(nengo.RectifiedLinear(), amplitude=0.01)
        )
        messages = []
        for n_jobs in (1, 2):
            with pytest.raises(snc.ConversionError) as caught:
                snc.evaluate(network, x, y, n_steps=3, backend="fast", n_jobs=n_jobs)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]

    @pytest.mark.parametrize("n_jobs", [0, -1, 1.5, "all", True, 10**6])
    def test_n_jobs_is_a_number_of_processes(self, n_jobs, data):
        x, y = data
        with pytest.raises(snc.SettingsError, match="^n_jobs must be") as caught:
            snc.evaluate(spiking(small_cnn(), x), x, y, n_steps=3, n_jobs=n_jobs)
        assert caught.value.argument == "n_jobs"

    def test_warnings_are_issued_once(self, data):
        x, y = data
        network = spiking(small_cnn(), x, input_coding="poisson")
        texts = []
        for n_jobs in (1, 2):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                snc.evaluate(network, 1.5 * x, y, n_steps=3, minibatch_size=5, n_jobs=n_jobs)
            texts.append([str(each.message) for each in caught if issubclass(each.category, snc.errors.SnnConvWarning)])
        assert texts[0] == texts[1]
        assert len(texts[0]) == 1

    def test_control_c(self, tmp_path):
        """Control-C ends the command with one message, and no process is left."""
        code = f"""
            import sys
            sys.path.insert(0, {str(pathlib.Path(__file__).parents[1] / "helpers")!r})
            import os, signal, threading
            import numpy as np
            import nengo_snnconv as snc
            from models import small_cnn
            from nengo_snnconv.evaluation import parallel

            parallel.IMAGES_PER_SHARD = 1
            x = np.random.default_rng(0).random((400, 6, 6, 2), dtype=np.float32)
            network = snc.to_spiking(snc.convert(small_cnn()))
            run_jobs = parallel.run_jobs

            def interrupting(function, jobs, on_result, **options):
                def take(*arguments):
                    on_result(*arguments)
                    os.kill(os.getpid(), signal.SIGINT)
                return run_jobs(function, jobs, take, **options)

            parallel.run_jobs = interrupting
            try:
                snc.evaluate(network, x, np.zeros(400, int), n_steps=3, n_jobs=2, backend="nengo")
            except snc.JobsInterrupted as interrupt:
                print(interrupt)
        """
        process = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
        )
        assert "of 400 jobs; no results are kept: give sweep or tune a folder" in process.stdout
        assert "Traceback" not in process.stderr
