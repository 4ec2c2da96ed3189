#pragma once
// Sums over V^-1 for Kenward & Roger's method, for every pair u of columns (x, y) of a factor that the parameters use.
// U_u repeats for every level the symmetric matrix with ones at (x, y) and (y, x). With G = Z'V^-1X RX^-1, B = Z'V^-1Z,
//
//     P_u = -G'U_uG,   Q_uv = G'U_uBU_vG,   T_uv = tr(U_uBU_vB),   t_u = tr(U_uB)
//
// With the leading factor eliminated, C_g = A_2gN_g, R = I - S0 Q = T2^-T S^-1 T2' and D_u = sum_g C_gU_uC_g',
//
//     B_gh = d_gh A_gN_g - C_g'QC_h,    B_2g = R C_g,    B_22 = R S0
//     T_uv = sum_g tr(U_uA_gN_gU_vA_gN_g - U_uA_gN_gU_vC_g'QC_g - U_uC_g'QC_gU_vA_gN_g) + tr(Q D_uQ D_v)   both leading
//     T_uv = tr(D_uR'U_vR)   u leading, v of the tail
//
// all of it per connected component of the tail, whose matrices are dense: four of them at a time.

#include "pymixed/kenward_roger.hpp"
#include "scores.hpp"
#include "tail_components.hpp"
#include "template_parameters.hpp"

namespace pymixed {

/// Columns x >= y of a factor.
struct ColumnPair {
    Index factor, x, y;
};

class KenwardRogerSums {
 public:
    /// `pairs` with those of the leading factor first.
    KenwardRogerSums(Deviance& deviance, const TailComponents& components, const std::vector<ColumnPair>& pairs);
    static KenwardRogerCost cost(const Problem& problem, const TailComponents& components,
                                 const std::vector<ColumnPair>& pairs);

    /// False where it was interrupted.
    bool compute(const std::function<bool()>& interrupted);

    const Templates& templates() const { return templates_; }
    const Matrix& RX_inverse() const { return pls_.RX_inverse(); }
    const Matrix& P() const { return P_; }          ///< p x p per pair, side by side
    const Matrix& Q() const { return Q_; }          ///< block (u, v) is Q_uv
    const Matrix& T() const { return T_; }          ///< T_uv
    const Vector& trace() const { return trace_; }  ///< t_u

 private:
    void take_roots();
    void add_patterns();
    void add_leading_levels();
    void place_couplings();
    void place_tail_rows();
    bool add_component(Index k, const std::function<bool()>& interrupted);
    void gather(Index k);
    void factor(Index k);
    void add_tail_traces(Index k);
    void add_products(Index k);
    void add_leading_traces(Index k);
    void scatter_D(Index k, const ColumnPair& pair, MatrixMap D) const;
    Matrix sweep(Index k, const MatrixMap& M) const;
    void multiply_add(Index m, Index n, Index k, double sign, Operand A, Operand B, double* C, Index ldc,
                      bool lower = false);
    MatrixMap buffer(Index which, Index q) { return {buffers_[which].data(), q, q}; }

    const Problem& problem_;
    const TailComponents& components_;
    const std::vector<ColumnPair>& pairs_;
    PenalizedLeastSquares& pls_;
    Scores& scores_;
    const Templates& templates_;
    Templates T2_, T2_transposed_, T2_inverse_transposed_;  // any with the same T2 T2'
    Index p_, n_leading_;                                   // pairs of the leading factor
    int n_threads_;
    Matrix P_, Q_, T_;
    Vector trace_;
    // by positions of the components: sum_g C_gU_uG_g of the leading pairs, U_uG of the tail's, side by side
    RowMatrix leading_sums_, tail_sums_;
    std::vector<std::int32_t> place_;  // couplings by levels, each level's sorted by position
    std::vector<double> C_;            // C_g of every coupling, c_1 values each
    enum { Q_of, R_of, S0_of, B_of, n_buffers };
    std::vector<double> buffers_[n_buffers];
    Matrix product_;
    std::vector<double> kernel_memory_;
};

}  // namespace pymixed
