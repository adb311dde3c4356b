"""Negative spikes: counted on every back end, with their sign in recordings, and named in results."""

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.evaluation.backends import FastBackend
from nengo_snnconv.evaluation.shards import check_result, counts_from_result, merge_counts, run_shard
from nengo_snnconv.model import layers as specs
from nengo_snnconv.report.run import Run, cards
from nengo_snnconv.simulator.kernels.operations import CODES

pytestmark = pytest.mark.filterwarnings("ignore:the network was not normalized")
N_STEPS = 9


@pytest.fixture(scope="module")
def network():
    """Branches that meet in a maximum and a sum, with weights of which all sums are exact."""
    model = branched()
    model = model.replace(arrays={name: np.round(8 * array) / 4 for name, array in model.arrays.items()})
    return snc.to_spiking(snc.convert(model), snc.SignedIntegrateAndFire(max_spikes=2), input_coding="poisson")


@pytest.fixture(scope="module")
def x():
    return (np.random.default_rng(1).integers(0, 17, (5, 8, 8, 2)) / 16).astype(np.float32)


@pytest.fixture(scope="module")
def recording(network, x):
    return snc.record(network, x, n_steps=N_STEPS, backend="nengo")


@pytest.mark.parametrize("backend", ["fast", "tensorflow", "nengo_dl", "nengo"])
def test_back_ends_count_the_spikes_of_a_recording(network, x, recording, backend, monkeypatch):
    monkeypatch.setattr("nengo_snnconv.evaluation.runner.LONGEST_CHUNK", 4)
    found = snc.evaluate(network, x, [0] * 5, n_steps=N_STEPS, backend=backend, memory_mb=0.05)
    negative, n_spikes = 0, 0
    for name in found.layers:
        spikes = recording.spikes[name]
        assert np.array_equal(found.layers[name].spikes_per_step, np.abs(spikes).sum(axis=(0, 2)) / 5)
        negative, n_spikes = negative - spikes[spikes < 0].sum(), n_spikes + np.abs(spikes).sum()
    assert min(recording.spikes[name].min() for name in found.layers) == -2
    assert found.negative_spikes_share == negative / n_spikes > 0


@pytest.mark.parametrize("backend", ["fast", "tensorflow", "nengo_dl"])
def test_back_ends_record_the_same_signs(network, x, recording, backend):
    found = snc.record(network, x, n_steps=N_STEPS, backend=backend)
    for name in network.model.neurons:
        spikes = recording.spikes[name]
        assert np.array_equal(found.spikes[name], spikes)
        assert (spikes.cumsum(axis=1) >= 0).all()


def test_results_name_the_share_only_where_neurons_can_be_negative(network, x):
    signed = snc.evaluate(network, x, [0] * 5, n_steps=N_STEPS)
    plain = snc.evaluate(network.rebuild(neuron_type=snc.IntegrateAndFire()), x, [0] * 5, n_steps=N_STEPS)
    rates = snc.evaluate(snc.convert(network.model), x, [0] * 5, n_steps=1)
    share = f"{100 * signed.negative_spikes_share:.1f} % of"
    assert (signed.signed, plain.signed, rates.signed) == (True, False, False)
    assert (plain.negative_spikes_share, rates.negative_spikes_share) == (0, None)
    assert signed.to_dict()["negative_spikes_share"] == signed.negative_spikes_share
    assert f"{share} all" in signed.summary()
    for evaluation in (plain, rates):
        assert "negative_spikes_share" not in evaluation.to_dict()
        assert "negative" not in evaluation.summary()
    remarks = [" ".join(remark for _, _, remark in cards(Run(network, each))) for each in (signed, plain)]
    assert [f"{share} them are negative" in remark for remark in remarks] == [True, False]
    assert Run(network, signed).title == "Signed integrate-and-fire network"


def test_the_share_of_silent_neurons_is_zero():
    model = make(specs.Input("image", shape=(4,)), specs.Rectifier("neurons", "image"))
    network = snc.to_spiking(snc.convert(model), snc.SignedIntegrateAndFire())
    assert snc.evaluate(network, np.zeros((3, 4)), [0] * 3, n_steps=4).negative_spikes_share == 0


def test_trained_neurons_with_negative_rates_are_counted(rng):
    """Not only SignedIntegrateAndFire: any spiking type that declares negative output."""
    network = snc.build_trainable(small_cnn(), nengo.RegularSpiking(nengo.Tanh(), amplitude=0.01))
    x = rng.uniform(-3, 3, (4, 6, 6, 2)).astype(np.float32)
    found = snc.evaluate(network, x, [0] * 4, n_steps=50)
    spikes = np.concatenate([counts.ravel() for counts in snc.record(network, x, n_steps=50).spikes.values()])
    assert found.negative_spikes_share == -spikes[spikes < 0].sum() / np.abs(spikes).sum() > 0


class TestShards:
    def parts(self, network, x):
        settings = network.settings
        run = {"backend": None, "minibatch_size": 2, "skip_steps": 0, "dt": 0.001}
        inputs = snc.inputs.as_inputs
        return [
            run_shard(
                network.model,
                inputs(network.model, x[part], N_STEPS),
                settings=settings,
                threads=1,
                n_steps=N_STEPS,
                **run,
            )
            for part in (slice(0, 2), slice(2, 5))
        ]

    def test_counts_of_shards_add_up(self, network, x):
        found = snc.sweep(network, x, [0] * 5, n_steps=N_STEPS, shards=2, minibatch_size=2, n_jobs=1)
        whole = snc.evaluate(network, x, [0] * 5, n_steps=N_STEPS, minibatch_size=2)
        assert found.trials[0].evaluation.negative_spikes_share == whole.negative_spikes_share > 0

    def test_results_without_counts_of_negative_spikes_leave_the_share_unknown(self, network, x):
        results = self.parts(network, x)
        for result, n_images in zip(results, (2, 3), strict=True):
            check_result(result, network.model, N_STEPS, n_images)
        old = {name: array for name, array in results[1][1].items() if not name.startswith("negative/")}
        check_result((results[1][0], old), network.model, N_STEPS, 3)
        counts = [counts_from_result(result) for result in (results[0], (results[1][0], old))]
        assert counts[0].negative
        assert merge_counts(counts).negative == {}

    def test_results_are_kept_in_a_folder(self, network, x, tmp_path, recwarn):
        shares = [
            snc.sweep(network, x, [0] * 5, n_steps=N_STEPS, n_jobs=1, folder=tmp_path)
            .trials[0]
            .evaluation.negative_spikes_share
            for _ in range(2)
        ]
        assert shares[0] == shares[1] > 0
        assert not [warning for warning in recwarn if "computed again" in str(warning.message)]


@pytest.mark.parametrize("neuron_type", [snc.IntegrateAndFire(), snc.SignedIntegrateAndFire()], ids=str)
def test_the_fast_simulator_counts_them_only_for_neurons_that_emit_them(network, neuron_type):
    network = network.rebuild(neuron_type=neuron_type)
    counted = dict.fromkeys(network.model.neurons, 1.0)
    backend = FastBackend(network, [], 2, 0.001, counted=counted)
    (program, *_), *_ = backend.simulator.programs.values()
    n_operations = int((program.arrays.operations["code"] == CODES["count_negative"]).sum())
    assert n_operations == len(backend.negative) == (len(counted) if neuron_type.negative else 0)
