"""Names, titles and labels are text, and never interpreted as code, HTML, formulas or terminal commands."""

import ast
import html.parser
import json
import pathlib
import re

import nengo
import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv import cli, plots
from nengo_snnconv.gui.layout import layout
from nengo_snnconv.gui.views import picture_svg, scores_svg
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.network import ConvNetwork
from nengo_snnconv.networks.surrogate import SurrogateConfig

HTML = "<img onload=a>&\"'<!--"
FORMULA = r"$\nonsense{"
CONTROL = "\x1b[2J\x07\u202e"
NAMES = [HTML, FORMULA + "$", "_hidden", CONTROL, "a&b é"]


@pytest.fixture(scope="module")
def network():
    """Network of layers whose names are code, HTML, formulas or control characters."""
    first, second, third, fourth, fifth = (name.replace("/", "|") for name in NAMES)
    model = make(
        specs.Input(first, shape=(28, 28, 1)),
        specs.AveragePool(second, first, pool_size=(7, 7)),
        specs.Flatten(third, second),
        specs.Dense(fourth, third, units=6),
        specs.Rectifier(FORMULA + "$ _", fourth),
        specs.Dense(fifth, FORMULA + "$ _", units=10),
    )
    # neurons without rates, for which no model of Keras is made, whose names are not free
    return ConvNetwork(model, SurrogateConfig(snc.SurrogateLIF()))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((12, 28, 28, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def evaluation(network, x):
    return snc.evaluate(network, x, np.arange(12) % 10, n_steps=4, progress=False)


CLASSES = [*NAMES, *"56789"]


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.text.append(data)


def assert_harmless(text):
    found = Tags(text)
    assert "img" not in found.tags
    assert not [name for name in found.attributes if name.startswith("on")]
    assert found.tags.count("script") <= 1
    return found


@pytest.mark.parametrize(
    "name", ['a"""\nraise SystemExit(1)\n"""', "'); raise SystemExit(1) #", "{x}\\", "\udcff", HTML]
)
def test_scripts_of_nengo_gui(name, network, tmp_path):
    path = tmp_path / "folder" / f"{name.replace('/', '|')}.snn.npz"
    snc.save(network, path)
    snc.write_gui_script(tmp_path / "script.py", path, examples=2, seed=3)
    text = (tmp_path / "script.py").read_text()
    tree = ast.parse(text)
    assert [type(node).__name__ for node in tree.body] == ["Expr", "Import", *["Assign"] * 3]
    assert pathlib.Path(tree.body[2].value.func.value.args[0].value) == path
    exec(compile(tree, "script", "exec"), found := {})
    assert found["model"].network.settings.seed == 3
    for line in (tmp_path / "script.py.cfg").read_text().splitlines():
        assert re.fullmatch(r"(_viz_\w+|_viz_config\[[\w.\[\]]+\]\.\w+) = [\w.()\[\], -]+", line)


def test_what_would_become_code_of_a_script_is_refused(network, tmp_path):
    snc.save(network, tmp_path / "n.npz")
    path, code = tmp_path / "n.npz", "0); raise SystemExit("
    for argument in ("seed", "examples"):
        with pytest.raises(snc.SettingsError) as caught:
            snc.write_gui_script(tmp_path / "script.py", path, **{argument: code})
        assert caught.value.argument == argument
    with pytest.raises(snc.DatasetError, match="no data set"):
        snc.write_gui_script(tmp_path / "script.py", path, data="x'\n")
    with pytest.raises(snc.SettingsError, match="identifier"):
        layout(None, "model)\nraise SystemExit(")
    assert not (tmp_path / "script.py").exists()


def test_labels_in_nengo_gui(network, x):
    model = snc.GuiNetwork(network, x, np.arange(12) % 10, CLASSES, examples=1)
    labels = [each.label for each in model.all_objects if each.label]
    assert len(labels) > 8
    assert not [label for label in labels if re.search("[<>&\"'\x00-\x1f]", label)]
    for svg in (picture_svg(x[0], HTML), scores_svg(np.arange(10.0), CLASSES, 3)):
        assert_harmless(svg)
        assert "\x1b" not in svg


def test_reports(network, evaluation, x, tmp_path):
    path, recording = tmp_path / "report.html", snc.record(network, x[:1], n_steps=4)
    options = {"title": HTML, "data": f"{FORMULA}$\udcff", "class_names": CLASSES, "recording": recording}
    sections = [(HTML, HTML, [(HTML, CONTROL), (HTML, FORMULA)])]
    snc.write_report(
        path, network, evaluation, **options, run={HTML: HTML}, command=f"x {HTML} \udcff", sections=sections
    )
    found = assert_harmless(path.read_text(encoding="utf-8"))
    assert any(HTML in text for text in found.text)
    assert snc.read_report(path)["title"] == HTML
    assert snc.read_report(path)["run"] == {HTML: HTML}


def test_pictures(network, evaluation, x):
    recording = snc.record(network, x[:1], n_steps=4, potentials=True)
    events = snc.simulate_recordings(x[:2], [0, 1], progress=False)
    axes = [
        snc.plot_confusion(evaluation, CLASSES),
        *snc.plot_spike_counts(evaluation),
        *snc.plot_image_response(recording, 0, true_class=1, class_names=CLASSES),
        snc.efficiency(network, evaluation).plot(),
        *plots.plot_event_statistics(dict.fromkeys(NAMES, events))["density"],
    ]
    life = plots.plot_life(recording, class_names=CLASSES).values()
    figures = {ax.figure.figure for ax in (*axes, *life)}
    n_formulas = 0
    for figure in figures:
        figure.draw_without_rendering()  # raises for an invalid formula
        for text in figure.findobj(lambda each: hasattr(each, "get_text")):
            assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text.get_text())
            if "nonsense" in text.get_text():
                n_formulas += 1
                assert "$" not in text.get_text().replace(r"\$", "")
    assert n_formulas > 5
    legends = [legend for figure in figures for ax in figure.axes if (legend := ax.get_legend())]
    assert any(text.get_text() == " _hidden" for legend in legends for text in legend.get_texts())


def test_text_for_terminals(network, tmp_path, capsys):
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", network.report() + network.model.summary())
    path = tmp_path / "a\x1b[2Jb\udcff.npz"
    assert cli.main(["evaluate", str(path), "--json", str(tmp_path / "f.json")]) == 1
    assert r"a\x1b[2Jb\udcff.npz" in capsys.readouterr().err
    snc.save(network, path)
    arguments = ["evaluate", str(path), "--test-images", "4", "--steps", "3", "--json", str(tmp_path / "f.json")]
    assert cli.main([*arguments, "--report", str(tmp_path / "\x1br.html")]) == 0, capsys.readouterr().err
    printed = capsys.readouterr()
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\u202e]", printed.out)
    assert json.loads((tmp_path / "f.json").read_text())
    assert isinstance(network, nengo.Network)
