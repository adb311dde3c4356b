"""Grids of sweeps: points, their effect on networks and runs, and invalid values."""

import nengo
import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.experiments.sweeps import grid, point_models
from nengo_snnconv.experiments.tuning.space import default_space


class TestGrid:
    def test_values_that_mean_nothing_beside_others_are_left_out(self, network, x, y):
        found = snc.sweep(
            network,
            x,
            y,
            {"method": ["data", "balance"], "percentile": [99, 100], "balance_steps": [2, 4]},
            x_calibration=x,
            n_steps=3,
            n_jobs=1,
        )
        assert [trial.setting for trial in found.trials] == [
            {"method": "data", "percentile": 99},
            {"method": "data", "percentile": 100},
            {"method": "balance", "balance_steps": 2},
            {"method": "balance", "balance_steps": 4},
        ]
        assert found.trials[3].network.model.metadata["normalization"]["n_steps"] == 4

    def test_several_grids(self, network, x):
        normalizer = point_models.Normalizer(network, x)
        grids = [{"percentile": [99, 99.9]}, {"method": ["model"], "seed": [3]}, {"percentile": [99]}]
        found = grid.grid_points(network, grids, 8, normalizer)
        assert [setting.text for setting in found] == ["percentile 99", "percentile 99.9", "method model, seed 3"]
        assert found[2].settings.seed == 3
        assert found[0].normalization == {"percentile": 99, "method": "data"}

    def test_spiking_networks_keep_what_is_not_varied(self, network, x):
        spiking = snc.to_spiking(network, snc.IntegrateAndFire(max_spikes=3), readout="spikes")
        found = grid.grid_points(spiking, {"initial_potential": [0.25]}, 8, point_models.Normalizer(network))
        assert found[0].settings.neuron_type == snc.IntegrateAndFire(max_spikes=3, initial_potential=0.25)
        assert found[0].settings.readout == "spikes"
        assert found[0].normalization is None

    def test_signed_spikes(self, network, x):
        normalizer = point_models.Normalizer(network, x)
        found = grid.grid_points(network, {"signed": [False, True], "max_spikes": [2]}, 8, normalizer)
        assert [point.settings.neuron_type for point in found] == [
            snc.IntegrateAndFire(max_spikes=2),
            snc.SignedIntegrateAndFire(max_spikes=2),
        ]
        assert [point.text for point in found] == ["signed False, max_spikes 2", "signed True, max_spikes 2"]
        start = {"initial_state": {"voltage": nengo.dists.Uniform(0, 1)}}
        signed = snc.to_spiking(network, snc.SignedIntegrateAndFire(max_spikes=3, **start))
        normalizer = point_models.Normalizer(signed, x)
        found = grid.grid_points(signed, {"signed": [False, True], "max_spikes": [4]}, 8, normalizer)
        assert [point.settings.neuron_type for point in found] == [
            snc.IntegrateAndFire(max_spikes=4, **start),
            snc.SignedIntegrateAndFire(max_spikes=4, **start),
        ]
        (kept,) = grid.grid_points(signed, {"initial_potential": [0.25]}, 8, normalizer)
        assert kept.settings.neuron_type == snc.SignedIntegrateAndFire(initial_potential=0.25, max_spikes=3, **start)

    def test_parameters_that_the_neuron_type_lacks_are_refused(self, network, x):
        signed = snc.to_spiking(snc.normalize(network, x), snc.SignedIntegrateAndFire())
        for name in ("reset", "min_potential"):
            assert name not in grid.parameter_names(signed)
            with pytest.raises(snc.SettingsError, match=f"'{name}' cannot be varied .* max_spikes, signed"):
                grid.grid_points(signed, {name: [0]}, 8, None)
        # spiking networks keep their neurons; those with rates get several kinds
        assert not {"signed", "max_spikes"} & {name for part in default_space(signed, 8) for name in part}
        assert {"signed", "max_spikes"} <= {name for part in default_space(network, 8) for name in part}

    @pytest.mark.parametrize(("name", "value"), [("reset", "zero"), ("min_potential", 0.0)])
    def test_signed_spikes_need_all_charge(self, name, value, network, x):
        normalizer = point_models.Normalizer(network, x)
        with pytest.raises(snc.SettingsError, match=f"leave {name} out, or .*signed=False") as caught:
            grid.grid_points(network, {"signed": [True], name: [value]}, 8, normalizer)
        assert caught.value.argument == name
        grids = [{"signed": [True]}, {"signed": [False], name: [value]}]
        assert len(grid.grid_points(network, grids, 8, normalizer)) == 2
        with pytest.raises(snc.SettingsError, match="signed must be True or False"):
            grid.grid_points(network, {"signed": ["yes"]}, 8, normalizer)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"colour": [1]}, "'colour' cannot be varied"),
            ({"percentile": 99}, "'percentile' must be a list"),
            ({"method": "data"}, "'method' must be a list"),
            ({"percentile": []}, "'percentile' must be a list"),
            ([], "must be a dict"),
            ({"method": ["model"], "percentile": [99]}, "with method='data'"),
            ({"input_threshold": [2]}, "with input_coding='poisson'"),
            ({"skip_steps": [2], "output_synapse": [0.1]}, "skip_steps .* output_synapse"),
        ],
    )
    def test_invalid_grids(self, values, message, network, x, y):
        with pytest.raises(snc.SettingsError, match=message) as caught:
            snc.sweep(network, x, y, values, x_calibration=x, n_steps=8, n_jobs=1)
        assert caught.value.argument == "grid"

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"percentile": [101]}, "percentile must be"),
            ({"method": ["magic"]}, "method must be"),
            ({"reset": ["zero"], "max_spikes": [2]}, "reset='zero'"),
            ({"skip_steps": [8]}, "skip_steps must be"),
            ({"precision": ["float16"]}, "precision must be"),
        ],
    )
    def test_invalid_values(self, values, message, network, x, y):
        """Values are checked by the functions whose parameters are varied."""
        with pytest.raises(snc.SettingsError, match=message):
            snc.sweep(network, x, y, values, x_calibration=x, n_steps=8, n_jobs=1)

    def test_the_message_for_an_unknown_name_lists_the_valid_ones(self, x, y):
        network = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
        with pytest.raises(snc.SettingsError) as caught:
            snc.sweep(network, x, y, {"percentile": [99]}, n_jobs=1)
        assert str(caught.value) == (
            "grid: 'percentile' cannot be varied in this network, which build_trainable made; valid names are "
            "synapse, output_synapse, precision"
        )

    def test_each_kind_of_network_has_names_of_its_own(self, network, x, y):
        lif = snc.to_spiking(snc.normalize(network, x), nengo.LIF(min_voltage=-5, amplitude=0.0025))
        trainable = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
        ttfs = snc.to_ttfs(network, x, n_steps=4)
        surrogate = snc.build_trainable(small_cnn(), snc.SurrogateLIF())
        assert not set(grid.NEURON) & set(grid.parameter_names(lif))
        assert grid.parameter_names(trainable) == ("synapse", "output_synapse", "precision")
        assert grid.parameter_names(surrogate) == ("output_synapse", "skip_steps", "precision")
        with pytest.raises(snc.SettingsError, match="leave the grid out"):
            snc.sweep(ttfs, x, y, {"percentile": [99]}, n_jobs=1)
        with pytest.raises(snc.SettingsError, match="valid names are synapse"):
            snc.sweep(trainable, x, y, {"percentile": [99]}, n_jobs=1)

    def test_scales_need_calibration_data(self, network, x, y):
        with pytest.raises(snc.SettingsError, match="'percentile' needs x_calibration") as caught:
            snc.sweep(network, x, y, {"percentile": [99]}, n_steps=3, n_jobs=1)
        assert caught.value.argument == "x_calibration"
        with pytest.warns(snc.SnnConvWarning, match="not normali[sz]ed"):
            snc.sweep(network, x, y, {"seed": [1]}, n_steps=3, n_jobs=1)
        found = snc.sweep(network, x, y, {"method": ["model"]}, n_steps=3, n_jobs=1)
        assert found.trials[0].network.model.metadata["normalization"]["method"] == "model"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"shards": 0}, "shards must be"),
            ({"minibatch_size": 0}, "minibatch_size must be"),
            ({"n_jobs": 0}, "n_jobs must be"),
            ({"x": np.zeros((3, 5, 5, 1))}, "x must have"),
            ({"y": np.zeros(23)}, "y must hold"),
            ({"x_calibration": np.zeros((3, 5, 5, 1))}, "x must have"),
        ],
    )
    def test_arguments_are_checked(self, changes, message, network, x, y):
        with pytest.raises(snc.SettingsError, match=message):
            snc.sweep(**{"network": network, "x": x, "y": y, "n_jobs": 1, **changes})


class TestCalibration:
    def test_a_calibrated_network_runs_for_its_steps(self, network, x, y):
        grids = [{}, {"calibrate": [False, True], "calibrate_steps": [2, 3], "signed": [True]}]
        found = snc.sweep(network, x, y, grids, x_calibration=x, n_steps=4, n_jobs=1)
        assert [trial.evaluation.n_steps for trial in found.trials] == [4, 4, 2, 3]
        assert found.n_steps == 4 and found.table()
        snn = snc.to_spiking(snc.normalize(network, x), snc.SignedIntegrateAndFire())
        same = snc.calibrate(snn, x, n_steps=3)
        trial = found.trials[-1]
        assert trial.network.model.metadata["calibration"] == same.model.metadata["calibration"]
        for name, array in same.model.arrays.items():
            assert np.array_equal(trial.network.model.arrays[name], array)
        assert np.array_equal(trial.evaluation.accuracy, snc.evaluate(same, x, y, n_steps=3).accuracy)
        # by the last step alone, which is the one of the calibration
        loss = float(trial.loss_points[-1])
        assert trial.steps_within(loss) == 3 and trial.steps_within(loss - 1) is None

    def test_its_steps_are_those_of_the_run_by_default(self, network, x):
        normalizer = point_models.Normalizer(network, x)
        points = grid.grid_points(network, {"calibrate": [True], "method": ["balance"]}, 8, normalizer)
        assert points[0].calibration == {"n_steps": 8} and points[0].normalization["n_steps"] == 8

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            ({"calibrate": [1]}, snc.SettingsError, "^grid: 'calibrate' must be"),
            ({"calibrate": [True], "calibrate_steps": [0]}, snc.SettingsError, "^calibrate_steps must be"),
            ({"calibrate_steps": [2]}, snc.SettingsError, "only with calibrate=True"),
            ({"calibrate": [True], "synapse": [0.002]}, snc.ConversionError, "without synapses"),
            ({"calibrate": [True], "input_coding": ["poisson"]}, snc.ConversionError, "constant input"),
        ],
    )
    def test_networks_that_cannot_be_calibrated_are_refused(self, network, x, y, values, error, message):
        with pytest.raises(error, match=message):
            snc.sweep(network, x, y, values, x_calibration=x, n_steps=4, n_jobs=1)

    def test_it_needs_images(self, network, x, y):
        with pytest.raises(snc.SettingsError, match="'calibrate' needs x_calibration"):
            snc.sweep(network, x, y, {"calibrate": [True]}, n_steps=4, n_jobs=1)
