#include "pymixed/models.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>

#include "pymixed/host_rows.hpp"
#include "uncertainty.hpp"

namespace pymixed {

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

/// sigma^2 T T' of every term.
std::vector<Matrix> covariances_of_terms(const RandomEffects& layout, const Vector& theta, double sigma2) {
    std::vector<Matrix> covariances;
    for (const RandomEffects::Term& term : layout.terms()) {
        const Matrix T = layout.lower_triangle(term, theta);
        covariances.push_back(sigma2 * (T * T.transpose()));
    }
    return covariances;
}

/// Values per factor, the user's order, as levels x columns.
std::vector<RowMatrix> by_level(const RandomEffects& layout, const std::vector<std::vector<double>>& values) {
    std::vector<RowMatrix> matrices(values.size());
    for (const RandomEffects::Factor& factor : layout.factors()) {
        const Index f = factor.user_position;
        matrices[f] = ConstRowMatrixMap(values[f].data(), factor.n_levels, factor.n_cols);
    }
    return matrices;
}

/// Whether the search left estimates, at a minimum or not.
bool has_estimates(const FitResult& found) {
    return found.status != Status::NotPositiveDefinite && found.status != Status::ModesNotFound;
}

/// What the search and the problem say.
void describe(MixedFit& fit, const FitResult& found, const Problem& problem) {
    fit.status = found.judged();
    fit.n = problem.n();
    fit.kept = problem.kept();
    fit.aliased = problem.aliased();
    fit.objective = has_estimates(found) ? found.objective : missing;
    fit.expected_gain = found.expected_gain;
    fit.n_evaluations = found.n_evaluations;
    fit.n_gradients = found.n_gradients;
}

void check_options(int n_threads, const FitOptions& options) {
    if (n_threads < 1)
        throw std::invalid_argument("options.n_threads: expected at least 1, got " + std::to_string(n_threads));
    if (!(options.newton.tolerance > 0.0))
        throw std::invalid_argument("options.fit.newton.tolerance: expected a positive number");
    if (options.newton.max_evaluations < 1)
        throw std::invalid_argument("options.fit.newton.max_evaluations: expected at least 1, got " +
                                    std::to_string(options.newton.max_evaluations));
}

/// A start of `expected` values, or none.
void check_start(const Vector& start, Index expected) {
    if (start.size() != 0 && start.size() != expected)
        throw std::invalid_argument("options.fit.start: expected " + std::to_string(expected) + " values, got " +
                                    std::to_string(start.size()));
    if (!start.allFinite())
        throw std::invalid_argument("options.fit.start: expected finite numbers, got others");
}

void check_responses(const Responses& responses) {
    if (responses.count < 0)
        throw std::invalid_argument("responses.count: expected at least 0, got " + std::to_string(responses.count));
    if (responses.y == nullptr && responses.count > 0)
        throw std::invalid_argument("responses.y: expected n x count values, got a null pointer");
}

/// A tensor rule of quadrature is laid out in the user's coordinates.
bool is_centred(const RandomEffects& layout, Index n_nodes) {
    if (n_nodes <= 1)
        return true;
    for (const RandomEffects::Term& term : layout.terms())
        if (term.n_cols > 1)
            return false;
    return true;
}

/// The problem of a generalized model whose rows, but for the response, were checked.
std::unique_ptr<GeneralizedProblem> make_problem(const RandomEffects& layout, const Rows& rows, const Family& family,
                                                 const std::vector<ColumnView>& zero_inflation, Index n_nodes) {
    check_response(rows, family, zero_inflation);
    return std::make_unique<GeneralizedProblem>(layout, rows, family.clone(), zero_inflation, Method::Automatic, 0.0,
                                                is_centred(layout, n_nodes));
}

}  // namespace

MixedFit::MixedFit() : objective(missing), expected_gain(missing) {}

LmmFit::LmmFit() : sigma(missing), pwrss(missing) {}

LmmFit fit_lmm(const Problem& problem, const LmmOptions& options) {
    check_options(options.n_threads, options.fit);
    check_start(options.fit.start, problem.layout().n_theta());
    Deviance deviance(problem, options.reml, options.n_threads);
    const FitResult found = fit(deviance, options.fit);
    LmmFit out;
    out.reml = options.reml;
    describe(out, found, problem);
    if (!has_estimates(found))
        return out;
    const double scale = deviance.response_scale(), total_weight = problem.products().sum_weights();
    if (!(deviance.pwrss() > exact_fit * total_weight * scale * scale))
        out.status = Status::NotPositiveDefinite;
    const double sigma2 = deviance.sigma2();
    out.pwrss = deviance.pwrss();
    out.sigma = std::sqrt(sigma2);
    out.theta = found.parameters;
    out.coefficients = deviance.beta();
    out.covariance = sigma2 * deviance.unscaled_covariance();
    out.term_covariances = covariances_of_terms(problem.layout(), out.theta, sigma2);
    out.modes = by_level(problem.layout(), deviance.modes());
    return out;
}

LmmFit fit_lmm(CrossProducts products, const LmmOptions& options) {
    return fit_lmm(Problem(std::make_shared<const CrossProducts>(std::move(products))), options);
}

LmmFit fit_lmm(const RandomEffects& layout, const Rows& rows, const LmmOptions& options) {
    check_rows(layout, rows);
    check_response(rows);
    return fit_lmm(Problem(layout, rows), options);
}

GlmmFit fit_glmm(const GeneralizedProblem& problem, const GlmmOptions& options) {
    check_options(options.n_threads, options.fit);
    GeneralizedDeviance deviance(problem, options.n_nodes, options.information, options.n_threads);
    check_start(options.fit.start, deviance.n_parameters());
    const FitResult found = fit(deviance, options.fit);
    GlmmFit out;
    describe(out, found, problem.linear());
    if (!has_estimates(found))
        return out;
    const Index n_extra = deviance.n_extra(), n_zero = problem.n_zero();
    out.theta = found.parameters.head(deviance.n_theta());
    out.family_parameters = found.parameters.tail(n_extra).head(n_extra - n_zero);
    out.zero_coefficients = found.parameters.tail(n_zero);
    out.coefficients = deviance.beta();
    out.linear_predictor = deviance.linear_predictor();
    out.term_covariances = covariances_of_terms(problem.layout(), out.theta, 1.0);
    out.modes = by_level(problem.layout(), deviance.modes());
    out.n_pirls = deviance.n_pirls();
    out.covariance = deviance.unscaled_covariance();
    if (!deviance.profiled())
        if (Matrix exact = coefficient_covariance(deviance, found.internal); exact.size() > 0) {
            out.covariance = std::move(exact);
            out.from_hessian = true;
        }
    return out;
}

GlmmFit fit_glmm(const RandomEffects& layout, const Rows& rows, const Family& family, const GlmmOptions& options,
                 const std::vector<ColumnView>& zero_inflation) {
    check_rows(layout, rows, zero_inflation);
    return fit_glmm(*make_problem(layout, rows, family, zero_inflation, options.n_nodes), options);
}

Refits fit_many(const RandomEffects& layout, const Rows& rows, const Responses& responses,
                const LmmManyOptions& options) {
    check_rows(layout, rows);
    check_responses(responses);
    check_options(options.refits.n_threads, options.refits.fit);
    check_start(options.refits.fit.start, layout.n_theta());
    const Vector y = placeholder_response(rows.n);
    Rows design = rows;
    design.y = {y.data()};
    const auto problem = std::make_shared<const Problem>(layout, design);
    return LinearRefits(problem, design, options.reml).fit_columns(responses, options.refits);
}

Refits fit_many(const RandomEffects& layout, const Rows& rows, const Family& family, const Responses& responses,
                const GlmmManyOptions& options, const std::vector<ColumnView>& zero_inflation) {
    check_rows(layout, rows, zero_inflation);
    check_responses(responses);
    check_options(options.refits.n_threads, options.refits.fit);
    const Vector y = placeholder_response(rows.n, family.discrete());
    Rows design = rows;
    design.y = {y.data()};
    const std::shared_ptr<const GeneralizedProblem> problem =
        make_problem(layout, design, family, zero_inflation, options.n_nodes);
    check_start(options.refits.fit.start,
                GeneralizedDeviance(*problem, options.n_nodes, options.information).n_parameters());
    return GeneralizedRefits(problem, design, zero_inflation, options.n_nodes, options.information)
        .fit_columns(responses, options.refits);
}

Vector placeholder_response(Index n, bool discrete) {
    constexpr double golden = 0.6180339887498949;  // its multiples modulo 1 are spread evenly
    Vector y(n);
    for (Index i = 0; i < n; ++i) {
        const double spread = std::fmod(static_cast<double>(i) * golden, 1.0);
        y[i] = discrete ? std::nearbyint(spread) : 0.25 + 0.5 * spread;
    }
    return y;
}

}  // namespace pymixed
