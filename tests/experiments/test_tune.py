"""tune keeps its promise on a trained network, runs less than a full grid, and reports failure."""

import collections
import json

import nengo
import numpy as np
import pytest
from models import small_cnn, small_digits_cnn
from trained_models import half_digits, trained

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.evaluation.metrics import paired_interval
from nengo_snnconv.experiments.sweeps import sweep_runner
from nengo_snnconv.experiments.tuning import search
from nengo_snnconv.experiments.tuning.space import default_space

MAX_LOSS, MAX_STEPS = 1.0, 20
SPACE = [
    {"percentile": [99, 99.9, 100], "initial_potential": [0, 0.5], "synapse": [None]},
    {"method": ["balance"], "balance_steps": [4], "initial_potential": [0.25, 0.5]},
]
# three rounds, of 40, 120 and 360 images
OPTIONS = {"max_loss": MAX_LOSS, "max_steps": MAX_STEPS, "space": SPACE, "minibatch_size": 20, "n_jobs": 1}


@pytest.fixture(scope="module")
def network():
    return snc.convert(trained("plain"))


@pytest.fixture(scope="module")
def images():
    _, _, x, y = half_digits()
    return x[:360], y[:360]


@pytest.fixture(scope="module")
def calibration():
    return half_digits()[0][:300]


@pytest.fixture(scope="module")
def tuned(network, images, calibration, tmp_path_factory):
    """(Tuning, the shards that were run as (settings, normalization, images, steps), the folder of the results)."""
    runs, run_shard = [], sweep_runner.run_shard

    def counting(model, inputs, **options):
        key = model.arrays["conv1/kernel"].sum(), options["settings"], inputs.x.sum(), options["n_steps"]
        runs.append((key, len(inputs)))
        return run_shard(model, inputs, **options)

    folder = tmp_path_factory.mktemp("tuning")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_runner, "run_shard", counting)
        patch.setattr(search, "LEAST_IMAGES", 40)
        tuning = snc.tune(network, *images, x_calibration=calibration, folder=folder, **OPTIONS)
    return tuning, runs, folder


class TestPromise:
    def test_the_network_keeps_the_loss_from_then_on(self, tuned, images):
        tuning = tuned[0]
        run = snc.evaluate(tuning.network, *images, n_steps=MAX_STEPS)
        losses = run.ann_accuracy - run.accuracy
        allowed = MAX_LOSS / 100 + 1e-9
        assert (losses[tuning.n_steps - 1 :] <= allowed).all()
        assert losses[tuning.n_steps - 2] > allowed  # one step fewer is not enough
        assert tuning.kept
        assert 1 < tuning.n_steps < MAX_STEPS

    def test_its_figures_are_those_of_a_run_of_just_so_many_steps(self, tuned, images):
        tuning = tuned[0]
        run = snc.evaluate(tuning.network, *images)  # the network defines the number of steps
        assert run.n_steps == tuning.n_steps == tuning.options["n_steps"]
        assert run.loss_points == tuning.loss_points <= MAX_LOSS
        assert run.synaptic_operations == tuning.synaptic_operations

    def test_no_other_setting_is_better(self, tuned, images, network, calibration):
        """Compared with a grid of all settings on all images."""
        tuning = tuned[0]
        grid = snc.sweep(network, *images, SPACE, x_calibration=calibration, n_steps=MAX_STEPS, n_jobs=1)
        steps = {trial.grid_point.text: trial.steps_within(MAX_LOSS) for trial in grid.trials}
        assert len(steps) == len(tuning.trials) == 8
        fewest = min(n for n in steps.values() if n)
        assert tuning.n_steps == fewest
        equal = [trial for trial in grid.trials if steps[trial.grid_point.text] == fewest]
        costs = {t.grid_point.text: snc.evaluate(t.network, *images, n_steps=fewest).synaptic_operations for t in equal}
        assert costs[tuning.trial.grid_point.text] == min(costs.values()) == tuning.synaptic_operations
        assert len({n for n in steps.values() if n}) > 2  # the settings differ

    def test_settings_make_the_network(self, tuned, network, calibration):
        tuning = tuned[0]
        setting = dict(tuning.settings)
        neuron_type = snc.IntegrateAndFire(initial_potential=setting.pop("initial_potential"))
        setting.pop("synapse", None)
        if "balance_steps" in setting:
            setting["n_steps"] = setting.pop("balance_steps")
        same = snc.to_spiking(snc.normalize(network, calibration, **setting), neuron_type)
        assert tuning.network.settings == same.settings
        for name, array in same.model.arrays.items():
            assert np.array_equal(tuning.network.model.arrays[name], array)

    def test_it_is_saved_with_its_steps(self, tuned, tmp_path):
        tuning = tuned[0]
        snc.save(tuning.network, tmp_path / "n.snn.npz")
        metadata = snc.load(tmp_path / "n.snn.npz").model.metadata
        assert metadata["n_steps"] == tuning.n_steps
        assert metadata["tuning"] == {"max_loss": MAX_LOSS, "max_steps": MAX_STEPS, **tuning.settings}


class TestEconomy:
    def test_most_settings_see_few_images(self, tuned):
        tuning, runs, _ = tuned
        seen = collections.Counter(trial.n_images for trial in tuning.trials)
        assert seen.keys() == {40, 360}
        assert 5 <= seen[360] < 8
        shown = sum(n for key, n in runs if key[-1] == MAX_STEPS)
        assert shown == seen[40] * 40 + seen[360] * 360
        assert tuning.image_steps == (shown * MAX_STEPS, 8 * 360 * MAX_STEPS)
        assert f"{100 * shown / (8 * 360):.0f} % of the steps of a full grid" in tuning.summary()

    def test_nothing_is_run_twice(self, tuned):
        keys = [key for key, _ in tuned[1]]
        assert len(set(keys)) == len(keys)

    def test_the_same_call_finds_all_results(self, tuned, network, images, calibration, monkeypatch):
        tuning, _, folder = tuned
        monkeypatch.setattr(search, "LEAST_IMAGES", 40)
        monkeypatch.setattr(sweep_runner, "run_shard", None)
        again = snc.tune(network, *images, x_calibration=calibration, folder=folder, **OPTIONS)
        assert again.to_dict() == tuning.to_dict()

    @pytest.mark.parametrize(
        ("n", "shards"),
        [(1, [1]), (399, [1]), (600, [1, 3]), (1000, [1, 2, 5]), (2000, [1, 3, 10]), (60_000, [1, 3, 9, 27, 81])],
    )
    def test_the_first_round_has_some_hundred_images(self, n, shards):
        assert search.shards_per_round(search.number_of_shards(n)) == shards

    def test_others_get_their_chance_where_none_of_the_best_does_well(self, network, images, calibration, monkeypatch):
        monkeypatch.setattr(search, "LEAST_IMAGES", 40)
        with pytest.raises(snc.TuningError) as caught:
            snc.tune(network, *images, x_calibration=calibration, **{**OPTIONS, "max_loss": 0, "max_steps": 2})
        assert sum(trial.n_images == 360 for trial in caught.value.tuning.trials) == 8


class TestInVain:
    @pytest.fixture(scope="class")
    def error(self, network, images, calibration):
        with pytest.raises(snc.TuningError) as caught:
            options = {"max_loss": 0.1, "max_steps": 4, "space": {"percentile": [100], "initial_potential": [0, 0.3]}}
            snc.tune(network, *images, x_calibration=calibration, n_jobs=1, **options)
        return caught.value

    def test_it_says_what_to_try(self, error):
        begin = "no setting loses at most max_loss=0.1 points up to step 4: the best one (percentile 100, initial_pot"
        assert str(error).startswith(begin)
        assert "max_steps=8, because the loss is still falling; or max_loss=" in str(error)
        assert "diagnose(error.tuning.network, x[:500], y[:500], n_steps=4)" in str(error)

    def test_it_holds_the_best_one(self, error, images):
        tuning = error.tuning
        assert not tuning.kept
        assert tuning.n_steps == 4
        assert tuning.loss_points == min(trial.loss_points[-1] for trial in tuning.trials)
        assert snc.evaluate(tuning.network, *images).loss_points == tuning.loss_points
        assert "loss too large; best found" in tuning.summary()
        assert snc.diagnose(tuning.network, *images, n_steps=4).findings


class TestWords:
    def test_summary_and_table(self, tuned):
        tuning = tuned[0]
        summary = tuning.summary()
        assert f"steps                      {tuning.n_steps} (tried up to {MAX_STEPS})" in summary
        assert f"{tuning.loss_points:.2f} points (1 allowed)" in summary
        header, first, *others = tuning.rows()
        assert header[:3] == ("method", "balance_steps", "initial_potential") or header[0] == "percentile"
        assert len(others) == 7
        assert first[header.index("steps")] == str(tuning.n_steps)
        assert first[header.index("images")] == "360"

    def test_figures_are_json(self, tuned):
        tuning = tuned[0]
        figures = json.loads(json.dumps(tuning.to_dict()))
        assert figures["n_steps"] == tuning.n_steps
        assert figures["synaptic_operations"] == tuning.synaptic_operations
        assert len(figures["trials"]) == 8

    def test_too_few_images_are_said_to_be(self, network, images):
        x, y = images
        with pytest.raises(snc.TuningError) as caught:  # also if the loss is kept: the remarks are the same
            raise snc.TuningError("", snc.tune(network, x[:50], y[:50], max_loss=0.5, max_steps=40, n_jobs=1))
        remarks = " ".join(caught.value.tuning.remarks())
        assert "one image of 50 is 2 points, so max_loss=0.5 allows no net loss; 200 or more images" in remarks
        assert "give training images as x_calibration" in remarks
        assert "on new images cannot be excluded" in remarks

    def test_the_interval_is_of_images_that_changed(self, tuned):
        evaluation = tuned[0].evaluation
        ann, spikes = evaluation.ann_predictions == evaluation.y, evaluation.predictions == evaluation.y
        lost, gained = (ann & ~spikes).sum(), (~ann & spikes).sum()
        low, high = tuned[0].interval
        assert (low, high) == tuple(100 * limit for limit in paired_interval(int(lost), int(gained), 360))
        assert low < tuned[0].loss_points < high


def test_plot(tuned):
    tuning = tuned[0]
    axes = tuning.plot()
    ann = 100 * tuning.evaluation.ann_accuracy
    curves = [line for line in axes[0].lines if len(line.get_xdata()) == MAX_STEPS]
    assert len(curves) == 8
    np.testing.assert_allclose(curves[-1].get_ydata(), ann - tuning.trial.loss_points)
    dots = [[line for line in ax.lines if line.get_marker() == "o"][0] for ax in axes]
    assert [dot.get_xdata()[0] for dot in dots] == [tuning.n_steps, tuning.synaptic_operations]
    assert dots[0].get_ydata()[0] == pytest.approx(ann - tuning.loss_points)
    assert axes[0].get_ylim()[0] < ann - MAX_LOSS < ann < axes[0].get_ylim()[1]


class TestOtherNetworks:
    def test_a_trained_network_has_a_synapse_to_choose(self, trained, digits):
        x, y = digits.x_test[:100], digits.y_test[:100]
        options = {"max_steps": 16, "space": {"synapse": [None, 0.002]}, "n_jobs": 1}
        tuning = snc.tune(trained, x, y, max_loss=100, **options)
        assert tuning.n_steps == 1  # any loss is allowed
        assert tuning.network.settings.synapse == tuning.settings["synapse"]
        with pytest.raises(snc.TuningError, match="or neurons with higher") as caught:
            snc.tune(trained, x, y, max_loss=0, **{**options, "max_steps": 1})
        best = caught.value.tuning
        synapse = best.settings["synapse"]
        run = snc.evaluate(trained.rebuild(synapse=synapse), x, y, n_steps=1)
        assert run.loss_points == best.loss_points

    def test_spaces(self):
        native = snc.convert(small_cnn())
        grids = default_space(native, 8)
        assert grids[1]["balance_steps"] == [1, 2, 4, 8]
        assert {name for grid in grids for name in grid} == {
            "method",
            "percentile",
            "per",
            "balance_steps",
            "initial_potential",
            "synapse",
        }
        with pytest.warns(UserWarning, match="not normalized"):
            lif = snc.to_spiking(native, nengo.LIF(min_voltage=-5, amplitude=0.0025))
        assert "initial_potential" not in default_space(lif, 8)[0]

    def test_those_without_a_choice_are_refused(self, rng):
        x, y = rng.random((8, 6, 6, 2), dtype=np.float32), np.zeros(8, int)
        ttfs = snc.to_ttfs(snc.convert(small_cnn()), x, n_steps=4)
        with pytest.raises(snc.ConversionError, match="time to first spike"):
            snc.tune(ttfs, x, y)
        with pytest.raises(snc.ConversionError, match="SurrogateLIF"):
            snc.tune(snc.build_trainable(small_cnn(), snc.SurrogateLIF()), x, y)
        with pytest.raises(snc.ConversionError, match="does not spike"):
            snc.tune(snc.build_trainable(small_cnn(), nengo.RectifiedLinear()), x, y)
        with pytest.raises(snc.SettingsError, match="expected a network"):
            snc.tune(small_cnn(), x, y)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"max_loss": -1}, "^max_loss must be"),
            ({"max_loss": "0.1"}, "^max_loss must be"),
            ({"max_steps": 0}, "^max_steps must be"),
            ({"space": {"percentile": [0]}}, "^percentile must be"),
            ({"space": {"colour": [0]}}, "'colour' cannot be varied"),
            ({"x": np.zeros((8, 3, 6, 6, 2))}, "^x must have shape"),
            ({"y": np.zeros(7, int)}, "^x and y must"),
        ],
    )
    def test_arguments_are_checked(self, changes, message, rng):
        arguments = {"network": snc.convert(small_cnn()), "x": rng.random((8, 6, 6, 2)), "y": np.zeros(8, int)}
        with pytest.raises(snc.SettingsError, match=message):
            snc.tune(**{**arguments, **changes})


class TestCommand:
    @pytest.fixture(scope="class")
    def small(self, tmp_path_factory):
        """A file with a small model for images of the digits."""
        path = tmp_path_factory.mktemp("small") / "model.npz"
        snc.save(small_digits_cnn(), path)
        return path

    def test_it_saves_the_network_that_keeps_the_loss(self, small, tmp_path, capsys):
        files = {name: tmp_path / f"f.{name}" for name in ("json", "html", "png")}
        output, data = tmp_path / "tuned.snn.npz", ["--test-images", "40"]
        options = ["--max-loss", "20", "--steps", "6", "--calibration-images", "50", "--jobs", "1", *data]
        written = ["--json", str(files["json"]), "--report", str(files["html"]), "--picture", str(files["png"])]
        assert cli.main(["tune", str(small), str(output), *options, *written, "--folder", str(tmp_path / "f")]) == 0
        printed, figures = capsys.readouterr().out, json.loads(files["json"].read_text())
        assert f"{figures['n_steps']} (tried up to 6)" in printed
        assert figures["kept"]
        assert files["png"].read_bytes().startswith(b"\x89PNG")
        assert "model.npz, tuned, on digits" in files["html"].read_text()
        n_results = len(list((tmp_path / "f").iterdir()))
        options = ["--jobs", "1", "--folder", str(tmp_path / "f"), *data, "--json", str(tmp_path / "e.json")]
        assert cli.main(["evaluate", str(output), *options]) == 0
        evaluation = json.loads((tmp_path / "e.json").read_text())
        assert evaluation["n_steps"] == figures["n_steps"]
        assert evaluation["accuracy"] == figures["evaluation"]["accuracy"]
        assert evaluation["synaptic_operations"] == figures["synaptic_operations"]
        assert len(list((tmp_path / "f").iterdir())) == n_results + 1

    def test_it_saves_nothing_else(self, trained, tmp_path, capsys):
        source, picture = tmp_path / "lif.npz", tmp_path / "best.svg"
        snc.save(trained, source)
        options = ["--max-loss", "0", "--steps", "1", "--test-images", "50", "--jobs", "1", "--picture", str(picture)]
        assert cli.main(["tune", str(source), str(tmp_path / "n.npz"), *options]) == 1
        printed = capsys.readouterr()
        assert "loss too large; best found" in printed.out
        assert printed.err.startswith("nengo-snnconv tune: no setting loses at most max_loss=0 points")
        assert {path.name for path in tmp_path.iterdir()} == {"lif.npz", "best.svg"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["tune", "a.npz", "b.npz", "--jobs", "2", "--dask", "tcp://x:1"], "--jobs"),
            (["evaluate", "a.npz", "--jobs", "2", "--dask", "tcp://x:1"], "--jobs"),
            (["tune", "a.npz", "a.npz"], "the same file"),
            (["tune", "a.npz", "b.npz", "--max-loss", "-1"], "must be 0 or more"),
        ],
    )
    def test_wrong_usage(self, arguments, message, capsys):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
