"""Pictures of images and of scores in Nengo GUI."""

import base64
import io
import re

import matplotlib.image
import numpy as np

from nengo_snnconv.gui.views import LEGEND, picture_svg, scores_svg


def pixels_of(svg):
    data = re.search(r"base64,([^\"]+)", svg).group(1)
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))[..., :3]


def test_picture(rng):
    for shape in ((5, 7, 1), (5, 7, 3)):
        image = rng.random(shape)
        svg = picture_svg(image, "a < b")
        assert np.allclose(pixels_of(svg), np.broadcast_to(image, (5, 7, 3)), atol=1 / 255)
        assert "image-rendering:pixelated" in svg
        assert ">a &lt; b</text>" in svg
    assert np.allclose(
        pixels_of(picture_svg(np.array([[[-1.0], [0], [1]]]), "", low=-1)),
        [[[0] * 3, [0.5] * 3, [1] * 3]],
        atol=1 / 255,
    )
    assert pixels_of(picture_svg(rng.random((9, 2)), "")).shape == (2, 9, 3)
    assert pixels_of(picture_svg(rng.random(6), "")).shape == (1, 6, 3)
    volume = rng.random((3, 4, 5, 3))
    assert np.allclose(pixels_of(picture_svg(volume, "")), volume[1], atol=1 / 255)


def test_scores_as_bars():
    svg = scores_svg(np.array([-1.0, 3, 1]), ["cat", "<dog>", "owl"], true_class=2)
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert texts == ["&lt;dog&gt;", "wrong, it is owl", "cat", "&lt;dog&gt;", "owl", *LEGEND]
    bars = np.array(re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg), float)
    assert np.allclose(bars[:, 1], 70 / 4 * np.array([1, 3, 1]))
    assert np.allclose(bars[:, 0], 28 + 70 / 4 * np.array([0, 1, 1]))
    assert "right" in scores_svg(np.array([1.0, 0]), ["a", "b"], true_class=0)
    undecided = scores_svg(np.ones(2), ["a", "b"], true_class=1)
    assert re.findall(r">([^<>]+)</text>", undecided) == ["no class yet", "it is b", "a", "b", *LEGEND]
    assert "bold" not in undecided.partition("</text>")[2]
    (size,) = set(
        re.findall(r'y="[\d.]+" font-size="([\d.]+)" text-anchor="end"', scores_svg(np.zeros(2), ["a", "b" * 40], 0))
    )
    assert float(size) * 0.6 * 40 < 28  # a letter is about 0.6 of the font size wide; bars begin at 28
