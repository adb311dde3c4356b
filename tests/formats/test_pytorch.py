"""PyTorch models, live and exported: read exactly, from both exporters; the rest is refused with advice."""

import sys
import warnings

import numpy as np
import pytest
from keras_comparison import check_close, forward

import nengo_snnconv as snc
from nengo_snnconv.formats import pytorch
from nengo_snnconv.model import layers as specs

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
onnx_comparison = pytest.importorskip("onnx_comparison", reason="onnx or onnxruntime is not installed")
nn = torch.nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.norm(self.conv(x)))


class Small(nn.Module):
    """A residual network whose forward flattens with the size of the batch."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU6(), nn.MaxPool2d(3, 2, 1))
        self.block = Block(8)
        self.head = nn.Sequential(nn.Linear(8 * 4 * 5, 16), nn.PReLU(), nn.Dropout(), nn.Linear(16, 10))

    def forward(self, x):
        x = self.block(self.stem(x))
        return self.head(x.view(x.size(0), -1))


SHAPE = (3, 16, 20)


def randomised(module):
    """Return a module with statistics of batch normalization that are not 0 and 1."""
    torch.manual_seed(0)
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 2) if "var" in name else buffer.normal_()
    return module


@pytest.fixture
def module():
    torch.manual_seed(0)
    return randomised(Small())


@pytest.fixture
def images(rng):
    return rng.normal(size=(3, *SHAPE)).astype(np.float32)


def scores(module, images):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(images)).numpy()


def check(source, module, images, **arguments):
    model = snc.as_model(source, **arguments)
    check_close(forward(model, np.moveaxis(images, 1, -1)), scores(module, images))
    return model


def test_live_module(module, images):
    model = check(module, module, images, input_shape=SHAPE)
    assert model.shapes[model.input] == (16, 20, 3)
    assert not any(isinstance(layer, specs.Permute) for layer in model.layers.values())


def test_network(module, images):
    network = snc.convert(module, input_shape=SHAPE)
    check_close(np.asarray(snc.rate_model(network)(np.moveaxis(images, 1, -1))), scores(module, images))


def test_module_stays_as_it_was(module):
    module.train()
    module.block.norm.eval()
    before = {name: each.training for name, each in module.named_modules()}
    snc.convert(module, input_shape=SHAPE)
    assert {name: each.training for name, each in module.named_modules()} == before


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("name", ["fixed", "dynamic"])
def test_exported_files(dynamo, name, module, images, tmp_path):
    if dynamo:
        pytest.importorskip("onnxscript")
    options = {}
    if name == "dynamic" and dynamo:
        options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif name == "dynamic":
        options |= {"input_names": ["image"], "dynamic_axes": {"image": {0: "batch"}}}
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.zeros(2, *SHAPE),), path, dynamo=dynamo, **options)
    check(path, module, images)


def test_exported_program(module, images, tmp_path):
    pytest.importorskip("onnxscript")
    program = torch.export.export(module.eval(), (torch.zeros(2, *SHAPE),))
    check(program, module, images)


def test_exporter_that_would_crash(monkeypatch):
    """TensorFlow was imported before nengo_snnconv, which would have imported triton first."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    with pytest.raises(snc.CompatibilityError, match="import nengo_snnconv before tensorflow"):
        pytorch._with_program(None, None, {})


def test_other_layers(images):
    upsampling = nn.Sequential(
        nn.Conv2d(3, 4, 2, 2),
        nn.LeakyReLU(0.1),
        nn.ConvTranspose2d(4, 5, 3, stride=2, padding=1, output_padding=1),
        nn.Upsample(scale_factor=2),
        nn.Hardtanh(),
        nn.ZeroPad2d((1, 0, 2, 1)),
        nn.AvgPool2d(3, 2, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    check(randomised(upsampling), upsampling, images, input_shape=SHAPE)


def test_series(rng):
    module = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 7, 3))
    x = rng.normal(size=(2, 2, 9)).astype(np.float32)
    check(randomised(module), module, x, input_shape=(2, 9))


class TestRefusals:
    def test_missing_shape(self, module):
        with pytest.raises(snc.ConversionError, match="input_shape is needed for a PyTorch model"):
            snc.convert(module)

    def test_wrong_shape(self, module):
        with pytest.raises(snc.ConversionError, match="PyTorch cannot export Small to ONNX"):
            snc.convert(module, input_shape=(4, 16, 20))

    def test_layers_are_named(self):
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4, 2), nn.Tanh())
        with pytest.raises(snc.ConversionError, match="train the model with ReLU instead"):
            snc.convert(module, input_shape=(3, 3, 3))

    def test_state_dict(self, module):
        with pytest.raises(snc.ConversionError, match="a state dict of PyTorch, which holds weights only: build the"):
            snc.convert(module.state_dict())

    def test_tensor(self):
        with pytest.raises(snc.ConversionError, match="got an object of PyTorch"):
            snc.convert(torch.zeros(3))

    def test_file_is_not_unpickled(self, module, tmp_path):
        torch.save(module.state_dict(), tmp_path / "model.pt")
        with pytest.raises(snc.ConversionError, match="is a PyTorch file, not a Keras file: load it in PyTorch"):
            snc.convert(tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "googlenet"])
def test_models_of_torchvision(name, rng):
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    module = getattr(torchvision.models, name)(**options)
    with torch.no_grad():  # statistics of activations, without which deep networks overflow
        module.train()(torch.randn(4, 3, 64, 64))
    check(module, module, rng.normal(size=(2, 3, 64, 64)).astype(np.float32), input_shape=(3, 64, 64))


def test_vgg_of_torchvision(rng):
    """Its adaptive pooling enlarges images of 64 x 64 unevenly, which is refused; others are read."""
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    module = torchvision.models.vgg16_bn()
    with pytest.raises(snc.ConversionError, match="adaptive pooling|adaptive_avg_pool2d"):
        snc.as_model(module, input_shape=(3, 64, 64))
    module.avgpool, module.classifier[0] = nn.Identity(), nn.Linear(512 * 4, 64)
    module.classifier[3] = nn.Linear(64, 32)
    module.classifier[6] = nn.Linear(32, 10)
    check(module, module, rng.normal(size=(2, 3, 64, 64)).astype(np.float32), input_shape=(3, 64, 64))
