"""Options of back ends: taken, ignored as hints, or refused by name."""

import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.evaluation.backends import BACKENDS, FastBackend, open_backend


@pytest.fixture(scope="module")
def network():
    x = np.random.default_rng(1).random((20, 6, 6, 2))
    return snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((7, 6, 6, 2)).astype(np.float32)


class TestOptions:
    @pytest.mark.parametrize("backend", ["tensorflow", "nengo_dl", "nengo", "loihi"])
    @pytest.mark.parametrize(("option", "value"), [("threads", 2), ("precision", "bfloat16")])
    def test_unsupported_options_are_refused_by_name(self, network, x, backend, option, value):
        match = f"{option}={value!r} is supported by the back end 'fast' only, and backend='{backend}' would ignore it"
        with pytest.raises(snc.SettingsError, match=match) as caught:
            snc.evaluate(network, x, [0] * 7, n_steps=3, backend=backend, **{option: value})
        assert caught.value.argument == option

    @pytest.mark.parametrize(("option", "value"), [("threads", 2), ("precision", "bfloat16")])
    def test_options_of_the_fast_back_end_for_a_network_that_it_cannot_run(self, x, option, value, monkeypatch):
        def refuses(*_, **__):
            raise snc.ConversionError("unsupported neurons")

        monkeypatch.setattr(FastBackend, "__init__", refuses)
        network = snc.to_spiking(snc.convert(small_cnn()), snc.IntegrateAndFire(max_spikes=np.inf))
        match = f"{option}={value!r} needs .* cannot run this network: leave {option} out"
        with pytest.raises(snc.ConversionError, match=match):
            snc.evaluate(network, x, [0] * 7, n_steps=3, **{option: value})
        assert snc.evaluate(network, x, [0] * 7, n_steps=3).backend == "nengo_dl"

    def test_unknown_options_are_refused(self, network):
        with pytest.raises(snc.SettingsError, match="by no back end") as caught:
            open_backend("fast", network, (), 2, 0.001, speed=5)
        assert caught.value.argument == "speed"

    def test_unsupported_hints_are_ignored(self, network):
        for backend in ("nengo", "fast"):
            simulator = open_backend(backend, network, (), 2, 0.001, hints={"threads": 1, "memory_mb": 5})
            assert type(simulator) is BACKENDS[backend]
            simulator.close()

    def test_a_sweep_checks_options_before_it_starts(self, network, x):
        with pytest.raises(snc.SettingsError, match="supported by") as caught:
            snc.sweep(network, x, [0] * 7, {"precision": ["bfloat16"]}, n_steps=3, backend="nengo_dl")
        assert caught.value.argument == "precision"

    def test_threads_of_workers_are_ignored_by_back_ends_without_threads(self, network, x):
        found = snc.sweep(network, x, [0] * 7, n_steps=3, backend="nengo_dl", n_jobs=1)
        assert found.trials[0].evaluation.backend == "nengo_dl"

    def test_given_threads_replace_the_closed_form_by_a_simulation(self, x):
        network = snc.to_ttfs(snc.convert(small_cnn()), x, n_steps=4)
        one, other = (snc.evaluate(network, x, [0] * 7, threads=threads) for threads in (None, 1))
        assert np.array_equal(one.step_predictions[-1], other.step_predictions[-1])
        assert one.synaptic_operations == pytest.approx(other.synaptic_operations)

    def test_unknown_back_ends_are_refused(self, network, x):
        names = "fast, tensorflow, nengo_dl, nengo, loihi"
        with pytest.raises(snc.ConversionError, match=f"must be one of {names}; got 'brian'"):
            snc.evaluate(network, x, [0] * 7, backend="brian")
