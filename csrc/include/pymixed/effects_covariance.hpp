#pragma once
/// @file
/// The covariance of the errors of random effects and coefficients together, at templates that are held: what standard
/// errors of predictions, leverages and influence are made of. With
///
///     M = T'Z'WZT + I,    Q = T M^-1 T'  (q x q, never formed),    F = Q Z'WX,    C = (X'V^-1X)^-1,
///
/// the error of x'beta + z'b has the variance sigma^2 [z'Qz + (x - F'z)'C(x - F'z)] (Henderson 1975, Biometrics 31(2):
/// the inverse of his mixed-model equations, by blocks). For a level g of the leading factor (schur.hpp)
///
///     z'Qz = z_g'K_g z_g + |L^-1 T2't|^2,    t = z_2 - A2g K_g z_g
///
/// for any combination of levels, also one that no row had. A sum of squares: never negative, and where directions
/// of several factors are confounded no difference of large numbers.

#include <memory>
#include <mutex>

#include "pymixed/problem.hpp"

namespace pymixed {

class LeadingInverse;
class SchurComplement;
class PathInverse;

/// The covariance of random effects and coefficients of a linear mixed model at a theta. Functions that are const may
/// be called by several threads at once.
class EffectsCovariance {
 public:
    /// Factors once. The weights of the problem's products may be negative as long as M is positive definite; sums with
    /// the response are not read.
    /// @param theta  the user's coordinates
    /// @throws std::runtime_error  M is not positive definite
    EffectsCovariance(const Problem& problem, const Vector& theta, int n_threads = 1);
    ~EffectsCovariance();
    EffectsCovariance(const EffectsCovariance&) = delete;

    /// z_i'Q z_i of every row, in the host's units. Of `rows` the codes (-1: the row has no part of this factor) and
    /// the columns Z are read.
    /// @throws std::invalid_argument  codes outside the levels
    Vector random_variances(const Rows& rows) const;
    /// ((V^-1)_SS)^-1 A_S for sets S of rows: what a column of values is in these rows without what the other rows say
    /// of it, where A is V^-1 times the column. As much memory as the squares of the numbers of rows of the largest
    /// set, and as many operations as the cubes.
    /// @param sets     n: of every row, -1: none, the result is NaN
    /// @param weights  n: those of the problem's products, positive
    /// @param values   n x k: A
    /// @throws std::invalid_argument  codes or sets outside their range
    Matrix solve_sets(const Rows& rows, const std::int32_t* sets, Index n_sets, const Vector& weights,
                      const Matrix& values) const;
    /// F per factor (the user's order): n_levels x c x p row-major, of the kept columns of X. V^-1X = W (X - Z F).
    std::vector<std::vector<double>> fixed_modes();

    const Problem& problem() const { return problem_; }  ///< what it is of

 private:
    class PathRows;

    void row_values_into(const Rows& rows, Index row, std::size_t factor, Vector& z) const;
    void add_tail_part(const Rows& rows, Index row, Eigen::Ref<Vector> t) const;
    void random_covariances_into(const Rows& rows, const std::vector<Index>& set, PathRows* paths, Matrix& out) const;
    const PathInverse* paths_for(Index n_rows) const;
    ConstMatrixMap K(Index level) const;

    const Problem& problem_;
    Templates T_, to_internal_;  // of each factor: z~ = to_internal z
    std::unique_ptr<LeadingInverse> leading_;
    std::unique_ptr<SchurComplement> schur_;      // null where there is one factor
    mutable std::mutex mutex_;                    // of paths_,
    mutable std::unique_ptr<PathInverse> paths_;  // made when many rows are asked for
};

}  // namespace pymixed
