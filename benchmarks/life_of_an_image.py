"""Draw the animation in README and docs/how-to/life-of-an-image.md: a four that looks like a six for some steps.

    NENGO_SNNCONV_DATA=DIR python benchmarks/life_of_an_image.py

writes docs/results/life-of-an-image.gif, in a few seconds if build/ contains the trained ANN.
"""

import anns
from results import ROOT

import nengo_snnconv as snc

IMAGE = 247


def main():
    ann, data = anns.trained("diehl-mnist")
    network = snc.normalize(snc.convert(ann), data.x_train[:1000])
    spiking = snc.to_spiking(network, input_coding="poisson", seed=1)
    recording = snc.record(spiking, data.x_test[IMAGE : IMAGE + 1], n_steps=30, potentials=True)
    path = ROOT / "docs" / "results" / "life-of-an-image.gif"
    print(snc.animate_life(recording, path, true_class=int(data.y_test[IMAGE])))


if __name__ == "__main__":
    main()
