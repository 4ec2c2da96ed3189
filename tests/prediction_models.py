"""The models whose predictions are tested, and their tables."""

import warnings
from functools import cache

import numpy as np

import pymixed as pm
from pymixed.errors import PymixedWarning

LINEAR = {
    "slope": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", {}),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "pastes", {}),
    "crossed slope": ("Reaction ~ Days + (Days | Subject) + (1 | weekday)", "sleepstudy", {}),
    "weighted": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"weights": "w", "offset": "o"}),
    "aliased": ("Reaction ~ Days + I(2 * Days) + (1 | Subject)", "sleepstudy", {}),
    "singular": ("Reaction ~ Days + (1 | Subject) + (1 | nothing)", "sleepstudy", {}),
    "ml": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {"reml": False}),
}
GENERALIZED = {
    "cbpp": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", {}),
    "probit": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp",
               {"family": pm.families.Binomial("probit")}),
    "ticks": ("TICKS ~ YEAR + (1 | BROOD) + (1 | LOCATION)", "grouseticks", {"family": "poisson"}),
    "nb": ("TICKS ~ YEAR + (1 | BROOD)", "grouseticks", {"family": "negative_binomial"}),
    "profiled": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", {"n_agq": 0}),
    "quadrature": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", {"n_agq": 7}),
}


@cache
def table(name):
    data = pm.datasets.load(name).copy()
    if name == "sleepstudy":
        data["weekday"] = data["Days"] % 7
        data["nothing"] = np.arange(len(data)) % 6
        data["w"] = np.random.default_rng(1).uniform(0.5, 2.0, len(data))
        data["o"] = np.random.default_rng(2).normal(0.0, 5.0, len(data))
    return data


@cache
def fit_of(name):
    formula, data, options = (LINEAR | GENERALIZED)[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        return (pm.lmer if name in LINEAR else pm.glmer)(formula, table(data), **(
            options if name in LINEAR else {"family": "binomial", **options}))
