"""Sweeps give the results of evaluate, whatever the shards and processes, and after failures."""

import collections
import os
import pickle
import signal
import threading
import time

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.conversion import normalization
from nengo_snnconv.evaluation.shards import split_images
from nengo_snnconv.experiments.sweeps import point_models, sweep_runner
from nengo_snnconv.model import layers as specs

GRID = {"percentile": [99, 100], "initial_potential": [0, 0.5]}


def data_for(model, n, rng):
    return rng.random((n, *model.shapes[model.input]), dtype=np.float32), rng.integers(0, model.size(model.output), n)


def assert_same(one, other):
    """Check that two evaluations are equal to the last bit, except for times."""
    for name in ("accuracy", "step_predictions", "scores", "y", "ann_predictions"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("ann_accuracy", "relay_operations", "synaptic_operations", "input_operations", "dt", "backend"):
        assert getattr(one, name) == getattr(other, name), name
    assert np.array_equal(one.confusion(), other.confusion())
    assert list(one.layers) == list(other.layers)
    layers = [(one.layers[name], other.layers[name]) for name in one.layers]
    assert (one.input_layer is None) == (other.input_layer is None)
    for a, b in layers + ([(one.input_layer, other.input_layer)] if one.input_layer else []):
        assert np.array_equal(a.rates_hz, b.rates_hz)
        assert np.array_equal(a.spikes_per_step, b.spikes_per_step)
        assert (a.spikes_per_neuron, a.synaptic_operations) == (b.spikes_per_neuron, b.synaptic_operations)


@pytest.fixture
def counted(monkeypatch):
    """The shards that were run in this process: [(settings, number of images)]."""
    runs, run_shard = [], sweep_runner.run_shard

    def counting(model, inputs, **options):
        runs.append((options["settings"], len(inputs)))
        return run_shard(model, inputs, **options)

    monkeypatch.setattr(sweep_runner, "run_shard", counting)
    return runs


class TestShards:
    @pytest.mark.parametrize(
        ("n", "size", "shards", "expected"),
        [
            (23, 5, 2, [10, 13]),
            (23, 5, 4, [5, 5, 5, 8]),
            (23, 5, 9, [5, 5, 5, 8]),
            (3, 5, 2, [3]),
            (20, 5, 3, [5, 5, 10]),
        ],
    )
    def test_images_are_split_into_whole_minibatches(self, n, size, shards, expected):
        found = split_images(n, size, shards)
        assert [part.stop - part.start for part in found] == expected
        assert np.array_equal(np.concatenate([np.arange(n)[part] for part in found]), np.arange(n))

    @pytest.mark.parametrize(
        ("model", "coding", "backend", "skipped"),
        [
            (small_cnn(), "constant", "fast", [0, 2]),
            (branched(), "poisson", "fast", [0, 2]),
            (branched(), "poisson", "nengo_dl", [2]),
        ],
        ids=["plain", "maxima", "nengo_dl"],
    )
    def test_they_add_up_to_the_whole(self, model, coding, backend, skipped, rng):
        network = snc.convert(model)
        x, y = data_for(model, 13, rng)
        run = {"n_steps": 9, "minibatch_size": 5, "backend": backend}
        values = {"input_coding": [coding], "skip_steps": skipped, "synapse": [0.002]}
        sweep = snc.sweep(network, x, y, values, x_calibration=x, shards=2, n_jobs=1, **run)
        spiking = snc.to_spiking(snc.normalize(network, x), input_coding=coding, synapse=0.002)
        assert [trial.setting["skip_steps"] for trial in sweep.trials] == skipped
        for trial in sweep.trials:
            assert trial.network.settings == spiking.settings
            for name, array in spiking.model.arrays.items():
                assert np.array_equal(trial.network.model.arrays[name], array)
            whole = snc.evaluate(spiking, x, y, **run, **trial.options)
            assert whole.synaptic_operations > 0
            assert_same(trial.evaluation, whole)
            assert trial.operations[-1] == pytest.approx(whole.synaptic_operations, rel=1e-12)

    def test_networks_of_every_kind(self, rng):
        x, y = data_for(small_cnn(), 12, rng)
        trainable = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
        frames = rng.poisson(0.7, (12, 6, 6, 6, 2)).astype(np.float32)
        surrogate = snc.build_trainable(small_cnn(), snc.SurrogateLIF(threshold=0.3))
        ttfs = snc.to_ttfs(snc.convert(small_cnn()), x, n_steps=4)
        for network, shown, options in ((trainable, x, {"n_steps": 8}), (surrogate, frames, {}), (ttfs, x, {})):
            sweep = snc.sweep(network, shown, y, minibatch_size=4, shards=3, n_jobs=1, **options)
            assert_same(sweep.trials[0].evaluation, snc.evaluate(network, shown, y, minibatch_size=4, **options))

    def test_recordings_travel_without_those_of_other_shards(self, digits):
        events = snc.simulate_recordings(digits.x_test[:6], digits.y_test[:6])
        assert len(pickle.dumps(events[2:4])) < 0.5 * len(pickle.dumps(events))
        again = pickle.loads(pickle.dumps(events[[5, 2]]))
        assert again.checksum() == events[[5, 2]].checksum()
        assert np.array_equal(again.numbers, [5, 2])
        model = make(
            specs.Input("image", shape=(34, 34, 2)),
            specs.Conv("conv", "image", filters=4, kernel_size=(5, 5), strides=4),
            specs.Rectifier("neurons", "conv"),
            specs.Flatten("flat", "neurons"),
            specs.Dense("scores", "flat", units=10),
        )
        network = snc.build_trainable(model, snc.SurrogateLIF(threshold=0.3))
        run = {"n_steps": 3, "minibatch_size": 2}
        whole = snc.evaluate(network, events, events.labels, **run)
        assert whole.synaptic_operations > 0
        sweep = snc.sweep(network, events, events.labels, shards=2, n_jobs=1, **run)
        assert_same(sweep.trials[0].evaluation, whole)


class TestResults:
    def test_a_sweep_that_broke_continues(self, network, x, y, counted, tmp_path, monkeypatch):
        options = {"x_calibration": x, "n_steps": 5, "minibatch_size": 5, "shards": 2, "folder": tmp_path, "n_jobs": 1}
        run_shard = sweep_runner.run_shard

        def breaking(*arguments, **changes):
            if len(counted) == 5:
                raise RuntimeError("out of luck")
            return run_shard(*arguments, **changes)

        monkeypatch.setattr(sweep_runner, "run_shard", breaking)
        with pytest.raises(RuntimeError, match="out of luck"):
            snc.sweep(network, x, y, GRID, **options)
        monkeypatch.setattr(sweep_runner, "run_shard", run_shard)
        continued = snc.sweep(network, x, y, GRID, **options)
        # two shards and two percentiles for each initial potential, none run twice
        assert sorted(collections.Counter(counted).values()) == [2, 2, 2, 2]
        for one, other in zip(
            continued.trials, snc.sweep(network, x, y, GRID, **{**options, "folder": None}).trials, strict=True
        ):
            assert_same(one.evaluation, other.evaluation)

    @pytest.mark.parametrize(
        "change",
        ["image", "weight", "calibration", "n_steps", "minibatch_size", "backend", "value"],
    )
    def test_what_changes_a_result_is_computed_again(self, change, network, x, y, counted, tmp_path):
        arguments = {"network": network, "x": x, "grid": {"initial_potential": [0.5]}, "x_calibration": x, "n_steps": 4}
        snc.sweep(y=y, folder=tmp_path, n_jobs=1, **arguments)
        snc.sweep(y=y, folder=tmp_path, n_jobs=1, **arguments)
        assert len(counted) == 1
        nudged = np.array(x)
        nudged[0, 0, 0, 0] += 0.5
        arrays = {"conv/bias": network.model.arrays["conv/bias"] + np.float32(1e-3)}
        changes = {
            "image": {"x": nudged},
            "weight": {"network": network.rebuild(network.model.replace(arrays=arrays))},
            "calibration": {"x_calibration": nudged},
            "n_steps": {"n_steps": 5},
            "minibatch_size": {"minibatch_size": 5},
            "backend": {"backend": "fast"},
            "value": {"grid": {"initial_potential": [0.25]}},
        }
        snc.sweep(**{"y": y, "folder": tmp_path, "n_jobs": 1, **arguments, **changes[change]})
        assert len(counted) == 2

    def test_what_changes_nothing_is_not(self, network, x, y, counted, tmp_path):
        """Classes are compared after a run, and a training history does not affect a network's function."""
        options = {"n_steps": 4, "x_calibration": x, "folder": tmp_path, "n_jobs": 1}
        one = snc.sweep(network, x, y, GRID, **options)
        trained = network.rebuild(network.model.replace(metadata={"history": {"loss": [1.0]}}))
        other = snc.sweep(trained, x, (y + 1) % 4, GRID, memory_mb=100, **options)
        assert len(counted) == 4
        assert one.trials[0].evaluation.accuracy[-1] != other.trials[0].evaluation.accuracy[-1]

    def test_weights_are_scaled_once_for_each_way(self, network, x, y, monkeypatch):
        ways, normalized = [], point_models.Normalizer.normalize
        measured, measure = [], normalization.activation_histogram

        def counting(self, **options):
            ways.append(tuple(options.values()))
            return normalized(self, **options)

        monkeypatch.setattr(point_models.Normalizer, "normalize", counting)
        monkeypatch.setattr(
            normalization, "activation_histogram", lambda *a, **k: measured.append(1) or measure(*a, **k)
        )
        snc.sweep(network, x, y, GRID, x_calibration=x, n_steps=3, minibatch_size=5, shards=4, n_jobs=1)
        assert sorted(ways) == [(99, "data"), (100, "data")]
        assert len(measured) == 1


class TestSweep:
    @pytest.fixture
    def sweep(self, network, x, y):
        return snc.sweep(network, x, y, GRID, x_calibration=x, n_steps=12, n_jobs=1)

    def test_table_and_figures(self, sweep):
        header, *rows = sweep.rows()
        assert header[:2] == ("percentile", "initial_potential")
        assert [row[:2] for row in rows] == [("99", "0"), ("99", "0.5"), ("100", "0"), ("100", "0.5")]
        assert [row[2] for row in rows] == [f"{100 * t.evaluation.accuracy[-1]:.2f} %" for t in sweep.trials]
        assert sweep.table(markdown=True).splitlines()[2].startswith("| 99 | 0 | ")
        figures = sweep.to_dict()
        assert figures["trials"][1]["setting"] == {"percentile": 99, "initial_potential": 0.5}
        assert figures["trials"][1]["accuracy"] == sweep.trials[1].evaluation.accuracy.tolist()
        assert list(sweep.evaluations)[3] == "percentile 100, initial_potential 0.5"

    def test_best(self, sweep):
        best = sweep.best().evaluation
        assert best.accuracy[-1] == max(trial.evaluation.accuracy[-1] for trial in sweep.trials)
        loss = max(trial.loss_points[-1] for trial in sweep.trials) + 1
        steps = [trial.steps_within(loss) for trial in sweep.trials]
        assert sweep.best(max_loss=loss).steps_within(loss) == min(steps)
        with pytest.raises(snc.SettingsError, match="no trial keeps") as caught:
            sweep.best(max_loss=-100)
        assert caught.value.argument == "max_loss"

    def test_steps_that_keep_a_loss(self, sweep):
        trial = sweep.trials[0]
        for max_loss in sorted({0.0, *trial.loss_points}):
            within = trial.loss_points <= max_loss + 1e-9
            expected = [n for n in range(1, 13) if within[n - 1 :].all()]
            assert trial.steps_within(max_loss) == (expected[0] if expected else None)

    def test_plot(self, sweep, network, x, y):
        axes = sweep.plot()
        curves = [line for line in axes[0].lines if len(line.get_xdata()) == 12]
        assert len(curves) == 4
        evaluation = sweep.trials[0].evaluation
        np.testing.assert_allclose(curves[0].get_ydata(), 100 * evaluation.accuracy)
        operations = [line for line in axes[1].lines if len(line.get_xdata()) > 2][0].get_xdata()
        assert operations[-1] == pytest.approx(evaluation.synaptic_operations)
        many = {"initial_potential": np.linspace(0, 1, 12)}
        many = snc.sweep(network, x, y, many, x_calibration=x, n_steps=3, n_jobs=1).plot()
        assert len(many[0].figure.legends[0].get_texts()) == 2  # the best one, and the ANN


def test_a_dask_worker_dies_in_the_middle(network, x, y, tmp_path):
    """On a cluster of two worker processes, one of which is killed: same results, each job once.

    Its dashboard has any free port, since that of the cluster of another test may exist at the same time.
    """
    import distributed

    options = {"x_calibration": x, "n_steps": 300, "minibatch_size": 5, "shards": 4}
    values = {"percentile": [99, 99.9, 100], "initial_potential": [0, 0.25, 0.5, 0.75], "input_coding": ["poisson"]}
    alone = snc.sweep(network, x, y, values, n_jobs=1, **options)
    two = {"n_workers": 2, "processes": True, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**two, silence_logs="CRITICAL") as cluster:
        with distributed.Client(cluster, set_as_default=False) as client:
            victim = list(client.run(os.getpid).values())[0]
        left = []

        def kill():
            while not any(tmp_path.glob("*.npz")):
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)
            left.append(48 - len(list(tmp_path.glob("*.npz"))))

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        together = snc.sweep(network, x, y, values, folder=tmp_path, dask=cluster.scheduler_address, **options)
        killer.join()
    assert left[0] > 10  # many jobs were left when the worker died
    assert len(list(tmp_path.glob("*.npz"))) == 48
    for one, other in zip(alone.trials, together.trials, strict=True):
        assert one.setting == other.setting
        assert_same(one.evaluation, other.evaluation)
