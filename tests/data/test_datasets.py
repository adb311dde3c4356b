import functools
import gzip
import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.data import datasets


def idx(array):
    """Return an array of bytes in the IDX format."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


@pytest.fixture
def small_mnist(tmp_path, monkeypatch, rng):
    """A folder with four small files in MNIST's format, whose MD5 replace the published ones."""
    arrays = [rng.integers(0, 256, (5, 28, 28)), np.arange(5), rng.integers(0, 256, (3, 28, 28)), np.arange(3)]
    files = dict(zip(datasets._IDX_FILES, map(idx, arrays), strict=True))
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    source = datasets._Source(
        "mnist", "http://publisher/", {name: hashlib.md5(c).hexdigest() for name, c in files.items()}, tuple("01234")
    )
    monkeypatch.setitem(datasets._SOURCES, "mnist", source)
    monkeypatch.setenv(datasets.ENVIRONMENT_VARIABLE, str(tmp_path / "data"))
    return folder, arrays


def serve(folder):
    """Run a local web server for ``folder``."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def publisher(tmp_path, monkeypatch):
    """An empty folder that a local web server publishes, and an empty cache."""
    folder = tmp_path / "published"
    folder.mkdir()
    server = serve(folder)
    monkeypatch.delenv(datasets.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class TestDigits:
    def test_content(self):
        data = snc.load_dataset("digits")
        assert data.x_train.shape == (10000, 28, 28, 1)
        assert data.x_test.shape == (2000, 28, 28, 1)
        assert data.x_train.dtype == np.float32
        assert (data.x_train.min(), data.x_train.max()) == (0, 1)
        assert np.bincount(data.y_train).tolist() == [1000] * 10
        assert np.bincount(data.y_test).tolist() == [200] * 10

    def test_is_small_and_has_its_licence(self):
        assert datasets.DIGITS.stat().st_size < 2.5e6
        assert "ShareAlike 3.0" in (datasets.DIGITS.parent / "LICENSE-digits.md").read_text()

    def test_first_images(self):
        data = snc.load_dataset("digits", train=10, test=20)
        assert (len(data.x_train), len(data.y_test)) == (10, 20)
        assert repr(data) == "<Dataset digits: 10 + 20 images, 28x28x1>"

    @pytest.mark.parametrize("train", [0, 10001])
    def test_impossible_count(self, train):
        with pytest.raises(snc.DatasetError, match="train must be between"):
            snc.load_dataset("digits", train=train)


class TestFolder:
    def test_reads_idx_files(self, small_mnist):
        _, (x_train, y_train, x_test, y_test) = small_mnist
        data = snc.load_dataset("mnist")
        assert np.array_equal(np.round(data.x_train[..., 0] * 255), x_train)
        assert np.array_equal(np.round(data.x_test[..., 0] * 255), x_test)
        assert data.y_train.tolist() == y_train.tolist()
        assert data.y_test.tolist() == y_test.tolist()

    def test_missing_file(self, small_mnist):
        folder, _ = small_mnist
        (folder / "t10k-labels-idx1-ubyte.gz").unlink()
        with pytest.raises(snc.DatasetError, match=r"t10k-labels-idx1-ubyte.gz is missing; .* http://publ"):
            snc.load_dataset("mnist")

    def test_truncated_file(self, small_mnist):
        folder, _ = small_mnist
        path = folder / "train-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(snc.DatasetError, match=r"train-images-idx3-ubyte.gz is truncated"):
            snc.load_dataset("mnist")


class TestDownload:
    def test_downloads_once_and_checks(self, publisher, small_mnist, monkeypatch):
        monkeypatch.delenv(datasets.ENVIRONMENT_VARIABLE)
        folder, url = publisher
        for path in small_mnist[0].iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        source = datasets._SOURCES["mnist"]
        monkeypatch.setitem(
            datasets._SOURCES, "mnist", datasets._Source("mnist", url, source.files, source.class_names)
        )
        first = snc.load_dataset("mnist")
        for path in folder.iterdir():
            path.unlink()
        assert np.array_equal(snc.load_dataset("mnist").x_train, first.x_train)

    def test_wrong_file(self, publisher, small_mnist, monkeypatch):
        monkeypatch.delenv(datasets.ENVIRONMENT_VARIABLE)
        folder, url = publisher
        for name in datasets._IDX_FILES:
            (folder / name).write_bytes(b"something else")
        source = datasets._SOURCES["mnist"]
        monkeypatch.setitem(
            datasets._SOURCES, "mnist", datasets._Source("mnist", url, source.files, source.class_names)
        )
        with pytest.raises(snc.DatasetError, match="train-images-idx3-ubyte.gz .*not be downloaded"):
            snc.load_dataset("mnist")

    def test_server_without_the_file(self, publisher, monkeypatch):
        source = datasets._SOURCES["fashion-mnist"]
        monkeypatch.setitem(
            datasets._SOURCES,
            "fashion-mnist",
            datasets._Source(source.folder, publisher[1], source.files, source.class_names),
        )
        with pytest.raises(snc.DatasetError, match="NENGO_SNNCONV_DATA=FOLDER"):
            snc.load_dataset("fashion-mnist")

    def test_archive(self, publisher, monkeypatch, rng):
        folder, url = publisher
        batches = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        rows = {name: rng.integers(0, 10, (4, 3073)).astype(np.uint8) for name in batches}
        with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
            for name, content in rows.items():
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                info.size = content.nbytes
                archive.addfile(info, io.BytesIO(content.tobytes()))
        packed = (folder / "cifar-10-binary.tar.gz").read_bytes()
        md5s = {name: hashlib.md5(content.tobytes()).hexdigest() for name, content in rows.items()}
        source = datasets._Source(
            "cifar-10-batches-bin",
            url,
            md5s,
            tuple("0123456789"),
            ("cifar-10-binary.tar.gz", hashlib.md5(packed).hexdigest()),
        )
        monkeypatch.setitem(datasets._SOURCES, "cifar-10", source)
        data = snc.load_dataset("cifar-10")
        assert data.x_train.shape == (20, 32, 32, 3)
        first = rows["data_batch_1.bin"][0]
        assert data.y_train[0] == first[0]
        red = first[1 : 1 + 1024].reshape(32, 32)
        assert np.array_equal(np.round(data.x_train[0, ..., 0] * 255), red)


def test_unknown_name():
    with pytest.raises(snc.DatasetError, match="no data set 'imagenet'"):
        snc.load_dataset("imagenet")


@pytest.mark.parametrize(
    ("written", "meant"), [("cifar10", "cifar-10"), ("fashion_mnist", "fashion-mnist"), ("MNIST", "mnist")]
)
def test_name_in_another_spelling(written, meant):
    """As in Keras."""
    with pytest.raises(snc.DatasetError, match=f"did you mean '{meant}'"):
        snc.load_dataset(written)


@pytest.mark.parametrize(
    ("name", "shape"), [("mnist", (28, 28, 1)), ("fashion-mnist", (28, 28, 1)), ("cifar-10", (32, 32, 3))]
)
def test_published_files(data_folder, name, shape):
    data = snc.load_dataset(name)
    assert data.x_test.shape == (10000, *shape)
    assert len(data.x_train) == (50000 if name == "cifar-10" else 60000)
    assert np.bincount(data.y_test).size == len(data.class_names) == 10


def test_digits_are_those_of_mnist(data_folder):
    from nengo_snnconv.data.make_digits import first_of_each_class

    mnist, digits = snc.load_dataset("mnist"), snc.load_dataset("digits")
    x, y = first_of_each_class(mnist.x_test, mnist.y_test, 200)
    assert np.array_equal(np.round(digits.x_test[..., 0] * 255), x)
    assert np.array_equal(digits.y_test, y)
