// Fits by the C interface: the bits of the C++ interface, whatever way the data take.

#include <atomic>
#include <cmath>
#include <thread>

#include "../examples/sleepstudy.h"
#include "c_handles.hpp"
#include "pymixed/models.hpp"
#include "refits.hpp"

using namespace c_handles;
using designs::Vector;
using refits::same_bits;

namespace {

/// Reaction ~ Days + (Days | Subject).
Design sleepstudy() {
    Design design;
    design.y = Eigen::Map<const Vector>(reaction, n_rows);
    Vector days(n_rows);
    design.codes.emplace_back(n_rows);
    for (int i = 0; i < n_rows; ++i) {
        days[i] = i % n_days;
        design.codes[0][i] = i / n_days;
    }
    design.X.resize(n_rows, 2);
    design.X << Vector::Ones(n_rows), days;
    design.Z = {Vector(), days};
    design.n_levels = {n_subjects};
    design.terms = {{0, 2, pymixed::Structure::Unstructured}};
    return design;
}

/// Two factors, one with a diagonal term, prior weights.
Design crossed() {
    Design design = designs::simulate(300, 3, {{30, 2}, {12, 1}}, 5);
    design.terms[0].structure = pymixed::Structure::Diagonal;
    design.weights.resize(300);
    for (Index i = 0; i < 300; ++i)
        design.weights[i] = 0.5 + 0.01 * static_cast<double>(i);
    return design;
}

/// Zero-inflated counts.
Design counts() {
    Design design = designs::simulate_counts();
    for (Index i = 0; i < 300; i += 5)
        design.y[i] = 0.0;
    return design;
}

Data counts_data(const Design& design, const char* distribution) {
    Data data = data_of(design);
    CHECK_OK(pymixed_data_set_family(data.get(), distribution, "log", NAN, NAN));
    return data;
}

Matrix one(double value) {
    return Matrix::Constant(1, 1, value);
}

void check_common(const Fit& found, const pymixed::MixedFit& expected) {
    CHECK(same_bits(numbers(found, PYMIXED_STATUS), one(static_cast<double>(expected.status))));
    CHECK(same_bits(numbers(found, PYMIXED_ROWS), one(static_cast<double>(expected.n))));
    CHECK(same_bits(numbers(found, PYMIXED_OBJECTIVE), one(expected.objective)));
    CHECK(same_bits(numbers(found, PYMIXED_LOG_LIKELIHOOD), one(-0.5 * expected.objective)));
    CHECK(same_bits(numbers(found, PYMIXED_EXPECTED_GAIN), one(expected.expected_gain)));
    CHECK(same_bits(numbers(found, PYMIXED_EVALUATIONS), one(static_cast<double>(expected.n_evaluations))));
    CHECK(same_bits(numbers(found, PYMIXED_GRADIENTS), one(static_cast<double>(expected.n_gradients))));
    CHECK(same_bits(numbers(found, PYMIXED_COEFFICIENTS), expected.coefficients));
    CHECK(same_bits(numbers(found, PYMIXED_COVARIANCE), expected.covariance));
    CHECK(same_bits(numbers(found, PYMIXED_THETA), expected.theta));
    const Matrix kept = numbers(found, PYMIXED_KEPT);
    CHECK(kept.size() == static_cast<Index>(expected.kept.size()));
    for (Index j = 0; j < kept.size(); ++j)
        CHECK(kept(j) == static_cast<double>(expected.kept[j]));
    CHECK(numbers(found, PYMIXED_ALIASED).size() == static_cast<Index>(expected.aliased.size()));
    for (std::size_t i = 0; i < expected.term_covariances.size(); ++i)
        CHECK(
            same_bits(numbers(found, PYMIXED_TERM_COVARIANCE, static_cast<int64_t>(i)), expected.term_covariances[i]));
    for (std::size_t f = 0; f < expected.modes.size(); ++f)
        CHECK(same_bits(numbers(found, PYMIXED_MODES, static_cast<int64_t>(f)), expected.modes[f]));
}

void check_same(const Fit& found, const pymixed::LmmFit& expected) {
    check_common(found, expected);
    CHECK(same_bits(numbers(found, PYMIXED_SIGMA), one(expected.sigma)));
    CHECK(same_bits(numbers(found, PYMIXED_PWRSS), one(expected.pwrss)));
}

void check_same(const Fit& found, const pymixed::GlmmFit& expected) {
    check_common(found, expected);
    CHECK(same_bits(numbers(found, PYMIXED_FAMILY_PARAMETERS), expected.family_parameters));
    CHECK(same_bits(numbers(found, PYMIXED_ZERO_COEFFICIENTS), expected.zero_coefficients));
    CHECK(same_bits(numbers(found, PYMIXED_LINEAR_PREDICTOR), expected.linear_predictor));
    CHECK(same_bits(numbers(found, PYMIXED_FROM_HESSIAN), one(expected.from_hessian)));
    CHECK(same_bits(numbers(found, PYMIXED_PIRLS_ITERATIONS), one(static_cast<double>(expected.n_pirls))));
}

/// Told of a fit's progress, stops at the `limit`-th call.
struct Listener {
    int limit = 1 << 30;
    int calls = 0;
    int64_t done = 0, count = 0;
    double objective = 0.0;

    static int32_t call(void* user, int64_t done, int64_t count, double objective) {
        Listener& self = *static_cast<Listener*>(user);
        self.done = done;
        self.count = count;
        self.objective = objective;
        return ++self.calls >= self.limit;
    }
};

}  // namespace

TEST("sleepstudy has the bits of the C++ interface, by REML and ML") {
    const Design design = sleepstudy();
    const Data data = data_of(design);
    check_same(fit_of(data), fit_lmm(design.layout(), rows_of(design)));
    CHECK_CLOSE(numbers(fit_of(data), PYMIXED_COEFFICIENTS)(1), 10.467285959595, 1e-10);  // lme4

    pymixed::LmmOptions by_ml;
    by_ml.reml = false;
    const Options options = c_handles::options();
    CHECK_OK(pymixed_options_set_reml(options.get(), 0));
    check_same(fit_of(data, options), fit_lmm(design.layout(), rows_of(design), by_ml));
}

TEST("several factors, weights, an offset, a dependent column, several columns in one matrix") {
    Design design = crossed();
    design.X.col(2) = 2.0 * design.X.col(1);
    const Vector offset = design.Z[1];
    pymixed::Rows rows = rows_of(design);
    rows.offset = offset.data();
    Data data = made<Data>(pymixed_data_new, Index{300});
    CHECK_OK(pymixed_data_set_response(data.get(), design.y.data(), 300));
    CHECK_OK(pymixed_data_set_weights(data.get(), design.weights.data(), 300));
    CHECK_OK(pymixed_data_set_offset(data.get(), offset.data(), 300));
    CHECK_OK(pymixed_data_add_fixed(data.get(), nullptr, 300));
    CHECK_OK(pymixed_data_add_fixed(data.get(), design.X.col(1).data(), 600));
    for (int f = 0; f < 2; ++f)
        CHECK_OK(pymixed_data_add_factor(data.get(), design.codes[f].data(), 300, design.n_levels[f]));
    CHECK_OK(pymixed_data_add_term(data.get(), 0, PYMIXED_DIAGONAL));
    CHECK_OK(pymixed_data_add_term_columns(data.get(), nullptr, 300));
    CHECK_OK(pymixed_data_add_term_columns(data.get(), design.Z[1].data(), 300));
    CHECK_OK(pymixed_data_add_term(data.get(), 1, PYMIXED_UNSTRUCTURED));
    CHECK_OK(pymixed_data_add_term_columns(data.get(), nullptr, 300));
    const Fit found = fit_of(data);
    check_same(found, fit_lmm(design.layout(), rows));
    CHECK(numbers(found, PYMIXED_ALIASED)(0) == 2.0 && numbers(found, PYMIXED_KEPT).size() == 2);

    // NULL takes weights and offset away again
    CHECK_OK(pymixed_data_set_weights(data.get(), nullptr, 0));
    CHECK_OK(pymixed_data_set_offset(data.get(), nullptr, 0));
    rows.weights = rows.offset = nullptr;
    check_same(fit_of(data), fit_lmm(design.layout(), rows));
}

TEST("generalized models have the bits of the C++ interface") {
    const Design design = counts();
    const pymixed::Rows rows = rows_of(design);
    const auto family = pymixed::make_family("negative_binomial", "log");
    const Data data = counts_data(design, "negative_binomial");
    check_same(fit_of(data), fit_glmm(design.layout(), rows, *family));

    const Options profiled = options();
    CHECK_OK(pymixed_options_set_nodes(profiled.get(), 0));
    CHECK_OK(pymixed_options_set_information(profiled.get(), PYMIXED_EXPECTED));
    pymixed::GlmmOptions same;
    same.n_nodes = 0;
    same.information = pymixed::Information::Expected;
    check_same(fit_of(data, profiled), fit_glmm(design.layout(), rows, *family, same));

    const Data inflated = counts_data(design, "poisson");
    CHECK_OK(pymixed_data_add_zero_inflation(inflated.get(), nullptr, 300));
    const auto zeros = pymixed::make_zero_inflated(pymixed::make_family("poisson", "log"));
    check_same(fit_of(inflated), fit_glmm(design.layout(), rows, *zeros, {}, {pymixed::ColumnView{}}));

    const Data given = data_of(design);  // a size that is not estimated
    CHECK_OK(pymixed_data_set_family(given.get(), "negative_binomial", "log", 2.5, NAN));
    pymixed::FamilyConstants constants;
    constants.shape = 2.5;
    const auto of_size = pymixed::make_family("negative_binomial", "log", constants);
    check_same(fit_of(given), fit_glmm(design.layout(), rows, *of_size));
}

TEST("quadrature over a vector-valued term") {
    Design design = designs::simulate(200, 2, {{20, 2}}, 9);
    design.y = (0.4 * design.y).array().exp().round();
    const Data data = counts_data(design, "poisson");
    const Options options = c_handles::options();
    CHECK_OK(pymixed_options_set_nodes(options.get(), 5));
    pymixed::GlmmOptions same;
    same.n_nodes = 5;
    const auto expected = fit_glmm(design.layout(), rows_of(design), *pymixed::make_family("poisson", "log"), same);
    check_same(fit_of(data, options), expected);
    const Problem problem = made<Problem>(pymixed_problem_from_data, data.get(), options.get());
    check_same(made<Fit>(pymixed_fit_from_problem, problem.get(), options.get()), expected);
}

TEST("a problem outlives its data, and threads share it, each with messages of its own") {
    const Design design = crossed(), of_counts = counts();
    const pymixed::LmmFit expected = fit_lmm(design.layout(), rows_of(design));
    const pymixed::GlmmFit generalized =
        fit_glmm(of_counts.layout(), rows_of(of_counts), *pymixed::make_family("poisson", "log"));
    const Problem problem =
        made<Problem>(pymixed_problem_from_data, data_of(design).get(), static_cast<pymixed_options*>(nullptr));
    const Problem of_poisson = made<Problem>(pymixed_problem_from_data, counts_data(of_counts, "poisson").get(),
                                             static_cast<pymixed_options*>(nullptr));
    CHECK(pymixed_problem_from_data(nullptr, nullptr, nullptr) == PYMIXED_INVALID_ARGUMENT);
    const std::string message = pymixed_last_error();
    std::atomic<int> wrong{0};
    const auto work = [&](bool fails) {
        for (int i = 0; i < 5; ++i) {
            pymixed_fit *fit = nullptr, *of_counts_fit = nullptr;
            double objective = 0.0, of_counts_objective = 0.0;
            wrong += pymixed_fit_from_problem(problem.get(), nullptr, &fit) != PYMIXED_OK;
            wrong += pymixed_fit_from_problem(of_poisson.get(), nullptr, &of_counts_fit) != PYMIXED_OK;
            wrong += pymixed_fit_get(fit, PYMIXED_OBJECTIVE, 0, &objective, fails ? 0 : 1) != (fails ? 1 : 0);
            pymixed_fit_get(of_counts_fit, PYMIXED_OBJECTIVE, 0, &of_counts_objective, 1);
            wrong += objective != (fails ? 0.0 : expected.objective);
            wrong += of_counts_objective != generalized.objective;
            wrong += (std::string(pymixed_last_error()) == "capacity: expected at least 1 numbers, got 0") != fails;
            wrong += std::string(pymixed_last_error()).empty() == fails;
            pymixed_fit_free(fit);
            pymixed_fit_free(of_counts_fit);
        }
    };
    std::thread failing(work, true), other(work, false);
    failing.join();
    other.join();
    CHECK(wrong == 0);
    CHECK(pymixed_last_error() == message);
}

TEST("options reach the fit") {
    const Design design = crossed();
    const Data data = data_of(design);
    const Options options = c_handles::options();
    const Vector start = Vector::Constant(3, 0.7);
    CHECK_OK(pymixed_options_set_tolerance(options.get(), 1e-3));
    CHECK_OK(pymixed_options_set_threads(options.get(), 2));
    CHECK_OK(pymixed_options_set_start(options.get(), start.data(), 3));
    pymixed::LmmOptions same;
    same.fit.newton.tolerance = 1e-3;
    same.n_threads = 2;
    same.fit.start = start;
    check_same(fit_of(data, options), fit_lmm(design.layout(), rows_of(design), same));
    CHECK_OK(pymixed_options_set_start(options.get(), nullptr, 0));
    same.fit.start.resize(0);
    check_same(fit_of(data, options), fit_lmm(design.layout(), rows_of(design), same));

    CHECK_OK(pymixed_options_set_tolerance(options.get(), 1e-11));
    CHECK_OK(pymixed_options_set_max_evaluations(options.get(), 1));
    CHECK(numbers(fit_of(data, options), PYMIXED_STATUS)(0) == PYMIXED_ITERATION_LIMIT);
}

TEST("the callback follows a fit and stops it") {
    const Design design = crossed();
    const Data data = data_of(design);
    const Options options = c_handles::options();
    Listener listener;
    CHECK_OK(pymixed_options_set_callback(options.get(), Listener::call, &listener));
    const Fit found = fit_of(data, options);
    CHECK(listener.calls > 1 && listener.count == 200 && listener.done > 0 && listener.done <= listener.count);
    CHECK(listener.objective == numbers(found, PYMIXED_OBJECTIVE)(0));
    listener = {};
    listener.limit = 1;
    CHECK(numbers(fit_of(data, options), PYMIXED_STATUS)(0) == PYMIXED_INTERRUPTED && listener.calls == 1);

    listener = {};
    const Matrix Y = design.y.replicate(1, 60);
    const Refits all = made<Refits>(pymixed_refits_from_data, data.get(), options.get(), Y.data(),
                                    static_cast<double*>(nullptr), static_cast<double*>(nullptr), Y.size());
    CHECK((numbers(all, PYMIXED_STATUS).array() == PYMIXED_SUCCESS).all());
    CHECK(listener.done == 60 && listener.count == 60 && std::isnan(listener.objective));
    listener = {};
    listener.limit = 2;
    const Refits some = made<Refits>(pymixed_refits_from_data, data.get(), options.get(), Y.data(),
                                     static_cast<double*>(nullptr), static_cast<double*>(nullptr), Y.size());
    CHECK(numbers(some, PYMIXED_STATUS)(59) == PYMIXED_INTERRUPTED && listener.calls == 2);
    CHECK_OK(pymixed_options_set_callback(options.get(), nullptr, nullptr));
    CHECK(numbers(fit_of(data, options), PYMIXED_STATUS)(0) == PYMIXED_SUCCESS);
}

TEST("a fit that fails has a status, no estimates and no error") {
    Design design = designs::simulate(60, 2, {{6, 1}}, 3);
    design.y = design.X.col(1);
    const Fit exact = fit_of(data_of(design));
    CHECK(numbers(exact, PYMIXED_STATUS)(0) == PYMIXED_NOT_POSITIVE_DEFINITE);
    const pymixed::LmmFit same = fit_lmm(design.layout(), rows_of(design));
    CHECK(numbers(exact, PYMIXED_MODES).size() == (same.modes.empty() ? 0 : 6));
    CHECK(numbers(exact, PYMIXED_TERM_COVARIANCE).size() == static_cast<Index>(same.term_covariances.size()));
}
