"""Every function that draws returns a Plot."""

import copy
import itertools
import types

import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.plots import Plot
from nengo_snnconv.report.pictures import figures_of

rng = np.random.default_rng(0)
X = rng.random((24, 6, 6, 2)).astype(np.float32)
Y = rng.integers(0, 4, 24)
HISTORY = {"loss": [1.0, 0.5], "accuracy": [0.5, 0.8], "val_loss": [1.0, 0.6], "val_accuracy": [0.4, 0.7]}


def trained(name, n_steps):
    return types.SimpleNamespace(name=name, n_steps=n_steps, history=HISTORY, n_test=20)


@pytest.fixture(scope="module")
def arguments():
    """Arguments for each function."""
    network = snc.convert(small_cnn())
    snn = snc.to_spiking(snc.normalize(network, X))
    ttfs = snc.to_ttfs(network, X, n_steps=8)
    evaluation = snc.evaluate(snn, X, Y, n_steps=4)
    recording = snc.record(snn, X[:2], n_steps=4, potentials=True)
    diagnosis = snc.diagnose(snn, X, Y, n_steps=4, x_calibration=X, try_remedies=False)
    options = {"n_jobs": 1, "progress": False, "x_calibration": X}
    tuning = snc.tune(network, X, Y, max_loss=100, max_steps=4, space={"percentile": [99.0, 100.0]}, **options)
    events = snc.simulate_recordings(X[:2, ..., :1], Y[:2], progress=False)
    return {
        "plot_accuracies": ({"a": evaluation},),
        "plot_accuracy": (evaluation,),
        "plot_comparison": (types.SimpleNamespace(trained={1: trained("a", None), 2: trained("b", 4)}),),
        "plot_confusion": (evaluation,),
        "plot_diagnosis": (diagnosis,),
        "plot_event_frames": (events.frames(3)[0],),
        "plot_event_statistics": ({"a": events},),
        "plot_events": (events[0],),
        "plot_history": (HISTORY,),
        "plot_image_response": (recording,),
        "plot_input_spikes": (X[0], snc.poisson_spikes(X[:1], 4)[0]),
        "plot_life": (recording,),
        "plot_operations": (snc.efficiency(snn, evaluation),),
        "plot_spike_counts": (evaluation,),
        "plot_spike_times": (ttfs, snc.evaluate(ttfs, X, Y)),
        "plot_stop": (evaluation,),
        "plot_sweep": (snc.sweep(snn, X, Y, {"skip_steps": [0, 1]}, n_steps=3, n_jobs=1),),
        "plot_threshold_errors": (snc.threshold_errors(network, X, n_steps=(2, 4), progress=False),),
        "plot_tuning": (tuning,),
    }


@pytest.mark.parametrize("name", [name for name in snc._HOMES["plots"] if name != "animate_life"])
def test_every_function_returns_a_plot(name, arguments):
    draw = getattr(snc, name)
    plot = draw(*arguments[name])
    assert type(plot) is Plot
    assert isinstance(plot.figure, matplotlib.figure.Figure)
    assert {ax.get_figure(root=True) for ax in plot} == {plot.figure} == set(figures_of(plot))
    assert plot[0].figure.figure is plot.figure  # how plots were used before
    if len(plot) == 1:
        assert plot.get_xlabel() == plot[0].get_xlabel()
    else:
        with pytest.raises(AttributeError, match=r"plot\[0\].get_xlabel"):
            _ = plot.get_xlabel
    if plot.keys():  # names of panels
        plot = dict(plot)
    again = draw(*arguments[name], axes=plot) if name != "plot_life" else None
    assert again is None or list(again)[0] is (plot["counts"] if isinstance(plot, dict) else plot[0])


def test_texts_of_tuning_are_whole(arguments):
    (tuning,) = arguments["plot_tuning"]
    plot = snc.plot_tuning(tuning)
    plot.figure.draw_without_rendering()
    legend = [text.get_text().replace("\n", " ") for text in plot.figure.legends[0].get_texts()]
    assert legend[0] == tuning.trial.grid_point.text
    assert f"(ANN: {100 * tuning.evaluation.ann_score:.2f} %)" in legend[1]
    assert (
        f"ANN: {100 * tuning.selection.ann_score:.2f} % on the {len(tuning.selection.y)} images of the choice" in legend
    )
    labels = [label for label in plot[1].get_xticklabels(which="both") if label.get_text()]
    assert labels and all("10^" not in label.get_text() for label in labels)
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


def test_ratios_of_operations_have_a_header(arguments):
    texts = [text.get_text() for text in snc.plot_operations(*arguments["plot_operations"]).texts]
    assert "ANN / spikes" in texts


def test_all_are_tested(arguments):
    assert set(arguments) == set(snc._HOMES["plots"]) - {"animate_life"}


class TestPlot:
    def test_panels_with_names(self, tmp_path):
        a, b, c = matplotlib.figure.Figure().subplots(1, 3)
        plot = Plot({"one": a, "others": [b, c]})
        assert list(plot) == [a, b, c]
        assert plot["one"] is a and plot["others"] == [b, c] and plot[-1] is c
        assert "others" in plot and b in plot and "b" not in plot
        assert list(plot.keys()) == ["one", "others"] and list(plot.items())[0] == ("one", a)
        plot.savefig(tmp_path / "a.svg")
        assert b"<svg" in (tmp_path / "a.svg").read_bytes()
        with pytest.raises(KeyError):
            plot["two"]

    def test_one_panel(self):
        ax = matplotlib.figure.Figure().subplots()
        plot = Plot(ax)
        plot.set_title("a\nb")
        assert Plot(plot)[0] is ax
        assert ax.get_title() == "a\nb"
        assert repr(plot) == "<Plot: a b>"
        assert copy.copy(plot)[0] is ax
        with pytest.raises(AttributeError, match="nothing"):
            _ = plot.nothing

    def test_notebooks_show_it(self):
        plot = snc.plot_history(HISTORY)
        assert plot._repr_png_()[:4] == b"\x89PNG"

    def test_a_subfigure_and_pyplot(self):
        figure = matplotlib.figure.Figure()
        assert Plot(figure.subfigures(1, 2)[0].subplots()).figure is figure
        with plt.ioff():
            figure, ax = plt.subplots()
            assert Plot(ax)._repr_png_() is None  # the notebook shows it
            plt.close(figure)


def test_docstrings_say_how_to_save():
    """``plt.savefig`` would write an empty picture, because figures are not those of pyplot."""
    functions = [getattr(snc.plots, name) for name in snc.plots.__all__ if name.startswith("plot_")]
    results = [getattr(snc, name) for name in snc.__all__ if name[0].isupper()]
    functions += [result.plot for result in results if hasattr(result, "plot")]
    assert len(functions) > 20
    assert [each.__qualname__ for each in functions if "``.savefig(path)``" not in each.__doc__] == []
