"""Files that exporters wrote, in tests/files/onnx: make_files.py makes them, with the outputs that they must have."""

import documents
import numpy as np
import pytest
from keras_comparison import check_close, forward

import nengo_snnconv as snc

pytest.importorskip("onnx", reason="the package onnx is not installed")
FOLDER = documents.ROOT / "tests" / "files" / "onnx"
FILES = sorted(FOLDER.glob("*.onnx"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_is_read_exactly(path):
    expected = np.load(path.with_suffix(".npz"))
    model = snc.as_model(path)
    assert model.shapes[model.input] == expected["images"].shape[1:]  # channels-last
    check_close(forward(model, expected["images"]), expected["scores"])


def test_exporters_are_covered():
    exporters = {path.stem.partition("_")[0] for path in FILES}
    assert exporters == {"pytorch", "pytorchdynamo", "tf2onnx"}
