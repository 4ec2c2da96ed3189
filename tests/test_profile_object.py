"""The object that profile() returns: its points, intervals, and zeta between the points."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm
from test_profile import GENERALIZED

import pymixed as pm
from pymixed.errors import InputError


@pytest.fixture(scope="module")
def slopes() -> Any:
    return pm.lmer("Reaction ~ Days + (Days | Subject)", pm.datasets.load("sleepstudy"))


def test_values_hold_the_other_parameters_along_the_path(slopes: Any) -> None:
    table = slopes.profile().values
    names = list(slopes.conf_int().index)
    assert list(table.columns) == ["parameter", "value", "zeta", *names]
    assert list(table["parameter"].unique()) == names
    for name, points in table.groupby("parameter"):
        assert_allclose(points["value"], points[name], rtol=1e-12, atol=1e-12)
        assert points["value"].is_monotonic_increasing
        assert points["zeta"].is_monotonic_increasing
        assert points["zeta"].max() > 2.9
        assert np.diff(points["zeta"]).max() < 0.7  # about equally spaced: twelve per side at most
    middle = table.query("zeta == 0")
    assert len(middle) == len(names)
    assert np.ptp(middle[names].to_numpy(), axis=0).max() == 0.0


def test_some_parameters_only(slopes: Any) -> None:
    profile = slopes.profile(["sigma", "Days"])
    assert profile.parameters == ("sigma", "Days")
    assert list(profile.conf_int(0.9).index) == ["sigma", "Days"]
    assert slopes.profile("Days").parameters == ("Days",)
    assert "Profile of sigma, Days" in repr(profile)


def test_intervals_of_a_profile_are_those_of_the_fit(slopes: Any) -> None:
    profile = slopes.profile()
    for level in (0.5, 0.95, 0.9999):
        pd.testing.assert_frame_equal(profile.conf_int(level), slopes.conf_int(level, method="profile"), rtol=1e-8)


def test_zeta_between_the_points(slopes: Any) -> None:
    profile = slopes.profile()
    for level in (0.3, 0.8, 0.97):
        z = norm.ppf(0.5 + level / 2)
        for name, limits in profile.conf_int(level).iterrows():
            fresh = slopes.profile([name])  # without the limits among its points
            assert_allclose(fresh.zeta(name, limits), [-z, z], atol=5e-3)
    points = profile.values.query("parameter == 'sigma'")
    assert_allclose(profile.zeta("sigma", points["value"]), points["zeta"], atol=1e-9)
    assert np.isnan(profile.zeta("sigma", [[1.0, 1e6]])).all()
    assert np.isnan(profile.zeta("cor_Days.(Intercept)|Subject", [-2.0, 2.0])).all()
    with pytest.raises(InputError, match=r"parameter: expected one of .*, got 'Day'"):
        profile.zeta("Day", 1.0)


def test_a_family_is_profiled_in_natural_units() -> None:
    fit = GENERALIZED["negative binomial"][0].fit()
    profile = fit.profile("shape")
    points = profile.values
    assert_allclose(points["value"], points["shape"], rtol=1e-12)
    assert_allclose(points.query("zeta == 0")["value"], fit.dispersion)
    lower, upper = profile.conf_int().loc["shape"]
    assert_allclose(profile.zeta("shape", [lower, upper]), [-norm.ppf(0.975), norm.ppf(0.975)], atol=5e-3)


def test_a_profile_survives_pickling(slopes: Any) -> None:
    profile = slopes.profile(["Days"])
    copy = pickle.loads(pickle.dumps(profile))
    pd.testing.assert_frame_equal(copy.values, profile.values)
    pd.testing.assert_frame_equal(copy.conf_int(0.999), profile.conf_int(0.999))
