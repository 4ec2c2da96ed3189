// Generalized models: with a normal response against linear models, which Laplace's approximation then equals; with
// counts against the integral; methods against each other; derivatives against differences.
#include "check.hpp"

#include <cmath>
#include <limits>

#include "designs.hpp"
#include "gauss_hermite.hpp"
#include "pymixed/fit.hpp"

namespace {

using namespace pymixed;
using designs::Design;
using designs::difference;

/// The design with counts in place of its response.
Design with_counts(Design design, unsigned seed) {
    designs::Normal normal(seed);
    for (Index i = 0; i < design.n(); ++i) {
        const double mean = std::exp(0.3 * design.y[i]);
        double total = 0.0;  // Poisson deviate: exponential waiting times within a unit
        Index count = -1;
        for (; total < 1.0; ++count)
            total -= std::log(normal.uniform()) / mean;
        design.y[i] = static_cast<double>(count);
    }
    return design;
}

GeneralizedProblem problem_of(const Design& design, const char* distribution, const char* link,
                              Method method = Method::Automatic) {
    return GeneralizedProblem(design.layout(), design.rows(), make_family(distribution, link), {}, method);
}

/// A point near the optimum's order of size: theta inside the space, the rest small.
Vector some_psi(const GeneralizedDeviance& deviance, unsigned seed) {
    designs::Normal normal(seed);
    Vector psi(deviance.n_parameters());
    for (Index i = 0; i < psi.size(); ++i)
        psi[i] = 0.2 * normal();
    psi.head(deviance.n_theta()) = 0.5 * designs::some_theta(deviance.problem().layout(), seed);
    return psi;
}

/// Five-point differences of the criterion; the truncation of larger steps shows.
Vector differences(GeneralizedDeviance& deviance, const Vector& psi) {
    const double step = 5e-4;
    Vector out(psi.size());
    for (Index i = 0; i < psi.size(); ++i) {
        const auto at = [&](double steps) {
            Vector point = psi;
            point[i] += steps * step;
            return deviance.evaluate(point, Coordinates::User);
        };
        out[i] = (8.0 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12.0 * step);
    }
    return out;
}

}  // namespace

TEST("quadrature nodes integrate polynomials against the normal density") {
    for (const Index n : {Index{1}, Index{2}, Index{5}, Index{25}, Index{60}}) {
        const GaussHermite rule(n);
        double moment = 1.0;  // E X^2k = 1 3 5 ... (2k - 1), exact up to degree 2n - 1
        for (Index k = 0; 2 * k < 2 * n && k < 12; ++k) {
            CHECK_CLOSE((rule.weights.array() * rule.nodes.array().pow(2.0 * static_cast<double>(k))).sum(), moment,
                        1e-12);
            moment *= static_cast<double>(2 * k + 1);
        }
    }
}

TEST("a normal response gives the linear model's maximum likelihood") {
    for (const auto& factors : {std::vector<std::pair<Index, Index>>{{12, 2}}, {{14, 1}, {5, 2}, {3, 1}}}) {
        const Design design = designs::simulate(150, 3, factors, 11);
        const Problem linear_problem(design.layout(), design.rows());
        Deviance linear(linear_problem, false);
        const FitResult expected = fit(linear, {});
        const GeneralizedProblem problem = problem_of(design, "gaussian", "identity");
        for (const Index nodes : {Index{0}, Index{1}}) {
            GeneralizedDeviance generalized(problem, nodes, Information::Observed);
            const FitResult found = fit(generalized, {});
            CHECK(found.status == Status::Success);
            CHECK_CLOSE(found.objective, expected.objective, 1e-9);
            const double sigma = std::exp(0.5 * found.parameters[found.parameters.size() - 1]);
            // an objective that is 1e-11 above its minimum leaves parameters 1e-6 of a standard error away
            CHECK(difference(found.parameters.head(expected.parameters.size()) / sigma, expected.parameters) < 1e-5);
            CHECK(difference(generalized.beta(), linear.beta()) < 1e-6);
        }
    }
}

TEST("methods of the factorisation agree") {
    const Design design = with_counts(designs::simulate(200, 2, {{30, 2}, {6, 2}, {4, 1}}, 5), 6);
    const GeneralizedProblem dense = problem_of(design, "poisson", "log", Method::Dense);
    const GeneralizedProblem sparse = problem_of(design, "poisson", "log", Method::Sparse);
    GeneralizedDeviance a(dense, 1, Information::Observed), b(sparse, 1, Information::Observed);
    const Vector psi = some_psi(a, 7);
    CHECK_CLOSE(a.evaluate(psi, Coordinates::User), b.evaluate(psi, Coordinates::User), 1e-13);
    a.differentiate();
    b.differentiate();
    CHECK(difference(a.gradient(), b.gradient()) < 1e-11);
    CHECK(difference(a.curvature(), b.curvature()) < 1e-11);
    const auto modes_a = a.modes(), modes_b = b.modes();
    const auto variances_a = a.conditional_covariances(), variances_b = b.conditional_covariances();
    for (std::size_t f = 0; f < modes_a.size(); ++f) {
        CHECK(difference(ConstMatrixMap(modes_a[f].data(), modes_a[f].size(), 1),
                         ConstMatrixMap(modes_b[f].data(), modes_b[f].size(), 1)) < 1e-11);
        CHECK(difference(ConstMatrixMap(variances_a[f].data(), variances_a[f].size(), 1),
                         ConstMatrixMap(variances_b[f].data(), variances_b[f].size(), 1)) < 1e-11);
    }
}

TEST("gradients equal differences") {
    const Design one = with_counts(designs::simulate(120, 2, {{10, 2}}, 21), 22);
    const Design several = with_counts(designs::simulate(150, 2, {{20, 1}, {5, 2}, {4, 1}}, 23), 24);
    for (const char* distribution : {"poisson", "negative_binomial", "negative_binomial1"})
        for (const Information information : {Information::Observed, Information::Expected}) {
            const GeneralizedProblem single = problem_of(one, distribution, "log");
            const GeneralizedProblem crossed = problem_of(several, distribution, "log");
            for (const Index nodes : {Index{0}, Index{1}, Index{4}}) {
                GeneralizedDeviance deviance(nodes > 1 ? single : crossed, nodes, information);
                const Vector psi = some_psi(deviance, 25);
                const Vector numeric = differences(deviance, psi);
                deviance.evaluate(psi, Coordinates::User);
                deviance.differentiate();
                CHECK(difference(deviance.gradient(), numeric) < 1e-8);
            }
        }
}

TEST("the Hessian is symmetric and the gradient's difference, at zero variances too") {
    const Design design = with_counts(designs::simulate(150, 2, {{20, 1}, {5, 2}}, 31), 32);
    const GeneralizedProblem problem = problem_of(design, "poisson", "log");
    GeneralizedDeviance deviance(problem, 1, Information::Observed);
    Vector psi = some_psi(deviance, 33);
    psi[0] = psi[1] = psi[2] = 0.0;  // the first factor, and the first column of the second
    const Matrix H = deviance.hessian(psi, Coordinates::User);
    deviance.evaluate(psi, Coordinates::User);
    deviance.differentiate();
    const Vector gradient = deviance.gradient();
    CHECK(difference(gradient, differences(deviance, psi)) < 1e-8);
    const double step = 1e-4;
    for (Index i = 0; i < psi.size(); ++i) {
        Vector column(psi.size());
        Vector point = psi;
        point[i] += step;
        deviance.evaluate(point, Coordinates::User);
        deviance.differentiate();
        column = deviance.gradient();
        point[i] -= 2.0 * step;
        deviance.evaluate(point, Coordinates::User);
        deviance.differentiate();
        column = (column - deviance.gradient()) / (2.0 * step);
        CHECK((column - H.col(i)).cwiseAbs().maxCoeff() < 1e-6 * H.cwiseAbs().maxCoeff());
    }
}

TEST("quadrature reaches the integral") {
    const Design design = with_counts(designs::simulate(40, 1, {{8, 1}}, 41), 42);
    const GeneralizedProblem problem = problem_of(design, "poisson", "log");
    GeneralizedDeviance deviance(problem, 40, Information::Observed);
    Vector psi(2);
    psi << 0.9, 0.2;
    // the midpoint rule with 1e-2 standard deviations converges exponentially for a smooth integrand
    double expected = 0.0;
    for (std::int32_t g = 0; g < 8; ++g) {
        double integral = 0.0;
        for (double u = -10.0; u < 10.0; u += 0.01) {
            double log_density = -0.5 * u * u;
            for (Index i = 0; i < design.n(); ++i)
                if (design.codes[0][i] == g)
                    log_density += design.y[i] * (psi[1] + psi[0] * u) - std::exp(psi[1] + psi[0] * u) -
                                   std::lgamma(design.y[i] + 1.0);
            integral += std::exp(log_density) * 0.01 / std::sqrt(6.283185307179586);
        }
        expected -= 2.0 * std::log(integral);
    }
    CHECK_CLOSE(deviance.evaluate(psi, Coordinates::User), expected, 1e-10);
}

TEST("quadrature refuses what it cannot integrate") {
    const Design several = with_counts(designs::simulate(60, 1, {{8, 1}, {4, 1}}, 51), 52);
    const Design wide = with_counts(designs::simulate(80, 1, {{8, 4}}, 53), 54);
    const GeneralizedProblem crossed = problem_of(several, "poisson", "log");
    const GeneralizedProblem columns = problem_of(wide, "poisson", "log");
    CHECK_THROWS(GeneralizedDeviance(crossed, 5, Information::Observed), std::invalid_argument);
    CHECK_THROWS(GeneralizedDeviance(columns, 5, Information::Observed), std::invalid_argument);
}

TEST("modes that do not exist are an infinite criterion") {
    const Design design = with_counts(designs::simulate(60, 1, {{8, 1}}, 61), 62);
    const GeneralizedProblem problem = problem_of(design, "poisson", "log");
    GeneralizedDeviance deviance(problem, 1, Information::Observed);
    Vector psi(2);
    psi << std::numeric_limits<double>::quiet_NaN(), 0.0;
    CHECK(std::isinf(deviance.evaluate(psi, Coordinates::User)));
    psi << 1.0, 1e6;
    CHECK(std::isinf(deviance.evaluate(psi, Coordinates::User)));
    psi << 1.0, 0.0;
    CHECK(std::isfinite(deviance.evaluate(psi, Coordinates::User)));
}
