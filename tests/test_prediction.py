"""Predictions and their standard errors, against dense algebra and differences; what is no prediction."""

import warnings

import numpy as np
import pytest
from prediction_models import GENERALIZED, LINEAR, fit_of, table
from scipy import stats

import pymixed as pm
from pymixed.errors import InputError, InputTypeError, PymixedWarning


class Dense:
    """The joint covariance of all coefficients and random effects by the definition, dense.

    With u spherical and b = T u, (β̂ − β, û − u) has the covariance scale [X'WX, X'WZT; T'Z'WX, T'Z'WZT + I]⁻¹ for a
    given theta, also where T is singular.
    """

    def __init__(self, fit, weights, scale):
        design = fit._design
        kept = [name in fit.coefficient_names for name in design.coefficient_names]
        self.kept, self.design, self.scale = kept, design, scale
        X, Z, T = design.X[:, kept], [], []
        self.offsets, start, position = [], 0, 0
        for term in design.terms:
            n_levels, c = len(design.factors[term.factor].levels), len(term.columns)
            block = np.zeros((design.n, n_levels * c))
            for j, x in enumerate(term.data):
                block[np.arange(design.n), design.factors[term.factor].codes * c + j] = 1.0 if x is None else x
            template = np.zeros((c, c))
            entries = [(r, k) for k in range(c) for r in range(k, c)] if term.structure == "us" else [
                (k, k) for k in range(c)]
            for r, k in entries:
                template[r, k] = fit.theta[position]
                position += 1
            Z.append(block)
            T.append(np.kron(np.eye(n_levels), template))
            self.offsets.append(start)
            start += n_levels * c
        ZT = np.hstack([z @ t for z, t in zip(Z, T, strict=True)])
        self.T, A = T, np.hstack([X, ZT])
        precision = A.T @ (weights[:, None] * A)
        precision[X.shape[1]:, X.shape[1]:] += np.eye(ZT.shape[1])
        self.inverse = scale * np.linalg.inv(precision)
        self.p = X.shape[1]

    def row(self, x, levels, columns):
        """The row (x, T'z); `levels` per term, None for none, `columns` its values."""
        z = []
        for term, T, level, values in zip(self.design.terms, self.T, levels, columns, strict=True):
            part = np.zeros(len(T))
            if level is not None:
                part[level * len(term.columns) + np.arange(len(term.columns))] = values
            z.append(T.T @ part)
        return np.concatenate([x, *z])

    def variance(self, row, vcov=None):
        """Variance of a row's error; `vcov` in the place of the coefficients' own covariance."""
        if vcov is None:
            return row @ self.inverse @ row
        p, S = self.p, self.inverse
        Q = S[p:, p:] - S[p:, :p] @ np.linalg.solve(S[:p, :p], S[:p, p:])
        deviation = row[:p] + np.linalg.solve(S[:p, :p], S[:p, p:]) @ row[p:]
        return row[p:] @ Q @ row[p:] + deviation @ vcov @ deviation


def own_rows(fit, dense, rows):
    design = fit._design
    for i in rows:
        yield dense.row(design.X[i, dense.kept],
                        [int(design.factors[term.factor].codes[i]) for term in design.terms],
                        [[1.0 if x is None else x[i] for x in term.data] for term in design.terms])


def working_weights(fit):
    """-d²log f/dη² at the modes by differences, canonical or not."""
    design, family, h = fit._design, fit._family, 1e-4
    eta, prior = fit.linear_predictor, 1.0 if design.weights is None else design.weights

    def loglik(eta):
        mu, y = family.mean(eta), design.y
        if family.name == "binomial":
            return prior * (y * np.log(mu) + (1 - y) * np.log1p(-mu))
        if family.name == "poisson":
            return y * np.log(mu) - mu
        shape = fit.family_parameters["shape"]
        return y * np.log(mu) - (y + shape) * np.log(shape + mu)

    points = [loglik(eta + k * h) for k in (-2, -1, 0, 1, 2)]
    return -np.dot([-1 / 12, 4 / 3, -5 / 2, 4 / 3, -1 / 12], points) / h**2


# ---- standard errors -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LINEAR)
def test_standard_errors_of_a_linear_model_are_those_of_hendersons_equations(name):
    fit = fit_of(name)
    design = fit._design
    dense = Dense(fit, np.ones(design.n) if design.weights is None else design.weights, fit.residual_variance)
    rows = np.arange(0, design.n, 7)
    expected = [np.sqrt(dense.variance(row)) for row in own_rows(fit, dense, rows)]
    found = fit.predict(se=True)
    np.testing.assert_array_equal(found["estimate"], fit.predict())
    np.testing.assert_allclose(found["se"][rows], expected, rtol=1e-9)  # rounding of a dense inverse


@pytest.mark.parametrize("name", GENERALIZED)
def test_standard_errors_of_a_generalized_model(name):
    fit = fit_of(name)
    dense = Dense(fit, working_weights(fit), 1.0)
    rows = np.arange(0, fit.n_obs, 5)
    expected = [np.sqrt(dense.variance(row, fit.vcov())) for row in own_rows(fit, dense, rows)]
    found = fit.predict(se=True)
    np.testing.assert_allclose(found["se"][rows], expected, rtol=1e-6)  # second differences of the density
    response, slope = fit.predict(type="response", se=True), fit._family.link.inverse_derivative(fit.predict())
    np.testing.assert_allclose(response["se"], np.abs(slope) * found["se"], rtol=1e-12)


@pytest.mark.parametrize("name", ["crossed", "crossed slope", "nested"])
def test_standard_errors_with_some_of_the_random_effects(name):
    fit = fit_of(name)
    design = fit._design
    dense = Dense(fit, np.ones(design.n), fit.residual_variance)
    for group in fit.n_groups:
        found = fit.predict(re=[group], se=True)["se"]
        for i in (0, 11, 23):
            levels = [int(design.factors[term.factor].codes[i]) if term.group == group else None
                      for term in design.terms]
            row = dense.row(design.X[i, dense.kept], levels,
                            [[1.0 if x is None else x[i] for x in term.data] for term in design.terms])
            np.testing.assert_allclose(found[i], np.sqrt(dense.variance(row)), rtol=1e-9)


def test_standard_errors_of_the_fixed_part_are_those_of_contrasts():
    fit = fit_of("slope")
    found = fit.predict({"Days": [0.0, 3.0, 20.0]}, re="none", interval="confidence")
    for (estimate, se, df, lower, upper), days in zip(found.to_numpy(), (0.0, 3.0, 20.0), strict=True):
        theirs = fit.contrast([[1.0, days]]).iloc[0]
        np.testing.assert_allclose([estimate, se, df], theirs[["estimate", "se", "df"]].to_numpy(float), rtol=1e-6)
        reach = stats.t.ppf(0.975, theirs["df"]) * theirs["se"]
        np.testing.assert_allclose([lower, upper], [estimate - reach, estimate + reach], rtol=1e-7)


@pytest.mark.parametrize("name", ["slope", "crossed slope", "weighted"])
def test_degrees_of_freedom_are_those_of_the_variance_by_differences(name):
    """2 v² / Var(v), Var(v) by the delta method in (theta, sigma) with the dense variance and Hessian."""
    fit = fit_of(name)
    design = fit._design
    weights = np.ones(design.n) if design.weights is None else design.weights
    m, sigma = fit.theta.size, fit.residual_std
    nu = fit.n_obs - fit.coefficients.size

    class At:
        def __init__(self, theta, sigma):
            self.theta, self._design, self.coefficient_names = theta, design, fit.coefficient_names
            self.scale = sigma**2

    def variance(parameters, i):
        point = At(parameters[:-1], parameters[-1])
        dense = Dense(point, weights, point.scale)
        return dense.variance(next(own_rows(point, dense, [i]))) + point.scale / weights[i]

    # Hessian of d(theta, sigma) = profiled(theta) + nu (log(sigma²/s²) + s²/sigma² - 1), s² = r²(theta)/nu
    psi = np.append(fit.theta, sigma)
    h_theta = fit.hessian_at(fit.theta)
    slope = fit._engine.variance_derivatives(fit.theta).d_pwrss / fit.params.pwrss  # d log s² / d theta
    H = np.zeros((m + 1, m + 1))
    H[:m, :m] = h_theta + nu * np.outer(slope, slope)
    H[m, :m] = H[:m, m] = -2.0 * nu / sigma * slope
    H[m, m] = 4.0 * nu / sigma**2
    covariance = 2.0 * np.linalg.inv(H)
    rows = [0, 25, 97]
    found = fit.predict(interval="prediction").iloc[rows]
    for i, df in zip(rows, found["df"], strict=True):
        gradient = np.empty(m + 1)
        for k in range(m + 1):
            step = np.zeros(m + 1)
            step[k] = 1e-5 * max(1.0, abs(psi[k]))
            gradient[k] = (variance(psi + step, i) - variance(psi - step, i)) / (2.0 * step[k])
        np.testing.assert_allclose(df, 2.0 * variance(psi, i)**2 / (gradient @ covariance @ gradient), rtol=1e-5)


# ---- input -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "error", "message"), [
    ({"type": "mean"}, InputError, "type: expected one of 'link', 'response', 'marginal', got 'mean'"),
    ({"interval": "credible"}, InputError, "interval: expected one of 'confidence', 'prediction', got 'credible'"),
    ({"interval": "confidence", "level": 1.5}, InputError, "level: expected a number between 0 and 1, got 1.5"),
    ({"se": "yes"}, InputTypeError, "se: expected True or False, got 'yes'"),
    ({"type": "marginal", "re": "none"}, InputError, "re: expected 'all' with type='marginal'"),
    ({"interval": "prediction"}, InputError, "interval: expected None or 'confidence' with type='link'"),
    ({"offset": [1.0]}, InputError, "offset: expected only together with newdata"),
])
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        fit_of("ticks").predict(**options)


def test_an_unseen_level_of_a_fixed_factor_is_an_error():
    with pytest.raises(InputError, match="level '99' is not among those of the fit"):
        fit_of("ticks").predict({"YEAR": ["99"]}, re="none")


def test_averages_that_do_not_exist_are_refused():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(10), 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PymixedWarning)
        fit = pm.glmer("y ~ 1 + (1 | g)", {"y": rng.gamma(5.0, 1.0, 80), "g": g}, family=pm.families.Gamma("inverse"))
    with pytest.raises(InputError, match="inverse link, whose mean has no average"):
        fit.predict({"g": [1]}, type="marginal")


@pytest.mark.parametrize("name", ["slope", "crossed slope", "ticks", "cbpp"])
def test_no_rows_have_no_predictions(name):
    fit = fit_of(name)
    none = table((LINEAR | GENERALIZED)[name][1]).iloc[:0]
    assert fit.predict(none).shape == (0,)
    assert len(fit.predict(none, interval="confidence")) == 0
    assert fit.predict(none, type="marginal").shape == (0,)
    assert len(fit.augment(none)) == 0


def test_missing_values_of_new_rows_are_named():
    with pytest.raises(InputError, match=r"newdata: missing values: column 'Days' has 1$"):
        fit_of("slope").predict({"Days": [1.0, np.nan], "Subject": ["308", "309"]})


def test_labels_of_another_kind_are_refused():
    data = table("sleepstudy").assign(Subject=lambda d: d["Subject"].astype(int))
    fit = pm.lmer("Reaction ~ Days + (Days | Subject)", data)
    with pytest.raises(InputTypeError, match="newdata: column 'Subject': expected numbers as in the fit, got strings"):
        fit.predict({"Days": [1.0], "Subject": ["308"]}, new_levels="population")
    with pytest.raises(InputTypeError, match="expected strings as in the fit, got numbers: 95"):
        fit_of("ticks").predict({"YEAR": [95]}, re="none")
