"""The life of one image as an animation."""

import contextlib
import itertools
import pathlib
import shutil
import subprocess
import tempfile

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

HOLD_S = 1.5  # seconds for which the last frame stays
# of a longer run so many steps are shown
MOST_FRAMES = 240


def animate_life(
    recording,
    path,
    image=0,
    true_class=None,
    class_names=None,
    steps=None,
    layers=None,
    max_maps=24,
    max_neurons=30,
    fps=8,
    dpi=80,
    progress=None,
):
    """Write the picture of :func:`plot_life` step by step as an animation; its last frame stays a while.

    Parameters
    ----------
    recording, image, true_class, class_names, layers, max_maps, max_neurons
        As for :func:`plot_life`.
    path : str or path
        Ends in .gif, or in .mp4, which needs ffmpeg.
    steps : sequence of int, optional
        Steps that are shown, a frame each, counted from 1; by default all, or of more than 240 so many, evenly picked.
    fps : float
        Frames per second.
    dpi : float
        Pixels per inch; a picture is about 13 inches wide, or 9 without membrane potentials.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.

    Returns
    -------
    pathlib.Path
        Of the file; in a notebook, ``IPython.display.Image(path)`` shows a .gif and ``Video(path)`` a .mp4.

    Raises
    ------
    SettingsError
        If the path ends in anything else, there is no ffmpeg for .mp4, or an argument cannot work.
    """
    check_paths(path=path)
    check_progress(progress)
    path = pathlib.Path(path)
    if path.suffix.lower() not in WRITERS:
        raise SettingsError(f"an animation is a file that ends in {' or '.join(WRITERS)}, got {str(path)!r}")
    check_positive(fps=fps, dpi=dpi)
    write = WRITERS[path.suffix.lower()]
    if write is _write_mp4:
        _ffmpeg()  # before any work is done
    life = Life(recording, image, true_class, class_names, layers, max_maps, max_neurons)
    if steps is None:
        steps = evenly(range(1, life.n_steps + 1), MOST_FRAMES)
    elif isinstance(steps, list | tuple | range | np.ndarray):
        steps = [life.check_step(step) for step in steps]
    else:
        raise SettingsError(f"steps must be a sequence of steps, or None; got {shown(steps)}")
    if len(steps) == 0:
        raise SettingsError("steps must name at least one step")
    life.figure.set_dpi(dpi)
    with progress_bar(len(steps), "drawing", "frame", progress) as bar, atomic_write(path) as file:
        write(file, _frames(life, steps, bar), fps)
    return path


def _frames(life, steps, bar):
    """The picture after each step, (height, width, 3); what does not change is drawn once."""
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
    # one palette for all frames: colours do not flicker, and what stays the same is stored once
    sample = np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]])
    palette = Image.fromarray(sample).quantize(256, Image.Quantize.MAXCOVERAGE)
    first, *others = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [1000 / fps] * len(others) + [1000 * HOLD_S]
    first.save(file, "gif", save_all=True, append_images=others, duration=durations, loop=0)


def _write_mp4(file, frames, fps):
    first = next(frames)
    height, width, _ = first.shape
    # an even number of pixels, which the codec needs, and the last frame once more for HOLD_S
    filters = f"pad=ceil(iw/2)*2:ceil(ih/2)*2,tpad=stop_mode=clone:stop_duration={HOLD_S}"
    with tempfile.TemporaryDirectory() as folder:  # an .mp4 is not written from its beginning to its end
        path = pathlib.Path(folder, "life.mp4")
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
        command = [_ffmpeg(), "-loglevel", "error", *source, "-vf", filters, "-pix_fmt", "yuv420p", str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            with contextlib.suppress(BrokenPipeError):  # where ffmpeg ended early, it says below why
                for frame in itertools.chain([first], frames):
                    process.stdin.write(frame.tobytes())
            _, error = process.communicate()
        if process.returncode:
            raise SettingsError(
                f"ffmpeg could not write the animation; write a .gif instead. It says: {error.decode()}"
            )
        file.write(path.read_bytes())


def _ffmpeg():
    """The path of ffmpeg, which matplotlib's settings name."""
    name = matplotlib.rcParams["animation.ffmpeg_path"]
    found = shutil.which(name)
    if not found:
        raise SettingsError(
            f"an .mp4 needs ffmpeg, and there is none called {name!r}: install it, name it in "
            "matplotlib.rcParams['animation.ffmpeg_path'], or write a .gif"
        )
    return found


WRITERS = {".gif": _write_gif, ".mp4": _write_mp4}
