"""Headless Chromium for tests of Nengo GUI, the server of the command line, and reports."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys

from playwright.sync_api import sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@contextlib.contextmanager
def served(*arguments):
    """Run ``nengo-snnconv gui ARGUMENTS --no-browser``, yield its address, and check that Control-C ends it cleanly."""
    command = [sys.executable, "-u", "-m", "nengo_snnconv.cli", "gui", *map(str, arguments), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            if not found:
                raise AssertionError(process.communicate(timeout=60)[1])
            yield found.group()
            if process.poll() is None:
                os.kill(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
        finally:
            process.kill()


@contextlib.contextmanager
def chromium():
    """Start Chromium and yield playwright's Browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(address, width=1280, height=800):
    """Open an address in Chromium and yield its GuiPage."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(60_000)
        page.goto(address)
        yield GuiPage(page)


class GuiPage:
    """Page of Nengo GUI that shows a GuiNetwork."""

    def __init__(self, page):
        self.page = page
        self.picture, self.verdict = (page.locator(f".htmlview svg:has({part})") for part in ("image", "rect"))

    def start_or_pause(self):
        self.page.click("#pause_button")

    def simulated_seconds(self):
        return float(self.page.locator("#ticks_tr td").last.text_content())

    def run_for(self, seconds):
        """Wait until this many more seconds have been simulated."""
        end = self.simulated_seconds() + seconds
        self.page.wait_for_function(f"parseFloat($('#ticks_tr td').last().text()) >= {end}")

    def texts(self, view):
        """Return the texts of an HTML view, from top to bottom."""
        return view.locator("text").all_text_contents()

    def graph(self, label):
        """Return the slider or plot with this label."""
        return self.page.locator(".graph", has=self.page.get_by_text(label, exact=True))

    def lines(self, label):
        """Return the lines of a plot as SVG paths."""
        return [path.get_attribute("d") for path in self.graph(label).locator("path.line").all()]

    def move_slider(self, label, value, low, high):
        """Drag the handle of a slider with the mouse to a value between its ends."""
        handle = self.graph(label).locator("[data-object-type=slider_handle]").bounding_box()
        line = self.graph(label).locator(".guideline").bounding_box()
        x, y = (handle[key] + handle[size] / 2 for key, size in (("x", "width"), ("y", "height")))
        share = (value - low) / (high - low)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x, line["y"] + line["height"] * (1 - share), steps=5)
        self.page.mouse.up()
