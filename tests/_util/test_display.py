"""Results in one line, and as tables in notebooks."""

import html.parser

import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv._util.display import Displayed


class Shown(Displayed):
    def _headline(self):
        return "a < b\x1b[2J"

    def _tables(self):
        return [[("name", "value"), ("<x>", "1")], [(), ("only", "cells")]]


def cells_of(text):
    """Return the texts of th and td elements."""
    found, inside = [], []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            inside.append(tag)

        def handle_endtag(self, tag):
            assert inside.pop() == tag

        def handle_data(self, data):
            found.append((inside[-1], data))

    Reader().feed(text)
    assert not inside
    return found


def test_text_is_escaped():
    assert repr(Shown()) == str(Shown()) == "<Shown: a < b\\x1b[2J>"
    shown = cells_of(Shown()._repr_html_())
    assert ("p", ": a < b\\x1b[2J") in shown
    assert [text for tag, text in shown if tag == "th"] == ["name", "value"]
    assert [text for tag, text in shown if tag == "td"] == ["<x>", "1", "only", "cells"]


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(0)
    model, x = small_cnn(), rng.random((12, 6, 6, 2), dtype=np.float32)
    y = rng.integers(0, model.shapes[model.output][0], 12)
    network = snc.normalize(snc.convert(model), x)
    spiking = snc.to_spiking(network)
    evaluation = snc.evaluate(spiking, x, y, n_steps=4)
    return {
        "convert": network,
        "to_spiking": spiking,
        "evaluate": evaluation,
        "record": snc.record(spiking, x[:2], n_steps=4),
        "diagnose": snc.diagnose(spiking, x, y, n_steps=4),
        "sweep": snc.sweep(spiking, x, y, n_steps=4, n_jobs=1),
        "tune": snc.tune(network, x, y, max_loss=100, max_steps=2, space={"percentile": [99]}, n_jobs=1),
        "profile": snc.profile(spiking, x[:2], n_steps=4),
        "efficiency": snc.efficiency(spiking, evaluation),
        "check_hardware": snc.check_hardware(spiking, "loihi2"),
    }


def test_results_are_short(results):
    for name, result in results.items():
        text = repr(result)
        assert text.startswith(f"<{type(result).__name__}: "), name
        assert len(text) < 300, name
        assert "array" not in text and "object at" not in text, name
        assert any(tag == "td" for tag, _ in cells_of(result._repr_html_())), name


def test_values(results):
    evaluation, spiking = results["evaluate"], results["to_spiking"]
    assert f"{100 * evaluation.accuracy[-1]:.2f} % after 4 steps" in repr(evaluation)
    assert "IntegrateAndFire" in repr(spiking)
    assert str(spiking) == repr(spiking)
    assert f"{sum(map(spiking.model.size, spiking.model.neurons)):,} neurons" in repr(spiking)
    recording = results["record"]
    assert f"{sum(int(spikes.sum()) for spikes in recording.spikes.values()):,} spikes" in repr(recording)


def test_operations_ratio(results):
    evaluation = results["evaluate"]
    assert evaluation.operations_ratio == pytest.approx(results["efficiency"].ratio)
    line = next(line for line in evaluation.summary().splitlines() if line.startswith("operations, ANN / spikes"))
    assert f"{evaluation.operations_ratio:.2f}" in line
    assert ("cost more" in line) == (evaluation.operations_ratio < 1)
