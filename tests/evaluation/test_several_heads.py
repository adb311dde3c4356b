"""Several outputs: the measures of each are those of a network with this output alone."""

import json

import nengo
import numpy as np
import pytest
from models import only_output, several_ports

import nengo_snnconv as snc
from nengo_snnconv._util.text_tables import percent
from nengo_snnconv.evaluation.of_values import named_by_output
from nengo_snnconv.evaluation.summary import summary_rows
from nengo_snnconv.evaluation.task import as_task
from nengo_snnconv.inputs import as_inputs
from nengo_snnconv.report.run import Run, cards
from nengo_snnconv.report.sections import _accuracy, _single_items

MODEL, N, N_STEPS = several_ports(seed=3), 40, 12
rng = np.random.default_rng(0)
X = {"image": rng.random((N, 6, 6, 1), dtype=np.float32), "facts": rng.random((N, 3), dtype=np.float32)}
Y = {"kind": rng.integers(0, 4, N), "odd": rng.integers(0, 2, N), "size": rng.normal(size=(N, 2)).astype(np.float32)}
CLASSES = {**Y, "size": rng.integers(0, 2, N)}
RATES = snc.normalize(snc.convert(MODEL), X)
SNN = snc.to_spiking(RATES)


@pytest.fixture(scope="module")
def evaluation():
    return snc.evaluate(SNN, X, Y, n_steps=N_STEPS)


@pytest.mark.parametrize("name", Y)
def test_measures_of_each_head(evaluation, name):
    alone = snc.to_spiking(snc.normalize(snc.convert(only_output(MODEL, name)), X))
    expected, head = snc.evaluate(alone, X, Y[name], n_steps=N_STEPS), evaluation.heads[name]
    assert head.head == expected.head
    assert [measure.name for measure in head.measures] == [measure.name for measure in expected.measures]
    for measure, other in zip(head.measures, expected.measures, strict=True):
        np.testing.assert_allclose(measure.steps, other.steps, atol=1e-5)
        assert measure.ann == (None if other.ann is None else pytest.approx(other.ann, abs=1e-5))
    np.testing.assert_allclose(head.scores, expected.scores, atol=1e-5)
    np.testing.assert_array_equal(head.y, expected.y)
    np.testing.assert_allclose(evaluation.predictions[name], expected.predictions, atol=1e-5)
    assert head.spikes_per_neuron == pytest.approx(expected.spikes_per_neuron)


def test_score_is_the_mean_of_the_heads(evaluation):
    heads = evaluation.heads.values()
    np.testing.assert_allclose(evaluation.score, np.mean([head.score for head in heads], axis=0))
    assert evaluation.ann_score == pytest.approx(np.mean([head.ann_score for head in heads]))
    assert (evaluation.accuracy, evaluation.margins, evaluation.step_predictions) == (None, None, None)
    np.testing.assert_allclose(evaluation.image_scores().mean(), evaluation.score[-1])
    assert evaluation.measure.name == "mean score"


def test_texts_name_the_heads(evaluation):
    for name in Y:
        assert f"{name}: " in evaluation.summary()
    assert "image (6 x 6 x 1) and facts (3) to kind (4) and odd (1) and size (2)" in SNN._headline()
    size = evaluation.heads["size"]
    rows = dict(summary_rows(evaluation, {"size": ["length", "width"]}))
    assert rows["size: width"] == str(size.by_value()[1])
    assert rows["size: R²"].startswith(percent(size.score[-1]))
    written = json.loads(json.dumps(evaluation.to_dict()))
    assert [each["name"] for each in written["by_value"]["size"]] == ["value 0", "value 1"]
    assert written["heads"] == {"kind": "classes", "odd": "binary", "size": "values"}
    assert written["kind_accuracy"] == evaluation.heads["kind"].accuracy.tolist()
    with pytest.raises(snc.SettingsError, match=r"heads\['kind'\].confusion"):
        evaluation.confusion()
    assert evaluation.heads["kind"].confusion().sum() == N


def test_back_ends_and_processes_agree(evaluation):
    few = {name: values[:5] for name, values in X.items()}
    targets = {name: values[:5] for name, values in Y.items()}
    fast = snc.evaluate(SNN, few, targets, n_steps=4)
    nengo_ = snc.evaluate(SNN, few, targets, n_steps=4, backend="nengo")
    np.testing.assert_allclose(nengo_.scores, fast.scores, atol=1e-5)
    swept = snc.sweep(SNN, X, Y, n_steps=N_STEPS, minibatch_size=20)
    np.testing.assert_array_equal(swept.trials[0].evaluation.scores, evaluation.scores)
    assert swept.trials[0].evaluation.score[-1] == evaluation.score[-1]


def test_early_stopping_waits_for_all_decisions():
    evaluation = snc.evaluate(SNN, X, CLASSES, n_steps=N_STEPS)
    heads = [as_task(only_output(MODEL, name), N, CLASSES[name]).head for name in CLASSES]
    parts = SNN.split_outputs(snc.record(SNN, X, n_steps=N_STEPS).filtered).values()
    closest = np.min([head.margins(part) for head, part in zip(heads, parts, strict=True)], axis=0)
    np.testing.assert_allclose(evaluation.margins, closest.T, atol=1e-6)
    rule = snc.choose_stop(evaluation, max_loss=20.0)
    assert snc.evaluate(SNN, X, CLASSES, stop=rule).mean_steps == pytest.approx(evaluation.stopped(rule)[0])
    with pytest.raises(snc.SettingsError, match="the values of 'size' are not"):
        snc.evaluate(SNN, X, Y, stop=rule)


def test_without_targets_the_heads_agree_with_the_ann():
    evaluation = snc.evaluate(RATES, X, n_steps=1)
    assert evaluation.score[-1] == 1
    assert not evaluation.labelled
    ann = snc.evaluate(RATES, X, Y, n_steps=1)
    assert ann.score[-1] == pytest.approx(ann.ann_score, abs=1e-6)


def test_diagnose_and_tune_take_the_mean_score(evaluation):
    diagnosis = snc.diagnose(SNN, X, Y, n_steps=N_STEPS, try_remedies=False)
    assert diagnosis.evaluation.score[-1] == pytest.approx(evaluation.score[-1])
    head = diagnosis.evaluation.heads["kind"]
    points = [sum(layer.points.values()) for layer in diagnosis.layers.values()]
    scores = f"{100 * head.ann_score:.2f} % as an ANN, {100 * head.score[-1]:.2f} % with spikes"
    assert f"kind: accuracy {scores}" in diagnosis.sentences()
    total = diagnosis.input_points + diagnosis.readout_points + sum(points)
    assert total == pytest.approx(evaluation.loss_points, abs=0.01)
    tuning = snc.tune(RATES, X, Y, max_loss=50.0, space={"skip_steps": [0, 1]}, max_steps=8)
    assert tuning.evaluation.score_name == "mean score"
    assert set(tuning.evaluation.heads) == set(Y)


def test_recordings_and_reports(evaluation):
    few = {name: values[:2] for name, values in X.items()}
    recording = snc.record(SNN, few, n_steps=4)
    with pytest.raises(snc.SettingsError, match=r"recording.heads\['kind'\]"):
        snc.plots.plot_image_response(recording)
    head = recording.heads["size"]
    np.testing.assert_array_equal(head.images, few["image"])
    np.testing.assert_array_equal(head.output, recording.output[..., 5:])
    assert head.input.shape == (2, 4, 6, 6, 1)
    names = named_by_output(evaluation, {"kind": ("ant", "bee", "cat", "dog")})
    run = Run(SNN, evaluation, class_names=names, recording=recording, images=(0, 1))
    text, pictures = (content for _, content in _accuracy(run).blocks[:2])
    assert len(pictures) == 3  # the curve, and matrices of two heads
    headings = [content for kind, content in _single_items(run).blocks if kind == "heading"]
    shown = ("ant", "bee", "cat", "dog")[Y["kind"][0]]
    assert headings[0].startswith(f"Image 1: kind: {shown}, classified as ") and "; size: target " in headings[0]
    assert any(title == "kind: accuracy" for title, *_ in cards(run))
    with pytest.raises(snc.SettingsError, match="the outputs are"):
        named_by_output(evaluation, {"sort": ("a", "b", "c", "d")})
    (axes,) = evaluation.plot().figure.axes
    assert len(axes.get_legend().get_texts()) == 3
    last = 100 * evaluation.heads["size"].score[-1]
    assert axes.get_ylim()[0] < last < 0  # R² of random targets


def test_inputs_and_outputs_of_a_larger_network():
    vector = SNN.join_inputs(X)
    expected = snc.record(SNN, X, n_steps=6).output
    with nengo.Network() as larger:
        snn = snc.to_spiking(RATES)
        for name, node in snn.inputs.items():
            nengo.Connection(nengo.Node(X[name][0].ravel()), node, synapse=None)
        seen = nengo.Node(size_in=2)
        nengo.Connection(snn.outputs["size"], seen, synapse=None)
        probe = nengo.Probe(seen)
    with snc.Simulator(larger) as simulator:
        simulator.run_steps(6)
    np.testing.assert_allclose(np.reshape(simulator.data[probe], (6, 2)), expected[0, :, 5:], atol=1e-6)
    shown = snc.to_spiking(RATES)
    n_steps = snc.present(shown, {name: values[:3] for name, values in X.items()}, n_steps=6)
    with snc.Simulator(shown) as simulator:
        simulator.run_steps(n_steps)
    np.testing.assert_allclose(simulator.data[shown.probes["output"]].reshape(3, 6, -1), expected[:3], atol=1e-6)
    np.testing.assert_array_equal(vector, as_inputs(MODEL, X).batch(slice(None)))
    with pytest.raises(snc.SettingsError, match="7 entries"):
        SNN.split_outputs(np.zeros((2, 3)))


def test_files(tmp_path, evaluation):
    snc.save(SNN, tmp_path / "snn.npz")
    loaded = snc.load(tmp_path / "snn.npz")
    assert loaded.model.inputs == SNN.model.inputs and loaded.model.outputs == SNN.model.outputs
    np.testing.assert_array_equal(snc.evaluate(loaded, X, Y, n_steps=N_STEPS).scores, evaluation.scores)


def test_time_to_first_spike_and_stages():
    for network in (snc.to_ttfs(RATES, X, n_steps=64), snc.to_spiking(RATES, stage_steps=64)):
        evaluation = snc.evaluate(network, X, Y, threads=1)
        assert evaluation.score[-1] == pytest.approx(evaluation.ann_score, abs=0.1)
        assert set(evaluation.heads) == set(Y)


def test_what_takes_one_input_and_one_output():
    pytest.importorskip("nir")
    with pytest.raises(snc.ConversionError, match="'image', 'facts'"):
        snc.to_nir(SNN)
    with pytest.raises(snc.ConversionError, match=r"network\.inputs"):
        snc.GuiNetwork(SNN, X, Y)
