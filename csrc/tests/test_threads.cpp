// Many threads on the same objects, and the first use of everything that is made when it is first needed: the same bits
// as by one thread. A ThreadSanitizer build of this program finds what bits do not show (.ci/sanitize-threads).
#include <cmath>
#include <fstream>
#include <future>
#include <iterator>

#include "pymixed/saved_model.hpp"
#include "refits.hpp"

namespace {

using namespace pymixed;
using designs::Design;

constexpr int n_threads = 5;

/// function(thread) -> Vector on threads that start together; what they return.
template <class Function>
std::vector<Vector> together(Function&& function) {
    std::promise<void> start;
    const std::shared_future<void> started = start.get_future().share();
    std::vector<std::future<Vector>> threads;
    for (int thread = 0; thread < n_threads; ++thread)
        threads.push_back(std::async(std::launch::async, [&function, started, thread] {
            started.wait();
            return Vector(function(thread));
        }));
    start.set_value();
    std::vector<Vector> out;
    for (std::future<Vector>& thread : threads)
        out.push_back(thread.get());
    return out;
}

/// function(thread) gives the same bits on threads that start together as one call after the other.
template <class Function>
void check_together(Function&& function) {
    const std::vector<Vector> found = together(function);
    for (int thread = 0; thread < n_threads; ++thread) {
        const Vector alone = function(thread);
        CHECK(alone.allFinite() && refits::same_bits(found[thread], alone));
    }
}

template <class... Vectors>
Vector joined(const Vectors&... vectors) {
    Vector out((vectors.size() + ...));
    Index at = 0;
    ((out.segment(at, vectors.size()) = vectors, at += vectors.size()), ...);
    return out;
}

Vector flat(const std::vector<std::vector<double>>& blocks) {
    std::vector<double> out;
    for (const auto& block : blocks)
        out.insert(out.end(), block.begin(), block.end());
    return Eigen::Map<const Vector>(out.data(), static_cast<Index>(out.size()));
}

Vector flat(const Refits& refits) {
    return joined(refits.objective, RowMatrix(refits.beta).reshaped(), RowMatrix(refits.theta).reshaped());
}

/// Counts with few zeros, or 0 and 1.
Design discrete(Design design, bool binary) {
    for (double& y : design.y)
        y = binary ? (y > 1.0 ? 1.0 : 0.0) : std::floor(std::exp(0.3 * y));
    return design;
}

Vector fitted(const Problem& problem, bool reml, int of_factorisation = 1) {
    Deviance deviance(problem, reml, of_factorisation);
    const FitResult found = fit(deviance, {});
    deviance.evaluate(found.parameters, Coordinates::User);
    return joined(found.parameters, deviance.beta(), flat(deviance.modes()));
}

Vector fitted(const GeneralizedProblem& problem, Index n_nodes, Information information = Information::Observed) {
    GeneralizedDeviance deviance(problem, n_nodes, information);
    const FitResult found = fit(deviance, {});
    deviance.evaluate(found.parameters, Coordinates::User);
    return joined(found.parameters, flat(deviance.modes()));
}

std::string model_file(const char* name) {
    std::ifstream file(std::string(PYMIXED_MODEL_FILES "/") + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Rows that go through the levels of a model's factors, their columns all 1.
struct AnyRows {
    std::vector<std::vector<std::int32_t>> codes;
    Rows rows;

    AnyRows(const SavedModel& model, Index n, Index shift) {
        rows.n = n;
        rows.X.resize(model.coefficient_names().size());
        for (const SavedModel::Term& term : model.terms())
            rows.Z.resize(rows.Z.size() + term.columns.size());
        for (std::size_t f = 0; f < model.factors().size(); ++f) {
            codes.emplace_back(n);
            for (Index i = 0; i < n; ++i)
                codes[f][i] = static_cast<std::int32_t>((i + shift) % static_cast<Index>(model.levels(f).size()));
        }
        for (const auto& code : codes)
            rows.codes.push_back(code.data());
    }
};

}  // namespace

TEST("the first use of everything, by all threads at once") {  // stays the first test: kernels and tables are chosen
                                                               // here
    const Design crossed = designs::simulate(240, 2, {{24, 2}, {9, 1}}, 1);
    const Design counts = discrete(designs::simulate(240, 2, {{24, 1}, {9, 1}}, 2), false);
    const Design binary = discrete(designs::simulate(240, 2, {{24, 1}}, 3), true);
    const Design grouped = designs::simulate(240, 2, {{24, 1}}, 4);
    check_together([&](int) {
        const auto linear = std::make_shared<const Problem>(grouped.layout(), grouped.rows());
        const LinearRefits refits(linear, grouped.rows(), true);
        const Matrix Y = grouped.y.replicate(1, 9);
        return joined(
            fitted(Problem(crossed.layout(), crossed.rows()), true),
            fitted(GeneralizedProblem(counts.layout(), counts.rows(), make_family("negative_binomial", "log"), {}), 1),
            fitted(GeneralizedProblem(counts.layout(), counts.rows(), make_family("poisson", "log"), {}), 1),
            fitted(GeneralizedProblem(binary.layout(), binary.rows(), make_family("binomial", "logit"), {}), 5),
            flat(refits.fit_columns(refits::responses_of(Y), {})));
    });
}

TEST("one linear problem") {
    const Design design = designs::simulate(300, 3, {{30, 2}, {12, 1}, {5, 1}}, 11);
    for (const Method method : {Method::Dense, Method::Sparse}) {
        const Problem problem(design.layout(), design.rows(), method);
        check_together([&](int thread) { return fitted(problem, thread % 2 == 0, 1 + thread % 3); });
    }
    const Design grouped = designs::simulate(300, 3, {{30, 2}}, 12);
    const Problem problem(grouped.layout(), grouped.rows());
    check_together([&](int thread) { return fitted(problem, thread % 2 == 0); });
}

TEST("one dense factorisation by several threads") {  // large enough for them to share it
    const Design design = designs::simulate(2500, 2, {{520, 1}, {480, 1}}, 13);
    const Problem problem(design.layout(), design.rows(), Method::Dense);
    const Vector theta = designs::some_theta(problem.layout(), 1);
    check_together([&](int thread) {
        Deviance deviance(problem, true, 1 + thread % 3);
        const double value = deviance.evaluate(theta, Coordinates::User);
        deviance.differentiate();
        return joined(Vector::Constant(1, value), deviance.gradient());
    });
}

TEST("one generalized problem") {
    const Design counts = discrete(designs::simulate(240, 2, {{24, 1}, {9, 1}}, 14), false);
    const Design binary = discrete(designs::simulate(240, 2, {{24, 2}}, 15), true);
    const GeneralizedProblem negative_binomial(counts.layout(), counts.rows(), make_family("negative_binomial", "log"),
                                               {});
    const GeneralizedProblem inflated(counts.layout(), counts.rows(), make_zero_inflated(make_family("poisson", "log")),
                                      {ColumnView{}});
    const GeneralizedProblem probit(binary.layout(), binary.rows(), make_family("binomial", "probit"), {});
    check_together([&](int thread) { return fitted(negative_binomial, thread % 2); });
    check_together([&](int) { return fitted(inflated, 1); });
    check_together([&](int thread) {
        return fitted(probit, thread % 2 == 0 ? 1 : 3, thread > 2 ? Information::Expected : Information::Observed);
    });
}

TEST("one design for many responses") {
    const Design crossed = designs::simulate(240, 2, {{24, 1}, {9, 1}}, 16);
    const Design counts = discrete(crossed, false);
    const LinearRefits linear(std::make_shared<const Problem>(crossed.layout(), crossed.rows()), crossed.rows(), true);
    const GeneralizedRefits generalized(
        std::make_shared<const GeneralizedProblem>(counts.layout(), counts.rows(), make_family("poisson", "log"),
                                                   std::vector<ColumnView>{}),
        counts.rows(), {}, 1, Information::Observed);
    const ModelPoint truth{Vector::Constant(2, 0.5), Vector::Constant(2, 0.4), Vector::Constant(1, 1.0)};
    RefitOptions options;
    options.n_threads = 2;
    check_together([&](int thread) {
        const Draws draws{7, thread, 3};
        const Matrix Y = linear.responses(truth, nullptr, draws);
        return joined(flat(linear.fit_columns(refits::responses_of(Y), options)),
                      flat(linear.parametric(truth, draws, options)),
                      flat(generalized.parametric({truth.theta, truth.beta, {}}, draws, options)));
    });
}

TEST("sums that threads copy and add to") {
    const Design design = designs::simulate(300, 2, {{24, 2}, {9, 1}}, 17);
    const CrossProducts first(design.layout(), design.rows(0, 150));
    check_together([&](int thread) {
        CrossProducts all = first;
        const Index half = 150 + 10 * thread;
        if (half > 150)
            all.add(design.rows(150, half));
        all.merge(CrossProducts(first.layout(), first.fixed_basis(), first.random_basis(), design.rows(half, 300)));
        return fitted(Problem(std::make_shared<const CrossProducts>(std::move(all))), true);
    });
}

TEST("one model of a file, and predictions that factor it first") {
    for (const char* name : {"0.1.0-slope.pmx", "0.1.0-counts.pmx"}) {
        const std::string bytes = model_file(name);
        const SavedModel model = SavedModel::read(bytes.data(), bytes.size());
        check_together([&](int thread) {
            const AnyRows some(model, thread % 2 == 0 ? 3 : 200, thread);  // few and many rows are summed otherwise
            return joined(model.mean(model.linear_predictor(some.rows)), model.prediction_variances(some.rows));
        });
    }
}
