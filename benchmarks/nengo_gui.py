"""Speed of networks in Nengo GUI, and a picture of the page.

    python benchmarks/nengo_gui.py

publishes the results and docs/results/nengo-gui.png.  Needs the extra "test" and Chromium.
"""

import pathlib
import sys
import tempfile
import time

import nengo
from anns import RECIPES, trained
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write

sys.path.append(str(ROOT / "tests"))
import browser  # noqa: E402 -- from the tests

SCREENSHOT_OF = "diehl-mnist"


def ms_per_step(network, data, repeats=20, n_steps=10):
    """Return the shortest time per step of several repeats, which other programs disturb least."""
    model = snc.GuiNetwork(network, data.x_test, data.y_test, data.class_names)
    with nengo.Simulator(model, progress_bar=False) as simulator:
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            simulator.run_steps(n_steps, progress_bar=False)
            times.append((time.perf_counter() - started) / n_steps)
    return 1000 * min(times)


def steps_per_second(path, data_name, screenshot, repeats=10):
    """Return the best speed of several repeats in a page with all plots; take a picture after a change of the class."""
    with browser.served(path, "--data", data_name) as address, browser.opened(address) as page:
        page.start_or_pause()
        page.run_for(0.05)
        speeds = []
        for _ in range(repeats):
            before, started = page.simulated_seconds(), time.perf_counter()
            time.sleep(2)
            speeds.append(1000 * (page.simulated_seconds() - before) / (time.perf_counter() - started))
        page.move_slider("class", 7, 0, 9)
        page.run_for(0.12)
        page.start_or_pause()
        if screenshot:
            with atomic_write(ROOT / "docs" / "results" / "nengo-gui.png") as file:
                file.write(page.page.screenshot())
    return max(speeds)


def main():
    figures, table = {}, "| network | ms per step, nengo alone | steps per second in the page |\n|---|---|---|\n"
    for name in RECIPES:
        keras, data = trained(name)
        scaled = snc.normalize(
            snc.convert(keras), data.x_train[:1000], per="layer" if name == SCREENSHOT_OF else "channel"
        )
        network = snc.to_spiking(scaled)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / f"{name}.snn.npz"
            snc.save(network, path)
            speed = steps_per_second(path, RECIPES[name][0], screenshot=name == SCREENSHOT_OF)
        figures[name] = {"ms_per_step": ms_per_step(network, data), "steps_per_second": speed}
        table += f"| {name} | {figures[name]['ms_per_step']:.1f} | {speed:.0f} |\n"
    print(table)
    publish("nengo-gui", table, figures)


if __name__ == "__main__":
    main()
