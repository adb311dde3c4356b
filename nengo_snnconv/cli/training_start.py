"""The option --start of train: a saved network that is trained on; and which files train may replace."""

from ..errors import SettingsError, SnnConvError
from .data import load_data, uses_recordings
from .evaluation import load_network
from .files import check_network_file
from .pixel_range import in_range_of

THROUGH_TIME_STEPS = 16
BUILDING = ("preset", "neuron", "max_rate")  # options that only make sense without --start


def started(options):
    """Return the network in the file of --start, the training data, and the number of time steps or None.

    Ends with a usage error if an option does not apply to the network.
    """
    from ..training.preparation import check_trainable, is_converted_to_rates

    given = [f"--{name.replace('_', '-')}" for name in BUILDING if getattr(options, name) is not None]
    if given:
        options.wrong_usage(f"{' and '.join(given)}: with --start, the layers and neurons are those of {options.start}")
    recordings = uses_recordings(options)
    check_network_file(options.output)
    network = load_network(options.start)
    if not is_converted_to_rates(network):
        check_trainable(network)
    through_time = not network.settings.has_rates
    if recordings and not through_time:
        options.wrong_usage(f"event recordings train networks of SurrogateLIF neurons, and {options.start} has others")
    steps = _steps(options, network, through_time)
    data = load_data(options, train=options.train_images, test=1, model=network.model)
    return *reversed(in_range_of(data, network, options)), steps


def _steps(options, network, through_time):
    """Return the number of time steps of training; None for a training on rates."""
    if through_time:
        trainings = network.model.metadata.get("training") or [{}]
        return options.steps or trainings[-1].get("n_steps") or THROUGH_TIME_STEPS
    if is_trained_on_spikes(network):
        if options.steps is None:
            options.wrong_usage(f"{options.start} spikes in training: give the number of time steps, as --steps 4")
    elif options.steps is not None:
        options.wrong_usage(
            f"--steps is for networks that spike in training, and {options.start} is trained on its rates: leave it out"
        )
    return options.steps


def is_trained_on_spikes(network):
    """Return True for a network of to_spiking, which is trained on its own spikes."""
    from ..networks.native import is_native_network

    return is_native_network(network) and network.settings.neuron_type.spiking


def check_replaceable(path, network):
    """Raise SettingsError for a file that ``train`` did not write, when it was started with the same network.

    What it wrote has the same layers and the same kind of settings, and one training more than ``network``.
    """
    from .. import ConvNetwork, load

    if not path.exists() or not path.stat().st_size:
        return
    try:
        found = load(path)
    except SnnConvError:
        found = None
    if not isinstance(found, ConvNetwork):
        raise SettingsError(f"{path} exists, and is not a network that this training would replace: name another file")
    if _kind(found) != _kind(network) or _trainings(found) <= _trainings(network):
        raise SettingsError(
            f"{path} exists, and is not a result of this training: to train it on, name another output file and give "
            f"--start {path}; else name another output file"
        )


def _kind(network):
    """Return what a network has in common with those that a training of it gives."""
    settings = network.settings
    return type(settings), settings.neuron_type.spiking, dict(network.model.shapes)


def _trainings(network):
    return len(network.model.metadata.get("training", ()))
