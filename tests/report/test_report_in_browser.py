"""Reports in a real Chromium: on a phone and a desktop, in dark mode, and on paper."""

import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from models import make
from PIL import Image

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs

browser = pytest.importorskip("browser", reason="playwright is not installed", exc_type=ImportError)
if browser.CHROMIUM is None:
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)

PHONE, TABLET, DESKTOP = (390, 844), (820, 1180), (1280, 800)
PAPER = 688, 1017  # A4 without margins of 14 mm, in pixels
SMALLEST_TEXT = 8  # smallest line height of text in a picture on a phone, in pixels


def converted(rng):
    """A deep network with a diagnosis, long names, and sections of the user."""
    units = [specs.Input("image", shape=(12, 12, 1))]
    for i in range(5):
        units += [
            specs.Conv(f"convolution_{i}", units[-1].name, filters=4, kernel_size=(3, 3), padding="same"),
            specs.Rectifier(f"rectified_convolution_{i}", f"convolution_{i}"),
        ]
    units += [specs.Flatten("flat", units[-1].name), specs.Dense("class_scores", "flat", units=12)]
    x, y = rng.random((24, 12, 12, 1)), np.arange(24) % 12
    network = snc.to_spiking(snc.normalize(snc.convert(make(*units)), x), input_coding="poisson")
    diagnosis = snc.diagnose(network, x, y, n_steps=4)
    figure, ax = plt.subplots(figsize=(13, 3), layout="constrained")
    ax.plot(x[0].ravel())
    wide = [tuple(f"column {i} of many" for i in range(12))] * 3
    return (
        network,
        diagnosis.evaluation,
        {
            "diagnosis": diagnosis,
            "recording": snc.record(network, x[:2], n_steps=4),
            "class_names": [f"class number {i}" for i in range(12)],
            "sections": [("Mine", "a text\n" + "long" * 60, figure, wide, diagnosis.plot)],
            "command": "nengo-snnconv evaluate " + "a-long-name" * 12,
        },
    )


def of_events(rng):
    """A network trained briefly on event frames."""
    model = make(
        specs.Input("image", shape=(10, 8, 2)),
        specs.Conv("conv", "image", filters=4, kernel_size=(3, 3)),
        specs.Rectifier("conv_relu", "conv"),
        specs.Flatten("flat", "conv_relu"),
        specs.Dense("scores", "flat", units=3),
    )
    network = snc.build_trainable(model, snc.SurrogateLIF(), output_neurons=True)
    frames, labels = rng.poisson(1.0, (20, 9, 10, 8, 2)).astype(np.float32), np.arange(20) % 3
    network = snc.train(network, frames, labels, epochs=2, batch_size=10, learning_rate=1e-3)
    return network, snc.evaluate(network, frames, labels), {"recording": snc.record(network, frames[:2])}


@pytest.fixture(scope="module", params=[converted, of_events], ids=lambda make: make.__name__)
def page(request, tmp_path_factory):
    """A report in Chromium; ``page.heard`` collects its requests, messages and errors."""
    network, evaluation, options = request.param(np.random.default_rng(0))
    path = tmp_path_factory.mktemp("report") / "report.html"
    snc.write_report(path, network, evaluation, **options)
    plt.close("all")
    with browser.chromium() as opened:
        page = opened.new_page(viewport=dict(zip(("width", "height"), PHONE, strict=True)))
        page.heard = []
        page.on("request", lambda request: page.heard.append(request.url))
        page.on("console", lambda message: page.heard.append(message.text))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.goto(path.as_uri())
        assert page.heard.pop(0) == path.as_uri()
        yield page


@pytest.fixture(autouse=True)
def on_a_phone(page):
    show(page, PHONE)


def show(page, size, scheme="light", media="screen"):
    page.emulate_media(color_scheme=scheme, media=media)
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))


def test_asks_for_nothing_and_complains_of_nothing(page):
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    assert page.heard == []


@pytest.mark.parametrize("size", [PHONE, TABLET, DESKTOP], ids=["phone", "tablet", "desktop"])
def test_nothing_is_wider_than_the_screen(page, size):
    show(page, size)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    # wider elements are inside an element that scrolls, and that can have the keyboard focus
    beyond = page.evaluate(
        """() => [...document.querySelectorAll("main *, header *")].filter(element =>
            element.getBoundingClientRect().right > innerWidth + 1
            && !element.closest(".scroll, pre, figure.wide, .skip")).map(element => element.outerHTML.slice(0, 80))"""
    )
    assert beyond == []
    scrolling = page.locator(".scroll, pre, figure.wide")
    assert scrolling.count() >= 3
    assert all(each.get_attribute("tabindex") == "0" for each in scrolling.all())


def test_every_picture_is_there_and_can_be_read(page):
    for picture in page.locator("svg").all():
        box = picture.bounding_box()
        assert box["width"] > 140 and box["height"] > 40
        shown = Image.open(io.BytesIO(picture.screenshot())).convert("RGB")
        colors = np.unique(np.asarray(shown).reshape(-1, 3), axis=0)
        assert len(colors) > 10  # the picture is not empty
    heights = page.evaluate(
        """() => [...document.querySelectorAll("svg text")].filter(text => text.textContent.trim())
            .map(text => parseFloat(getComputedStyle(text).fontSize) * Math.hypot(text.getCTM().a, text.getCTM().b))"""
    )
    # the font size is about 0.8 of the line height
    assert len(heights) > 50 and min(heights) > SMALLEST_TEXT / 1.2


def test_contents_lead_to_every_section(page):
    links = page.locator("nav a")
    assert links.all_text_contents() == page.locator("main h2").all_text_contents()
    last = links.last
    last.click()  # scrolls the list of contents if needed
    heading = page.locator(last.get_attribute("href").replace("#", "[id='") + "'] h2")
    box, bar = heading.bounding_box(), page.locator("nav").bounding_box()
    assert bar["y"] + bar["height"] <= box["y"] <= PHONE[1]
    assert box["y"] + box["height"] <= PHONE[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(page, scheme):
    """Text has a contrast of at least 4.5 to 1 with its background (WCAG 2.1)."""
    show(page, PHONE, scheme)
    colors = page.evaluate(
        """() => Object.fromEntries(["ink", "soft", "link", "page", "card"].map(name => {
            const probe = document.body.appendChild(document.createElement("i"));
            probe.style.color = `var(--${name})`;
            const color = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
            probe.remove();
            return [name, color];
        }))"""
    )
    light = {name: _luminance(color) for name, color in colors.items()}
    assert (light["page"] < 0.1) == (scheme == "dark")
    for text in ("ink", "soft", "link"):
        for ground in ("page", "card"):
            low, high = sorted((light[text], light[ground]))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
    # texts of pictures have these colors too
    assert page.evaluate('getComputedStyle(document.querySelector("svg text")).fill').startswith("rgb")
    fills = set(
        page.evaluate('[...document.querySelectorAll("svg:not(.own) text")].map(e => getComputedStyle(e).fill)')
    )
    assert f"rgb({', '.join(map(str, colors['ink']))})" in fills


def _luminance(color):
    channels = np.array(color) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_on_paper(page):
    show(page, PAPER, media="print")
    too_large = page.evaluate(
        f"""() => [...document.querySelectorAll("svg")].filter(svg => {{
            const box = svg.getBoundingClientRect();
            return box.width < 50 || box.right > {PAPER[0]} + 1 || box.height > {PAPER[1]}
                || getComputedStyle(svg.parentElement).breakInside != "avoid";
        }}).map(svg => svg.ariaLabel)"""
    )
    assert too_large == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER[0]
    assert not page.locator("nav").is_visible()
    pdf = page.pdf(format="A4", prefer_css_page_size=True)
    n_pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 4 <= n_pages <= 16
    assert len(pdf) > 50_000
