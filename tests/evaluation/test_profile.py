"""profile: the time of each layer, beside the spikes that it reads."""

import json
import time

import nengo
import pytest
from models import branched, dyadic_images, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.evaluation.run_counts import count_run
from nengo_snnconv.evaluation.run_options import RunOptions
from nengo_snnconv.inputs import as_inputs
from nengo_snnconv.simulator import profiling
from nengo_snnconv.simulator.kernels.operations import OPERATIONS

pytestmark = pytest.mark.filterwarnings("ignore:the network was not normalized")
N_STEPS = 70  # more than a chunk


NETWORKS = {
    "constant input": lambda: snc.to_spiking(snc.convert(small_cnn()), snc.IntegrateAndFire()),
    "Poisson input": lambda: snc.to_spiking(snc.convert(branched()), input_coding="poisson"),
    "trained": lambda: snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_events_are_those_of_a_run(name):
    """Spikes that a counter reads are those that evaluate counts."""
    network = NETWORKS[name]()
    x = dyadic_images(network.model, 3)
    profile = snc.profile(network, x, n_steps=N_STEPS)
    run = count_run(network, as_inputs(network.model, x), N_STEPS, RunOptions())
    counted = sum(each.events_read for each in profile.operations if each.name == "count")
    assert counted * 3 * N_STEPS == pytest.approx(sum(events.sum() for events in run.totals.values()))
    assert counted > 0
    assert (profile.n_images, profile.n_steps) == (3, N_STEPS)


def test_layers_are_those_of_the_network():
    network = snc.to_spiking(snc.convert(branched()), input_coding="poisson")
    profile = snc.profile(network, dyadic_images(network.model, 2), n_steps=5)
    named = set(network.model.layers) | {"images", "output"}
    assert set(profile.layers) <= named
    assert set(network.model.neurons) <= set(profile.layers)
    weights = sum(layer.weight_bytes for layer in profile.layers.values())
    assert weights >= 4 * sum(a.size for name, a in network.model.arrays.items() if name.endswith("/kernel"))
    assert profile.seconds == pytest.approx(sum(each.seconds for each in profile.operations))


@pytest.mark.parametrize("name", NETWORKS)
def test_memory_is_that_of_a_run(name, monkeypatch):
    """All states of an image, and all signals of a thread, belong to an operation, each once."""
    runners, profile_operations = [], profiling.profile_operations

    def remembering(runner, *arguments):
        runners.append(runner)
        return profile_operations(runner, *arguments)

    monkeypatch.setattr("nengo_snnconv.evaluation.profile.profile_operations", remembering)
    network = NETWORKS[name]()
    profile = snc.profile(network, dyadic_images(network.model, 2), n_steps=N_STEPS)
    ((program, _, _),) = runners[0].programs.values()
    assert sum(each.state_bytes for each in profile.operations) == 4 * runners[0].layout.size
    assert (
        sum(each.signal_bytes for each in profile.operations) == 4 * program.arena_size + 8 * program.event_arena_size
    )
    for name in network.model.neurons:
        assert profile.layers[name].state_bytes >= 4 * network.model.size(name)


def test_seconds_belong_to_the_operation_that_takes_them(monkeypatch):
    """An operation that is slowed down shows in its layer, and in no other one."""
    network = snc.to_spiking(snc.convert(small_cnn()), snc.IntegrateAndFire())
    x = dyadic_images(network.model, 2)
    timed, slow = profiling._timed, list(OPERATIONS).index("plain_integrate_and_fire")

    def with_delay(execute, images, program, *arguments):
        seconds = timed(execute, images, program, *arguments)
        return seconds + 0.5 * bool((program.operations["code"] == slow).any())

    monkeypatch.setattr(profiling, "_timed", with_delay)
    started = time.perf_counter()
    profile = snc.profile(network, x, n_steps=4)
    total = time.perf_counter() - started
    for name, layer in profile.layers.items():
        assert (layer.neurons > 0.1) == (name in network.model.neurons)
        assert layer.connections < total


def test_table_and_dictionary():
    network = snc.to_spiking(snc.convert(small_cnn()), snc.IntegrateAndFire())
    profile = snc.profile(network, dyadic_images(network.model, 2), n_steps=4)
    header, *rows = profile.rows()
    assert [row[0] for row in rows] == [*profile.layers, "counts and scores", "all"]
    assert all(len(row) == len(header) for row in rows)
    assert "2 images, 4 steps" in profile.summary()
    kept = json.loads(json.dumps(profile.to_dict()))
    assert kept["layers"].keys() == profile.layers.keys()
    assert len(kept["operations"]) == len(profile.operations)


def test_networks_of_other_back_ends_are_refused():
    network = snc.build_trainable(small_cnn(), nengo.RegularSpiking(nengo.RectifiedLinear(), amplitude=0.01))
    with pytest.raises(snc.ConversionError, match="does not support"):
        snc.profile(network, dyadic_images(network.model, 1), n_steps=4)
