// Fits in one call: against the steps that they take, in batches, over threads; what they refuse, and how they stop.

#include "pymixed/models.hpp"

#include <Eigen/LU>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

#include "refits.hpp"

using namespace pymixed;
using designs::Design;
using refits::is_missing;
using refits::same_bits;

namespace {

Design linear_design() {
    Design design = designs::simulate(300, 3, {{30, 2}, {12, 1}}, 5);
    design.weights.resize(300);
    for (Index i = 0; i < 300; ++i)
        design.weights[i] = 0.5 + 0.01 * static_cast<double>(i);
    return design;
}

/// What the exception of a call says, empty where there is none.
std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return {};
}

bool begins(const std::string& text, const std::string& with) {
    return text.compare(0, with.size(), with) == 0;
}

}  // namespace

TEST("a linear fit is what its steps give, to the bit") {
    const Design design = linear_design();
    for (const bool reml : {true, false}) {
        LmmOptions options;
        options.reml = reml;
        const LmmFit found = fit_lmm(design.layout(), design.rows(), options);
        const Problem problem(design.layout(), design.rows());
        Deviance deviance(problem, reml);
        const FitResult steps = fit(deviance, {});
        CHECK(found.status == Status::Success && found.reml == reml && found.n == 300);
        CHECK(found.objective == steps.objective && found.n_evaluations == steps.n_evaluations);
        CHECK(same_bits(found.theta, steps.parameters) && same_bits(found.coefficients, deviance.beta()));
        CHECK(same_bits(found.covariance, deviance.sigma2() * deviance.unscaled_covariance()));
        CHECK(found.sigma == std::sqrt(deviance.sigma2()) && found.pwrss == deviance.pwrss());
        const auto modes = deviance.modes();
        CHECK(found.modes.size() == 2 && found.modes[0].rows() == 30 && found.modes[0].cols() == 2);
        CHECK(found.modes[0](7, 1) == modes[0][15] && found.modes[1](11, 0) == modes[1][11]);
        const double theta = found.theta[3] * found.sigma;  // the second term's
        CHECK_CLOSE(found.term_covariances[1](0, 0), theta * theta, 1e-15);
        CHECK_CLOSE(found.log_likelihood(), -0.5 * found.objective, 1e-15);
        CHECK(found.expected_gain < 1e-11 && found.kept.size() == 3 && found.aliased.empty());

        LmmFit again = fit_lmm(problem, options);
        CHECK(again.objective == found.objective && same_bits(again.coefficients, found.coefficients));
        options.n_threads = 2;
        again = fit_lmm(problem, options);
        CHECK(same_bits(again.theta, found.theta));
    }
}

TEST("sums over batches give the fit of all rows") {
    const Design design = linear_design();
    CrossProducts products(design.layout(), design.rows(0, 120), 0);
    products.add(design.rows(120, 200));
    products.merge(CrossProducts(design.layout(), design.rows(200, 300), 0));
    const LmmFit found = fit_lmm(std::move(products)), whole = fit_lmm(design.layout(), design.rows());
    // Another basis, another path to the minimum. Searches end where a step promises 1e-11: within the root of that,
    // 3e-6 standard errors, of the minimum.
    CHECK_CLOSE(found.objective, whole.objective, 1e-12);
    CHECK(designs::difference(found.coefficients, whole.coefficients) < 3e-6);
    CHECK(designs::difference(found.theta, whole.theta) < 3e-6);
}

TEST("a column that depends on others is dropped and named, no column at all is a model") {
    Design design = linear_design();
    design.X.col(2) = 2.0 * design.X.col(1) - design.X.col(0);
    const LmmFit found = fit_lmm(design.layout(), design.rows());
    CHECK(found.kept == (std::vector<Index>{0, 1}) && found.aliased == std::vector<Index>{2});
    CHECK(found.coefficients.size() == 2 && found.covariance.rows() == 2);
    design.X.resize(300, 0);
    CHECK(fit_lmm(design.layout(), design.rows()).coefficients.size() == 0);
}

TEST("a generalized fit is what its steps give, to the bit") {
    const Design design = designs::simulate_counts();
    const auto family = make_family("negative_binomial", "log");
    const GlmmFit found = fit_glmm(design.layout(), design.rows(), *family);
    const GeneralizedProblem problem(design.layout(), design.rows(), family->clone(), {});
    GeneralizedDeviance deviance(problem, 1, Information::Observed);
    const FitResult steps = fit(deviance, {});
    CHECK(found.status == Status::Success && found.objective == steps.objective);
    CHECK(same_bits(found.theta, steps.parameters.head(2)) && same_bits(found.coefficients, deviance.beta()));
    CHECK(found.family_parameters.size() == 1 && found.family_parameters[0] == steps.parameters[4]);
    CHECK(same_bits(found.linear_predictor, deviance.linear_predictor()) && found.zero_coefficients.size() == 0);
    CHECK(found.modes.size() == 2 && found.modes[1].rows() == 12);
    CHECK_CLOSE(found.term_covariances[0](0, 0), found.theta[0] * found.theta[0], 1e-15);
    // the Hessian in the user's coordinates, at an interior minimum
    const Matrix inverse = 2.0 * deviance.hessian(steps.parameters, Coordinates::User).inverse();
    CHECK(found.from_hessian && designs::difference(found.covariance, inverse.block(2, 2, 2, 2)) < 1e-6);

    GlmmOptions profiled;
    profiled.n_nodes = 0;
    const GlmmFit fast = fit_glmm(problem, profiled);
    CHECK(fast.status == Status::Success && !fast.from_hessian && fast.coefficients.size() == 2);
    CHECK(fast.family_parameters.size() == 1 && fast.n_pirls > 0);
}

TEST("zero inflation and quadrature over several columns") {
    Design design = designs::simulate(400, 2, {{40, 2}}, 9);
    design.y = (0.4 * design.y).array().exp().round();
    for (Index i = 0; i < 400; i += 5)
        design.y[i] = 0.0;
    const auto family = make_zero_inflated(make_family("poisson", "log"));
    const std::vector<ColumnView> one{ColumnView{}};
    GlmmOptions options;
    options.n_nodes = 5;
    const GlmmFit found = fit_glmm(design.layout(), design.rows(), *family, options, one);
    CHECK(found.status == Status::Success && found.zero_coefficients.size() == 1);
    // nodes of a tensor rule are laid out in the user's coordinates
    const GeneralizedProblem problem(design.layout(), design.rows(), family->clone(), one, Method::Automatic, 0.0,
                                     false);
    GeneralizedDeviance deviance(problem, 5, Information::Observed);
    const FitResult steps = fit(deviance, {});
    CHECK(found.objective == steps.objective && found.zero_coefficients[0] == steps.parameters[5]);
    CHECK(std::abs(deviance.evaluate(steps.parameters, Coordinates::User) - found.objective) < 1e-8 * found.objective);
}

TEST("many fits are those of the design's refits, over any number of threads") {
    const Design design = linear_design(), counts = designs::simulate_counts();
    Matrix Y(300, 3);
    Y << design.y, 2.0 * design.y.reverse(), design.y.array().square().matrix();
    const Vector placeholder = placeholder_response(300);
    Rows rows = design.rows();
    rows.y = {placeholder.data()};
    const auto problem = std::make_shared<const Problem>(design.layout(), rows);
    const Responses responses{Y.data(), nullptr, nullptr, 3};
    const Refits expected = LinearRefits(problem, rows, true).fit_columns(responses, {});
    LmmManyOptions options;
    for (options.refits.n_threads = 1; options.refits.n_threads < 4; ++options.refits.n_threads) {
        const Refits found = fit_many(design.layout(), design.rows(), responses, options);
        for (Index i = 0; i < 3; ++i)
            refits::check_same_row(found, i, expected, i);
    }
    // the response of the design is not looked at
    rows.y = {};
    refits::check_same_row(fit_many(design.layout(), rows, responses), 0, expected, 0);

    Matrix C(300, 4);
    C << counts.y, counts.y.reverse(), 0.5 * counts.y, counts.y;
    C(17, 3) = -1.0;
    const auto poisson = make_family("poisson", "log");
    const Refits fits = fit_many(counts.layout(), counts.rows(), *poisson, {C.data(), nullptr, nullptr, 4});
    CHECK(fits.status[0] == Status::Success && fits.status[1] == Status::Success);
    CHECK(fits.status[2] == Status::InvalidResponse && fits.status[3] == Status::InvalidResponse);
    CHECK(is_missing(fits, 2) && is_missing(fits, 3));
    const GlmmFit one = fit_glmm(counts.layout(), counts.rows(), *poisson);
    CHECK_CLOSE(fits.objective[0], one.objective, 1e-10);
}

TEST("a monitor follows one fit and many, and stops them") {
    const Design design = linear_design();
    LmmOptions options;
    std::vector<NewtonProgress> seen;
    options.fit.newton.monitor = [&](const NewtonProgress& progress) {
        seen.push_back(progress);
        return true;
    };
    const LmmFit found = fit_lmm(design.layout(), design.rows(), options);
    CHECK(found.status == Status::Success && seen.size() > 1);
    CHECK(seen.back().value == found.objective && seen.back().expected_gain == found.expected_gain);
    for (std::size_t i = 1; i < seen.size(); ++i)
        CHECK(seen[i].value <= seen[i - 1].value && seen[i].n_evaluations > seen[i - 1].n_evaluations);
    options.fit.newton.monitor = [](const NewtonProgress&) { return false; };
    CHECK(fit_lmm(design.layout(), design.rows(), options).status == Status::Interrupted);

    const Matrix Y = design.y.replicate(1, 50);
    const Responses responses{Y.data(), nullptr, nullptr, 50};
    LmmManyOptions many;
    many.refits.n_threads = 3;
    Index last = 0;
    many.refits.monitor = [&](Index done, Index count) {
        CHECK(done > last && done <= 50 && count == 50);
        last = done;
        return true;
    };
    CHECK(fit_many(design.layout(), design.rows(), responses, many).status[49] == Status::Success && last == 50);
    many.refits.monitor = [](Index done, Index) { return done < 10; };
    const Refits stopped = fit_many(design.layout(), design.rows(), responses, many);
    const auto interrupted = std::count(stopped.status.begin(), stopped.status.end(), Status::Interrupted);
    CHECK(interrupted >= 50 - 10 - 2 && is_missing(stopped, 49));  // others were at work when the tenth was told
    many.refits.monitor = [](Index, Index) -> bool { throw std::runtime_error("enough"); };
    CHECK_THROWS(fit_many(design.layout(), design.rows(), responses, many), std::runtime_error);
}

TEST("a response that the model fits exactly is a status") {
    Design design = designs::simulate(60, 2, {{6, 1}}, 3);
    design.y = design.X.col(1);
    CHECK(fit_lmm(design.layout(), design.rows()).status == Status::NotPositiveDefinite);
}

TEST("what does not fit is refused, with its place") {
    const Design design = linear_design();
    const RandomEffects layout = design.layout();
    const auto refused = [&](const std::function<void(Rows&)>& change) {
        Rows rows = design.rows();
        change(rows);
        return refusal([&] { fit_lmm(layout, rows); });
    };
    Vector bad = design.y, weights = design.weights;
    bad[3] = std::numeric_limits<double>::quiet_NaN();
    weights[4] = 0.0;
    std::vector<std::int32_t> codes = design.codes[0];
    codes[5] = 30;
    CHECK(refused([](Rows&) {}).empty());
    CHECK(begins(refused([](Rows& rows) { rows.n = 0; }), "n: expected at least one row, got 0"));
    CHECK(begins(refused([](Rows& rows) { rows.y = {}; }), "y: expected n values, got a null pointer"));
    CHECK(refused([&](Rows& rows) { rows.y = {bad.data()}; }) == "y: expected finite numbers, got nan in row 3");
    CHECK(begins(refused([&](Rows& rows) { rows.X[1] = {bad.data()}; }), "X[1]: expected finite"));
    CHECK(begins(refused([&](Rows& rows) { rows.Z[1] = {bad.data()}; }), "Z[1]: expected finite"));
    CHECK(begins(refused([&](Rows& rows) { rows.offset = bad.data(); }), "offset: expected finite"));
    CHECK(refused([&](Rows& rows) { rows.weights = weights.data(); }) ==
          "weights: expected positive numbers, got 0 in row 4");
    CHECK(begins(refused([](Rows& rows) { rows.Z.pop_back(); }), "Z: expected 3 columns of the terms, got 2"));
    CHECK(begins(refused([](Rows& rows) { rows.codes.pop_back(); }), "codes: expected 2 grouping factors, got 1"));
    CHECK(begins(refused([](Rows& rows) { rows.codes[1] = nullptr; }), "codes[1]: expected n codes"));
    CHECK(begins(refused([&](Rows& rows) { rows.codes[0] = codes.data(); }), "codes: expected 0 to 29, got 30"));
    CHECK(begins(refused([](Rows& rows) { rows.n = 3; }), "X: expected more rows"));

    LmmOptions options;
    options.fit.start = Vector::Ones(2);
    CHECK(begins(refusal([&] { fit_lmm(layout, design.rows(), options); }),
                 "options.fit.start: expected 4 values, got 2"));
    options = {};
    options.n_threads = 0;
    CHECK(begins(refusal([&] { fit_lmm(layout, design.rows(), options); }), "options.n_threads: expected at least 1"));
    options = {};
    options.fit.newton.max_evaluations = 0;
    CHECK(begins(refusal([&] { fit_lmm(layout, design.rows(), options); }), "options.fit.newton.max_evaluations"));

    CHECK(begins(refusal([&] { fit_many(layout, design.rows(), {nullptr, nullptr, nullptr, 2}); }),
                 "responses.y: expected n x count values"));
    const auto poisson = make_family("poisson", "log"), binomial = make_family("binomial", "logit");
    CHECK(begins(refusal([&] { fit_glmm(layout, design.rows(), *poisson); }), "y: expected counts 0, 1, 2, ..."));
    CHECK(begins(refusal([&] { fit_glmm(layout, design.rows(), *binomial); }), "y: expected proportions"));
    const Design counts = designs::simulate_counts();
    CHECK(begins(refusal([&] { fit_glmm(counts.layout(), counts.rows(), *poisson, {}, {ColumnView{}}); }),
                 "zero_inflation: expected no columns, got 1"));
    const Responses none{};
    GlmmManyOptions many;
    many.refits.fit.start = Vector::Ones(1);
    CHECK(begins(refusal([&] { fit_many(counts.layout(), counts.rows(), *poisson, none, many); }),
                 "options.fit.start: expected 4 values, got 1"));
}

TEST("the range of every family") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Vector values = (Vector(8) << -1.0, 0.0, 0.25, 1.0, 1.0 + 1e-9, 2.0, 1e300 * 1e10, nan).finished();
    const auto taken = [&](Support support) {
        std::string out;
        for (const double y : values)
            out += first_unsuitable(support, 1, &y, nullptr) < 0 ? '1' : '0';
        return out;
    };
    CHECK(taken(Support::Real) == "11111100");
    CHECK(taken(Support::Positive) == "00111100");
    CHECK(taken(Support::NonNegative) == "01111100");
    CHECK(taken(Support::OpenUnit) == "00100000");
    CHECK(taken(Support::Counts) == "01011100");
    CHECK(taken(Support::Proportions) == "01010000");
    const double third = 0.333333333, trials = 3.0, part = 2.5;
    CHECK(first_unsuitable(Support::Proportions, 1, &third, &trials) < 0);
    CHECK(first_unsuitable(Support::Proportions, 1, &third, &part) == 0);
    CHECK(first_unsuitable(Support::Real, 8, values.data(), nullptr) == 6);
}
