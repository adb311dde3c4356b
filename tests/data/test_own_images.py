"""Images of the user's own: .npz files and folders of pictures."""

import io
import pickle
import zipfile

import numpy as np
import PIL.Image
import pytest

import nengo_snnconv as snc

rng = np.random.default_rng(0)
BYTES = rng.integers(0, 256, (20, 6, 5, 3), np.uint8)
CLASSES = np.arange(20) % 4


def written(path, **arrays):
    np.savez(path, **arrays)
    return path


class TestNpz:
    def test_four_arrays(self, tmp_path):
        path = written(
            tmp_path / "a.npz", x_train=BYTES[:12], y_train=CLASSES[:12], x_test=BYTES[12:], y_test=CLASSES[12:]
        )
        for name in (path, str(path)):
            data = snc.load_dataset(name)
            np.testing.assert_array_equal(data.x_train, BYTES[:12].astype(np.float32) / 255)
            np.testing.assert_array_equal(data.y_test, CLASSES[12:])
            assert (data.name, data.class_names, data.note) == ("a.npz", tuple("0123"), "")
            assert data.x_train.dtype == np.float32
            assert data.y_train.dtype == np.int64
        assert len(snc.load_dataset(path, train=3, test=100).x_test) == 8
        assert len(snc.load_dataset(path, train=3).y_train) == 3

    def test_every_fifth_image_tests(self, tmp_path):
        data = snc.load_dataset(written(tmp_path / "a.npz", x=BYTES, y=CLASSES))
        np.testing.assert_array_equal(data.y_test, CLASSES[4::5])
        np.testing.assert_array_equal(data.x_test, BYTES[4::5].astype(np.float32) / 255)
        assert len(data.x_train) == 16
        assert "every fifth of 20 images" in data.note

    @pytest.mark.parametrize("names", [("x_test", "y_test"), ("test_images", "test_labels")])
    @pytest.mark.parametrize("labels", [CLASSES, np.array(["ant", "bee", "cow", "dog"])[CLASSES], None])
    def test_test_images_only(self, tmp_path, names, labels):
        arrays = {names[0]: BYTES} | ({} if labels is None else {names[1]: labels})
        data = snc.load_dataset(written(tmp_path / "a.npz", **arrays), shape=(6, 5, 3))
        np.testing.assert_array_equal(data.x_test, BYTES.astype(np.float32) / 255)
        assert data.x_train.shape == (0, 6, 5, 3)
        assert data.pixel_range == (0, 1)
        if labels is None:
            assert data.y_train is None and data.y_test is None
        else:
            assert len(data.y_train) == 0
            np.testing.assert_array_equal(data.y_test, CLASSES)

    def test_names_of_medmnist(self, tmp_path):
        arrays = {"train_images": BYTES, "train_labels": CLASSES[:, None], "val_images": BYTES, "val_labels": CLASSES}
        arrays |= {"test_images": BYTES[:4], "test_labels": CLASSES[:4, None]}
        data = snc.load_dataset(written(tmp_path / "a.npz", **arrays))
        np.testing.assert_array_equal(data.y_train, CLASSES)
        assert data.x_test.shape == (4, 6, 5, 3)

    @pytest.mark.parametrize(
        ("labels", "class_names"),
        [
            (np.eye(4)[CLASSES], tuple("0123")),
            (np.array(["ant", "bee", "cow", "dog"])[CLASSES], ("ant", "bee", "cow", "dog")),
            (CLASSES.astype(float), tuple("0123")),
        ],
    )
    def test_labels(self, tmp_path, labels, class_names):
        data = snc.load_dataset(written(tmp_path / "a.npz", x=BYTES, y=labels))
        np.testing.assert_array_equal(data.y_test, CLASSES[4::5])
        assert data.class_names == class_names

    def test_without_labels(self, tmp_path):
        data = snc.load_dataset(written(tmp_path / "a.npz", x=BYTES, class_names=list("abcd")))
        assert data.y_train is None and data.y_test is None and data.class_names == tuple("abcd")
        np.testing.assert_array_equal(data.x_test, BYTES[4::5].astype(np.float32) / 255)
        data = snc.load_dataset(written(tmp_path / "b.npz", train_images=BYTES[:12], test_images=BYTES[12:]), test=3)
        assert (len(data.x_train), len(data.x_test), data.y_test, data.class_names) == (12, 3, None, ())
        with pytest.raises(snc.DatasetError, match="images without labels"):
            snc.load_dataset(written(tmp_path / "c.npz", x_train=BYTES, y_train=CLASSES, x_test=BYTES))

    def test_targets_and_class_names(self, tmp_path):
        data = snc.load_dataset(written(tmp_path / "a.npz", x=BYTES, y=CLASSES / 7))
        np.testing.assert_array_equal(data.y_test, (CLASSES / 7)[4::5].astype(np.float32))
        data = snc.load_dataset(written(tmp_path / "b.npz", x=BYTES, y=CLASSES, class_names=list("abcd")))
        assert data.class_names == tuple("abcd")

    @pytest.mark.parametrize(
        ("stored", "scale", "expected", "pixel_range"),
        [
            (BYTES, None, BYTES / 255, (0, 1)),
            (BYTES, 51, BYTES / 51, None),
            (BYTES.astype(np.float32), None, BYTES, None),
            (BYTES.astype(np.float32), 255, BYTES / 255, None),
            (BYTES / 255, None, BYTES / 255, (0, 1)),
            (BYTES / 255 - 0.5, None, BYTES / 255 - 0.5, None),
            (BYTES > 100, None, BYTES > 100, (0, 1)),
        ],
    )
    def test_scale(self, tmp_path, stored, scale, expected, pixel_range):
        data = snc.load_dataset(written(tmp_path / "a.npz", x=stored, y=CLASSES), scale=scale)
        np.testing.assert_allclose(data.x_test, expected[4::5], rtol=1e-6)
        assert data.pixel_range == pixel_range

    def test_shape(self, tmp_path):
        gray = written(tmp_path / "a.npz", x=BYTES[..., 0], y=CLASSES)
        assert snc.load_dataset(gray, shape=(6, 5, 1)).x_train.shape == (16, 6, 5, 1)
        first = written(tmp_path / "b.npz", x=np.moveaxis(BYTES, -1, 1), y=CLASSES)
        data = snc.load_dataset(first, shape=(6, 5, 3))
        np.testing.assert_array_equal(data.x_test, BYTES[4::5].astype(np.float32) / 255)
        series = written(tmp_path / "c.npz", x=BYTES[..., 0], y=CLASSES)
        assert snc.load_dataset(series, shape=(6, 5)).x_train.shape == (16, 6, 5)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"a": BYTES, "b": CLASSES}, "has the arrays 'a', 'b'"),
            ({"x": BYTES, "y": CLASSES[:3]}, "20 images and 3 labels"),
            ({"x": BYTES[:0], "y": CLASSES[:0]}, "shapes"),
            ({"x": BYTES.astype(np.uint16) * 9, "y": CLASSES}, "scale"),
            ({"x": np.full((9, 2, 2), np.nan), "y": CLASSES[:9]}, "finite"),
            ({"x": CLASSES, "y": CLASSES}, "shapes"),
            ({"x": np.full((20, 3, 3), "a"), "y": CLASSES}, "must hold images"),
        ],
    )
    def test_what_cannot_be_used(self, tmp_path, arrays, message):
        with pytest.raises(snc.SnnConvError, match=message):
            snc.load_dataset(written(tmp_path / "a.npz", **arrays))


def npz_of(path, **members):
    """Write an archive of members whose bytes are given."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(array, **changes):
    """Return the bytes of a .npy file, with another header."""
    file = io.BytesIO()
    header = {**np.lib.format.header_data_from_array_1_0(array), **changes}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


class TestHostileFiles:
    def test_python_objects_are_not_unpickled(self, tmp_path):
        objects = np.array([{}, []], object)
        path = written(tmp_path / "a.npz", x=BYTES, y=objects)
        with pytest.raises(snc.DatasetError, match="Python objects"):
            snc.load_dataset(path)
        (tmp_path / "b.npz").write_bytes(pickle.dumps(BYTES))
        with pytest.raises(snc.DatasetError, match="not an .npz"):
            snc.load_dataset(tmp_path / "b.npz")

    def test_a_huge_shape_is_refused_before_memory_is_allocated(self, tmp_path):
        path = npz_of(tmp_path / "a.npz", x=npy(BYTES, shape=(2**50, 2, 2)), y=npy(CLASSES))
        with pytest.raises(snc.DatasetError, match="bytes for an array"):
            snc.load_dataset(path)

    def test_more_than_the_memory(self, tmp_path, monkeypatch):
        monkeypatch.setattr("nengo_snnconv._util.validation.values._total_memory", lambda: 5000)
        with pytest.raises(snc.SettingsError, match="memory"):
            snc.load_dataset(written(tmp_path / "a.npz", x=BYTES, y=CLASSES))

    @pytest.mark.parametrize("cut", [0, 10, 500, -30])
    def test_a_file_that_was_cut_short(self, tmp_path, cut):
        path = written(tmp_path / "a.npz", x=BYTES, y=CLASSES)
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(snc.DatasetError) as caught:
            snc.load_dataset(path)
        assert "\n" not in str(caught.value)

    def test_no_file_and_another_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            snc.load_dataset(tmp_path / "none.npz")
        with pytest.raises(FileNotFoundError):
            snc.load_dataset(f"{tmp_path}/none")
        (tmp_path / "a.txt").write_text("x")
        with pytest.raises(snc.DatasetError, match="neither an .npz file nor a folder"):
            snc.load_dataset(f"{tmp_path}/a.txt")
        with pytest.raises(snc.SettingsError, match="your own"):
            snc.load_dataset("digits", scale=2)


@pytest.fixture
def folder(tmp_path):
    """Folder with 12 pictures of ant and 6 of bee, whose brightness tells their order."""
    for name, count in (("bee", 6), ("ant", 12)):
        (tmp_path / name).mkdir()
        for i in range(count):
            PIL.Image.fromarray(np.full((8, 6), 10 * i, np.uint8)).save(tmp_path / name / f"{i:02d}.png")
    (tmp_path / "ant" / "Thumbs.db").write_bytes(b"")
    (tmp_path / ".cache").mkdir()
    return tmp_path


class TestFolders:
    def test_classes_are_mixed_and_every_fifth_tests(self, folder):
        data = snc.load_dataset(folder)
        assert data.class_names == ("ant", "bee")
        assert data.x_train.shape == (15, 8, 6, 1)
        assert data.y_train.tolist() == [0, 1, 0] * 5
        np.testing.assert_allclose(255 * data.x_train[:4, 0, 0, 0], [0, 0, 10, 20], rtol=1e-6)
        assert data.y_test.tolist() == [0, 1, 0]
        np.testing.assert_allclose(255 * data.x_test[:, 0, 0, 0], [40, 40, 90], rtol=1e-6)
        assert "every fifth picture" in data.note
        assert len(snc.load_dataset(folder, train=4, test=1).x_train) == 4

    def test_first_pictures_have_the_shares_of_all(self, tmp_path):
        counts = np.array([40, 7, 3])
        for name, count in zip("abc", counts, strict=True):
            (tmp_path / "train" / name).mkdir(parents=True)
            for i in range(count):
                PIL.Image.new("L", (2, 2), i).save(tmp_path / "train" / name / f"{i:02d}.png")
        (tmp_path / "test").symlink_to(tmp_path / "train")
        labels = snc.load_dataset(tmp_path).y_train
        for n in range(1, 51):
            # up to a place t, a class has n_c t pictures rounded, and three classes together N t up to 1.5
            assert (np.abs(np.bincount(labels[:n], minlength=3) - n * counts / 50) <= 0.5 + 1.5 * counts / 50).all()
            np.testing.assert_array_equal(snc.load_dataset(tmp_path, train=n).y_train, labels[:n])

    def test_subfolders_for_training_and_tests(self, folder, tmp_path):
        for part in ("train", "val"):
            (tmp_path / "split" / part).mkdir(parents=True)
        (folder / "ant").rename(tmp_path / "split" / "train" / "ant")
        (folder / "bee").rename(tmp_path / "split" / "train" / "bee")
        (tmp_path / "split" / "val" / "bee").mkdir()
        PIL.Image.new("L", (6, 8), 255).save(tmp_path / "split" / "val" / "bee" / "x.jpg")
        data = snc.load_dataset(f"{tmp_path}/split")
        assert (len(data.x_train), data.y_test.tolist(), data.x_test.max(), data.note) == (18, [1], 1, "")
        (tmp_path / "split" / "val" / "bee").rename(tmp_path / "split" / "val" / "cow")
        with pytest.raises(snc.DatasetError, match="'cow'"):
            snc.load_dataset(f"{tmp_path}/split")

    def test_pictures_get_the_shape_of_the_network(self, folder):
        data = snc.load_dataset(folder, shape=(4, 3, 3))
        assert data.x_train.shape == (15, 4, 3, 3)
        np.testing.assert_allclose(255 * data.x_train[2], np.full((4, 3, 3), 10), rtol=1e-6)
        with pytest.raises(snc.DatasetError, match="1 or 3 channels"):
            snc.load_dataset(folder, shape=(4, 3, 2))

    def test_sizes_must_agree_without_a_shape(self, folder):
        PIL.Image.new("RGB", (9, 8)).save(folder / "bee" / "99.png")
        with pytest.raises(snc.DatasetError, match=r"8 x 9|8 x 6"):
            snc.load_dataset(folder)

    def test_one_colored_picture_makes_all_colored(self, folder):
        PIL.Image.new("RGB", (6, 8), (255, 0, 0)).save(folder / "bee" / "99.png")
        data = snc.load_dataset(folder)
        assert data.x_train.shape == (16, 8, 6, 3)
        assert (data.x_train[data.y_train == 1][-1] == [1, 0, 0]).all()

    @pytest.mark.parametrize(
        "content",
        [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 99],
    )
    def test_what_is_no_picture(self, folder, content):
        (folder / "ant" / "00.png").write_bytes(content)
        with pytest.raises(snc.DatasetError, match="00.png is damaged, or not the picture"):
            snc.load_dataset(folder)

    def test_pictures_without_classes_have_no_labels(self, folder, tmp_path):
        data = snc.load_dataset(folder / "ant")
        assert data.y_train is None and data.y_test is None and data.class_names == ()
        np.testing.assert_allclose(255 * data.x_test[:, 0, 0, 0], [40, 90], rtol=1e-6)
        assert data.x_train.shape == (10, 8, 6, 1)
        assert "every fifth picture is" in data.note
        (tmp_path / "split").mkdir()
        (folder / "ant").rename(tmp_path / "split" / "train")
        (folder / "bee").rename(tmp_path / "split" / "test")
        data = snc.load_dataset(tmp_path / "split", train=3)
        assert (len(data.x_train), len(data.x_test), data.y_test, data.note) == (3, 6, None, "")
        (tmp_path / "split" / "train" / "cow").mkdir()
        PIL.Image.new("L", (6, 8)).save(tmp_path / "split" / "train" / "cow" / "0.png")
        with pytest.raises(snc.DatasetError, match="into subfolders for classes, or none"):
            snc.load_dataset(tmp_path / "split")

    def test_other_folders(self, folder, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(snc.DatasetError, match="FOLDER/CLASS/PICTURE"):
            snc.load_dataset(tmp_path / "empty")
        PIL.Image.fromarray(np.full((8, 6), 999, np.uint16)).save(folder / "bee" / "00.png")
        with pytest.raises(snc.DatasetError, match="more than 8 bits"):
            snc.load_dataset(folder, shape=(8, 6, 1))
        few = tmp_path / "few" / "a"
        few.mkdir(parents=True)
        PIL.Image.new("L", (4, 4)).save(few / "a.png")
        with pytest.raises(snc.DatasetError, match="5 pictures"):
            snc.load_dataset(few.parent)
