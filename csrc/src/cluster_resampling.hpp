#pragma once
// Clusters of rows drawn with replacement: the rows of a replicate of the "cases" bootstrap. Every copy of a cluster is
// one of its own, hence so are the levels of the grouping factors within it; all factors are nested in the clusters.

#include "owned_rows.hpp"
#include "pymixed/random.hpp"

namespace pymixed {

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
