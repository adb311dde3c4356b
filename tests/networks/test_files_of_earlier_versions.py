"""Network files of earlier versions, each with the outputs that the version gave for some images."""

import pathlib

import numpy as np
import pytest

import nengo_snnconv as snc

FOLDER = pathlib.Path(__file__).parents[1] / "files" / "networks"
NAMES = sorted(path.name.removesuffix(".snn.npz") for path in FOLDER.glob("*.snn.npz"))
# The weights and images of "if-poisson" are multiples of 1/256, so its sums are exact and its spikes the same on every
# machine.  Elsewhere rounding may move a spike by a step.
TOLERANCES = {"rates": 1e-5, "if-poisson": 0}


def test_there_is_a_file_of_each_kind():
    assert NAMES == [
        "if-constant",
        "if-poisson",
        "lif-trainable",
        "rates",
        "surrogate-converted",
        "surrogate-trainable",
        "time-to-first-spike",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_the_outputs_of_the_version_that_saved_it(name):
    network = snc.load(FOLDER / f"{name}.snn.npz")
    run = np.load(FOLDER / f"{name}.run.npz")
    n_steps = None if name == "time-to-first-spike" else run["output"].shape[1]
    record = snc.record(network, run["x"], n_steps=n_steps)
    tolerance = TOLERANCES.get(name, 0.05) * np.abs(run["output"]).max()
    np.testing.assert_allclose(record.output[:, -1], run["output"][:, -1], rtol=0, atol=tolerance)
    assert set(record.spikes) == {key.removeprefix("spikes/") for key in run if key.startswith("spikes/")}
    for layer, spikes in record.spikes.items():
        difference = np.abs(spikes.sum(axis=1) - run[f"spikes/{layer}"])
        assert difference.max() <= (0 if name == "if-poisson" else 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_saved_and_loaded_again(name, tmp_path):
    network = snc.load(FOLDER / f"{name}.snn.npz")
    snc.save(network, tmp_path / "network.npz")
    again = snc.load(tmp_path / "network.npz")
    assert again.settings == network.settings
    assert again.model.metadata == network.model.metadata
