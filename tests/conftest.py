"""Shared fixtures: data, small models, a trained network."""

import os
import pathlib

import nengo
import numpy as np
import pytest

import nengo_snnconv as snc

# parallel test processes would block each other
nengo.rc.set("decoder_cache", "enabled", "False")

# files that take long, longest first
LONG = (
    "test_notebooks.py",
    "test_compat.py",
    "test_documents.py",
    "test_to_spiking.py",
    "test_diagnosed_causes.py",
    "test_trainers.py",
    "test_training_through_time.py",
    "test_ttfs.py",
    "test_site.py",
)


# files that take more than 6 seconds, which "make test-fast" leaves out
SLOW = {
    "test_checkpoint.py",
    "test_comparison.py",
    "test_compat.py",
    "test_convert.py",
    "test_convert_command.py",
    "test_damaged_files.py",
    "test_diagnose.py",
    "test_diagnose_command.py",
    "test_diagnosed_causes.py",
    "test_documents.py",
    "test_edits.py",
    "test_error_bounds.py",
    "test_evaluate.py",
    "test_evaluate_command.py",
    "test_fast_backend.py",
    "test_file_sizes.py",
    "test_input_range.py",
    "test_jobs.py",
    "test_keras3_objects.py",
    "test_keras_augmentation.py",
    "test_keras_channels_first.py",
    "test_keras_files.py",
    "test_keras_hostile_files.py",
    "test_keras_layers.py",
    "test_keras_operations.py",
    "test_keras_refusal_messages.py",
    "test_keras_unsupported.py",
    "test_layer_names.py",
    "test_life.py",
    "test_loihi_builder.py",
    "test_memory.py",
    "test_names.py",
    "test_notebooks.py",
    "test_numba_cache.py",
    "test_onnx_exporters.py",
    "test_onnx_files.py",
    "test_onnx_layers.py",
    "test_onnx_node_tests.py",
    "test_onnx_random_graphs.py",
    "test_output_units.py",
    "test_passes.py",
    "test_pytorch.py",
    "test_report.py",
    "test_simulated_layers.py",
    "test_site.py",
    "test_surrogate_lif.py",
    "test_sweep.py",
    "test_to_spiking.py",
    "test_train.py",
    "test_train_command.py",
    "test_trainable.py",
    "test_trainers.py",
    "test_training_through_time.py",
    "test_ttfs.py",
    "test_ttfs_arguments.py",
    "test_ttfs_command.py",
    "test_ttfs_plots.py",
    "test_tune.py",
}


def pytest_configure(config):
    """Make all warnings errors in CI, also those of other packages, but not for users, whose versions differ."""
    if os.environ.get("CI"):
        config.getini("filterwarnings").insert(0, "error")


def pytest_collection_modifyitems(items):
    """Run slow files first, so that parallel processes end at about the same time; see Makefile."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONG)))
    for item in items:
        if item.path.name in SLOW:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def digits():
    return snc.load_dataset("digits", train=1000, test=200)


@pytest.fixture(scope="session")
def trained(digits):
    """lif-mnist, trained briefly, with an accuracy far above chance."""
    network = snc.build_trainable(snc.preset("lif-mnist"))
    return snc.train(network, digits.x_train, digits.y_train, epochs=4, batch_size=50, learning_rate=3e-3)


@pytest.fixture(scope="session")
def evaluation(trained, digits):
    return snc.evaluate(trained, digits.x_test[:100], digits.y_test[:100], n_steps=20)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def data_folder():
    """Folder with the published data sets; the test is skipped without one."""
    folder = os.environ.get("NENGO_SNNCONV_DATA")
    if not folder or not (pathlib.Path(folder) / "mnist").exists():
        pytest.skip("NENGO_SNNCONV_DATA does not name a folder with the published data sets")
    return folder
