"""The C++ library, asked through its C interface, and this package give the same bits for the same problem."""

import ctypes
import platform
from ctypes import byref, c_double, c_int32, c_int64, c_void_p

import numpy as np
import pytest
from test_c_api import library  # noqa: F401  a fixture

import pymixed as pm
from pymixed.design import MixedDesign

pytestmark = pytest.mark.builds

OBJECTIVE, COEFFICIENTS, COVARIANCE, THETA, SIGMA, MODES, FAMILY, ZERO, ETA = 2, 7, 8, 11, 12, 15, 16, 17, 18
STRUCTURES = {"us": 0, "diag": 1}

# Where the compiler may contract a product and a sum as it likes, two builds of the same code round differently.
EXACT = platform.machine() in ("x86_64", "AMD64")


class Host:
    """A host of the C interface."""

    def __init__(self, path):
        self.core = ctypes.CDLL(str(path))
        self.core.pymixed_last_error.restype = ctypes.c_char_p
        self.kept = []  # arrays that data borrow

    def call(self, name, *arguments):
        converted = [c_int64(value) if isinstance(value, int) else value for value in arguments]
        assert getattr(self.core, f"pymixed_{name}")(*converted) == 0, self.core.pymixed_last_error()

    def array(self, values, kind=np.float64):
        if values is None:
            return None
        self.kept.append(np.asarray(values, kind, order="F"))
        return c_void_p(self.kept[-1].ctypes.data)

    def data(self, design, family=None, response=True):
        """The handle of a design's rows and model."""
        data, n = c_void_p(), design.n
        self.call("data_new", n, byref(data))
        if response:
            self.call("data_set_response", data, self.array(design.y), n)
        self.call("data_add_fixed", data, self.array(design.X), design.X.size)
        for factor in design.factors:
            self.call("data_add_factor", data, self.array(factor.codes, np.int32), n, len(factor.levels))
        for term in design.terms:
            self.call("data_add_term", data, term.factor, c_int32(STRUCTURES[term.structure]))
            for column in term.data:
                self.call("data_add_term_columns", data, self.array(column), n)
        self.call("data_set_weights", data, self.array(design.weights), n)
        self.call("data_set_offset", data, self.array(design.offset), n)
        if family is not None:
            self.call("data_set_family", data, *(name.encode() for name in family), c_double(np.nan), c_double(np.nan))
        if design.zero_inflation is not None:
            self.call("data_add_zero_inflation", data, self.array(design.zero_inflation), design.zero_inflation.size)
        return data

    def options(self, **settings):
        options = c_void_p()
        self.call("options_new", byref(options))
        for name, value in settings.items():
            self.call(f"options_set_{name}", options, value)
        return options

    def numbers(self, kind, handle, quantity, *index):
        rows, columns = c_int64(), c_int64()
        self.call(f"{kind}_size", handle, c_int32(quantity), *index, byref(rows), byref(columns))
        values = np.empty((rows.value, columns.value), order="F")
        self.call(f"{kind}_get", handle, c_int32(quantity), *index, c_void_p(values.ctypes.data), values.size)
        return values


@pytest.fixture(scope="module")
def host(library):  # noqa: F811
    return Host(library)


def check(found, expected):
    expected = np.asarray(expected).reshape(found.shape)
    if EXACT:
        assert found.tobytes("C") == np.ascontiguousarray(expected, float).tobytes()
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


LINEAR = {
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
    "sleepstudy, ML": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", {"reml": False}),
    "Penicillin, crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", {}),
    "Pastes, nested": ("strength ~ 1 + (1 | batch/cask)", "pastes", {}),
    "cake": ("angle ~ recipe * temperature + (1 | recipe:replicate)", "cake", {}),
    "InstEval, three factors": ("y ~ service + (1 | s) + (1 | d) + (1 | dept:service)", "insteval", {}),
    "weights and an offset": ("Reaction ~ Days + offset(2 * Days) + (1 | Subject)", "sleepstudy",
                              {"weights": np.linspace(0.5, 2.0, 180)}),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear(name, host):
    formula, dataset, options = LINEAR[name]
    table = pm.datasets.load(dataset)
    fit = pm.lmer(formula, table, **options)
    design = MixedDesign.from_formula(formula, table, weights=options.get("weights"))
    handle = c_void_p()
    settings = host.options(reml=c_int32(options.get("reml", True)))
    host.call("fit_from_data", host.data(design), settings, byref(handle))
    check(host.numbers("fit", handle, OBJECTIVE, 0), fit.info["deviance"])
    check(host.numbers("fit", handle, THETA, 0), fit.theta)
    check(host.numbers("fit", handle, COEFFICIENTS, 0), fit.coefficients)
    check(host.numbers("fit", handle, COVARIANCE, 0), fit.params.vcov)
    check(host.numbers("fit", handle, SIGMA, 0), fit.residual_std)
    for i, modes in enumerate(fit.params.random_effects.values()):
        check(host.numbers("fit", handle, MODES, i), modes)


GENERALIZED = {
    "cbpp": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", ("binomial", "logit"), {}),
    "cbpp, nine nodes": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", ("binomial", "logit"),
                         {"n_agq": 9}),
    "cbpp, beta profiled": ("cbind(incidence, size - incidence) ~ period + (1 | herd)", "cbpp", ("binomial", "logit"),
                            {"n_agq": 0}),
    "grouseticks, three factors": ("TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)", "grouseticks",
                                   ("poisson", "log"), {}),
    "negative binomial": ("TICKS ~ YEAR + (1 | BROOD)", "grouseticks", ("negative_binomial", "log"), {}),
    "zero inflation": ("TICKS ~ YEAR + (1 | BROOD)", "grouseticks", ("poisson", "log"), {"zi": "~ 1"}),
}


@pytest.mark.parametrize("name", GENERALIZED)
def test_generalized(name, host):
    formula, dataset, family, options = GENERALIZED[name]
    table = pm.datasets.load(dataset)
    fit = pm.glmer(formula, table, family=family[0], **options)
    design = MixedDesign.from_formula(formula, table, family=getattr(pm.families, {
        "binomial": "Binomial", "poisson": "Poisson", "negative_binomial": "NegativeBinomial"}[family[0]])(),
        zi=options.get("zi"))
    handle = c_void_p()
    host.call("fit_from_data", host.data(design, family), host.options(nodes=options.get("n_agq", 1)), byref(handle))
    check(host.numbers("fit", handle, OBJECTIVE, 0), fit.info["deviance"])
    check(host.numbers("fit", handle, THETA, 0), fit.theta)
    check(host.numbers("fit", handle, COEFFICIENTS, 0), fit.coefficients)
    check(np.vstack([host.numbers("fit", handle, FAMILY, 0), host.numbers("fit", handle, ZERO, 0)]), fit.params.extra)
    check(host.numbers("fit", handle, ETA, 0), fit.params.linear_predictor)
    for i, modes in enumerate(fit.params.random_effects.values()):
        check(host.numbers("fit", handle, MODES, i), modes)
    # the inverse of the Hessian is each side's own: the entries of differenced gradients, 1e-8, times its condition
    np.testing.assert_allclose(host.numbers("fit", handle, COVARIANCE, 0), fit.params.vcov, rtol=1e-8)


@pytest.mark.parametrize(("formula", "dataset", "family"), [
    ("~ Days + (Days | Subject)", "sleepstudy", None),
    ("~ 1 + (1 | plate) + (1 | sample)", "penicillin", None),
    ("~ YEAR + (1 | BROOD)", "grouseticks", ("poisson", "log")),
])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_many(formula, dataset, family, n_threads, host):
    table = pm.datasets.load(dataset)
    rng = np.random.default_rng(5)
    Y = (rng.normal(size=(len(table), 40)) if family is None else rng.poisson(2.0, (len(table), 40))).astype(float)
    Y[3, 7] = np.nan  # a response of its own kind
    fits = pm.fit_many(formula, table, Y, family=None if family is None else family[0], n_threads=n_threads)
    design = MixedDesign.from_formula(f"y {formula}", table.assign(y=np.arange(len(table)) % 2.0),
                                      family=None if family is None else pm.families.Poisson())
    handle = c_void_p()
    host.call("refits_from_data", host.data(design, family, response=False),
              host.options(threads=n_threads, hessian=c_int32(family is not None)), host.array(Y), None, None, Y.size,
              byref(handle))
    check(host.numbers("refits", handle, COEFFICIENTS), fits.coefficients)
    check(host.numbers("refits", handle, THETA), fits.theta)
    check(host.numbers("refits", handle, COVARIANCE), fits.packed_vcov)
    check(host.numbers("refits", handle, OBJECTIVE), fits.objective)
