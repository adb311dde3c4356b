"""PointModels: makes the normalized and calibrated models of the points of a grid."""

from ...conversion.calibrate import calibrate
from ...conversion.normalization import Normalizer
from ...inputs import as_images
from ...jobs import digest
from ...networks.native import NativeConfig
from ...networks.network import ConvNetwork
from ...networks.trainable import check_collected


class PointModels:
    """Makes the models of grid points; calibrated ones are kept, because calibration takes long.

    Parameters
    ----------
    network : ConvNetwork
        Network whose parameters are varied.
    x_calibration : ndarray or None
        Calibration images, for networks that can be normalized.
    options : SweepOptions

    Attributes
    ----------
    normalizer : Normalizer or None
        None if the network cannot be normalized.
    calibration_digest : str or None
        Digest of the calibration images.
    """

    def __init__(self, network, x_calibration, options):
        check_collected(network)
        self.network, self.options = network, options
        self.normalizer = self.calibration_digest = None
        self._calibrated = {}
        if isinstance(network.settings, NativeConfig):
            if x_calibration is not None:
                x_calibration, _ = as_images(network.model, x_calibration, means=True)
                self.calibration_digest = digest(x_calibration)
            self.normalizer = Normalizer(network, x_calibration, memory_mb=options.memory_mb, progress=False)

    def name(self, point):
        """Return the name of the model that all grid points with the same weights share."""
        if point.calibration is None:
            return f"model {point.normalization}"
        return f"model {point.normalization} {point.calibration} {point.settings}"

    def model(self, point):
        """Return the model of a grid point."""
        if point.calibration is None:
            return self._normalized(point)
        name = self.name(point)
        if name not in self._calibrated:
            network = ConvNetwork(self._normalized(point), point.settings)
            run = {"dt": self.options.dt, "memory_mb": self.options.memory_mb, "progress": self.options.progress}
            self._calibrated[name] = calibrate(network, self.normalizer.x, **point.calibration, **run).model
        return self._calibrated[name]

    def _normalized(self, point):
        if point.normalization is None:
            return self.network.model
        return self.normalizer.normalize(**point.normalization).model

    def build_network(self, point):
        """Return the network of a grid point, with its weights."""
        return ConvNetwork(self.model(point), point.settings, self.network.label)
