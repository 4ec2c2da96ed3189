#pragma once
// The rows of a generalized linear mixed model, sorted by the level of the leading factor, and the maps that PIRLS
// needs between them and the random effects: eta = ... + Z b, Z'r, and where a row adds to Z'WZ.
//
// Z is never formed: a row knows its level of every factor, its cell in the couplings and its values of the columns.
// Random effects are ordered as the blocked factor has them: the leading factor's levels, then the tail's rows.

#include "pymixed/problem.hpp"
#include "tail.hpp"

namespace pymixed {

struct SortedRows {
    /// @param problem  a linear problem on the same rows: bases and patterns
    SortedRows(const Problem& problem, const Rows& rows, const std::vector<ColumnView>& zero_inflation);

    /// What a row has of one factor.
    struct FactorRows {
        Index c;
        bool intercept;                   ///< its only column is the constant 1
        std::vector<std::int32_t> level;  ///< n
        std::vector<std::int32_t>
            first;  ///< n: its first random effect, counted from the start of the part (see above)
        std::vector<std::int32_t> entry;  ///< n: its first entry in Tail::coupling_row (tail factors)
        Index first_cell = 0;             ///< where the factor's levels begin in Tail::A22_position (tail factors)
        std::vector<double> z;            ///< n x c, row by row; empty where `intercept`
    };
    /// Two factors of the tail: where the row's cell of Z_a'WZ_b begins in Tail::A22_position, and in which order the
    /// two blocks stand in the factor.
    struct PairRows {
        Index a, b;
        std::vector<std::int32_t> cell;  ///< n
        std::vector<Index> below;  ///< n: rows of S between the diagonal of the upper block and the first of the lower
    };

    /// out += Z b, b of length q; over rows first .. last - 1.
    void add_Zb(const double* b, double* out) const { add_Zb(b, 0, n, out); }
    void add_Zb(const double* b, Index first, Index last, double* out) const;
    /// out += Z'r over rows first .. last - 1.
    void add_Ztr(const double* r, double* out) const { add_Ztr(r, 0, n, out); }
    void add_Ztr(const double* r, Index first, Index last, double* out) const;
    /// The rows as a host would hold them, in the internal bases, in their own order and without a response; borrowed.
    Rows internal_rows(const RandomEffects& layout) const;
    const double* z(const FactorRows& f, Index row) const { return f.intercept ? &one : f.z.data() + row * f.c; }

    Index n, q1, q;                                ///< rows; random effects of the leading factor, of all
    std::vector<std::int32_t> order;               ///< the host's row of each sorted one
    Vector y, weights, offset;                     ///< n; empty where there are none
    Matrix X, X_zero;                              ///< n x p and n x r, in internal bases
    FixedBasis zero_basis;                         ///< of X_zero
    std::vector<Index> level_start;                ///< leading factor: n_levels + 1
    std::vector<std::vector<Index>> first_effect;  ///< [factor][level] -> its first random effect
    std::vector<FactorRows> factors;               ///< internal order
    std::vector<PairRows> pairs;

    static constexpr double one = 1.0;
};

}  // namespace pymixed
