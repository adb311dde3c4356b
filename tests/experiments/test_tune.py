"""tune keeps its promise on a trained network, runs less than a full grid, and reports failure."""

import collections
import dataclasses
import json

import nengo
import numpy as np
import pytest
from models import make, small_cnn, small_digits_cnn
from trained_models import half_digits, trained

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.evaluation.metrics import paired_interval
from nengo_snnconv.experiments.sweeps import sweep_runner
from nengo_snnconv.experiments.sweeps.grid import format_value
from nengo_snnconv.experiments.tuning import search
from nengo_snnconv.experiments.tuning.parts import split_parts, stratified
from nengo_snnconv.experiments.tuning.space import default_space
from nengo_snnconv.model import layers as specs

MAX_LOSS, MAX_STEPS = 1.0, 20
SPACE = [
    {"percentile": [99, 99.9, 100], "initial_potential": [0, 0.5], "synapse": [None]},
    {"method": ["balance"], "balance_steps": [4], "initial_potential": [0.25, 0.5]},
]
# 360 of 540 images choose the settings, in three rounds of 40, 120 and 360 images; the others report their loss
REPORT_SPLIT = 1 / 3
OPTIONS = {"max_loss": MAX_LOSS, "max_steps": MAX_STEPS, "space": SPACE, "minibatch_size": 20, "n_jobs": 1}
OPTIONS["report_split"] = REPORT_SPLIT


@pytest.fixture(scope="module")
def network():
    return snc.convert(trained("plain"))


@pytest.fixture(scope="module")
def images():
    _, _, x, y = half_digits()
    return x[:540], y[:540]


@pytest.fixture(scope="module")
def parts(network, images, calibration):
    return split_parts(network.model, *images, calibration, REPORT_SPLIT, None, 0, calibrates=True)


@pytest.fixture(scope="module")
def selection(parts):
    """Images and classes that choose the settings."""
    return parts.selection


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
    def test_the_network_keeps_the_loss_from_then_on(self, tuned, selection):
        tuning = tuned[0]
        run = snc.evaluate(tuning.network, *selection, n_steps=MAX_STEPS)
        losses = run.ann_accuracy - run.accuracy
        allowed = MAX_LOSS / 100 + 1e-9
        assert (losses[tuning.n_steps - 1 :] <= allowed).all()
        assert losses[tuning.n_steps - 2] > allowed  # one step fewer is not enough
        assert tuning.kept
        assert 1 < tuning.n_steps < MAX_STEPS

    def test_its_figures_are_those_of_a_run_of_just_so_many_steps(self, tuned, parts):
        tuning = tuned[0]
        run = snc.evaluate(tuning.network, *parts.selection)  # the network defines the number of steps
        assert run.n_steps == tuning.n_steps == tuning.options["n_steps"]
        assert run.loss_points == tuning.selection_loss_points <= MAX_LOSS
        others = snc.evaluate(tuning.network, *parts.report)
        assert others.loss_points == tuning.loss_points
        assert others.synaptic_operations == tuning.synaptic_operations

    def test_it_knows_the_images_of_its_report(self, tuned, images):
        """Also by the same order, so that recordings of them belong to its evaluation."""
        tuning, (x, y) = tuned[0], images
        assert np.array_equal(tuning.evaluation.y, y[tuning.report_images])
        recording = snc.record(tuning.network, x[tuning.report_images[:3]], n_steps=tuning.n_steps)
        assert np.array_equal(recording.filtered[:, -1].argmax(axis=1), tuning.evaluation.predictions[:3])

    def test_no_other_setting_is_better(self, tuned, selection, network, calibration):
        """Compared with a grid of all settings on all images that choose."""
        tuning = tuned[0]
        grid = snc.sweep(network, *selection, SPACE, x_calibration=calibration, n_steps=MAX_STEPS, n_jobs=1)
        steps = {trial.grid_point.text: trial.steps_within(MAX_LOSS) for trial in grid.trials}
        assert len(steps) == len(tuning.trials) == 8
        fewest = min(n for n in steps.values() if n)
        assert tuning.n_steps == fewest
        equal = [trial for trial in grid.trials if steps[trial.grid_point.text] == fewest]
        costs = {
            t.grid_point.text: snc.evaluate(t.network, *selection, n_steps=fewest).synaptic_operations for t in equal
        }
        assert costs[tuning.trial.grid_point.text] == min(costs.values()) == tuning.selection.synaptic_operations
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
        assert sum(n for key, n in runs if n == 180) == 180  # only the chosen setting sees the report images
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

    def test_it_holds_the_best_one(self, error, images, network):
        tuning = error.tuning
        assert not tuning.kept
        assert tuning.n_steps == 4
        assert tuning.selection_loss_points == min(trial.loss_points[-1] for trial in tuning.trials)
        report = split_parts(network.model, *images, images[0], 0.5, None, 0, calibrates=True).report
        assert snc.evaluate(tuning.network, *report).loss_points == tuning.loss_points
        assert "loss too large; best found" in tuning.summary()
        assert snc.diagnose(tuning.network, *images, n_steps=4).findings


class TestWords:
    def test_summary_and_table(self, tuned):
        tuning = tuned[0]
        summary = tuning.summary()
        assert f"steps                      {tuning.n_steps} (tried up to {MAX_STEPS})" in summary
        assert f"{tuning.selection_loss_points:.2f} points (1 allowed) on 360 images" in summary
        assert f"{tuning.loss_points + 0.0:.2f} points on 180 images" in summary
        alone = dataclasses.replace(tuning, trials=tuning.trials[:1]).summary()
        assert "tried                      1 setting on up to 360 images" in alone
        header, first, *others = tuning.rows()
        assert header[:3] == ("method", "balance_steps", "initial_potential") or header[0] == "percentile"
        assert len(others) == 7
        assert first[header.index("steps")] == str(tuning.n_steps)
        assert first[header.index("images")] == "360"
        assert f"operations, ANN / spikes   {tuning.evaluation.operations_ratio:.2f}" in summary
        table = tuning.table().splitlines()
        assert table[0].endswith("setting") and max(map(len, table)) < 140
        assert table[1].endswith(tuning.trial.grid_point.text)
        hopeless = dataclasses.replace(tuning, max_loss=-100.0).table().splitlines()
        assert hopeless[1].split()[1:4] == ["–"] * 3 and hopeless[-1].startswith("–  the loss is larger")

    def test_parameters_that_all_trials_share_are_in_a_line(self, tuned):
        trial = tuned[0].trial
        table = dataclasses.replace(tuned[0], trials=[trial, trial]).table().splitlines()
        shared = ", ".join(f"{name} {format_value(value)}" for name, value in trial.setting.items())
        assert table[0] == f"all with {shared}"
        assert table[2].split()[:2] == ["360", str(tuned[0].n_steps)]

    def test_a_trial_with_clearly_fewer_operations_is_mentioned(self, tuned):
        tuning = dataclasses.replace(tuned[0], trials=tuned[0].trials[:1])
        assert not any("operations instead of" in remark for remark in tuning.remarks())
        other = tuned[0].trials[1].grid_point
        cheap = dataclasses.replace(tuning.trial, grid_point=other, operations=tuning.trial.operations / 2)
        remarks = dataclasses.replace(tuning, trials=[tuning.trial, cheap]).remarks()
        own = tuning.trial.operations[tuning.n_steps - 1]
        says = f"{tuning.n_steps} steps would need {own / 2:,.0f} operations instead of {own:,.0f}: {other.text}"
        assert says in remarks

    def test_figures_are_json(self, tuned):
        tuning = tuned[0]
        figures = json.loads(json.dumps(tuning.to_dict()))
        assert figures["n_steps"] == tuning.n_steps
        assert figures["synaptic_operations"] == tuning.synaptic_operations
        assert len(figures["trials"]) == 8

    def test_too_few_images_are_said_to_be(self, network, images):
        x, y = images
        with pytest.raises(snc.TuningError) as caught:  # also if the loss is kept: the remarks are the same
            options = {"max_loss": 0.5, "max_steps": 40, "space": {"percentile": [99.9]}, "n_jobs": 1}
            raise snc.TuningError("", snc.tune(network, x[:150], y[:150], **options))
        tuning = caught.value.tuning
        assert len(tuning.selection.y) == len(tuning.evaluation.y) == 50  # and 50 images calibrated the network
        remarks = " ".join(tuning.remarks())
        assert "one image of 50 is 2 points, so max_loss=0.5 allows no net loss; 200 or more images" in remarks
        assert "give training images as x_calibration" in remarks
        if tuning.kept:
            assert "on new images cannot be excluded" in remarks

    def test_the_interval_is_of_images_that_changed(self, tuned):
        evaluation = tuned[0].evaluation
        ann, spikes = evaluation.ann_predictions == evaluation.y, evaluation.predictions == evaluation.y
        lost, gained = (ann & ~spikes).sum(), (~ann & spikes).sum()
        low, high = tuned[0].interval
        assert (low, high) == tuple(100 * limit for limit in paired_interval(int(lost), int(gained), 180))
        assert low < tuned[0].loss_points < high


def test_plot(tuned):
    tuning = tuned[0]
    axes = tuning.plot()
    ann = 100 * tuning.selection.ann_accuracy
    curves = [line for line in axes[0].lines if len(line.get_xdata()) == MAX_STEPS]
    assert len(curves) == 8
    np.testing.assert_allclose(curves[-1].get_ydata(), ann - tuning.trial.loss_points)
    dots = [[line for line in ax.lines if line.get_marker() == "o"][0] for ax in axes]
    assert [dot.get_xdata()[0] for dot in dots] == [tuning.n_steps, tuning.synaptic_operations]
    assert dots[0].get_ydata()[0] == pytest.approx(ann - tuning.selection_loss_points)
    (report,) = [line for line in axes[0].lines if line.get_marker() == "D"]
    assert report.get_ydata()[0] == pytest.approx(ann - tuning.loss_points)
    assert axes[0].get_ylim()[0] < ann - MAX_LOSS < ann < axes[0].get_ylim()[1]


class TestCalibrated:
    """Calibrated networks are tried for ever fewer steps than the others need."""

    SPACE = [
        {"method": ["balance"], "balance_steps": [4]},
        {"calibrate": [True], "calibrate_steps": [1, 2, 4, 8], "signed": [True], "max_spikes": [4]},
    ]

    @pytest.fixture(scope="class")
    def vgg(self):
        return snc.convert(trained("vgg"))

    @pytest.fixture(scope="class")
    def tuning(self, vgg, images, calibration):
        options = {"max_loss": 3, "max_steps": 16, "space": self.SPACE, "n_jobs": 1}
        return snc.tune(vgg, *images, x_calibration=calibration[:100], **options)

    def test_they_need_fewer_steps(self, tuning):
        assert tuning.settings["calibrate"]
        assert tuning.n_steps == tuning.settings["calibrate_steps"] == tuning.evaluation.n_steps
        assert tuning.selection_loss_points <= 3
        assert "calibrated for" in " ".join(tuning.remarks())
        (plain,) = [trial for trial in tuning.trials if "calibrate" not in trial.setting]
        assert (plain.steps_within(3) or 99) > tuning.n_steps
        tried = [trial.evaluation.n_steps for trial in tuning.trials if "calibrate" in trial.setting]
        assert max(tried) < (plain.steps_within(3) or 99)
        assert min(tried) >= tuning.n_steps / 2  # after one that fails, fewer steps are not tried

    def test_it_is_the_network_of_calibrate(self, tuning, vgg, calibration):
        x, n_steps = calibration[:100], tuning.n_steps
        snn = snc.to_spiking(snc.normalize(vgg, x), snc.SignedIntegrateAndFire(max_spikes=4))
        same = snc.calibrate(snn, x, n_steps=n_steps)
        for name, array in same.model.arrays.items():
            assert np.array_equal(tuning.network.model.arrays[name], array)
        assert tuning.network.model.metadata["calibration"]["n_steps"] == n_steps

    def test_the_best_one_is_kept_in_vain(self, network, images, calibration):
        space = [{"calibrate": [True], "calibrate_steps": [1, 2], "initial_potential": [0]}]
        options = {"max_loss": 0, "max_steps": 2, "n_jobs": 1, "space": space}
        with pytest.raises(snc.TuningError) as caught:
            snc.tune(network, *images, x_calibration=calibration[:60], **options)
        assert [trial.evaluation.n_steps for trial in caught.value.tuning.trials] == [2]
        assert "diagnose" not in str(caught.value)


class TestParts:
    @pytest.mark.parametrize(("n", "share"), [(2, 0.5), (7, 0.01), (100, 0.3), (101, 0.5)])
    def test_both_have_the_same_shares_of_classes(self, n, share, rng):
        y = rng.integers(0, 3, n)
        one, other = stratified(y, share, rng)
        assert np.array_equal(np.sort([*one, *other]), np.arange(n))
        assert len(other) == np.clip(round(share * n), 1, n - 1)
        for label in range(3):
            assert abs((y[other] == label).sum() - len(other) / n * (y == label).sum()) <= 1

    def test_no_image_has_two_purposes(self, network, images):
        x, y = images
        parts = split_parts(network.model, x, y, None, 0.4, None, 1, calibrates=True)
        n_images = [len(parts.calibration), len(parts.selection[1].y), len(parts.report[1].y)]
        assert n_images == [180, 216, 144]
        seen = np.concatenate([parts.calibration, parts.selection[0], parts.report[0]])
        assert sorted(map(bytes, seen)) == sorted(map(bytes, x.astype(np.float32)))

    def test_given_report_images_leave_all_others_to_choose(self, network, images, calibration):
        x, y = images
        options = {"max_loss": 100, "max_steps": 2, "space": {"percentile": [99]}, "n_jobs": 1}
        report = (x[300:340], y[300:340])
        tuning = snc.tune(network, x[:300], y[:300], x_calibration=calibration, report_data=report, **options)
        assert len(tuning.selection.y) == 300 and np.array_equal(tuning.evaluation.y, report[1])
        assert not tuning.own_calibration
        assert tuning.report_images is None

    def test_a_loss_that_is_too_large_on_the_report_images_is_said(self, tuned):
        tuning = dataclasses.replace(tuned[0], max_loss=-5.0)
        assert "larger than allowed: choose the settings on more images" in " ".join(tuning.remarks())
        low, _ = tuned[0].interval
        tuning = dataclasses.replace(tuned[0], max_loss=(low + tuned[0].loss_points) / 2)
        assert "on other images the loss is larger than allowed: " in " ".join(tuning.remarks())


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
        report = split_parts(trained.model, x, y, None, 0.5, None, 0, calibrates=False).report
        run = snc.evaluate(trained.rebuild(synapse=synapse), *report, n_steps=1)
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
            "signed",
            "max_spikes",
            "skip_steps",
            "calibrate",
            "calibrate_steps",
        }
        signed = snc.to_spiking(snc.normalize(native, method="model"), snc.SignedIntegrateAndFire())
        names = {name for grid in default_space(signed, 8) for name in grid}
        assert "calibrate" in names and not {"signed", "max_spikes"} & names  # keeps its neurons
        poisson = signed.rebuild(input_coding="poisson")
        assert not any("calibrate" in grid for grid in default_space(poisson, 8))
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
            ({"space": {"calibrate": [True], "calibrate_steps": [65]}}, "^space: calibrate_steps must be at most"),
            ({"report_split": 0}, "^report_split must be"),
            ({"report_split": 1}, "^report_split must be"),
            ({"report_data": np.zeros(3)}, "^report_data must be"),
            ({"report_data": (np.zeros((8, 3)), np.zeros(8, int))}, "^report_data: x must have shape"),
            ({"seed": -1}, "^seed must be"),
            ({"x": np.zeros((2, 6, 6, 2)), "y": np.zeros(2, int)}, "^x: tune needs at least 3 images"),
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
        assert len(figures["evaluation"]["accuracy"]) == figures["n_steps"]
        assert "loss on other images" in printed
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


def test_a_network_that_predicts_the_most_frequent_class_only_is_not_chosen(rng):
    """Its accuracy is higher than that of an ANN that was trained for balanced accuracy."""
    model = make(
        specs.Input("image", shape=(4, 4, 1)),
        specs.Conv("conv", "image", filters=4, kernel_size=(3, 3)),
        specs.Rectifier("neurons", "conv"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=1),
    )
    x = rng.random((900, 4, 4, 1), np.float32)
    logits = snc.rate_model(snc.convert(model)).predict(x, verbose=0)[:, 0]
    y = (logits > np.quantile(logits, 0.8)).astype(int)  # a fifth is of class 1
    # the ANN says 1 too often, and without spikes the answer is 0
    bias = -np.quantile(logits, 0.5)
    model = model.replace(arrays={**model.arrays, "scores/bias": model.arrays["scores/bias"] + bias})
    network = snc.convert(model)
    ann = snc.evaluate(network, x, y, n_steps=1)
    assert ann.accuracy[-1] < 0.75 < 0.8  # of class 0 alone
    tuning = snc.tune(network, x, y, max_loss=2, max_steps=32, x_calibration=x[:100])
    balanced = next(each for each in tuning.evaluation.measures if each.name == "balanced accuracy")
    assert balanced.ann > 0.75
    assert balanced.steps[-1] > balanced.ann - 0.05
    assert "balanced accuracy" in tuning.summary()
    first = min(trial.loss_points[0] for trial in tuning.trials)
    assert first < -3  # an accuracy above that of the ANN
