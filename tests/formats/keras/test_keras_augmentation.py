"""Layers for random augmentation."""

import numpy as np
import pytest
from keras_comparison import check_close, forward, randomise, refused

from nengo_snnconv.compat import keras3, tf
from nengo_snnconv.formats.keras import as_model


def as_sequence(library, layer):
    return library.Sequential([library.Input((12, 12, 3)), layer, library.layers.Conv2D(2, 3)])


def as_graph(library, layer):
    """Call the layer without ``training``: Keras 3 then writes its default, which is True, into the configuration."""
    image = library.Input((12, 12, 3))
    return library.Model(image, library.layers.Conv2D(2, 3)(layer(image)))


@pytest.mark.parametrize("build", [as_sequence, as_graph])
def test_augmentation_layers_are_exact_or_refused(build, rng):
    """Every layer for random augmentation either returns its input at inference or is refused."""
    options = {
        "RandomBrightness": (0.2,),
        "RandomColorDegeneration": (0.3,),
        "RandomContrast": (0.2,),
        "RandomCrop": (12, 12),
        "RandomElasticTransform": (0.5,),
        "RandomErasing": (0.5,),
        "RandomFlip": (),
        "RandomGaussianBlur": (0.5,),
        "RandomGrayscale": (0.5,),
        "RandomHeight": (0.2,),
        "RandomHue": (0.2,),
        "RandomInvert": (0.5,),
        "RandomPerspective": (0.5,),
        "RandomPosterization": (3,),
        "RandomRotation": (0.1,),
        "RandomSaturation": (0.2,),
        "RandomSharpness": (0.5,),
        "RandomShear": (0.2, 0.2),
        "RandomTranslation": (0.1, 0.1),
        "RandomWidth": (0.2,),
        "RandomZoom": (0.1, 0.1),
        "MaxNumBoundingBoxes": (3,),
        **dict.fromkeys(["AugMix", "AutoContrast", "CutMix", "MixUp", "RandAugment", "RandomColorJitter"], ()),
        "Solarization": (),
    }
    read = []
    for library in (tf.keras, keras3):
        for name, arguments in options.items():
            if not hasattr(library.layers, name):
                continue
            layer = getattr(library.layers, name)(*arguments)
            model = build(library, layer)
            if refused(model):
                continue
            read.append(name)
            for scale in (1, 255):
                x = rng.uniform(-0.5, 1, (3, 12, 12, 3)).astype(np.float32) * scale
                check_close(forward(as_model(randomise(model, rng)), x), model.predict(x, verbose=0))
                assert np.array_equal(layer(x, training=False), x)
    assert len(read) >= 25 and "AutoContrast" not in read
