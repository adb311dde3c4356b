"""Simulated recordings: laws of a pixel, seeds, and comparison with real recordings of the same images."""

import json

import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.errors import SettingsError
from nengo_snnconv.events import EVENT, Recordings, load_events
from nengo_snnconv.events.simulation import simulate_recordings
from nengo_snnconv.events.statistics import event_statistics

# an ideal camera, for exact results
IDEAL = {"offset_px": 0, "threshold_spread": 0, "threshold_jitter": 0, "refractory_us": 0}
SILENT = {"noise_off_hz": 0, "noise_on_hz": 0}
STILL = [(0, 0, 0), (2_000_000, 0, 0)]
RIGHT = [(0, -5, 0), (100_000, 5, 0)]


@pytest.fixture(scope="module")
def images():
    data = snc.load_dataset("digits", train=150, test=10)
    return data.x_train, data.y_train


def bar():
    """Return an image with a white bar as high as the image on black."""
    image = np.zeros((1, 12, 12), np.float32)
    image[:, :, 5:7] = 1
    return image


def bar_events(**settings):
    settings = {"sensor": (12, 12), "inverted": False, "path": RIGHT, **IDEAL, **SILENT, **settings}
    # use the middle row, since rows at the border see black above or below the image
    events = simulate_recordings(bar(), [0], **settings)[0]
    return events[events["y"] == 6]


def intervals(recordings):
    """Return the intervals between successive events of a pixel in all recordings."""
    found = []
    for events in recordings:
        pixel = events["y"].astype(int) * 256 + events["x"]
        order = np.argsort(pixel, kind="stable")
        found.append(np.diff(events["t"][order].astype(int))[np.diff(pixel[order]) == 0])
    return np.concatenate(found)


def test_the_seed_and_the_image_alone_make_a_recording(images):
    x, y = images
    recordings = simulate_recordings(x, y, seed=4, n_jobs=1)
    assert recordings.checksum() == simulate_recordings(x, y, seed=4, n_jobs=3).checksum()
    assert recordings.checksum() != simulate_recordings(x, y, seed=5).checksum()
    part = simulate_recordings(x[140:143], y[140:143], seed=4, numbers=[140, 141, 142])
    assert part.checksum() == recordings[140:143].checksum()
    assert list(part.numbers) == [140, 141, 142]
    np.testing.assert_array_equal(part.labels, y[140:143])
    # the same image twice, with different offsets and noise
    twice = simulate_recordings(x[[0, 0]], y[[0, 0]])
    assert len(twice[0]) != len(twice[1]) or (twice[0] != twice[1]).any()


def test_events_are_in_order_and_on_the_sensor(images):
    x, y = images
    for events in simulate_recordings(x[:20], y[:20]):
        assert events.dtype == EVENT
        assert np.all(np.diff(events["t"].astype(int)) >= 0)
        assert events["t"].max() < 310_000
        assert max(events["x"].max(), events["y"].max()) < 34


@pytest.mark.parametrize("inverted", [False, True])
def test_an_edge_that_brightens_a_pixel_causes_on_events(inverted):
    events = bar_events(inverted=inverted, blur_px=0.3)
    for column in range(3, 9):
        here = events[events["x"] == column]
        # the front of a white bar brightens and its end darkens; a black bar does the opposite
        polarity = here["polarity"].astype(int)
        assert polarity[0] == (not inverted)
        assert np.abs(np.diff(polarity)).sum() == 1
    # the center of the bar, between columns 5 and 6, is in column c after 5 + c - 5.5 of 10 pixels
    for column in range(3, 9):
        middle = events["t"][events["x"] == column].astype(float).mean()
        assert middle == pytest.approx(1e5 * (column - 0.5) / 10, abs=4000)


def test_events_count_the_thresholds_that_the_logarithm_crosses():
    # a sharp bar two pixels wide covers a pixel: the light rises from black to white
    for threshold, black in ((0.1, 0.2), (0.3, 0.05)):
        events = bar_events(blur_px=0, threshold_on=threshold, threshold_off=threshold, black_level=black)
        rise = np.log((1 + black) / black)
        for column in (4, 5, 6, 7):
            on = events["polarity"][events["x"] == column].sum()
            off = (~events["polarity"][events["x"] == column]).sum()
            # more or less than one event off, since the initial reference is random between the thresholds
            assert abs(on - rise / threshold) < 2
            assert abs(off - rise / threshold) < 2


def test_only_relative_changes_count():
    """Doubling all light, including black, adds a constant to the logarithm."""
    half = bar_events(blur_px=0.4, black_level=0.25)
    # half the contrast on half the black level
    dim = simulate_recordings(
        bar() / 2,
        [0],
        sensor=(12, 12),
        inverted=False,
        path=RIGHT,
        blur_px=0.4,
        black_level=0.125,
        **IDEAL,
        **SILENT,
    )[0]
    dim = dim[dim["y"] == 6]
    np.testing.assert_array_equal(half["x"], dim["x"])
    np.testing.assert_array_equal(half["polarity"], dim["polarity"])
    np.testing.assert_allclose(half["t"], dim["t"].astype(float), atol=20)  # because of float32


@pytest.mark.parametrize("refractory_us", [500, 3000])
def test_a_pixel_rests_after_an_event(images, refractory_us):
    x, y = images
    recordings = simulate_recordings(
        x[:10], y[:10], refractory_us=refractory_us, threshold_on=0.05, threshold_off=0.05, noise_on_hz=50
    )
    shortest = intervals(recordings).min()
    assert refractory_us <= shortest < refractory_us + 200


def test_noise_comes_at_its_rate():
    black = np.zeros((40, 20, 20), np.float32)
    recordings = simulate_recordings(
        black, np.zeros(40, int), sensor=(20, 20), path=STILL, noise_off_hz=0.5, noise_on_hz=2, refractory_us=0
    )
    seconds = 2 * 40 * 20 * 20
    for polarity, rate in ((False, 0.5), (True, 2)):
        count = (recordings.events["polarity"] == polarity).sum()
        assert abs(count - rate * seconds) < 5 * np.sqrt(rate * seconds)  # Poisson: five standard deviations
    pixel = np.concatenate([i * 400 + r["y"].astype(int) * 20 + r["x"] for i, r in enumerate(recordings)])
    counts = np.bincount(pixel, minlength=40 * 400)
    # for independent events, the variance is the mean, here within 1 %
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.05)


def test_nothing_happens_without_motion_and_noise(images):
    x, y = images
    recordings = simulate_recordings(x[:3], y[:3], path=STILL, **SILENT)
    assert recordings.lengths.sum() == 0
    assert len(recordings) == 3


def test_thresholds_differ_between_pixels_by_their_spread():
    # all pixels of a column see the same light, so they differ only in their thresholds
    image = np.zeros((1, 60, 60), np.float32)
    image[:, :, 25:35] = 1
    settings = {
        "sensor": (40, 40),
        "path": [(0, -3, 0), (100_000, 3, 0)],
        "threshold_on": 0.02,
        "threshold_off": 0.02,
        "blur_px": 0.3,
    }
    settings |= {"offset_px": 0, "threshold_jitter": 0, "refractory_us": 0, **SILENT}
    for spread in (0, 0.2):
        events = simulate_recordings(image, [0], threshold_spread=spread, **settings)[0]
        events = events[events["x"] == 16]
        counts = np.bincount(events["y"], minlength=40)
        found = (1 / counts).std() / (1 / counts).mean()
        # standard error 0.023 for 40 pixels, which one edge passes
        assert found == pytest.approx(spread, abs=0.05)


def test_colour_counts_by_luminance():
    grey = bar()
    settings = {"sensor": (12, 12), "path": RIGHT, **SILENT}
    plain = simulate_recordings(grey, [0], **settings).checksum()
    assert simulate_recordings(grey[..., None], [0], **settings).checksum() == plain
    red = np.concatenate([grey[..., None], np.zeros((1, 12, 12, 2), np.float32)], axis=-1)
    assert simulate_recordings(red, [0], **settings).checksum() == (
        simulate_recordings(grey * np.float32(0.2126), [0], **settings).checksum()
    )


def test_many_events_find_room():
    """A recording may have more events than its first buffer holds."""
    path = np.column_stack([20_000 * np.arange(40), 3 * (-1.0) ** np.arange(40), np.zeros(40)])
    stripes = np.tile(np.float32([0, 0, 1, 1]), (1, 32, 8))
    recordings = simulate_recordings(stripes, [0], path=path, threshold_on=0.05, threshold_off=0.05)
    assert recordings.lengths[0] > 2**14
    assert (
        recordings.checksum()
        == simulate_recordings(stripes, [0], path=path, threshold_on=0.05, threshold_off=0.05).checksum()
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": np.zeros((2, 5))}, "images must have shape"),
        ({"images": np.full((2, 8, 8), 255)}, "divide bytes by 255"),
        ({"images": np.full((2, 8, 8), np.nan)}, r"in \[0, 1\]"),
        ({"labels": [1]}, "labels must be 2 integers"),
        ({"labels": [0.5, 1]}, "labels must be 2 integers"),
        ({"numbers": [0, -1]}, "numbers must not be negative"),
        ({"seed": -1}, "seed must be"),
        ({"sensor": (34, 300)}, "sensor must be"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"threshold_on": 0}, "threshold_on must be"),
        ({"black_level": 0}, "black_level must be"),
        ({"blur_px": -1}, "blur_px must be"),
        ({"noise_on_hz": np.nan}, "noise_on_hz"),
        ({"path": [(0, 0)]}, "path must be"),
        ({"path": [(5, 0, 0), (10, 1, 1)]}, "begin at 0"),
        ({"path": [(0, 0, 0), (10, 1, 1)]}, "path must end between"),
    ],
)
def test_what_cannot_be_simulated_is_refused(settings, message):
    arguments = {"images": np.zeros((2, 8, 8)), "labels": [0, 1], **settings}
    with pytest.raises(SettingsError, match=message) as caught:
        simulate_recordings(**arguments)
    assert caught.value.argument == next(iter(settings))


def some_events(*rows):
    return np.array([tuple(row) for row in rows], EVENT)


def test_statistics_of_few_events():
    # x, y, polarity, t
    first = some_events((0, 0, 0, 0), (1, 0, 1, 10), (0, 0, 0, 2000), (0, 0, 1, 3000), (1, 0, 1, 110_010))
    second = some_events((1, 1, 1, 250_000))
    statistics = event_statistics(Recordings.of([first, second], [0, 1], (2, 2)), bin_us=1000)
    assert (statistics.n_recordings, statistics.events_mean, statistics.events_sd) == (2, 3, 2)
    assert statistics.on_share == pytest.approx(4 / 6)
    np.testing.assert_array_equal(statistics.parts, [[1, 1], [0, 0.5], [0, 0.5]])
    assert statistics.density[0, 0, 0, 0] == 1
    assert statistics.density[2, 1, 1, 1] == 0.5
    assert statistics.rate.shape == (251, 2)
    np.testing.assert_array_equal(statistics.rate[:4], [[0.5, 0.5], [0, 0], [0.5, 0], [0, 0.5]])
    # OFF: 2000 us; ON: 110,000 us, in the last bin
    np.testing.assert_array_equal(statistics.intervals_us[2], [2050, 50_050])
    assert json.loads(json.dumps(statistics.to_dict()))["parts"] == [[1, 1], [0, 0.5], [0, 0.5]]


@pytest.mark.parametrize("offset", [-1_000_000, 3_600_000_000, 1_650_000_000_000_000])
def test_statistics_of_absolute_times(offset):
    rng = np.random.default_rng(0)
    kinds = [("x", "u1"), ("y", "u1"), ("polarity", "?"), ("t", "i8")]
    early = np.zeros(300, kinds)
    early["t"] = np.sort(rng.integers(0, 300_000, 300))
    early["t"] -= early["t"][0]
    early["x"], early["polarity"] = rng.integers(0, 3, 300), rng.random(300) < 0.5
    late = early.copy()
    late["t"] += offset
    one, other = (event_statistics(Recordings.of([each] * 2, [0, 1], (3, 3))) for each in (early, late))
    assert (one.from_first_event, other.from_first_event) == (False, True)
    np.testing.assert_array_equal(one.rate, other.rate)
    np.testing.assert_array_equal(one.density, other.density)
    np.testing.assert_array_equal(one.intervals_us, other.intervals_us)
    assert not any(one.compare(other).values())
    if offset > 0:
        with pytest.raises(SettingsError, match=r"use bin_us=\d+ or more") as caught:
            event_statistics(Recordings.of([late], [0], (3, 3)), from_first_event=False, bin_us=1)
        assert caught.value.argument == "bin_us"


def test_statistics_equal_to_themselves_and_not_to_others(images):
    x, y = images
    statistics = event_statistics(simulate_recordings(x[:30], y[:30]))
    assert all(value == 0 for value in statistics.compare(statistics).values())
    others = event_statistics(simulate_recordings(x[:30], y[:30], path=RIGHT, inverted=False))
    differences = others.compare(statistics)
    assert differences["rate"] > 0.5
    assert differences["density"] > 0.5
    assert differences["events_mean"] == pytest.approx(others.events_mean / statistics.events_mean - 1)


def test_statistics_that_cannot_be():
    one = event_statistics(Recordings.of([some_events((0, 0, 1, 0))], [0], (2, 2)))
    with pytest.raises(SettingsError, match="can be compared"):
        one.compare(event_statistics(Recordings.of([some_events((0, 0, 1, 0))], [0], (3, 2))))
    with pytest.raises(SettingsError, match="must not be empty") as caught:
        event_statistics(Recordings.of([], [], (2, 2)))
    assert caught.value.argument == "recordings"
    with pytest.raises(SettingsError, match="part_ends_us"):
        event_statistics(Recordings.of([some_events((0, 0, 1, 0))], [0], (2, 2)), part_ends_us=(2, 1))


@pytest.fixture(scope="module")
def real_and_simulated():
    """Real recordings of MNIST's training images and simulated ones of the same images."""
    try:
        real, mnist = load_events().train, snc.load_dataset("mnist")
    except snc.DatasetError as error:
        pytest.skip(f"N-MNIST and MNIST are needed: {error}")
    real = real[:300]
    return real, simulate_recordings(mnist.x_train[real.numbers], real.labels, numbers=real.numbers)


def test_simulated_recordings_have_the_statistics_of_real_ones(real_and_simulated):
    """Bounds are slightly above the differences for 300 recordings; two halves of the real ones differ more."""
    real, simulated = (event_statistics(some) for some in real_and_simulated)
    differences = simulated.compare(real)
    assert abs(differences["events_mean"]) < 0.02
    assert abs(differences["events_sd"]) < 0.1
    assert abs(differences["on_share"]) < 0.01
    assert differences["parts"] < 0.08
    assert differences["rate"] < 0.05
    assert differences["density"] < 0.1
    assert abs(differences["interval_off"]) < 0.25
    assert abs(differences["interval_on"]) < 0.12
    real, simulated = (some.lengths for some in real_and_simulated)
    assert np.corrcoef(real, simulated)[0, 1] > 0.99


def test_simulated_frames_look_like_real_ones_of_their_image(real_and_simulated):
    real, simulated = real_and_simulated
    frames = [some.frames(8).reshape(len(some), -1) for some in (real, simulated)]
    # another image of the same class, to tell the similarity of a digit from that of its class
    other = np.array(
        [
            np.roll(np.flatnonzero(real.labels == label), 1)[np.sum(real.labels[:i] == label)]
            for i, label in enumerate(real.labels)
        ]
    )
    same, another = (
        [np.corrcoef(a, b)[0, 1] for a, b in zip(frames[0], frames[1][order], strict=True)]
        for order in (np.arange(len(real)), other)
    )
    assert np.mean(same) > 0.84
    assert np.min(same) > 0.6
    assert np.mean(another) < 0.5
    assert np.all(np.array(same) > another)
