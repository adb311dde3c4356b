"""write_nir, read_nir, to_nir and from_nir with the package nir: the same spikes, and graphs that nir accepts."""

import sys

import numpy as np
import pytest
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.networks.network import ConvNetwork
from nengo_snnconv.networks.nir_form import lost_in_nir
from nengo_snnconv.networks.surrogate import SurrogateConfig

x = np.random.default_rng(0).random((4, 6, 6, 2), dtype=np.float32)


@pytest.fixture(scope="module")
def nir():
    return pytest.importorskip("nir", reason="the package nir is not installed")


def networks():
    rates = snc.normalize(snc.convert(small_cnn()), x)
    return {
        "IF": snc.to_spiking(rates, snc.IntegrateAndFire()),
        "IF, reset to zero": snc.to_spiking(rates, snc.IntegrateAndFire(reset="zero", initial_potential=0.25)),
        "Poisson input": snc.to_spiking(rates, input_coding="poisson", seed=3),
        "LIF": ConvNetwork(small_cnn(), SurrogateConfig(snc.SurrogateLIF(tau=1.7, threshold=0.3))),
        "LIF that subtracts": ConvNetwork(
            small_cnn(), SurrogateConfig(snc.SurrogateLIF(reset="subtract", threshold=0.25))
        ),
    }


NETWORKS = networks()


def spikes_of(network):
    return snc.record(network, x, n_steps=20).spikes


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("dt", [1e-4, 1e-3, 1.0, 0.003])
def test_round_trip(nir, kind, dt, tmp_path):
    network = NETWORKS[kind]
    path = tmp_path / "network.nir"
    snc.write_nir(network, path, dt=dt)
    expected = spikes_of(network)
    seed = network.settings.seed
    read = [
        snc.read_nir(path, seed=seed),
        snc.from_nir(snc.to_nir(network, dt=dt), seed=seed),
        snc.from_nir(nir.read(path), seed=seed),
    ]
    for back in read:
        assert back.settings == network.settings
        found = spikes_of(back)  # the input has another name
        assert all(map(np.array_equal, expected.values(), found.values())) and len(found) == len(expected)


def test_subtraction_is_measured_from_the_resting_potential(nir):
    neurons = snc.SurrogateLIF(reset="subtract", reset_potential=-0.25, threshold=0.25)
    network = ConvNetwork(small_cnn(), SurrogateConfig(neurons))
    back = snc.from_nir(snc.to_nir(network))
    assert back.settings.neuron_type == snc.SurrogateLIF(reset="subtract", threshold=0.5)
    assert np.array_equal(spikes_of(back)["neurons"], spikes_of(network)["neurons"])


def test_graphs_pass_the_checks_of_nir(nir, tmp_path):
    for number, network in enumerate(NETWORKS.values()):
        graph = snc.to_nir(network)
        shapes = {name: tuple(node.output_type["output"]) for name, node in graph.nodes.items()}
        graph.infer_types()
        assert graph.check_types()
        assert {name: tuple(node.output_type["output"]) for name, node in graph.nodes.items()} == shapes
        snc.write_nir(network, tmp_path / f"{number}.nir")
        assert nir.read(tmp_path / f"{number}.nir").nodes.keys() == graph.nodes.keys()


def test_resets(nir, tmp_path):
    for kind, fields in {"IF": set(), "IF, reset to zero": {"v_reset"}, "LIF that subtracts": set()}.items():
        snc.write_nir(NETWORKS[kind], tmp_path / "a.nir")
        import h5py

        with h5py.File(tmp_path / "a.nir") as file:
            assert set(file["node/nodes/neurons"]) & {"v_reset"} == fields


def test_metadata(nir):
    graph = snc.to_nir(NETWORKS["Poisson input"], dt=1e-4)
    assert graph.metadata["dt"] == 1e-4
    assert "reset by subtraction" in graph.metadata["lost"]
    assert "initial potential of 0.5" in graph.metadata["lost"]
    assert "Poisson input: the graph begins with the spikes of the input, of height 1" in graph.metadata["lost"]
    assert graph.nodes["neurons"].metadata == {"reset": "subtract"}
    assert snc.to_nir(NETWORKS["LIF"]).metadata["lost"] == "nothing"
    assert lost_in_nir(NETWORKS["IF, reset to zero"]) == [
        "initial potential of 0.25 thresholds: neurons of NIR start at their resting potential"
    ]


def test_a_network_that_was_trained_through_time(nir, tmp_path):
    learner = snc.build_trainable(small_cnn(), snc.SurrogateLIF(tau=3.0), output_neurons=True)
    snc.write_nir(learner, tmp_path / "a.nir")
    expected, found = spikes_of(snc.convert(learner)), spikes_of(snc.read_nir(tmp_path / "a.nir"))
    assert all(np.array_equal(steps, found[name]) for name, steps in expected.items())


def test_output_neurons(nir, tmp_path):
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x), readout="spikes")
    snc.write_nir(network, tmp_path / "a.nir")
    read = snc.read_nir(tmp_path / "a.nir")
    assert read.model.output == "output_neurons"
    evaluations = [snc.evaluate(n, x, np.arange(4), n_steps=16, progress=False) for n in (network, read)]
    assert np.array_equal(evaluations[0].predictions, evaluations[1].predictions)


def test_a_replaced_file_is_kept_if_writing_fails(nir, tmp_path):
    (tmp_path / "a.nir").write_text("before")
    with pytest.raises(snc.ConversionError, match="joins tensors"):
        snc.write_nir(ConvNetwork(branched(), SurrogateConfig(snc.SurrogateLIF())), tmp_path / "a.nir")
    assert (tmp_path / "a.nir").read_text() == "before"


def test_networks_that_nir_does_not_take():
    rates = snc.convert(small_cnn())
    for network in (rates, snc.to_ttfs(rates, x, n_steps=4), snc.build_trainable(small_cnn())):
        with pytest.raises(snc.ConversionError, match="to_spiking"):
            snc.to_nir(network)


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "nir", None)
    for call in (lambda: snc.to_nir(NETWORKS["LIF"]), lambda: snc.write_nir(NETWORKS["LIF"], tmp_path / "a.nir")):
        with pytest.raises(snc.CompatibilityError, match='not installed: pip install "nir>=1.0.8"'):
            call()
    assert list(tmp_path.iterdir()) == []
