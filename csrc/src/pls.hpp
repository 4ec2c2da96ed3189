#pragma once
// Penalised least squares at given templates, from cross-products alone (Bates et al. 2015, section 3.4):
//
//     M = T'Z'WZT + I,    RX'RX = X'V^-1X,    r^2 = y'V^-1y - |c_beta|^2,    V = W^-1 + Z T T' Z'
//
// [RX' 0; c_beta' r] is the Cholesky factor of [X y]'V^-1[X y]. All in the internal basis of the cross-products.
// With a'beta held at a value v, h = RX^-T a and the miss e = (v - a'beta) / |h| of the free minimum,
//
//     r^2 = r^2(free) + e^2,    beta = beta(free) + e RX^-1 h / |h|,    X'V^-1X loses the direction h / |h| of RX beta
//
// One per thread; update() allocates nothing.

#include <memory>

#include "leading.hpp"
#include "pymixed/problem.hpp"
#include "schur.hpp"

namespace pymixed {

class PenalizedLeastSquares {
 public:
    PenalizedLeastSquares(const Problem& problem, int n_threads);

    /// Takes effect with the next update(); what it points to must outlive it.
    void set_response(const ResponseView& response) { response_ = response; }
    const ResponseView& response() const { return response_; }

    /// False where a factor is not positive definite.
    bool update(const Templates& T);
    /// Holds a'beta = value from the next update() on; an empty a sets beta free.
    void hold(const Vector& a, double value);
    /// h / |h|; empty where beta is free.
    const Vector& held_direction() const { return held_direction_; }
    /// d r^2 / d value.
    double held_slope() const { return 2.0 * held_miss_ / held_size_; }

    double log_determinant_M() const { return log_determinant_M_; }
    double log_determinant_RX() const;  ///< log |RX|^2
    double pwrss() const;               ///< r^2
    const Vector& beta() const { return beta_; }
    const Matrix& RX_inverse() const { return RX_inverse_; }
    /// Computes beta and RX^-1 of the last update.
    void solve();

    const LeadingInverse& leading() const { return leading_; }
    SchurComplement& schur() { return *schur_; }
    bool has_schur() const { return schur_ != nullptr; }
    /// Right-hand sides of the tail: F = B2 - sum_g A2g K_g B_g, and L^-1 T2'F (q x P, column-major).
    const RowMatrix& tail_rhs() const { return tail_rhs_; }
    const Matrix& tail_half_solved() const { return tail_half_solved_; }

    static constexpr Index batch = 64;  ///< levels that are handled together

 private:
    void add_levels();
    void add_moments();
    void miss_held();

    const Problem& problem_;
    ResponseView response_;
    const DenseKernels& kernels_;
    LeadingInverse leading_;
    std::unique_ptr<SchurComplement> schur_;
    Matrix VXy_;  // [X y]'V^-1[X y], lower triangle; then its factor
    RowMatrix KB_, tail_rhs_;
    Matrix tail_half_solved_, RX_inverse_;
    Vector beta_, held_, held_direction_;
    std::vector<double> work_;
    double log_determinant_M_ = 0.0, held_value_ = 0.0, held_size_ = 1.0, held_miss_ = 0.0;
};

}  // namespace pymixed
