// Other responses on the same rows against problems of their own; replicates of the bootstrap against each other:
// order, threads and ranges leave the bits alone; a fit that fails is a row that disturbs no other.
#include "check.hpp"

#include <cmath>
#include <limits>
#include <numeric>

#include "owned_rows.hpp"
#include "refits.hpp"
#include "response_sums.hpp"
#include "uncertainty.hpp"

namespace {

using namespace pymixed;
using designs::Design;
using designs::difference;
using namespace refits;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

struct Case {
    const char* name;
    Design design;
    Vector offset = {};
    Method method = Method::Automatic;
    double user_tolerance = 0.0;  ///< what rounding does to derivatives in the user's coordinates, if more than usual

    Rows rows() const {
        Rows out = design.rows();
        out.offset = offset.size() > 0 ? offset.data() : nullptr;
        return out;
    }
    Index n() const { return design.n(); }
    std::shared_ptr<const Problem> problem() const {
        return std::make_shared<const Problem>(design.layout(), rows(), method);
    }
    Case with_response(const Vector& y) const {
        Case out = *this;
        out.design.y = y;
        return out;
    }
};

Vector normal_vector(Index n, unsigned seed, double mean = 0.0) {
    designs::Normal normal(seed);
    Vector out(n);
    for (double& value : out)
        value = mean + normal();
    return out;
}

/// Slopes that are the same in every level: sums over patterns.
Design balanced(Index levels, Index p, Index c = 2) {
    Design out = designs::simulate(6 * levels, p, {{levels, c}}, 2);
    for (Index i = 0; i < out.n(); ++i) {
        out.codes[0][i] = static_cast<std::int32_t>(i % levels);
        for (Index j = 1; j < c; ++j)
            out.Z[j][i] = j == 1 ? static_cast<double>(i / levels) : static_cast<double>((i / levels) % 2);
    }
    return out;
}

/// Levels of the first factor within those of the second, these within those of the third.
Design nested() {
    Design out = designs::simulate(360, 3, {{60, 1}, {20, 2}, {5, 1}}, 3);
    for (Index i = 0; i < out.n(); ++i) {
        out.codes[1][i] = out.codes[0][i] % 20;
        out.codes[2][i] = out.codes[0][i] % 5;
    }
    return out;
}

std::vector<Case> cases() {
    std::vector<Case> out;
    out.push_back({"one factor, patterns", designs::simulate(300, 3, {{40, 1}}, 1)});
    Design plain = designs::simulate(300, 2, {{40, 1}}, 1);
    plain.weights = normal_vector(300, 9).cwiseAbs().array() + 0.2;  // a pattern per level
    out.push_back({"one factor, level by level", plain});
    out.push_back({"one slope", balanced(30, 2)});
    out.push_back({"two slopes", balanced(40, 2, 3)});
    Design uncorrelated = balanced(40, 3, 3);
    uncorrelated.terms = {{0, 1, Structure::Unstructured}, {0, 2, Structure::Diagonal}};
    out.push_back({"terms in patterns", uncorrelated, normal_vector(240, 13, 5.0)});
    out.push_back({"slopes, level by level", designs::simulate(300, 3, {{20, 3}}, 4)});
    Design terms = designs::simulate(240, 2, {{17, 3}, {11, 2}}, 6);
    terms.terms = {{0, 1, Structure::Unstructured}, {0, 2, Structure::Diagonal}, {1, 2, Structure::Unstructured}};
    out.push_back({"several terms on a factor", terms});
    const Design crossed = designs::simulate(240, 3, {{17, 2}, {11, 1}, {5, 2}}, 2);
    out.push_back({"crossed, dense", crossed, {}, Method::Dense});
    out.push_back({"crossed, sparse", crossed, {}, Method::Sparse});
    out.push_back({"nested", nested()});
    Design weighted = crossed;
    weighted.weights = normal_vector(240, 5).array().exp();
    out.push_back({"weights and an offset", weighted, normal_vector(240, 6, 30.0)});
    Design no_intercept = designs::simulate(200, 3, {{25, 2}}, 8);
    no_intercept.X.col(0) = normal_vector(200, 7, 2.0);
    out.push_back({"no intercept", no_intercept, normal_vector(200, 8)});
    out.push_back({"no columns", designs::simulate(240, 0, {{13, 3}, {17, 1}}, 3)});
    out.push_back({"no columns, patterns", balanced(30, 0)});
    Design aliased = designs::simulate(200, 5, {{25, 2}}, 10);
    aliased.X.col(2) = aliased.X.col(1) - 3.0 * aliased.X.col(0);
    aliased.X.col(4) = aliased.X.col(3);
    out.push_back({"aliased columns", aliased});
    Design far = designs::simulate(300, 3, {{20, 2}}, 11);
    far.X.col(1).array() += 1e6;
    far.Z[1].array() += 1e6;
    out.push_back({"covariates far from zero", far, {}, Method::Automatic, 1e-7});
    Design thin = designs::simulate(60, 2, {{30, 1}}, 12);
    out.push_back({"few rows", thin});
    return out;
}

Matrix user_modes(Deviance& deviance) {
    std::vector<double> all;
    for (const auto& factor : deviance.modes())
        all.insert(all.end(), factor.begin(), factor.end());
    return Eigen::Map<const Matrix>(all.data(), static_cast<Index>(all.size()), 1);
}

/// The criterion with its derivatives and estimates, at two points in both coordinates.
void check_same(Deviance& a, Deviance& b, double least, double user_tolerance = 0.0) {
    for (unsigned seed = 1; seed <= 2; ++seed)
        for (const Coordinates coordinates : {Coordinates::User, Coordinates::Internal}) {
            const double tolerance = coordinates == Coordinates::User ? std::max(least, user_tolerance) : least;
            const Vector theta = designs::some_theta(a.problem().layout(), seed);
            for (Deviance* deviance : {&a, &b}) {
                deviance->evaluate(theta, coordinates);
                deviance->differentiate();
            }
            CHECK_CLOSE(a.value(), b.value(), least);
            CHECK_CLOSE(a.sigma2(), b.sigma2(), tolerance);
            CHECK(difference(a.gradient(), b.gradient()) < tolerance);
            CHECK(difference(a.curvature(), b.curvature()) < tolerance);
            CHECK(difference(user_modes(a), user_modes(b)) < tolerance);
            if (a.problem().p() == 0)
                continue;
            CHECK(difference(a.beta(), b.beta()) < tolerance);
            CHECK(difference(a.unscaled_covariance(), b.unscaled_covariance()) < tolerance);
        }
}

void check_response(const Case& one, const Vector& y, double tolerance) {
    const auto problem = one.problem();
    const Case other = one.with_response(y);
    const auto expected = other.problem();
    const SortedRows rows(*problem, one.rows(), {}), other_rows(*expected, other.rows(), {});
    ResponseSums sums(*problem, rows);
    for (const bool reml : {true, false}) {
        Deviance deviance(*problem, reml), fresh(*expected, reml);
        sums.set(other_rows.y);
        deviance.set_response(sums.view());
        check_same(deviance, fresh, tolerance, one.user_tolerance);
    }
}

ModelPoint point_of(const FitResult& found, const Deviance& deviance) {
    return {found.parameters, deviance.beta(), Vector::Constant(1, std::sqrt(deviance.sigma2()))};
}

}  // namespace

TEST("the sums with another response are those of a problem of its own") {
    for (const Case& one : cases()) {
        const int before = check::failures();
        check_response(one, normal_vector(one.n(), 31) + 0.5 * one.design.y, 1e-11);
        check_response(one, 1e-7 * normal_vector(one.n(), 32), 1e-11);
        check_response(one, 1e9 * normal_vector(one.n(), 33, -1.0), 1e-11);
        // a constant of 1e8 leaves half of the digits; both round them, each in its own basis
        check_response(one, normal_vector(one.n(), 34, 1e8), 1e-8);
        if (check::failures() > before)
            std::printf("  in: %s\n", one.name);
    }
}

TEST("a response far from zero loses no more than itself") {
    // integers: y and y - 2^27 are exact, and so are the residuals of an intercept
    Design design = designs::simulate(300, 1, {{20, 1}}, 13);
    design.y = (64.0 * design.y).array().round();
    const Case near{"near", design};
    const Case far = near.with_response(design.y.array() + 0x1p27);
    const auto problem = near.problem();
    const SortedRows rows(*problem, near.rows(), {}), far_rows(*problem, far.rows(), {});
    ResponseSums sums(*problem, rows), far_sums(*problem, rows);
    sums.set(rows.y);
    far_sums.set(far_rows.y);
    Deviance a(*problem, true), b(*problem, true);
    a.set_response(sums.view());
    b.set_response(far_sums.view());
    const Vector theta = designs::some_theta(design.layout(), 1);
    CHECK_CLOSE(a.evaluate(theta, Coordinates::User), b.evaluate(theta, Coordinates::User), 1e-11);
    CHECK_CLOSE(a.beta()[0] + 0x1p27, b.beta()[0], 1e-15);
}

TEST("what was set before leaves no trace") {
    for (const Case& one : cases()) {
        const auto problem = one.problem();
        const SortedRows rows(*problem, one.rows(), {});
        const Vector y = normal_vector(one.n(), 41), other = normal_vector(one.n(), 42, 1e4);
        ResponseSums used(*problem, rows), fresh(*problem, rows);
        used.set(other);
        used.set(Vector::Constant(one.n(), missing));
        used.set(y);
        fresh.set(y);
        Deviance a(*problem, true), b(*problem, true);
        a.set_response(used.view());
        b.set_response(fresh.view());
        check_same(a, b, 1e-300);
    }
}

TEST("a restriction speaks of the response that was set") {
    const Case one{"slopes", designs::simulate(200, 3, {{20, 2}}, 14)};
    const Case other = one.with_response(normal_vector(200, 15, 40.0) * 17.0);
    const auto problem = one.problem(), expected = other.problem();
    const SortedRows rows(*problem, one.rows(), {}), other_rows(*expected, other.rows(), {});
    ResponseSums sums(*problem, rows);
    sums.set(other_rows.y);
    Deviance a(*problem, false), b(*expected, false);
    a.set_response(sums.view());
    Restriction restriction;
    restriction.contrast = Vector::Unit(3, 1);
    restriction.value = 5.0;
    for (const double sigma : {0.0, 20.0}) {
        restriction.sigma = sigma;
        a.restrict_to(restriction);
        b.restrict_to(restriction);
        check_same(a, b, 1e-11);
        CHECK_CLOSE(a.contrast_slope(), b.contrast_slope(), 1e-11);
        CHECK_CLOSE(a.beta()[1], 5.0, 1e-13);
    }
}

/// Satterthwaite's degrees of freedom of a coefficient: 2 v^2 / Var(v).
template <class Covariance, class Jacobian>
double degrees_of_freedom(double variance, Covariance&& covariance, Jacobian&& jacobian, Index k) {
    double spread = 0.0;
    for (Index a = 0; a < k; ++a)
        for (Index b = 0; b < k; ++b)
            spread += jacobian(a) * covariance(a, b) * jacobian(b);
    return 2.0 * variance * variance / spread;
}

/// Minima agree to 1e-7 or so, derivatives by differences are good to about 1e-8 times the condition of the Hessian.
void check_uncertainty(const VarianceUncertainty& expected, const Refits& refits, Index row, double tolerance) {
    const Index k = expected.covariance.rows(), size = refits.covariance.cols();
    for (Index j = 0; j < refits.beta.cols(); ++j) {
        const Index at = packed(j, j);
        const double variance = refits.covariance(row, at);
        const double df = degrees_of_freedom(
            variance, [&](Index a, Index b) { return expected.covariance(a, b); },
            [&](Index a) { return expected.jacobian(a, at); }, k);
        const double found = degrees_of_freedom(
            variance,
            [&](Index a, Index b) { return refits.variance_covariance(row, packed(std::max(a, b), std::min(a, b))); },
            [&](Index a) { return refits.jacobian(row, a * size + at); }, k);
        CHECK_CLOSE(df, found, tolerance);
    }
}

TEST("fits to the columns are fits of their own, in any order") {
    for (const Case& one : cases())
        for (const bool reml : {true, false}) {
            const int before = check::failures();
            const auto problem = one.problem();
            const LinearRefits refits(problem, one.rows(), reml);
            Matrix Y(one.n(), 5);
            for (Index i = 0; i < 5; ++i)
                Y.col(i) = one.design.y * static_cast<double>(i) + normal_vector(one.n(), 50 + i, 3.0);
            RefitOptions options;
            options.fit.newton.tolerance = 1e-14;
            options.uncertainty = true;
            const Refits all = check_columns(refits, Y, options);
            for (Index i = 0; i < 5; ++i) {
                const auto fresh_problem = one.with_response(Y.col(i)).problem();
                Deviance fresh(*fresh_problem, reml);
                const FitResult found = fit(fresh, options.fit);
                CHECK(found.status == all.status[i]);
                CHECK_CLOSE(found.objective, all.objective[i], 1e-11);
                CHECK(difference(found.parameters.transpose(), all.theta.row(i)) < 1e-6);
                CHECK_CLOSE(std::sqrt(fresh.sigma2()), all.extra(i, 0), 1e-7);
                const Vector se = (fresh.sigma2() * fresh.unscaled_covariance().diagonal()).cwiseSqrt();
                for (Index j = 0; j < problem->p(); ++j) {
                    CHECK_CLOSE(se[j], std::sqrt(all.covariance(i, packed(j, j))), 1e-6);
                    CHECK(std::abs(fresh.beta()[j] - all.beta(i, j)) < 1e-6 * se[j]);
                }
                check_uncertainty(variance_uncertainty(fresh, found), all, i, 1e-5);
            }
            if (check::failures() > before)
                std::printf("  in: %s\n", one.name);
        }
}

TEST("a column that cannot be fitted is a row with a status and disturbs no other") {
    for (const Case& one : cases()) {
        const int before = check::failures();
        const auto problem = one.problem();
        const LinearRefits refits(problem, one.rows(), true);
        const Index n = one.n(), p = one.design.X.cols();
        const Vector zero = one.offset.size() > 0 ? one.offset : Vector(Vector::Zero(n));
        Matrix Y(n, 9), good(n, 3);
        for (Index i = 0; i < 3; ++i)
            Y.col(2 * i) = good.col(i) = one.design.y + normal_vector(n, 60 + i, 1.0);
        Y.col(1) = zero;
        Y.col(3).setConstant(missing);
        Y.col(5) = good.col(2);
        Y(0, 5) = std::numeric_limits<double>::infinity();
        Y.col(6) = zero + one.design.X * Vector::Constant(p, 0.1);  // not exact in floating point
        Y.col(7) = zero + 1e6 * one.design.X * Vector::Constant(p, 1.0 / 3.0);
        Y.col(8) = Vector::Constant(n, 1e300);
        const Refits all = check_columns(refits, Y, {});
        const Refits expected = refits.fit_columns(responses_of(good), {});
        for (Index i = 0; i < 3; ++i) {
            CHECK(expected.status[i] == Status::Success);
            check_same_row(all, 2 * i, expected, i);
        }
        for (const Index i : {1, 3, 5, 6, 7}) {
            CHECK(all.status[i] == (i == 3 || i == 5 ? Status::InvalidResponse : Status::NotPositiveDefinite));
            CHECK(is_missing(all, i));
        }
        CHECK(all.status[8] != Status::Success || all.objective.segment(8, 1).allFinite());
        if (check::failures() > before)
            std::printf("  in: %s\n", one.name);
    }
}

/// The rows that take part in a fit, in a problem of their own.
struct Part {
    OwnedRows rows;

    Part(const Case& one, const Vector& y, const Vector& weights, const Vector& offset) {
        std::vector<Index> every(one.design.X.cols()), present;
        std::iota(every.begin(), every.end(), Index{0});
        for (Index i = 0; i < one.n(); ++i)
            if (!std::isnan(y[i]) && (weights.size() == 0 || !std::isnan(weights[i])))
                present.push_back(i);
        OwnedRows all(one.rows(), every, {});
        all.y = y;
        if (weights.size() > 0)
            all.weights = weights;
        if (offset.size() > 0)
            all.offset = all.offset.size() > 0 ? Vector(all.offset + offset) : offset;
        rows = all.take(present);
    }
};

TEST("a missing row that outweighs all others leaves no rounding behind") {
    Design design = designs::simulate(200, 3, {{20, 2}}, 17);
    for (const bool in_Z : {false, true}) {
        Case one{"outlier", design};
        (in_Z ? one.design.Z[1][7] : one.design.X(7, 1)) = 1e9;
        Vector y = one.design.y;
        y[7] = missing;
        const Refits found = LinearRefits(one.problem(), one.rows(), true).fit_columns(responses_of(y), {});
        const Part part(one, y, {}, {});
        const Problem fresh(design.layout(), part.rows.view());
        Deviance deviance(fresh, true);
        CHECK_CLOSE(fit(deviance, {}).objective, found.objective[0], 1e-9);
    }
}

TEST("rows that are missing, weights and offsets of a response's own") {
    for (const Case& one : cases())
        for (const bool few : {true, false})
            for (const bool own_weights : {false, true}) {
                const int before = check::failures();
                const auto problem = one.problem();
                const Index n = one.n(), count = 4;
                Matrix Y(n, count), weights, offset;
                for (Index i = 0; i < count; ++i)
                    Y.col(i) = one.design.y + normal_vector(n, 80 + i, 1.0);
                Y.col(2).tail(n / 3).setConstant(missing);  // whole levels, in some designs
                for (Index k = 0; k < n; ++k)
                    if (few ? k % 50 == 7 : k % 3 == 1)
                        Y(k, 1) = Y(k, 3) = missing;
                if (own_weights) {
                    weights.resize(n, count);
                    offset.resize(n, count);
                    for (Index i = 0; i < count; ++i) {
                        weights.col(i) = normal_vector(n, 90 + i).array().exp();
                        offset.col(i) = normal_vector(n, 95 + i, 20.0);
                    }
                    weights.col(3) = weights.col(1);
                    weights(n / 2, 0) = missing;
                }
                RefitOptions options;
                options.fit.newton.tolerance = 1e-14;
                options.uncertainty = true;
                const LinearRefits refits(problem, one.rows(), true);
                const Responses responses{Y.data(), own_weights ? weights.data() : nullptr,
                                          own_weights ? offset.data() : nullptr, count};
                const Refits all = refits.fit_columns(responses, options);
                options.n_threads = 3;
                const Refits threads = refits.fit_columns(responses, options);
                for (Index i = 0; i < count; ++i) {
                    check_same_row(all, i, threads, i);
                    const Part part(one, Y.col(i), own_weights ? Vector(weights.col(i)) : Vector(),
                                    own_weights ? Vector(offset.col(i)) : Vector());
                    CHECK(all.n_rows[i] == part.rows.y.size());
                    if (all.status[i] == Status::InvalidResponse) {  // a design of few rows
                        CHECK(one.n() < 100 && !few);
                        continue;
                    }
                    const Problem fresh_problem(problem->layout(), part.rows.view());
                    Deviance fresh(fresh_problem, true);
                    const FitResult found = fit(fresh, options.fit);
                    CHECK(found.status == all.status[i]);
                    CHECK_CLOSE(found.objective, all.objective[i], 1e-10);
                    CHECK_CLOSE(std::sqrt(fresh.sigma2()), all.extra(i, 0), 1e-6);
                    const Matrix C = fresh.sigma2() * fresh.unscaled_covariance();
                    std::size_t own = 0;
                    for (std::size_t j = 0; j < problem->kept().size(); ++j) {
                        if (own >= fresh_problem.kept().size() || fresh_problem.kept()[own] != problem->kept()[j]) {
                            CHECK(std::isnan(all.beta(i, j)));
                            continue;
                        }
                        CHECK_CLOSE(C(own, own), all.covariance(i, packed(j, j)), 1e-5);
                        CHECK(std::abs(fresh.beta()[own] - all.beta(i, j)) < 1e-5 * std::sqrt(C(own, own)));
                        ++own;
                    }
                }
                if (check::failures() > before)
                    std::printf("  in: %s\n", one.name);
            }
}

TEST("replicates do not depend on threads and ranges") {
    for (const Case& one : cases()) {
        const int before = check::failures();
        const auto problem = one.problem();
        const LinearRefits refits(problem, one.rows(), true);
        Deviance deviance(*problem, true);
        const FitResult found = fit(deviance, {});
        const ModelPoint truth = point_of(found, deviance);
        ResidualPools pools;
        pools.modes = deviance.modes();
        const Vector residuals = normal_vector(one.n(), 70);
        pools.residuals.assign(residuals.begin(), residuals.end());
        const RefitOptions options = started_at(truth.theta);
        const auto parametric = [&](const Draws& draws, const RefitOptions& o) {
            return refits.parametric(truth, draws, o);
        };
        check_replicates(parametric, options);
        check_replicates([&](const Draws& d, const RefitOptions& o) { return refits.residual(truth, pools, d, o); },
                         options);
        const Draws draws{99, 4, 6};
        const Matrix Y = refits.responses(truth, nullptr, draws);
        const Refits of_responses = refits.fit_columns(responses_of(Y), options);
        const Refits direct = parametric(draws, options);
        for (Index i = 0; i < 6; ++i)
            check_same_row(direct, i, of_responses, i);
        if (check::failures() > before)
            std::printf("  in: %s\n", one.name);
    }
}

TEST("resampled clusters do not depend on threads and ranges; too few rows are a status") {
    const Case one{"nested", nested()};
    const auto problem = one.problem();
    const Clusters clusters{one.design.codes[2], 5};
    check_replicates(
        [&](const Draws& d, const RefitOptions& o) { return fit_clusters(*problem, one.rows(), clusters, true, d, o); },
        {});
    // clusters of 1, 1 and 10 rows, three columns
    Design design = designs::simulate(12, 3, {{3, 1}}, 16);
    for (Index i = 0; i < 12; ++i)
        design.codes[0][i] = static_cast<std::int32_t>(std::min<Index>(i, 2));
    const Problem small(design.layout(), design.rows());
    const Refits drawn = fit_clusters(small, design.rows(), {design.codes[0], 3}, true, {1, 0, 60}, {});
    Index deficient = 0;
    for (Index i = 0; i < 60; ++i)
        if (drawn.status[i] == Status::RankDeficient) {
            ++deficient;
            CHECK(is_missing(drawn, i));
        }
    CHECK(deficient > 5 && deficient < 55);
}
