#include "cluster_resampling.hpp"

#include <algorithm>
#include <numeric>

namespace pymixed {

ClusterResampling::ClusterResampling(OwnedRows rows, const RandomEffects& layout, std::vector<std::int32_t> clusters,
                                     Index n_clusters)
    : rows_(std::move(rows)), start_(n_clusters + 1, 0), sorted_(clusters.size()) {
    for (const auto& term : layout.terms())
        terms_.push_back({layout.factors()[term.factor].user_position, term.n_cols, term.structure});
    for (const std::int32_t cluster : clusters)
        ++start_[cluster + 1];
    std::partial_sum(start_.begin(), start_.end(), start_.begin());
    std::iota(sorted_.begin(), sorted_.end(), Index{0});
    std::stable_sort(sorted_.begin(), sorted_.end(), [&](Index a, Index b) { return clusters[a] < clusters[b]; });
    for (const auto& codes : rows_.codes) {
        const std::int32_t n_levels = codes.empty() ? 0 : *std::max_element(codes.begin(), codes.end()) + 1;
        std::vector<std::int32_t> number(n_levels, -1), local(codes.size()), count(n_clusters, 0);
        for (std::size_t i = 0; i < codes.size(); ++i) {
            std::int32_t& seen = number[codes[i]];
            if (seen < 0)
                seen = count[clusters[i]]++;
            local[i] = seen;
        }
        local_.push_back(std::move(local));
        n_local_.push_back(std::move(count));
    }
}

ClusterResampling::Sample ClusterResampling::draw(Random random) const {
    const std::size_t n_clusters = start_.size() - 1, n_factors = local_.size();
    std::vector<Index> rows;
    std::vector<std::vector<std::int32_t>> codes(n_factors);
    std::vector<Index> n_levels(n_factors, 0);
    for (std::size_t copy = 0; copy < n_clusters; ++copy) {
        const Index cluster = static_cast<Index>(random.below(n_clusters));
        for (Index i = start_[cluster]; i < start_[cluster + 1]; ++i) {
            rows.push_back(sorted_[i]);
            for (std::size_t f = 0; f < n_factors; ++f)
                codes[f].push_back(static_cast<std::int32_t>(n_levels[f]) + local_[f][sorted_[i]]);
        }
        for (std::size_t f = 0; f < n_factors; ++f)
            n_levels[f] += n_local_[f][cluster];
    }
    Sample sample{rows_.take(rows), RandomEffects(n_levels, terms_)};
    sample.rows.codes = std::move(codes);
    return sample;
}

}  // namespace pymixed
