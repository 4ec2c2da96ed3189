"""What all tests share: hypothesis draws the same examples on every run, and small classic tables."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is loaded; the tests share the cores themselves

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

import pymixed as pm

settings.register_profile("pymixed", derandomize=True, deadline=None, max_examples=40,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pymixed")


@pytest.fixture
def sleepstudy() -> pd.DataFrame:
    return pm.datasets.load("sleepstudy")


@pytest.fixture
def penicillin() -> pd.DataFrame:
    return pm.datasets.load("penicillin")
