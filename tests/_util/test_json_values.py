"""Conversion of NumPy values for JSON."""

import json
import math

import numpy as np

from nengo_snnconv._util.json_values import python_number, to_json, to_python


def test_numbers():
    assert type(python_number(np.float32(0.5))) is float
    assert type(python_number(np.array(3))) is int
    assert python_number("a") == "a"
    array = np.ones(2)
    assert python_number(array) is array


def test_containers_keep_their_types():
    value = {"a": (np.int64(1), [np.ones((2, 1))]), 5: None}
    assert to_python(value) == {"a": (1, [[[1.0], [1.0]]]), 5: None}


def test_json():
    value = {1: np.array([1.5, np.nan]), "text": "é", "path": print, "flag": np.True_, "pair": (1, np.inf)}
    found = to_json(value, nan_as_none=True)
    assert found == {"1": [1.5, None], "text": "é", "path": str(print), "flag": True, "pair": [1, None]}
    assert json.loads(json.dumps(found)) == found
    assert math.isnan(to_json(value)["1"][1])
