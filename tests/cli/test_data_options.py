"""Own data on the command line: .npz files, folders of pictures, and the scale of pixels."""

import json
import types

import numpy as np
import PIL.Image
import pytest
from models import several_ports, small_cnn, small_digits_cnn

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.cli.data import IMAGES, RECORDED, load_images
from nengo_snnconv.data.datasets import DATASETS
from nengo_snnconv.model import Model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with a network, its model, and the digits in several forms."""
    path = tmp_path_factory.mktemp("data")
    data = snc.load_dataset("digits", train=100, test=60)
    names = ("x_train", "y_train", "x_test", "y_test")
    parts = dict(zip(names, (data.x_train, data.y_train, data.x_test, data.y_test), strict=True))
    pictures = {name: np.rint(255 * parts[name]).astype(np.uint8)[..., 0] for name in ("x_train", "x_test")}
    np.savez(path / "bytes.npz", **{**parts, **pictures})
    np.savez(path / "large.npz", **{**parts, "x_train": 255 * data.x_train, "x_test": 255 * data.x_test})
    for part in ("train", "test"):
        for i, (image, label) in enumerate(zip(pictures[f"x_{part}"], parts[f"y_{part}"], strict=True)):
            file = path / "pictures" / part / str(label) / f"{i:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(image).convert("RGB").resize((56, 56), 0).save(file)
    snc.save(small_digits_cnn(), path / "model.npz")
    snc.save(snc.to_spiking(snc.normalize(snc.convert(small_digits_cnn()), data.x_train)), path / "snn.npz")
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Folder with networks for other images than the digits, in three forms, and data that do not fit them."""
    path = tmp_path_factory.mktemp("other")
    x = np.random.default_rng(0).random((5, 6, 6, 2), np.float32)
    snc.save(small_cnn(), path / "model.npz")
    snc.save(snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x)), path / "other.npz")
    snc.save(snc.build_trainable(small_cnn()), path / "lif.npz")
    for name, images, y in (("flat", x.reshape(5, 72), np.arange(5) % 4), ("classes", x, 2 * np.arange(5))):
        np.savez(path / f"{name}.npz", x_train=images, y_train=y, x_test=images, y_test=y)
    return path


def figures(capsys, *arguments):
    """Run a command, and return its results."""
    code = cli.main([*map(str, arguments), "--json", "-"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return json.loads(printed.out)


def test_all_forms_give_the_same_result(folder, capsys):
    evaluate = ["evaluate", folder / "snn.npz", "--steps", 3, "--test-images", 60, "--data"]
    expected = figures(capsys, *evaluate, "digits")
    for source in ([folder / "bytes.npz"], [folder / "large.npz", "--scale", 255]):
        assert figures(capsys, *evaluate, *source)["accuracy"] == expected["accuracy"]
    data = snc.load_dataset(folder / "pictures", shape=(28, 28, 1))
    of_folder = snc.evaluate(snc.load(folder / "snn.npz"), data.x_test, data.y_test, n_steps=3)
    assert figures(capsys, *evaluate, folder / "pictures")["accuracy"] == of_folder.accuracy.tolist()


def test_pictures_without_labels(folder, tmp_path, capsys):
    network = snc.load(folder / "snn.npz")
    faces = tmp_path / "faces"
    (faces / "train").mkdir(parents=True)
    (faces / "test").mkdir()
    for i, file in enumerate(sorted((folder / "pictures" / "test").rglob("*.png"))[:12]):
        (faces / ("train" if i < 4 else "test") / file.name).symlink_to(file)
    names = [*"abcdefghi", "<j>"]
    options = ["--data", faces, "--steps", 2, "--class-names", ",".join(names)]
    results = figures(capsys, "evaluate", folder / "snn.npz", *options, "--report", tmp_path / "report.html")
    data = snc.load_dataset(faces, shape=(28, 28, 1))
    evaluation = snc.evaluate(network, data.x_test, n_steps=2)
    assert results["agreement_with_the_ann"] == evaluation.score.tolist()
    assert results["images"] == 8
    report = (tmp_path / "report.html").read_text()
    assert "&lt;j&gt;" in report
    assert figures(capsys, "convert", folder / "model.npz", tmp_path / "out.npz", *options)["images"] == 8
    assert figures(capsys, "diagnose", folder / "snn.npz", *options, "--no-remedies")
    for command in (["train", tmp_path / "a.npz"], ["gui", folder / "snn.npz", "--write-script", tmp_path / "g.py"]):
        assert cli.main([*map(str, command), "--data", str(faces)]) == 1
        assert "has no labels" in capsys.readouterr().err
    options[-1] = "a,b"
    assert cli.main(["evaluate", str(folder / "snn.npz"), *map(str, options)]) == 1
    assert "2 names, and the model has 10 classes" in capsys.readouterr().err


def test_a_folder_with_fewer_classes_than_the_network(folder, tmp_path, capsys):
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "3").symlink_to(folder / "pictures" / "train" / "3")
    report = tmp_path / "report.html"
    command = ["evaluate", folder / "snn.npz", "--data", tmp_path / "few", "--steps", 2, "--report", report]
    assert cli.main([*map(str, command)]) == 0
    assert "1 class and the model 10" in " ".join(capsys.readouterr().out.split())
    assert report.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["convert", "model.npz", "out.npz", "--steps", "2"],
        ["to-ttfs", "model.npz", "out.npz", "--stage-steps", "2"],
        ["diagnose", "snn.npz", "--steps", "2", "--no-remedies"],
        ["gui", "snn.npz", "--write-script", "gui.py"],
    ],
    ids=lambda command: command[0],
)
def test_commands_that_take_data(folder, command, tmp_path, monkeypatch, capsys):
    for name in ("model.npz", "snn.npz", "bytes.npz"):
        (tmp_path / name).symlink_to(folder / name)
    monkeypatch.chdir(tmp_path)
    assert figures(capsys, *command, "--data", "bytes.npz")
    (tmp_path / "gui.py").unlink(missing_ok=True)
    (tmp_path / "gui.py.cfg").unlink(missing_ok=True)
    assert cli.main([*command, "--data", "missing.npz"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no file" in line and line.endswith("missing.npz")


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "other.npz"],
        ["evaluate", "other.npz", "--events"],
        ["diagnose", "other.npz"],
        ["tune", "model.npz", "out.npz"],
        ["convert", "model.npz", "out.npz"],
        ["train", "out.npz", "--start", "lif.npz"],
        ["gui", "other.npz", "--write-script", "gui.py"],
    ],
    ids=lambda command: " ".join(command[::2]),
)
def test_forgotten_data(other, command, monkeypatch, capsys):
    monkeypatch.chdir(other)
    assert cli.main(command) == 1
    *_, line = capsys.readouterr().err.splitlines()
    name = "digits, as events," if "--events" in command else "digits"
    file = "lif.npz" if command[0] == "train" else command[1]
    assert f"the data set {name} does not fit {file}: " in line
    assert line.endswith(": name the data of the network with --data")
    assert "x must" not in line or command[0] == "gui"


def test_own_data_that_do_not_fit(other, monkeypatch, capsys):
    monkeypatch.chdir(other)
    assert cli.main(["evaluate", "other.npz", "--data", "flat.npz", "--steps", "2"]) == 1
    error = "does not fit other.npz: x must have shape (images, 6, 6, 2), got (5, 72): x.reshape(-1, 6, 6, 2)"
    assert error in capsys.readouterr().err
    assert cli.main(["evaluate", "other.npz", "--data", "classes.npz", "--steps", "2"]) == 1
    assert "does not fit other.npz: the classes in y go from 0 to 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["evaluate", "other.npz"], "hardly better than the mean of the targets: check that images (--input-range)"),
        (["diagnose", "other.npz"], "images or targets may not be scaled as in training"),
        (
            ["tune", "model.npz", "tuned.npz", "--max-loss", "1e9"],
            "than the mean of the targets: scale images and targets",
        ),
    ],
)
def test_a_regression_that_guesses_is_not_told_of_classes(other, command, words, monkeypatch, capsys):
    monkeypatch.chdir(other)
    rng = np.random.default_rng(1)
    np.savez("targets.npz", x=rng.random((500, 6, 6, 2), np.float32), y=100 + rng.random((500, 4), np.float32))
    assert cli.main([*command, "--data", "targets.npz", "--steps", "2"]) == 0
    out = capsys.readouterr().out
    assert words in out
    assert "classes" not in out and "--data" not in out


def test_pixels_that_are_too_large(folder, capsys):
    arguments = ["evaluate", str(folder / "snn.npz"), "--steps", "2", "--data"]
    assert cli.main([*arguments, str(folder / "large.npz")]) == 1
    error = capsys.readouterr().err
    assert "--scale 255" in error
    assert len(error.splitlines()) == 1
    assert cli.main([*arguments, str(folder / "large.npz"), "--scale", "255"]) == 0
    with pytest.warns(snc.SnnConvWarning, match="calibrated with numbers from 0 to 1: divide x by 255"):
        assert cli.main([*arguments, str(folder / "large.npz"), "--scale", "1"]) == 0
    with pytest.raises(SystemExit):
        cli.main([*arguments, "n-mnist", "--scale", "2"])
    assert cli.main([*arguments, "digits", "--scale", "2"]) == 1


def options(path, **changes):
    return types.SimpleNamespace(
        **{"data": str(path), "scale": None, "input_range": None, "class_names": None, **changes}
    )


def test_the_range_of_the_network_decides(folder):
    model = small_digits_cnn()
    bytes_model = Model([*model.layers.values()], model.arrays, metadata={"input_range": [0, 255]})
    assert load_images(options(folder / "large.npz"), 5, 5, bytes_model).pixel_range is None
    assert load_images(options(folder / "large.npz", input_range=[0, 255]), 5, 5, model).x_test.max() > 200
    with pytest.raises(snc.SettingsError):
        load_images(options(folder / "large.npz"), 5, 5, None)


def test_pictures_for_a_model_with_channels_first(folder):
    import keras

    layers = [
        keras.Input((1, 20, 24)),
        keras.layers.Conv2D(2, 3, data_format="channels_first", activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
    model = snc.as_model(keras.Sequential(layers))
    first = load_images(options(folder / "pictures"), 5, 5, model)
    last = snc.load_dataset(folder / "pictures", train=5, test=5, shape=(20, 24, 1))
    np.testing.assert_array_equal(first.x_test, np.moveaxis(last.x_test, -1, 1))


def test_the_names_are_those_of_the_data_sets():
    assert (*IMAGES, *RECORDED) == (*DATASETS, "n-mnist")


def test_a_model_with_several_inputs_is_for_python():
    with pytest.raises(snc.SettingsError, match="2 inputs, 'image', 'facts', and the command line takes one"):
        load_images(None, None, None, several_ports())


def test_images_for_tests_only(folder, tmp_path, capsys):
    """They evaluate and diagnose a network; other commands need training images."""
    data = snc.load_dataset("digits", train=1, test=60)
    np.savez(tmp_path / "tests.npz", x_test=data.x_test, y_test=data.y_test)
    few = ["--data", tmp_path / "tests.npz"]
    for command in ("evaluate", "diagnose"):
        whole = [command, folder / "snn.npz", "--steps", 2, "--test-images", 60, "--data"]
        expected, found = (figures(capsys, *whole, file) for file in ("digits", tmp_path / "tests.npz"))
        evaluations = [each.get("evaluation", each) for each in (expected, found)]
        assert evaluations[0]["accuracy"] == evaluations[1]["accuracy"]
    for command, *rest in (["convert", "out.npz"], ["tune", "out.npz"], ["to-ttfs", "out.npz"]):
        files = [folder / "model.npz", *(tmp_path / name for name in rest)]
        assert cli.main([command, *map(str, [*files, *few])]) == 1
        assert "tests.npz has test images only, and this command needs training images" in capsys.readouterr().err
        assert not (tmp_path / "out.npz").exists()


def test_class_names_give_named_labels_the_order_of_the_model(folder, tmp_path, capsys):
    """Names in a file, or of folders, are numbered in alphabetical order otherwise."""
    data, names = snc.load_dataset("digits", train=1, test=60), [f"{9 - n}th" for n in range(10)]
    np.savez(tmp_path / "named.npz", x_test=data.x_test, y_test=np.array(names)[data.y_test])
    evaluate = ["evaluate", folder / "snn.npz", "--steps", 3, "--test-images", 60, "--data"]
    expected = figures(capsys, *evaluate, "digits")
    found = figures(capsys, *evaluate, tmp_path / "named.npz", "--class-names", ",".join(names))
    assert found["accuracy"] == expected["accuracy"]
    assert figures(capsys, *evaluate, tmp_path / "named.npz")["accuracy"] != expected["accuracy"]
    wrong = [*evaluate, tmp_path / "named.npz", "--class-names", ",".join(["none", *names[1:]])]
    assert cli.main(list(map(str, wrong))) == 1
    assert "--class-names lacks '9th', which named.npz has" in capsys.readouterr().err
    np.savez(tmp_path / "numbered.npz", x_test=data.x_test, y_test=data.y_test)  # other numbers are names of theirs
    found = figures(capsys, *evaluate, tmp_path / "numbered.npz", "--class-names", "1,2,3,4,5,6,7,8,9,10")
    assert found["accuracy"] == expected["accuracy"]
