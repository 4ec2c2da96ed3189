#include "pymixed/refit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "own_design.hpp"
#include "parallel.hpp"
#include "pattern_fits.hpp"
#include "response_columns.hpp"
#include "simulation.hpp"
#include "uncertainty.hpp"

namespace pymixed {

Refits::Refits(Index count, Index p, Index m, Index n_extra, Index n_uncertain)
    : status(count, Status::Interrupted), n_evaluations(count, 0), n_rows(count, 0) {
    constexpr double missing = std::numeric_limits<double>::quiet_NaN();
    beta.setConstant(count, p, missing);
    theta.setConstant(count, m, missing);
    extra.setConstant(count, n_extra, missing);
    covariance.setConstant(count, packed(p, 0), missing);
    variance_covariance.setConstant(count, packed(n_uncertain, 0), missing);
    jacobian.setConstant(count, n_uncertain * packed(p, 0), missing);
    objective.setConstant(count, missing);
}

Refits::Refits(Index count, const Problem& problem, bool uncertainty)
    : Refits(count, problem.p(), problem.layout().n_theta(), 1, uncertainty ? problem.layout().n_theta() + 1 : 0) {
    kept = problem.kept();
}

Refits::Refits(Index count, const GeneralizedProblem& problem)
    : Refits(count, problem.p(), problem.n_theta(), problem.family().n_parameters() + problem.n_zero(), 0) {
    kept = problem.linear().kept();
}

void Refits::set_coefficients(Index row, const Vector& values, const Matrix& V, const std::vector<Index>& columns) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
        beta(row, columns[i]) = values[i];
        for (std::size_t j = 0; j <= i; ++j)
            covariance(row, packed(columns[i], columns[j])) = V(i, j);
    }
}

void Refits::set(Index row, const FitResult& found, Deviance& deviance, double total_weight,
                 const std::vector<Index>& columns) {
    n_evaluations[row] = found.n_evaluations;
    n_rows[row] = deviance.problem().n();
    const double scale = deviance.response_scale();
    const bool exact = !(deviance.pwrss() > exact_fit * total_weight * scale * scale);
    status[row] = exact ? Status::NotPositiveDefinite : found.judged();
    if (status[row] != Status::Success)
        return;
    const double sigma2 = deviance.sigma2();
    theta.row(row) = found.parameters.transpose();
    extra(row, 0) = std::sqrt(sigma2);
    set_coefficients(row, deviance.beta(), sigma2 * deviance.unscaled_covariance(), columns);
    objective[row] = found.objective;
    if (variance_covariance.cols() > 0)
        set_uncertainty(row, variance_uncertainty(deviance, found), columns);
}

void Refits::set_uncertainty(Index row, const VarianceUncertainty& found, const std::vector<Index>& columns) {
    const Index k = found.covariance.rows(), size = covariance.cols();
    for (Index i = 0; i < k; ++i)
        for (Index j = 0; j <= i; ++j)
            variance_covariance(row, packed(i, j)) = found.covariance(i, j);
    for (std::size_t i = 0; i < columns.size(); ++i)
        for (std::size_t j = 0; j <= i; ++j)
            for (Index t = 0; t < k; ++t)
                jacobian(row, t * size + packed(columns[i], columns[j])) = found.jacobian(t, packed(i, j));
}

void Refits::set(Index row, const FitResult& found, GeneralizedDeviance& deviance, const std::vector<Index>& columns,
                 bool by_hessian) {
    n_evaluations[row] = found.n_evaluations;
    n_rows[row] = deviance.problem().n();
    status[row] = found.judged();
    if (status[row] != Status::Success)
        return;
    theta.row(row) = found.parameters.head(theta.cols()).transpose();
    extra.row(row) = found.parameters.tail(extra.cols()).transpose();
    objective[row] = found.objective;
    const Vector coefficients = deviance.beta();
    Matrix V = deviance.unscaled_covariance();
    if (by_hessian && !deviance.profiled())
        if (Matrix exact = coefficient_covariance(deviance, found.internal); exact.size() > 0)
            V = std::move(exact);
    set_coefficients(row, coefficients, V, columns);
}

namespace {

std::vector<Index> all_columns(Index p) {
    std::vector<Index> columns(p);
    std::iota(columns.begin(), columns.end(), Index{0});
    return columns;
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

LinearRefits::LinearRefits(std::shared_ptr<const Problem> problem, const Rows& rows, bool reml)
    : problem_(std::move(problem)),
      host_rows_(std::make_unique<OwnedRows>(rows, problem_->kept(), std::vector<ColumnView>())),
      rows_(std::make_unique<SortedRows>(*problem_, rows, std::vector<ColumnView>())),
      reml_(reml) {}

LinearRefits::~LinearRefits() = default;

static FitResult fit_linear(Deviance& deviance, const FitOptions& options, const Vector& own_start) {
    return fit(deviance, options.newton, options.start.size() > 0 ? deviance.to_internal(options.start) : own_start);
}

/// Fits to complete responses: the workspace of a thread.
class CompleteFits {
 public:
    CompleteFits(const Problem& problem, const SortedRows& rows, bool reml, Refits& refits)
        : sums_(problem, rows),
          minque_(problem),
          deviance_(problem, reml),
          columns_(all_columns(problem.p())),
          refits_(refits) {}

    void fit(Index i, const Vector& y, const FitOptions& options) {
        sums_.set(y);
        deviance_.set_response(sums_.view());
        const Vector start = options.start.size() > 0 ? Vector() : minque_.start(sums_.view());
        refits_.set(i, fit_linear(deviance_, options, start), deviance_, sums_.total_weight(), columns_);
    }

 private:
    ResponseSums sums_;
    Minque minque_;
    Deviance deviance_;
    std::vector<Index> columns_;
    Refits& refits_;
};

/// A thread's share of the fits.
class LinearRefits::Worker {
 public:
    Worker(const LinearRefits& of, const RefitOptions& options, Refits& refits)
        : options_(options), complete_(*of.problem_, *of.rows_, of.reml_, refits) {
        if (PatternFits::suits(*of.problem_))
            lanes_.emplace(*of.problem_, *of.rows_, of.reml_, options.fit);
    }

    /// Fits to complete responses.
    void run(const PatternFits::Next& next, Refits& refits) {
        if (lanes_) {
            lanes_->run(next, [this](Index i, const Vector& y) { complete_.fit(i, y, options_.fit); }, refits);
            return;
        }
        for (Index i = next(y_); i >= 0; i = next(y_))
            complete_.fit(i, y_, options_.fit);
    }

 private:
    const RefitOptions& options_;
    CompleteFits complete_;
    std::optional<PatternFits> lanes_;
    Vector y_;
};

namespace {

/// Responses that a thread takes at a time: enough to fill lanes, few enough to keep all threads busy.
Index chunk_size(const Problem& problem, Index count, int n_threads) {
    if (!PatternFits::suits(problem))
        return 1;
    return std::min<Index>(std::max<Index>(count / (4 * n_threads), Lane::width), 8 * Lane::width);
}

Index n_chunks(Index count, Index chunk) {
    return (count + chunk - 1) / chunk;
}

}  // namespace

Refits LinearRefits::fit_all(Index count, const ResponseSource& source, const RefitOptions& options) const {
    Refits refits(count, *problem_, options.uncertainty);
    const Index chunk = chunk_size(*problem_, count, options.n_threads);
    for_each_parallel(n_chunks(count, chunk), options.n_threads, {options.monitor, count, chunk}, [&] {
        auto worker = std::make_shared<Worker>(*this, options, refits);
        return [&, worker](Index k) {
            Index i = k * chunk;
            const Index last = std::min(i + chunk, count);
            const auto next = [&](Vector& y) {
                if (i == last)
                    return Index{-1};
                y.resize(rows_->n);
                source(i, y);
                return i++;
            };
            worker->run(next, refits);
        };
    });
    return refits;
}

Refits LinearRefits::fit_columns(const Responses& responses, const RefitOptions& options) const {
    Refits refits(responses.count, *problem_, options.uncertainty);
    const Index chunk = chunk_size(*problem_, responses.count, options.n_threads);
    const Monitor monitor{options.monitor, responses.count, chunk};
    for_each_parallel(n_chunks(responses.count, chunk), options.n_threads, monitor, [&] {
        auto worker = std::make_shared<Worker>(*this, options, refits);
        auto own = std::make_shared<OwnDesign>(*problem_, *host_rows_, *rows_, reml_);
        return [&, worker, own, column = ResponseColumn(rows_->n)](Index k) mutable {
            Index i = k * chunk;
            const Index last = std::min(i + chunk, responses.count);
            const auto next = [&](Vector& y) {
                column.y.resize(rows_->n);  // after a swap
                for (; i < last; ++i) {
                    const auto kind = column.read(responses, i, rows_->order.data(), rows_->weights);
                    if (responses.offset != nullptr)
                        column.y -= column.offset;
                    if (kind == ResponseColumn::Kind::Complete) {
                        y.swap(column.y);
                        return i++;
                    }
                    refits.status[i] = Status::InvalidResponse;
                    refits.n_rows[i] = column.n_rows;
                    if (kind == ResponseColumn::Kind::Own)
                        fit_own(i, column, *own, options, responses.weights != nullptr, refits);
                }
                return Index{-1};
            };
            worker->run(next, refits);
        };
    });
    return refits;
}

/// A response with rows missing or weights of its own.
void LinearRefits::fit_own(Index i, const ResponseColumn& column, OwnDesign& own, const RefitOptions& options,
                           bool own_weights, Refits& refits) const {
    if (!own.set_weights(column.weights, own_weights || rows_->weights.size() > 0))
        return;
    own.set_response(column.y);
    refits.set(i, fit_linear(own.deviance(), options.fit, own.start()), own.deviance(), own.total_weight(),
               own.columns());
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

GeneralizedRefits::GeneralizedRefits(std::shared_ptr<const GeneralizedProblem> problem, const Rows& rows,
                                     const std::vector<ColumnView>& zero_inflation, Index n_nodes,
                                     Information information)
    : problem_(std::move(problem)),
      host_rows_(std::make_unique<OwnedRows>(rows, problem_->linear().kept(), zero_inflation)),
      n_nodes_(n_nodes),
      information_(information) {}

GeneralizedRefits::~GeneralizedRefits() = default;

Refits GeneralizedRefits::fit_all(Index count, const ResponseSource& source, const RefitOptions& options) const {
    const GeneralizedProblem& problem = *problem_;
    Refits refits(count, problem);
    for_each_parallel(count, options.n_threads, {options.monitor, count}, [&] {
        auto deviance = std::make_shared<GeneralizedDeviance>(problem, n_nodes_, information_);
        return [&, deviance, columns = all_columns(problem.p()), y = Vector(problem.n())](Index i) mutable {
            source(i, y);
            deviance->set_response(y);
            refits.set(i, fit(*deviance, options.fit), *deviance, columns, options.uncertainty);
        };
    });
    return refits;
}

/// Whether a family can have given a response: in its range, and not constant where there is a parameter of spread.
static bool suits(const Family& family, const Vector& y, const Vector& weights) {
    return first_unsuitable(family.support(), y.size(), y.data(), weights.size() > 0 ? weights.data() : nullptr) < 0 &&
           (family.discrete() || y.maxCoeff() > y.minCoeff());
}

Refits GeneralizedRefits::fit_columns(const Responses& responses, const RefitOptions& options) const {
    const GeneralizedProblem& problem = *problem_;
    const Vector& order_weights = host_rows_->weights;
    Refits refits(responses.count, problem);
    for_each_parallel(responses.count, options.n_threads, {options.monitor, responses.count}, [&] {
        auto deviance = std::make_shared<GeneralizedDeviance>(problem, n_nodes_, information_);
        return [&, deviance, columns = all_columns(problem.p()), y = Vector(problem.n()),
                column = ResponseColumn(problem.n())](Index i) mutable {
            const auto kind = column.read(responses, i, nullptr, order_weights);
            refits.n_rows[i] = column.n_rows;
            refits.status[i] = Status::InvalidResponse;
            if (kind == ResponseColumn::Kind::Complete && responses.offset == nullptr) {
                if (!suits(problem.family(), column.y, order_weights))
                    return;
                for (Index k = 0; k < y.size(); ++k)
                    y[k] = column.y[problem.rows().order[k]];
                deviance->set_response(y);
                refits.set(i, fit(*deviance, options.fit), *deviance, columns, options.uncertainty);
            } else if (kind != ResponseColumn::Kind::Invalid) {
                fit_own(i, column, options, refits);
            }
        };
    });
    return refits;
}

namespace {

/// A start (theta, p coefficients, others) without the coefficients that are not kept.
Vector without_dropped(const Vector& start, Index n_theta, Index p, const std::vector<Index>& kept) {
    const Index n_kept = static_cast<Index>(kept.size()), n_others = start.size() - n_theta - p;
    Vector own(n_theta + n_kept + n_others);
    own.head(n_theta) = start.head(n_theta);
    for (Index j = 0; j < n_kept; ++j)
        own[n_theta + j] = start[n_theta + kept[j]];
    own.tail(n_others) = start.tail(n_others);
    return own;
}

}  // namespace

/// A response with rows missing, or weights or offsets of its own: a problem of its own.
void GeneralizedRefits::fit_own(Index i, const ResponseColumn& column, const RefitOptions& options,
                                Refits& refits) const {
    std::vector<Index> present;
    for (Index k = 0; k < column.y.size(); ++k)
        if (column.weights[k] > 0.0)
            present.push_back(k);
    if (static_cast<Index>(present.size()) <= problem_->p())
        return;
    OwnedRows rows = host_rows_->take(present);
    const Index n = static_cast<Index>(present.size());
    const Vector own_offset = rows.offset;
    rows.offset.resize(n);
    rows.weights.resize(n);
    for (Index k = 0; k < n; ++k) {
        rows.y[k] = column.y[present[k]];
        rows.weights[k] = column.weights[present[k]];
        rows.offset[k] = column.offset[present[k]] + (own_offset.size() > 0 ? own_offset[k] : 0.0);
    }
    if (!suits(problem_->family(), rows.y, rows.weights))
        return;
    const GeneralizedProblem own(problem_->layout(), rows.view(), problem_->family().clone(), rows.zero_inflation(),
                                 problem_->linear().method(), 0.0, problem_->centred());
    GeneralizedDeviance deviance(own, n_nodes_, information_);
    deviance.set_response(own.rows().y);
    const std::vector<Index>& kept = own.linear().kept();
    FitOptions own_options = options.fit;
    if (own_options.start.size() > 0 && !deviance.profiled())
        own_options.start = without_dropped(options.fit.start, problem_->n_theta(), problem_->p(), kept);
    refits.set(i, fit(deviance, own_options), deviance, kept, options.uncertainty);
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
