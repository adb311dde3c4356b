"""The Python code in the README runs as it stands, on a smaller budget."""

import pathlib
import re

import nengo_snnconv as snc

README = pathlib.Path(__file__).parents[1] / "README.md"
SMALL = {
    'load_dataset("digits")': 'load_dataset("digits", train=400, test=40)',
    "epochs=8": "epochs=1",
    "n_steps=30": "n_steps=3",
    "x_train[:1000]": "x_train[:100]",
    "y_train[:1000]": "y_train[:100]",
    "reshape(10000, ": "reshape(400, ",
}


def test_code_blocks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
    for large, small in SMALL.items():
        assert large in code
        code = code.replace(large, small)
    names = {}
    exec(compile(code, str(README), "exec"), names)
    assert "loss from spiking" in capsys.readouterr().out
    assert isinstance(snc.load("digits.snn.npz"), snc.ConvNetwork)
    assert snc.load("converted.snn.npz").settings == names["snn"].settings
    # the session of one's own has trained the network that it built
    fresh = snc.build_trainable(snc.preset("lif-mnist"))
    assert (names["network"].model.arrays["conv1/kernel"] != fresh.model.arrays["conv1/kernel"]).any()


def test_public_names_exist():
    for name in snc.__all__:
        assert getattr(snc, name) is not None
