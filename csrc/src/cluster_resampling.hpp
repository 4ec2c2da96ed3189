#pragma once
// Clusters of rows drawn with replacement: the rows of a replicate of the "cases" bootstrap. Every copy of a cluster is
// one of its own, hence so are the levels of the grouping factors within it; all factors are nested in the clusters.

#include "pymixed/random.hpp"
#include "pymixed/random_effects.hpp"

namespace pymixed {

/// Rows of the host, kept.
struct OwnedRows {
    Vector y, weights, offset;                     ///< n; empty where there are none
    Matrix X, X_zero;                              ///< n x p, n x r
    std::vector<Vector> Z;                         ///< per column of the terms n values; empty: the constant 1
    std::vector<std::vector<std::int32_t>> codes;  ///< per factor, the user's order

    OwnedRows() = default;
    /// @param kept  columns of rows.X
    OwnedRows(const Rows& rows, const std::vector<Index>& kept, const std::vector<ColumnView>& zero_inflation);
    Rows view() const;
    double total_weight() const { return weights.size() > 0 ? weights.sum() : static_cast<double>(y.size()); }
    std::vector<ColumnView> zero_inflation() const;
    /// These rows in this order, codes apart.
    OwnedRows take(const std::vector<Index>& rows) const;
};

class ClusterResampling {
 public:
    /// @param clusters  n codes 0 .. n_clusters - 1, each of which occurs
    ClusterResampling(OwnedRows rows, const RandomEffects& layout, std::vector<std::int32_t> clusters,
                      Index n_clusters);

    struct Sample {
        OwnedRows rows;
        RandomEffects layout;
    };
    Sample draw(Random random) const;

 private:
    OwnedRows rows_;
    std::vector<TermSpec> terms_;
    std::vector<Index> start_, sorted_;               // rows by cluster
    std::vector<std::vector<std::int32_t>> local_;    // per factor: a row's level, counted within its cluster
    std::vector<std::vector<std::int32_t>> n_local_;  // per factor: levels of each cluster
};

}  // namespace pymixed
