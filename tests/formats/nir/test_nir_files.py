"""NIR files: read without nir and h5py; damaged and hostile files give one clear line, and nothing in them is run."""

import random
import resource
import sys

import h5py
import numpy as np
import pytest
from models import small_cnn
from nir_interpreter import write_hdf5
from random_damage import N_MUTATIONS, damaged

import nengo_snnconv as snc
from nengo_snnconv.errors import SnnConvError
from nengo_snnconv.formats.nir.graph_writer import write_graph
from nengo_snnconv.formats.nir.nir_file import read_dict
from nengo_snnconv.networks.native import NativeConfig
from nengo_snnconv.networks.network import ConvNetwork
from nengo_snnconv.networks.nir_form import model_of


@pytest.fixture(scope="module")
def network():
    return ConvNetwork(small_cnn(), NativeConfig(snc.IntegrateAndFire(initial_potential=0.0)))


@pytest.fixture(scope="module")
def graph(network):
    return write_graph(*model_of(network), 1e-4)


@pytest.fixture
def path(graph, tmp_path):
    write_hdf5(tmp_path / "network.nir", graph)
    return tmp_path / "network.nir"


def assert_same(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    else:
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("compression", ["gzip", None])
def test_a_file_holds_the_graph(graph, tmp_path, compression):
    write_hdf5(tmp_path / "network.nir", graph, compression=compression)
    found = read_dict(tmp_path / "network.nir")
    assert_same(found["nodes"], {name: dict(node) for name, node in graph["nodes"].items()})
    assert [tuple(edge) for edge in found["edges"]] == graph["edges"]
    assert found["metadata"]["dt"] == 1e-4


def test_files_are_read_without_nir_and_h5py(path, network, monkeypatch):
    for name in ("nir", "h5py"):
        monkeypatch.setitem(sys.modules, name, None)
    read = snc.read_nir(path)
    assert read.settings == network.settings
    assert all(np.array_equal(read.model.arrays[name], array) for name, array in network.model.arrays.items())


def test_files_that_are_not_nir(tmp_path):
    (tmp_path / "a.nir").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(snc.FileFormatError, match="not a NIR file: it is not HDF5"):
        snc.read_nir(tmp_path / "a.nir")
    with h5py.File(tmp_path / "b.nir", "w") as file:
        file["x"] = 1
    with pytest.raises(snc.FileFormatError, match="no group 'node'"):
        snc.read_nir(tmp_path / "b.nir")
    with pytest.raises(FileNotFoundError):
        snc.read_nir(tmp_path / "none.nir")
    with pytest.raises(snc.FileFormatError, match="is a folder"):
        snc.read_nir(tmp_path)


def edit(path, change):
    with h5py.File(path, "a") as file:
        change(file)


def replaced(name, value, **options):
    def change(file):
        del file[name]
        file.create_dataset(name, data=value, **options)

    return change


def linked(file):
    del file["node/nodes/conv/weight"]
    file["node/nodes/conv/weight"] = h5py.ExternalLink("/etc/passwd", "x")


def in_circles(file):
    file["node/nodes/again"] = file["node"]


def elsewhere(file):
    del file["node/nodes/conv/weight"]
    file["node/nodes/conv"].create_dataset(
        "weight", (3, 2, 3, 3), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


def many_nodes(file):
    for number in range(10_001):
        file["node/nodes"].create_group(f"n{number}")


HOSTILE = {
    "a link to another file": (linked, "of a kind that NIR does not write"),
    "an array in another file": (elsewhere, "in another file"),
    "a graph in itself": (in_circles, "more than 10,000 nodes, or nests them"),
    "many nodes": (many_nodes, "more than 10,000 nodes"),
    "a class that runs code": (replaced("node/nodes/conv/type", "os.system"), "'conv' .os.system. is of a class"),
    "a long text": (replaced("node/nodes/conv/type", "x" * 10**6), "a text is too long"),
    "objects": (replaced("node/nodes/conv/stride", np.array([(1, 2)], [("a", "i4"), ("b", "f4")])), "numbers"),
    "NaN": (replaced("node/nodes/conv/weight", np.full((3, 2, 3, 3), np.nan)), "'conv'.*NaN"),
    "no edges": (lambda file: file.__delitem__("node/edges"), "list of edges"),
    "numbers for edges": (replaced("node/edges", np.ones((3, 2))), "names of nodes"),
    "a huge image": (replaced("node/nodes/input/shape", np.array([2**20, 2**20, 2**20])), "limit"),
    "a huge padding": (replaced("node/nodes/conv/padding", np.array([10**8, 10**8])), "limit"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(case, path):
    change, message = HOSTILE[case]
    edit(path, change)
    with pytest.raises((snc.FileFormatError, snc.ConversionError), match=message) as caught:
        snc.read_nir(path)
    assert "\n" not in str(caught.value)


def test_small_files_that_ask_for_memory(path):
    bomb = np.zeros(2**28, np.uint8)
    edit(path, replaced("node/nodes/conv/weight", bomb, compression="gzip", chunks=(2**26,)))
    assert path.stat().st_size < 2**20
    del bomb
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2**29, before[1]))
    try:
        with pytest.raises((snc.FileFormatError, snc.ConversionError)):
            snc.read_nir(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_random_damage(path):
    content, rng = path.read_bytes(), random.Random(0)
    for _ in range(2 * N_MUTATIONS):
        kind, changed = damaged(content, rng)
        path.write_bytes(changed)
        try:
            snc.read_nir(path)
        except SnnConvError as error:
            assert 0 < len(str(error)) < 1000 and "\n" not in str(error), kind
