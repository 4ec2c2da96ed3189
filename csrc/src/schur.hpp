#pragma once
// The Schur complement of the leading factor and its Cholesky factor,
//
//     S0 = A22 - sum_g A2g K_g Ag2,    S = T2' S0 T2 + I = L L',    Q = T2 S^-1 T2'
//
// with K_g = T1 (T1'A_gT1 + I)^-1 T1' for each level g of the leading factor and T2 block diagonal. Nothing divides by
// theta, so templates may be singular. Left-looking by columns: while column j of S0 is built, one dense column is
// being written, and the same sweep reads columns of Q for the gradient.

#include "dense_kernels.hpp"
#include "tail.hpp"

namespace pymixed {

/// A symmetric c x c matrix per level of the leading factor: `values + pattern[g] * c * c`.
struct LevelMatrices {
    const double* values;
    const std::int32_t* pattern;
};

class SchurComplement {
 public:
    /// `values` is read by every call; it may change between updates. With `keep_factor` solutions remain possible
    /// after invert(), by multiply_Q() (more memory where S is sparse).
    SchurComplement(const Tail& tail, const TailValues& values, Index c1, int n_threads, bool keep_factor = false);

    /// S0, then S and its factor; false where S is not positive definite.
    bool update(const LevelMatrices& K, const Templates& T);
    double log_determinant() const;

    /// L on the pattern, to be read at Tail::diagonal() and below; before invert().
    const double* L() const { return S_.data(); }
    /// B <- T2 B, or T2'B with `transposed`; B is q x m, column-major.
    void multiply_template(const Templates& T, bool transposed, Eigen::Ref<Matrix> B);
    /// B <- L^-1 B, L^-T B.
    void half_solve(Eigen::Ref<Matrix> B) const;
    void back_solve(Eigen::Ref<Matrix> B) const;
    /// S0 on the pattern, to be read at Tail::diagonal() and below; invert() leaves it alone.
    const double* S0() const { return S0_.data(); }
    /// C <- S0 B.
    void multiply_S0(const Eigen::Ref<const Matrix>& B, Eigen::Ref<Matrix> C) const;

    /// Overwrites L by S^-1 on the pattern and adds sum_h (S^-1 T2' S0)_hh to `products` of each tail factor;
    /// then S^-1 by Q. After this only the two functions below may be called until the next update().
    void invert(const Templates& T, Templates& products);
    /// R_g = Ag2 Q A2g for every level g of the leading factor: c1 x c1 each, column-major, one after the other.
    void leading_blocks_into(double* R);
    /// Y_g = Ag2 Q of every level of the leading factor on the columns that it couples to, laid out as the couplings.
    void coupling_products_into(double* Y);
    /// B <- Q B after invert(), where the factor was kept.
    void multiply_Q(const Templates& T, Eigen::Ref<Matrix> B);
    /// Block (h, h) of Q.
    void diagonal_block_into(Index block, Eigen::Ref<Matrix> out) const;
    /// Q on the pattern after invert(), to be read at Tail::diagonal() and below.
    const double* Q() const { return inverse().data(); }

 private:
    double* open_column(Index j);
    void close_column(Index j);
    KernelWork kernel_work();
    template <Index C1>
    void build(const LevelMatrices& K);
    template <Index C1>
    void sweep(double* R);
    template <Index C1>
    void couple(double* Y);
    const double* inverse_column(Index j);
    void close_inverse_column(Index j);
    const std::vector<double>& inverse() const { return keep_factor_ && !tail_.dense() ? inverse_ : S_; }
    template <class Block>
    void for_blocks(Block&& block) const;
    void transform(const std::vector<double>& from, std::vector<double>& to, const Templates& T, bool transposed);
    void add_products(const Templates& T, Templates& products) const;

    const Tail& tail_;
    const TailValues& values_;
    Index c1_;
    bool keep_factor_;
    std::vector<double> S0_, S_;   // values of lower triangles; S_ becomes L, S^-1, Q in turn
    std::vector<double> inverse_;  // S^-1, Q where L is kept (sparse only)
    std::vector<double> column_;   // one dense column (sparse only)
    int n_threads_;
    std::vector<double> kernel_memory_;  // of all threads (dense only)
    std::vector<double> row_scale_;      // template of each scalar row (scalar tails)
    std::vector<double> block_;          // scratch: one block and its product
    std::vector<Index> next_;            // per level of the leading factor: its next coupling
    SparseCholesky sparse_;
};

}  // namespace pymixed
