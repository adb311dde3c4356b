"""Readers of layers that only act in training and return their input at inference."""

from ....errors import listed
from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from ..config_entries import layer_kind
from .axes import channels_last_order

# layers such as AutoContrast, which change images at inference too, are not among them
TRAINING_ONLY = {
    "ActivityRegularization",
    "AlphaDropout",
    "AugMix",
    "CutMix",
    "GaussianDropout",
    "GaussianNoise",
    "MaxNumBoundingBoxes",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHeight",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "Solarization",
    *(f"SpatialDropout{rank}D" for rank in (1, 2, 3)),
}


def unchanged(call):
    """Read a layer that returns its input at inference."""
    call.options.ignore()
    return call.tensor


def dropout(call):
    """Read Dropout, which stays in the model, for training."""
    call.options.ignore("seed", "noise_shape")
    return call.add_spec(specs.Dropout, call.tensor.spec, order=call.tensor.axes, rate=call.options["rate"])


def random_crop(call):
    """Read RandomCrop of images of its size; at inference, Keras 2 resizes other images and Keras 3 keeps them."""
    order = channels_last_order(call)[:2]
    if [call.shape[axis] for axis in order] != [call.options["height"], call.options["width"]]:
        raise UnsupportedLayer(
            "does not crop at inference: leave it out of the model, and pass images of the cropped size"
        )
    return unchanged(call)


def pipeline(call):
    """Read a Pipeline of layers that only act in training."""
    others = [entry["class_name"] for entry in call.options["layers"] if layer_kind(entry) not in TRAINING_ONLY]
    if others:
        raise UnsupportedLayer(
            f"holds {listed(others)}, which change images at inference: put its layers into the model"
        )
    return unchanged(call)
