#include "pymixed/refit.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "parallel.hpp"
#include "response_sums.hpp"
#include "simulation.hpp"

namespace pymixed {

Refits::Refits(Index count, Index p, Index m, Index n_extra)
    : status(count, Status::NotPositiveDefinite), n_evaluations(count, 0) {
    constexpr double missing = std::numeric_limits<double>::quiet_NaN();
    beta.setConstant(count, p, missing);
    se.setConstant(count, p, missing);
    theta.setConstant(count, m, missing);
    extra.setConstant(count, n_extra, missing);
    objective.setConstant(count, missing);
}

Refits::Refits(Index count, const Problem& problem) : Refits(count, problem.p(), problem.layout().n_theta(), 1) {}

Refits::Refits(Index count, const GeneralizedProblem& problem)
    : Refits(count, problem.p(), problem.n_theta(), problem.family().n_parameters() + problem.n_zero()) {}

void Refits::set(Index row, const FitResult& found, const Deviance& deviance, double total_weight) {
    n_evaluations[row] = found.n_evaluations;
    const double scale = deviance.response_scale();
    const bool exact = !(deviance.pwrss() > exact_fit * total_weight * scale * scale);
    status[row] = exact ? Status::NotPositiveDefinite : found.judged();
    if (status[row] != Status::Success)
        return;
    const double sigma2 = deviance.sigma2();
    theta.row(row) = found.parameters.transpose();
    beta.row(row) = deviance.beta().transpose();
    extra(row, 0) = std::sqrt(sigma2);
    se.row(row) = (sigma2 * deviance.unscaled_covariance().diagonal()).cwiseSqrt().transpose();
    objective[row] = found.objective;
}

void Refits::set(Index row, const FitResult& found, GeneralizedDeviance& deviance) {
    n_evaluations[row] = found.n_evaluations;
    status[row] = found.judged();
    if (status[row] != Status::Success)
        return;
    theta.row(row) = found.parameters.head(theta.cols()).transpose();
    beta.row(row) = deviance.beta().transpose();
    extra.row(row) = found.parameters.tail(extra.cols()).transpose();
    se.row(row) = deviance.unscaled_covariance().diagonal().cwiseSqrt().transpose();
    objective[row] = found.objective;
}

namespace {

ResponseSource columns_of(const Matrix& Y, const SortedRows& rows) {
    if (Y.rows() != rows.n)
        throw std::invalid_argument("Y: expected " + std::to_string(rows.n) + " rows, got " + std::to_string(Y.rows()));
    return [&](Index i, Vector& y) {
        for (Index k = 0; k < rows.n; ++k)
            y[k] = Y(rows.order[k], i);
    };
}

template <class Simulation>
ResponseSource replicates_of(const Simulation& simulation, const Draws& draws) {
    return [&](Index i, Vector& y) {
        simulation.write(Random(draws.seed, static_cast<std::uint64_t>(draws.first + i)), y);
    };
}

Matrix collect(Index count, const ResponseSource& source, const SortedRows& rows) {
    Matrix Y(rows.n, count);
    Vector y(rows.n);
    for (Index i = 0; i < count; ++i) {
        source(i, y);
        for (Index k = 0; k < rows.n; ++k)
            Y(rows.order[k], i) = y[k];
    }
    return Y;
}

}  // namespace

// ---- linear models
// ---------------------------------------------------------------------------------------------------

LinearRefits::LinearRefits(std::shared_ptr<const Problem> problem, const Rows& rows, bool reml)
    : problem_(std::move(problem)),
      rows_(std::make_unique<SortedRows>(*problem_, rows, std::vector<ColumnView>())),
      reml_(reml) {}

LinearRefits::~LinearRefits() = default;

Refits LinearRefits::fit_all(Index count, const ResponseSource& source, const RefitOptions& options) const {
    Refits refits(count, *problem_);
    for_each_parallel(count, options.n_threads, [&] {
        auto sums = std::make_shared<ResponseSums>(*problem_, *rows_);
        auto deviance = std::make_shared<Deviance>(*problem_, reml_);
        return [&, sums, deviance, y = Vector(rows_->n)](Index i) mutable {
            source(i, y);
            sums->set(y);
            deviance->set_response(sums->view());
            refits.set(i, fit(*deviance, options.fit), *deviance, sums->total_weight());
        };
    });
    return refits;
}

Refits LinearRefits::fit_columns(const Matrix& Y, const RefitOptions& options) const {
    return fit_all(Y.cols(), columns_of(Y, *rows_), options);
}

Refits LinearRefits::parametric(const ModelPoint& truth, const Draws& draws, const RefitOptions& options) const {
    const LinearSimulation simulation(*problem_, *rows_, truth, nullptr);
    return fit_all(draws.count, replicates_of(simulation, draws), options);
}

Refits LinearRefits::residual(const ModelPoint& truth, const ResidualPools& pools, const Draws& draws,
                              const RefitOptions& options) const {
    const LinearSimulation simulation(*problem_, *rows_, truth, &pools);
    return fit_all(draws.count, replicates_of(simulation, draws), options);
}

Matrix LinearRefits::responses(const ModelPoint& truth, const ResidualPools* pools, const Draws& draws) const {
    const LinearSimulation simulation(*problem_, *rows_, truth, pools);
    return collect(draws.count, replicates_of(simulation, draws), *rows_);
}

// ---- generalized models
// ----------------------------------------------------------------------------------------------

GeneralizedRefits::GeneralizedRefits(std::shared_ptr<const GeneralizedProblem> problem, Index n_nodes,
                                     Information information)
    : problem_(std::move(problem)), n_nodes_(n_nodes), information_(information) {}

Refits GeneralizedRefits::fit_all(Index count, const ResponseSource& source, const RefitOptions& options) const {
    const GeneralizedProblem& problem = *problem_;
    Refits refits(count, problem);
    for_each_parallel(count, options.n_threads, [&] {
        auto deviance = std::make_shared<GeneralizedDeviance>(problem, n_nodes_, information_);
        return [&, deviance, y = Vector(problem.n())](Index i) mutable {
            source(i, y);
            deviance->set_response(y);
            refits.set(i, fit(*deviance, options.fit), *deviance);
        };
    });
    return refits;
}

Refits GeneralizedRefits::fit_columns(const Matrix& Y, const RefitOptions& options) const {
    return fit_all(Y.cols(), columns_of(Y, problem_->rows()), options);
}

Refits GeneralizedRefits::parametric(const ModelPoint& truth, const Draws& draws, const RefitOptions& options) const {
    const GeneralizedSimulation simulation(*problem_, truth);
    return fit_all(draws.count, replicates_of(simulation, draws), options);
}

Matrix GeneralizedRefits::responses(const ModelPoint& truth, const Draws& draws) const {
    const GeneralizedSimulation simulation(*problem_, truth);
    return collect(draws.count, replicates_of(simulation, draws), problem_->rows());
}

}  // namespace pymixed
