"""animate_life: the response of a network to one image as an animation."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from .._util.atomic import atomic_write
from .._util.progress import progress_bar
from .._util.validation import check_paths, check_positive, check_progress, shown
from ..errors import SettingsError
from .figures import evenly
from .life import Life

HOLD_S = 1.5  # seconds for which the last frame is shown
# largest number of frames by default
MOST_FRAMES = 240


def animate_life(
    recording: Any,
    path: str | os.PathLike,
    image: int = 0,
    *,
    true_class: int | None = None,
    class_names: Sequence[str] | None = None,
    steps: Sequence[int] | None = None,
    layers: Sequence[str] | str | None = None,
    max_maps: int = 24,
    max_neurons: int = 30,
    fps: float = 8,
    dpi: float = 80,
    progress: bool | None = None,
) -> pathlib.Path:
    """Write the picture of :func:`plot_life` step by step as an animation, and return its path.

    The last frame stays for a while.

    Parameters
    ----------
    recording, image, true_class, class_names, layers, max_maps, max_neurons
        As for :func:`plot_life`.
    path : str or path
        File that ends in .gif, or in .mp4, which needs ffmpeg.
    steps : sequence of int, optional
        Time steps (1-based), a frame each; by default all, or 240 evenly spaced ones if there are more.
    fps : float
        Frames per second.
    dpi : float
        Resolution in pixels per inch; a picture is about 13 inches wide, or 9 without membrane potentials.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.

    Returns
    -------
    pathlib.Path
        Path of the file.  In a notebook, ``IPython.display.Image(path)`` shows a .gif and ``Video(path)`` a .mp4.

    Raises
    ------
    SettingsError
        If the path has another ending, ffmpeg is missing for an .mp4, or an argument is invalid.
    """
    check_paths(path=path)
    check_progress(progress)
    path = pathlib.Path(path)
    if path.suffix.lower() not in WRITERS:
        raise SettingsError(f"path must end in {' or '.join(WRITERS)}, got {str(path)!r}", argument="path")
    check_positive(fps=fps, dpi=dpi)
    write = WRITERS[path.suffix.lower()]
    if write is _write_mp4:
        _ffmpeg()  # raises an error before any work is done
    life = Life(recording, image, true_class, class_names, layers, max_maps, max_neurons)
    if steps is None:
        steps = evenly(range(1, life.n_steps + 1), MOST_FRAMES)
    elif isinstance(steps, list | tuple | range | np.ndarray):
        steps = [life.check_step(step) for step in steps]
    else:
        raise SettingsError(f"steps must be a sequence of time steps, or None; got {shown(steps)}", argument="steps")
    if len(steps) == 0:
        raise SettingsError("steps must hold at least one time step", argument="steps")
    life.figure.set_dpi(dpi)
    with progress_bar(len(steps), "drawing", "frame", progress) as bar, atomic_write(path) as file:
        write(file, _frames(life, steps, bar), fps)
    return path


def _frames(life, steps, bar):
    """Yield the picture after each step, (height, width, 3); parts that do not change are drawn only once."""
    canvas = FigureCanvasAgg(life.figure)
    for artist, _ in life.moving:
        artist.set_animated(True)
    canvas.draw()
    background = canvas.copy_from_bbox(life.figure.bbox)
    for step in steps:
        canvas.restore_region(background)
        life.show(step)
        for artist, _ in life.moving:
            life.figure.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()
        bar.update()


def _write_gif(file, frames, fps):
    frames = list(frames)
    # with one palette for all frames, colors do not flicker, and parts that do not change are stored once
    sample = np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]])
    palette = Image.fromarray(sample).quantize(256, Image.Quantize.MAXCOVERAGE)
    first, *others = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [1000 / fps] * len(others) + [1000 * HOLD_S]
    first.save(file, "gif", save_all=True, append_images=others, duration=durations, loop=0)


def _write_mp4(file, frames, fps):
    first = next(frames)
    height, width, _ = first.shape
    # the codec needs even numbers of pixels; the last frame is repeated for HOLD_S
    filters = f"pad=ceil(iw/2)*2:ceil(ih/2)*2,tpad=stop_mode=clone:stop_duration={HOLD_S}"
    with tempfile.TemporaryDirectory() as folder:  # ffmpeg cannot write an .mp4 to a pipe, because it seeks
        path = pathlib.Path(folder, "life.mp4")
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
        command = [_ffmpeg(), "-loglevel", "error", *source, "-vf", filters, "-pix_fmt", "yuv420p", str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            with contextlib.suppress(BrokenPipeError):  # ffmpeg failed; its message is reported below
                for frame in itertools.chain([first], frames):
                    process.stdin.write(frame.tobytes())
            _, error = process.communicate()
        if process.returncode:
            raise SettingsError(
                f"ffmpeg could not write the animation; write a .gif instead. ffmpeg reports: {error.decode()}"
            )
        file.write(path.read_bytes())


def _ffmpeg():
    """Return the path of ffmpeg, whose name is in matplotlib's settings."""
    name = matplotlib.rcParams["animation.ffmpeg_path"]
    program = shutil.which(name)
    if not program:
        raise SettingsError(
            f"an .mp4 needs ffmpeg, and there is no program {name!r}: install ffmpeg, set "
            "matplotlib.rcParams['animation.ffmpeg_path'], or write a .gif",
            argument="path",
        )
    return program


WRITERS = {".gif": _write_gif, ".mp4": _write_mp4}
