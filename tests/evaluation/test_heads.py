"""Heads of networks: what the outputs mean, and the measures that fit, compared with recorded outputs and by hand."""

import json

import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv.evaluation import metrics, parallel
from nengo_snnconv.evaluation.shards import merge_counts
from nengo_snnconv.evaluation.summary import summary_rows
from nengo_snnconv.evaluation.task import as_task
from nengo_snnconv.inputs import as_inputs
from nengo_snnconv.model import layers as specs

N, N_STEPS = 30, 8


def model(outputs, head=None, seed=1):
    """Model of images (5, 5, 1); ``outputs`` None is an image of the same size."""
    layers = [
        specs.Input("image", shape=(5, 5, 1)),
        specs.Conv("conv", "image", filters=3, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("neurons", "conv"),
    ]
    if outputs is None:
        layers.append(specs.Conv("out", "neurons", filters=1, kernel_size=(3, 3), padding="same"))
    else:
        layers += [specs.Flatten("flat", "neurons"), specs.Dense("out", "flat", units=outputs)]
    found = make(*layers, seed=seed)
    return found.replace(metadata={**found.metadata, "head": head}) if head else found


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


X = np.random.default_rng(0).random((N, 5, 5, 1), dtype=np.float32)
Y = np.random.default_rng(1)
BITS, CLASSES, NUMBERS = Y.integers(0, 2, N), Y.integers(0, 4, N), Y.normal(size=(N, 3))
LABELS = np.concatenate([Y.integers(0, 2, (N - 1, 4)), np.zeros((1, 4), int)])

# case -> (outputs, function left out at the end, targets, name of the head)
CASES = {
    "classes": (4, None, CLASSES, "classes"),
    "one-hot": (4, "softmax", np.eye(4)[CLASSES], "classes"),
    "classes with sigmoids": (4, "sigmoid", CLASSES, "classes"),
    "agreement": (4, None, None, "classes"),
    "binary": (1, "sigmoid", BITS, "binary"),
    "binary floats": (1, "sigmoid", BITS[:, None].astype(float), "binary"),
    "binary, linear": (1, None, BITS, "binary"),
    "binary, no targets": (1, "sigmoid", None, "binary"),
    "labels": (4, "sigmoid", LABELS, "labels"),
    "labels, linear": (4, None, LABELS.astype(float), "labels"),
    "labels, no targets": (4, "sigmoid", None, "labels"),
    "regression": (1, None, NUMBERS[:, 0], "values"),
    "regression of zeros and ones": (1, None, BITS.astype(float), "values"),
    "regression of several": (3, None, NUMBERS, "values"),
    "shares": (1, "sigmoid", NUMBERS[:, 0] ** 2 / 10, "values"),
    "regression, no targets": (1, None, None, "values"),
    "image": (None, None, X, "values"),
    "image of a sigmoid": (None, "sigmoid", X, "values"),
    "mask": (None, "sigmoid", X[..., 0] > 0.5, "labels"),
    "image, no targets": (None, "sigmoid", None, "values"),
}


def spiking(case):
    outputs, head, *_ = CASES[case]
    return snc.to_spiking(snc.normalize(snc.convert(model(outputs, head)), X))


@pytest.mark.parametrize("case", CASES)
def test_head_of_model_and_targets(case):
    outputs, head, y, name = CASES[case]
    task = as_task(model(outputs, head), N, y)
    assert task.head.name == name
    assert task.labelled == (y is not None)


def expected_predictions(name, outputs, head):
    """Return the predictions for outputs (images, ..., outputs), computed by hand."""
    if name == "classes":
        return outputs.argmax(axis=-1)
    if name == "binary":
        return (outputs[..., 0] > 0).astype(int)
    if name == "labels":
        return outputs > 0
    return sigmoid(outputs) if head == "sigmoid" else outputs


@pytest.mark.parametrize("case", CASES)
def test_measures_are_those_of_the_recorded_outputs(case):
    n_outputs, head, y, name = CASES[case]
    network = spiking(case)
    found = snc.evaluate(network, X, y, n_steps=N_STEPS)
    outputs = snc.record(network, X, n_steps=N_STEPS).filtered.swapaxes(0, 1)
    ann = np.asarray(snc.rate_model(network)(X)).reshape(N, -1)
    expected, of_ann = (expected_predictions(name, each, head) for each in (outputs, ann))
    steps = {measure.name: measure.steps for measure in found.measures}
    anns = {measure.name: measure.ann for measure in found.measures}
    assert (found.head, found.n_steps, found.labelled) == (name, N_STEPS, y is not None)
    if name == "values":
        check_errors(expected, of_ann, y, steps, anns, found)
        return
    assert np.array_equal(found.step_predictions, expected)
    assert np.array_equal(found.ann_predictions, of_ann)
    axes = tuple(range(1, expected.ndim))
    assert np.allclose(steps["agreement with the ANN"], (expected == of_ann).mean(axis=axes))
    if y is None:
        assert list(steps) == ["agreement with the ANN"]
        assert np.allclose(found.score, steps["agreement with the ANN"])
        assert found.ann_score == 1
        return
    true = y.reshape(N, -1).astype(int)
    true = true.argmax(axis=1) if case == "one-hot" else true if name == "labels" else true[:, 0]
    accuracy = "accuracy of labels" if name == "labels" else "accuracy"
    assert np.allclose(steps[accuracy], (expected == true).mean(axis=axes))
    assert np.isclose(anns[accuracy], (of_ann == true).mean())
    assert np.array_equal(found.accuracy, steps[accuracy])
    if name == "labels":
        f1 = [[f1_by_sets(*pair) for pair in zip(step, true, strict=True)] for step in expected]
        assert np.allclose(found.score, np.mean(f1, axis=1))
        assert np.allclose(found.image_scores(2), f1[2])
    else:
        recalls = [[(step[true == each] == each).mean() for each in np.unique(true)] for step in expected]
        assert np.allclose(steps["balanced accuracy"], np.mean(recalls, axis=1))
        assert found.confusion().sum() == N
        assert len(found.confusion()) == (2 if name == "binary" else 4)


def f1_by_sets(predicted, true):
    predicted, true = set(np.flatnonzero(predicted)), set(np.flatnonzero(true))
    return 2 * len(predicted & true) / (len(predicted) + len(true)) if predicted or true else 1.0


def check_errors(expected, of_ann, y, steps, anns, found):
    """Check the measures of a regression."""
    difference = np.abs(expected - of_ann)
    assert np.allclose(steps["MSE against the ANN"], (difference**2).mean(axis=(1, 2)), rtol=1e-4, atol=1e-7)
    assert np.allclose(steps["MAE against the ANN"], difference.mean(axis=(1, 2)), rtol=1e-4, atol=1e-6)
    true = of_ann if y is None else y.reshape(N, -1)
    error = np.abs(expected - true)
    if y is not None:
        assert np.allclose(steps["mean squared error"], (error**2).mean(axis=(1, 2)), rtol=1e-5)
        assert np.allclose(steps["mean absolute error"], error.mean(axis=(1, 2)), rtol=1e-5)
        assert np.isclose(anns["mean squared error"], ((of_ann - true) ** 2).mean(), rtol=1e-5)
        assert found.measure.name == "mean squared error"
    spread = ((true - true.mean(axis=0)) ** 2).mean()
    assert np.allclose(found.score, 1 - (error**2).mean(axis=(1, 2)) / spread, rtol=1e-4, atol=1e-5)
    assert np.allclose(found.predictions.reshape(N, -1), expected[-1], rtol=1e-5, atol=1e-6)
    assert found.step_predictions is None
    assert found.accuracy is None


@pytest.mark.parametrize("case", ["binary", "labels", "regression of several", "image of a sigmoid", "agreement"])
def test_back_ends_and_time_to_first_spike(case):
    outputs, head, y, _ = CASES[case]
    network = spiking(case)
    some = None if y is None else y[:5]
    fast, nengo = (snc.evaluate(network, X[:5], some, n_steps=4, backend=name) for name in ("fast", "nengo"))
    assert np.allclose(fast.records, nengo.records, atol=1e-4)
    ttfs = snc.to_ttfs(snc.convert(model(outputs, head)), X, n_steps=4)
    closed, simulated = (snc.evaluate(ttfs, X[:5], some, backend=name) for name in (None, "nengo"))
    assert np.allclose(closed.records, simulated.records, atol=1e-4)


@pytest.mark.parametrize("case", ["binary", "labels", "regression of several", "image, no targets"])
def test_parts_of_the_images(case):
    """Processes and the shards of a sweep need their part of the targets; the sum is that of all images."""
    network, y = spiking(case), CASES[case][2]
    whole = snc.evaluate(network, X, y, n_steps=N_STEPS, minibatch_size=10)
    inputs, parts = as_inputs(network.model, X), [slice(0, 20), slice(20, N)]
    task = whole.task
    run = network.model, network.settings, N_STEPS, {"minibatch_size": 10}
    counts = [
        parallel._count_part(run, (inputs.take(part), task.for_records(part)), threads=1, place=0)[0] for part in parts
    ]
    assert np.array_equal(merge_counts(counts).records, whole.records)
    swept = snc.sweep(network, X, y, n_steps=N_STEPS, shards=2, n_jobs=1, minibatch_size=10)
    assert np.array_equal(swept.trials[0].evaluation.records, whole.records)
    assert whole.measure.name in swept.table()


def test_results_of_a_regression_depend_on_its_targets(tmp_path):
    network, run = spiking("regression"), {"n_steps": 3, "n_jobs": 1, "folder": tmp_path}
    first, again, other = (snc.sweep(network, X, y, **run) for y in (NUMBERS[:, 0], NUMBERS[:, 0], NUMBERS[:, 1]))
    errors = [each.trials[0].evaluation.measure.steps for each in (first, again, other)]
    assert np.array_equal(errors[0], errors[1])
    assert not np.array_equal(errors[0], errors[2])
    assert np.array_equal(errors[2], snc.evaluate(network, X, NUMBERS[:, 1], n_steps=3).measure.steps)


class TestStopping:
    @pytest.mark.parametrize("case", ["binary", "labels", "agreement"])
    def test_images_stop_by_the_margin_of_the_head(self, case):
        network, y = spiking(case), CASES[case][2]
        evaluation = snc.evaluate(network, X, y, n_steps=N_STEPS)
        outputs = snc.record(network, X, n_steps=N_STEPS).filtered.swapaxes(0, 1)
        if case == "agreement":
            ordered = np.sort(outputs, axis=-1)
            margins = ordered[..., -1] - ordered[..., -2]
        else:
            margins = np.abs(outputs).min(axis=-1)
        assert np.allclose(evaluation.margins, margins, atol=1e-6)
        rule = snc.MarginStop(np.quantile(margins, 0.6) / np.arange(1, N_STEPS + 1))
        stopped = snc.evaluate(network, X, y, stop=rule)
        assert 1 < stopped.mean_steps < N_STEPS
        assert evaluation.stopped(rule) == pytest.approx((stopped.mean_steps, stopped.score[-1]))
        chosen = snc.choose_stop(evaluation, max_loss=30)
        assert chosen.calibration["mean_steps"] < N_STEPS

    def test_a_regression_does_not_stop(self):
        network = spiking("regression")
        evaluation = snc.evaluate(network, X, NUMBERS[:, 0], n_steps=2)
        with pytest.raises(snc.SettingsError, match="no margin by which images could stop early"):
            snc.choose_stop(evaluation)
        with pytest.raises(snc.SettingsError, match="stop is for decisions"):
            snc.evaluate(network, X, NUMBERS[:, 0], stop=snc.MarginStop([1.0, 0.0]))


@pytest.mark.parametrize("case", ["binary", "labels", "regression of several"])
def test_diagnosis_accounts_for_the_whole_loss(case):
    y = CASES[case][2]
    diagnosis = snc.diagnose(spiking(case), X, y, n_steps=3, try_remedies=False)
    assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-3)
    assert diagnosis.ann_accuracy == pytest.approx(diagnosis.evaluation.ann_score)
    assert diagnosis.rows()[0][1] == diagnosis.evaluation.score_name


def test_tried_remedies_of_a_regression():
    diagnosis = snc.diagnose(spiking("image, no targets"), X, n_steps=2)
    assert diagnosis.remedy is not None
    assert diagnosis.remedy.accuracy > diagnosis.accuracy
    assert "R² against the ANN" in diagnosis.sentences()[0]


@pytest.mark.parametrize("case", ["labels", "regression, no targets"])
def test_tuning_keeps_the_score(case):
    outputs, head, y, _ = CASES[case]
    network = snc.convert(model(outputs, head))
    space = {"percentile": [99.0, 100.0]}
    tuning = snc.tune(network, X, y, max_loss=20, max_steps=32, space=space, n_jobs=1, x_calibration=X)
    assert tuning.selection_loss_points <= 20
    assert tuning.n_steps < 32
    losses = tuning.trial.loss_points[tuning.n_steps - 1 :]
    assert (losses <= 20 + 1e-9).all()
    low, high = tuning.interval
    assert low <= tuning.loss_points <= high
    assert tuning.evaluation.score_name in tuning.summary()


def test_summary_of_a_tuned_regression_has_errors_in_its_own_units():
    outputs, head, y, _ = CASES["regression"]
    space = {"percentile": [99.0, 100.0]}
    options = {"max_loss": 20, "max_steps": 32, "space": space, "n_jobs": 1, "x_calibration": X}
    tuning = snc.tune(snc.convert(model(outputs, head)), X, y, **options)
    summary, error = tuning.summary(), tuning.evaluation.measures[1]
    assert "points of R² (20 allowed)" in summary
    assert f"{error.text(error.steps[-1])} with spikes, {error.text(error.ann)} with rates (ANN)" in summary


def test_report_data_of_another_kind():
    network = snc.convert(model(4, "sigmoid"))
    with pytest.raises(snc.SettingsError, match="report_data must have a y like .*: labels; got classes"):
        snc.tune(network, X, LABELS, report_data=(X, CLASSES), n_jobs=1)


class TestRefused:
    @pytest.mark.parametrize(
        ("outputs", "head", "y", "message"),
        [
            (1, None, CLASSES, "whole numbers from 0 to 3, but one output tells the classes 0 and 1 apart"),
            (1, None, NUMBERS, r"y must have shape \(images,\) or \(images, 1\), got \(30, 3\)"),
            (4, None, NUMBERS, r"y must have shape \(images,\) or \(images, 4\), got \(30, 3\)"),
            (4, None, NUMBERS[:, 0], "y must hold class numbers"),
            (1, "sigmoid", np.eye(2)[BITS], r"got \(30, 2\): take y.argmax\(axis=1\)"),
            (4, None, np.array(list("abcd"))[CLASSES], r"in alphabetical order, np.unique\(y, return_inverse=True\)"),
            (4, None, CLASSES[:, None], r"take the column, y\[:, 0\]"),
            (4, None, CLASSES[:, None, None], r"give each once, y\[:, 0, 0\]"),
            (4, None, np.tile(CLASSES[:, None, None], (1, 9, 1)), r"got \(30, 9, 1\): give each once, y\[:, 0, 0\]"),
            (4, None, np.tile(CLASSES[:, None], (1, 9)), r"got \(30, 9\): give each once, y\[:, 0\]"),
            (4, None, np.tile(np.eye(4)[CLASSES][:, None], (1, 9, 1)), r"give each once, y\[:, 0\]"),
            (1, None, np.tile(NUMBERS[:, :1, None], (1, 9, 1)), r"give each once, y\[:, 0, 0\]"),
            (4, None, CLASSES[:, None, None] + np.arange(2)[:, None], "differ between the steps of an item, give one"),
            (4, None, CLASSES + 1, "the classes in y go from 1 to 4, the network has 4 outputs"),
            (4, None, CLASSES[1:], "x and y must hold equally many images"),
            (3, "softmax", NUMBERS, r"ends with a softmax; .* take y.argmax\(axis=1\)"),
            (3, None, NUMBERS * np.nan, "y must be finite"),
            (None, None, CLASSES, r"y must have shape \(images, 5, 5, 1\), that of the output, got \(30,\)"),
        ],
    )
    def test_targets(self, outputs, head, y, message):
        with pytest.raises(snc.SettingsError, match=message) as caught:
            snc.evaluate(snc.convert(model(outputs, head)), X, y, n_steps=2)
        assert caught.value.argument == "y"

    def test_the_advice_works(self):
        network = snc.convert(model(1))
        assert snc.evaluate(network, X, CLASSES.astype(float), n_steps=2).head == "values"

    def test_integers_for_a_model_compiled_with_mse(self):
        regression = model(1)
        network = snc.convert(regression.replace(metadata={**regression.metadata, "targets": "values"}))
        for y in (CLASSES, BITS):
            assert snc.evaluate(network, X, y, n_steps=2).head == "values"

    def test_nothing_to_compare_with(self):
        network = snc.build_trainable(model(4), snc.SurrogateLIF(), synapse=None)
        with pytest.raises(snc.SettingsError, match="y is needed: this network has no ANN"):
            snc.evaluate(network, X, n_steps=2)
        assert [each.name for each in snc.evaluate(network, X, CLASSES, n_steps=2).measures] == [
            "accuracy",
            "balanced accuracy",
        ]

    def test_no_confusion_of_labels(self):
        with pytest.raises(snc.SettingsError, match="no confusion matrix of labels"):
            snc.evaluate(spiking("labels"), X, LABELS, n_steps=2).confusion()


class TestShown:
    def test_values_in_different_units(self, tmp_path):
        network, y = spiking("regression of several"), NUMBERS * [1, 100, 1]
        evaluation = snc.evaluate(network, X, y, n_steps=3)
        predictions, of_ann = evaluation.predictions, evaluation.ann_predictions
        for number, value in enumerate(evaluation.by_value()):
            for found, error, score in (
                (predictions, value.error, value.score),
                (of_ann, value.ann_error, value.ann_score),
            ):
                difference = found[:, number] - y[:, number]
                assert error == pytest.approx(np.abs(difference).mean(), rel=1e-5)
                assert score == pytest.approx(1 - (difference**2).mean() / y[:, number].var(), rel=1e-4)
        (r2,) = (measure for measure in evaluation.measures if measure.name == "R²")
        assert (r2.steps[-1], r2.ann) == (pytest.approx(evaluation.score[-1]), pytest.approx(evaluation.ann_score))
        rows = dict(summary_rows(evaluation, {}))
        assert rows["value 1"] == str(evaluation.by_value()[1])
        assert rows["R²"].startswith(r2.text(r2.steps[-1]))
        assert "\nangle " in evaluation.summary(["brightness", "angle", "size"])
        values = json.loads(json.dumps(evaluation.to_dict()))
        assert values["by_value"][1]["error"] == evaluation.by_value()[1].error
        assert values["ann_r2"] == evaluation.ann_score
        path = tmp_path / "report.html"
        snc.write_report(path, network, evaluation, class_names=["brightness", "angle", "size"])
        assert f"{evaluation.by_value()[1].error:.4g}" in path.read_text().split("errors of each value", 1)[-1]
        for names, message in ((["a"], "3 names, one for each"), (["a"] * 11, "3 names")):
            with pytest.raises(snc.SettingsError, match=message):
                evaluation.by_value(names)
        with pytest.raises(snc.SettingsError, match="does not predict"):
            snc.evaluate(spiking("labels"), X, n_steps=2).by_value()

    def test_without_targets_the_loss_of_the_model_tells_values_from_classes(self):
        three = model(3)
        assert "note                       taken as class scores" in snc.evaluate(snc.convert(three), X).summary()
        for targets, name in (("values", "values"), ("classes", "classes")):
            declared = three.replace(metadata={**three.metadata, "targets": targets})
            evaluation = snc.evaluate(snc.to_spiking(snc.normalize(snc.convert(declared), X)), X, n_steps=3)
            assert evaluation.head == name
            assert "taken as class scores" not in evaluation.summary()
            if name == "values":
                difference = evaluation.predictions - evaluation.ann_predictions
                errors = [value.error for value in evaluation.by_value()]
                assert errors == pytest.approx(np.abs(difference).mean(axis=0), rel=1e-5)
                assert evaluation.measures[-1].name == "R² against the ANN"
                assert evaluation.measures[-1].steps[-1] == pytest.approx(evaluation.score[-1])

    def test_scores_far_below_zero(self):
        evaluation = snc.evaluate(spiking("regression"), X, NUMBERS[:, 0] / 1000, n_steps=2)
        assert evaluation.score[-1] < -100
        assert "R²                         below -100 % (below -100 % with rates)" in evaluation.summary()
        assert (
            "below -100 % as an ANN"
            in snc.diagnose(spiking("regression"), X, NUMBERS[:, 0] / 1000, n_steps=2, try_remedies=False).sentences()[
                0
            ]
        )

    @pytest.mark.parametrize("case", ["one-hot", "agreement", "binary", "labels", "regression", "image, no targets"])
    def test_summary_plot_and_json(self, case):
        evaluation = snc.evaluate(spiking(case), X, CASES[case][2], n_steps=3)
        measure = evaluation.measure
        assert measure.text(measure.steps[-1]) in evaluation.summary()
        values = json.loads(json.dumps(evaluation.to_dict()))
        assert np.allclose(values[measure.key], measure.steps)
        assert values["head"] == evaluation.head
        axes = evaluation.plot()
        assert measure.name in axes.get_ylabel()
        assert np.allclose(axes.get_lines()[0].get_ydata(), measure.steps * (100 if measure.percent else 1))

    @pytest.mark.parametrize("case", ["binary, linear", "image of a sigmoid"])
    def test_report(self, case, tmp_path):
        network, y = spiking(case), CASES[case][2]
        evaluation = snc.evaluate(network, X, y, n_steps=3)
        recording = snc.record(network, X[:1], n_steps=3)
        path = tmp_path / "report.html"
        snc.write_report(path, network, evaluation, recording=recording)
        values = snc.read_report(path)
        assert values["evaluation"]["head"] == evaluation.head
        assert evaluation.measure.text(evaluation.measure.steps[-1]) in values["summary"]
        assert ("accuracy_interval" in values["evaluation"]) == (evaluation.head == "binary")

    def test_single_images(self):
        """One logit is two scores, that of class 0 being 0."""
        recording = snc.record(spiking("binary"), X[:2], n_steps=4)
        assert recording.head == "binary"
        scores = recording.class_scores(1)
        assert np.array_equal(scores, np.stack([np.zeros(4), recording.filtered[1, :, 0]], axis=1))
        axes = snc.plots.plot_image_response(recording, 1, true_class=1, class_names=["cat", "dog"])
        assert ("dog" if scores[-1, 1] > 0 else "cat") in axes[-1].get_title()
        assert snc.plot_life(recording, 1, true_class=1) is not None


def test_files_keep_the_head(tmp_path):
    path = tmp_path / "network.npz"
    snc.save(spiking("binary"), path)
    network = snc.load(path)
    assert network.model.metadata["head"] == "sigmoid"
    assert snc.evaluate(network, X, n_steps=2).head == "binary"


class TestMetrics:
    def test_interval_of_scores(self):
        before, after = np.array([1.0, 1, 0, 1]), np.array([0.0, 1, 1, 0])
        assert metrics.interval_of_change(before, after) == metrics.paired_interval(2, 1, 4)
        change = np.array([0.1, 0.3, -0.2, 0.6])
        low, high = metrics.interval_of_change(change, np.zeros(4))
        assert (low + high) / 2 == pytest.approx(change.mean())
        assert high - low == pytest.approx(2 * 1.96 * change.std(ddof=1) / 2)

    def test_variance_of_equal_values(self):
        assert metrics.variance(np.full((3, 2), 2.0)) == 4
        assert metrics.variance(np.zeros((3, 2))) == 1


def test_measures_are_shown_in_a_line():
    measure = snc.evaluation.measures.Measure("accuracy", np.array([0.5, 0.75]), 0.8)
    assert repr(measure) == "<Measure: accuracy 75.00 % after 2 steps, 80.00 % with rates>"
