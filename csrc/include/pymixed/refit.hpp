#pragma once
/// @file
/// Fits of one design to many responses, and the bootstrap of a mixed model: responses simulated or resampled and the
/// model fitted again. Nothing of the design is analysed twice; a fit depends on its response alone, a replicate on its
/// number and the seed, so that any number of threads gives the same bits. A response with rows missing or weights of
/// its own changes the sums of the design, not its analysis.
///
///     parametric:  y* = offset + X beta + Z b* + e*,   b* = sigma T u*,  e*_i ~ N(0, sigma^2 / w_i),
///                  or for a generalized model y* from the family at offset + X beta + Z T u*
///     residuals:   b* and sqrt(w_i) e*_i drawn with replacement from pools that the host gives: conditional modes and
///                  residuals, centred and scaled to their estimated covariances (Carpenter, Goldstein & Rasbash 2003,
///                  J. R. Stat. Soc. C 52(4)); linear models only
///     clusters:    clusters of rows drawn with replacement, each copy a cluster of its own (the "cases" bootstrap,
///                  Davison & Hinkley 1997, section 3.8); the design changes and is analysed anew
///
/// A replicate whose fit fails is a row with its status and NaN, never an exception.

#include <cstdint>
#include <functional>
#include <memory>

#include "pymixed/fit.hpp"

namespace pymixed {

class OwnDesign;
struct OwnedRows;
struct ResponseColumn;
struct SortedRows;
struct VarianceUncertainty;

/// Writes the i-th response, in the order of the sorted rows; called by several threads at once.
using ResponseSource = std::function<void(Index i, Vector& y)>;

/// The parameters at which a model stands, in the user's coordinates.
struct ModelPoint {
    Vector theta;  ///< m
    Vector beta;   ///< of the columns that are kept
    Vector extra;  ///< linear: sigma;  generalized: family parameters, coefficients of the zero inflation
};

/// Responses on the rows of a problem, one per column of arrays n x count; rows in the host's order; borrowed.
struct Responses {
    const double* y = nullptr;        ///< NaN: the row takes no part in this column's fit
    const double* weights = nullptr;  ///< prior weights in the place of the problem's; null: the problem's
    const double* offset = nullptr;   ///< in addition to the problem's; null: none
    Index count = 0;                  ///< columns
};

/// Where replicates are drawn from.
struct Draws {
    std::uint64_t seed = 0;  ///< of all replicates
    Index first = 0;         ///< number of the first replicate
    Index count = 0;         ///< replicates
};

/// Pools of the residual bootstrap.
struct ResidualPools {
    std::vector<std::vector<double>> modes;  ///< per factor (user's order): n_levels x c, row-major
    std::vector<double> residuals;           ///< n, times the root of the prior weight
};

/// How many responses are fitted.
struct RefitOptions {
    FitOptions fit;     ///< of every fit; a start of its own for every response where there is none
    int n_threads = 1;  ///< which share the responses
    /// Told how many of the responses are done, by one thread at a time; false stops, and the rows that are not done
    /// keep Status::Interrupted. (The monitor of a single fit, fit.newton.monitor, is not called.)
    std::function<bool(Index done, Index count)> monitor;
    /// Linear models: what Satterthwaite's method needs, see Refits. Generalized models: covariances of the
    /// coefficients from the Hessian of the criterion.
    bool uncertainty = false;
};

/// A row per response.
struct Refits {
    /// Rows of NaN for fits of a linear model.
    Refits(Index count, const Problem& problem, bool uncertainty);
    /// The same of a generalized model.
    Refits(Index count, const GeneralizedProblem& problem);
    /// Where a fit ended, its criterion left there.
    /// @param total_weight  of all rows
    /// @param columns       of the coefficients here, the positions of the deviance's; the others stay NaN
    void set(Index row, const FitResult& found, Deviance& deviance, double total_weight,
             const std::vector<Index>& columns);
    /// The same of a generalized model.
    /// @param by_hessian  covariance from the Hessian of the criterion, where it is positive
    void set(Index row, const FitResult& found, GeneralizedDeviance& deviance, const std::vector<Index>& columns,
             bool by_hessian);

    /// What Satterthwaite's method needs.
    void set_uncertainty(Index row, const VarianceUncertainty& found, const std::vector<Index>& columns);

    std::vector<Index> kept;  ///< positions of the columns of X that have a coefficient

    RowMatrix beta;        ///< as in ModelPoint
    RowMatrix theta;       ///< as in ModelPoint
    RowMatrix extra;       ///< as in ModelPoint
    RowMatrix covariance;  ///< of beta, its lower triangle row by row; theta held unless asked otherwise
    /// Covariance of (theta, sigma), theta in coordinates of the core's own, and the derivatives of `covariance` by
    /// them, one after the other; no columns where they are not wanted.
    RowMatrix variance_covariance;
    RowMatrix jacobian;                ///< see variance_covariance
    Vector objective;                  ///< the criterion at the minimum
    std::vector<Status> status;        ///< of each fit; estimates are NaN but for Success
    std::vector<Index> n_evaluations;  ///< of the criterion
    std::vector<Index> n_rows;         ///< that took part

 private:
    Refits(Index count, Index p, Index m, Index n_extra, Index n_uncertain);
    void set_coefficients(Index row, const Vector& beta, const Matrix& covariance, const std::vector<Index>& columns);
};

/// Fits of a linear mixed model.
class LinearRefits {
 public:
    /// @param rows  those of the problem, as the host holds them; copied
    LinearRefits(std::shared_ptr<const Problem> problem, const Rows& rows, bool reml);
    ~LinearRefits();
    LinearRefits(const LinearRefits&) = delete;

    Index n() const { return problem_->n(); }  ///< rows
    /// Fits to given responses.
    Refits fit_columns(const Responses& responses, const RefitOptions& options) const;
    /// The parametric bootstrap.
    Refits parametric(const ModelPoint& truth, const Draws& draws, const RefitOptions& options) const;
    /// The bootstrap of residuals.
    Refits residual(const ModelPoint& truth, const ResidualPools& pools, const Draws& draws,
                    const RefitOptions& options) const;
    /// The responses of these replicates, one per column, rows in the host's order. `pools` null: parametric.
    Matrix responses(const ModelPoint& truth, const ResidualPools* pools, const Draws& draws) const;

 private:
    class Worker;
    Refits fit_all(Index count, const ResponseSource& source, const RefitOptions& options) const;
    void fit_own(Index i, const ResponseColumn& column, OwnDesign& own, const RefitOptions& options, bool own_weights,
                 Refits& refits) const;

    std::shared_ptr<const Problem> problem_;
    std::unique_ptr<OwnedRows> host_rows_;
    std::unique_ptr<SortedRows> rows_;
    bool reml_;
};

/// Fits of a generalized linear mixed model.
class GeneralizedRefits {
 public:
    /// @param rows, zero_inflation  those of the problem, as the host holds them; copied
    GeneralizedRefits(std::shared_ptr<const GeneralizedProblem> problem, const Rows& rows,
                      const std::vector<ColumnView>& zero_inflation, Index n_nodes, Information information);
    ~GeneralizedRefits();
    GeneralizedRefits(const GeneralizedRefits&) = delete;

    Index n() const { return problem_->n(); }  ///< rows
    /// Fits to given responses.
    Refits fit_columns(const Responses& responses, const RefitOptions& options) const;
    /// The parametric bootstrap.
    Refits parametric(const ModelPoint& truth, const Draws& draws, const RefitOptions& options) const;
    /// The responses of these replicates, one per column, rows in the host's order.
    Matrix responses(const ModelPoint& truth, const Draws& draws) const;

 private:
    Refits fit_all(Index count, const ResponseSource& source, const RefitOptions& options) const;
    void fit_own(Index i, const ResponseColumn& column, const RefitOptions& options, Refits& refits) const;

    std::shared_ptr<const GeneralizedProblem> problem_;
    std::unique_ptr<OwnedRows> host_rows_;
    Index n_nodes_;
    Information information_;
};

/// Clusters of a model's rows within which every level of its grouping factors lies.
struct Clusters {
    std::vector<std::int32_t> codes;  ///< n, 0 .. count - 1, each of which occurs
    Index count = 0;                  ///< clusters
};

/// The cluster bootstrap.
/// @param rows  those of the problem, as the host holds them
Refits fit_clusters(const Problem& problem, const Rows& rows, const Clusters& clusters, bool reml, const Draws& draws,
                    const RefitOptions& options);
/// The same of a generalized model.
Refits fit_clusters(const GeneralizedProblem& problem, const Rows& rows, const std::vector<ColumnView>& zero_inflation,
                    const Clusters& clusters, Index n_nodes, Information information, const Draws& draws,
                    const RefitOptions& options);

}  // namespace pymixed
