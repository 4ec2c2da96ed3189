#pragma once
// Everything about the random effects behind the leading factor that does not change with theta.
//
// The leading factor (internal position 0) is eliminated level by level; the other factors' levels, the "blocks" of
// the tail, are ordered one factor after the other when their Schur complement is dense, and by approximate minimum
// degree (AMD on the graph of blocks, Amestoy, Davis & Duff 1996) when it is sparse. The choice is made from the
// symbolic fill.

#include "pymixed/problem.hpp"
#include "sparse_cholesky.hpp"

namespace pymixed {

/// The numbers that stand in a tail's pattern: a generalized model has its own, renewed with every change of weights.
struct TailValues {
    std::vector<double> coupling;  ///< c_1 values per entry of Tail::coupling_row
    std::vector<double> A22;       ///< one per entry of Tail::A22_row
};

struct Tail {
    Tail() = default;
    /// Orders and analyses; Method::Automatic chooses.
    /// Throws MemoryLimit where the factor would need more than `memory_limit` bytes (0: no limit).
    Tail(const CrossProducts& products, Method method, double memory_limit);
    /// The analysis of another tail on sums in the same cells.
    Tail(const Tail& analysed, const CrossProducts& products);

    Index q() const { return static_cast<Index>(column_start.size()) - 1; }
    Index n_blocks() const { return static_cast<Index>(block_factor.size()); }
    bool dense() const { return pattern.row.empty(); }
    /// Where the diagonal entry of scalar column j stands in the values of a lower triangle; entries further down
    /// the column follow it.
    Index diagonal(Index j) const { return dense() ? j * (q() + 1) : pattern.start[j]; }
    Index n_values() const { return dense() ? q() * q() : static_cast<Index>(pattern.row.size()); }

    std::vector<std::int32_t> block_factor;    ///< internal position of each block's factor
    std::vector<Index> block_start{0};         ///< first scalar row of each block, n_blocks + 1
    std::vector<std::vector<Index>> block_of;  ///< [factor][level] -> block; empty for the leading factor
    bool scalar = true;                        ///< every block has one column

    // blocks below the diagonal of each block column (sparse only; dense: all)
    std::vector<Index> below_start;
    std::vector<std::int32_t> below;
    SparsePattern pattern;  ///< scalar rows of L (sparse only)

    // Z_1'WZ_2 by levels of the leading factor: scalar rows ascending, c_1 values each; and who couples to a column
    std::vector<Index> coupling_start;
    std::vector<std::int32_t> coupling_row;
    std::vector<Index> column_start{0};
    std::vector<std::int32_t> column_level;

    // lower triangle of Z_2'WZ_2 by scalar columns, and Z_2'W[X y] (row-major q x (p+1)); A22_position: where the cells
    // of the factors, then those of the couplings behind the leading factor, in their own order, stand
    std::vector<Index> A22_start;
    std::vector<std::int32_t> A22_row;
    std::vector<Index> A22_position;
    RowMatrix B2;

    TailValues values;

    /// Bytes of the workspace that goes with this tail.
    double workspace_bytes() const;

    double dense_flops = 0.0, sparse_flops = 0.0;  ///< of one factorisation; sparse -1 where it was not analysed

 private:
    void order_blocks(const CrossProducts& products, Method method);
    void lay_out(const CrossProducts& products, const std::vector<Index>& order);
    void fill_couplings(const CrossProducts& products);
    void fill_trailing(const CrossProducts& products);
};

}  // namespace pymixed
