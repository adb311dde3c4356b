"""Signals and the maps between them: dense layers read the units behind averages themselves, where that is faster."""

import dataclasses

import nengo
import pytest
from models import make, small_cnn
from simulators import assert_equal, random_images, rounded, run_fast, run_nengo, spiking_network

from nengo_snnconv.model import layers as specs
from nengo_snnconv.simulator.profiling import NAMES
from nengo_snnconv.simulator.program_runner import ProgramRunner


def with_layer(name, **changes):
    """Return small_cnn with another layer in place of one."""
    layers = small_cnn().layers.values()
    return make(*(dataclasses.replace(layer, **changes) if layer.name == name else layer for layer in layers))


def maps_of(network):
    """Return the names of the operations of linear maps, without the first convolution."""
    (program, _, _) = next(iter(ProgramRunner(network, 0.001, 3, network.all_probes, threads=1).programs.values()))
    names = [str(NAMES[code]) for code in program.arrays.operations["code"]]
    return [name for name in names if name in ("scatter", "gather", "convolve", "depthwise")][1:]


@pytest.mark.parametrize(
    "model",
    [
        small_cnn(),
        with_layer("pool", pool_size=(4, 4), strides=(4, 4)),
        make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Conv("conv", "image", filters=3, kernel_size=(3, 3)),
            specs.Rectifier("neurons", "conv"),
            specs.GlobalAveragePool("pool", "neurons"),
            specs.Dense("scores", "pool", units=4),
        ),
    ],
)
def test_averages_are_left_out(model, rng):
    """Scores are those of nengo; no operation computes the averages."""
    network, data = spiking_network(rounded(model)), random_images(model, rng)
    assert maps_of(network)[0] == "gather"
    assert "convolve" not in maps_of(network)
    expected, seen = run_nengo(network, 9, {network.input: data}), run_fast(network, 9, {network.input: data})
    assert_equal(seen, expected)
    assert seen[network.probes["output"]].any()


def test_averages_that_are_needed(rng):
    """A probe reads them, windows overlap, or the dense layer has many units."""
    probed = spiking_network(rounded(small_cnn()))
    with probed:
        nengo.Probe(probed.layers["pool"])
    others = [
        spiking_network(rounded(with_layer("pool", strides=(1, 1)))),
        spiking_network(rounded(with_layer("scores", units=33))),
    ]
    for network in [probed, *others]:
        assert "convolve" in maps_of(network)
        data = {network.input: random_images(network.model, rng)}
        assert_equal(run_fast(network, 9, data), run_nengo(network, 9, data))


def test_other_averages():
    """Windows of 3 x 3 leave out a row and a column of the 4 x 4 neurons."""
    network = spiking_network(rounded(with_layer("pool", pool_size=(3, 3), strides=(3, 3))))
    assert network.model.shapes["pool"] == (1, 1, 3)
    assert "convolve" in maps_of(network)
