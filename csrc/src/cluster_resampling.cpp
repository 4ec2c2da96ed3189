#include "cluster_resampling.hpp"

#include <algorithm>
#include <numeric>

namespace pymixed {

static Vector copied(const ColumnView& column, Index n) {
    Vector out(n);
    for (Index i = 0; i < n; ++i)
        out[i] = column[i];
    return out;
}

OwnedRows::OwnedRows(const Rows& rows, const std::vector<Index>& kept, const std::vector<ColumnView>& zero_inflation)
    : y(copied(rows.y, rows.n)),
      X(rows.n, static_cast<Index>(kept.size())),
      X_zero(rows.n, static_cast<Index>(zero_inflation.size())) {
    if (rows.weights != nullptr)
        weights = Eigen::Map<const Vector>(rows.weights, rows.n);
    if (rows.offset != nullptr)
        offset = Eigen::Map<const Vector>(rows.offset, rows.n);
    for (std::size_t j = 0; j < kept.size(); ++j)
        X.col(j) = copied(rows.X[kept[j]], rows.n);
    for (std::size_t j = 0; j < zero_inflation.size(); ++j)
        X_zero.col(j) = copied(zero_inflation[j], rows.n);
    for (const ColumnView& z : rows.Z)
        Z.push_back(z.is_constant() ? Vector() : copied(z, rows.n));
    for (const std::int32_t* factor : rows.codes)
        codes.emplace_back(factor, factor + rows.n);
}

Rows OwnedRows::view() const {
    Rows rows;
    rows.n = y.size();
    rows.y = {y.data(), 1};
    for (Index j = 0; j < X.cols(); ++j)
        rows.X.push_back({X.col(j).data(), 1});
    for (const Vector& z : Z)
        rows.Z.push_back(z.size() > 0 ? ColumnView{z.data(), 1} : ColumnView{});
    for (const auto& factor : codes)
        rows.codes.push_back(factor.data());
    rows.weights = weights.size() > 0 ? weights.data() : nullptr;
    rows.offset = offset.size() > 0 ? offset.data() : nullptr;
    return rows;
}

std::vector<ColumnView> OwnedRows::zero_inflation() const {
    std::vector<ColumnView> columns;
    for (Index j = 0; j < X_zero.cols(); ++j)
        columns.push_back({X_zero.col(j).data(), 1});
    return columns;
}

OwnedRows OwnedRows::take(const std::vector<Index>& rows) const {
    OwnedRows out;
    const auto taken = [&](const auto& values) {
        Vector some(values.size() > 0 ? static_cast<Index>(rows.size()) : 0);
        for (Index i = 0; i < some.size(); ++i)
            some[i] = values[rows[i]];
        return some;
    };
    out.y = taken(y);
    out.weights = taken(weights);
    out.offset = taken(offset);
    out.X.resize(rows.size(), X.cols());
    for (Index j = 0; j < X.cols(); ++j)
        out.X.col(j) = taken(X.col(j));
    out.X_zero.resize(rows.size(), X_zero.cols());
    for (Index j = 0; j < X_zero.cols(); ++j)
        out.X_zero.col(j) = taken(X_zero.col(j));
    for (const Vector& z : Z)
        out.Z.push_back(taken(z));
    return out;
}

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
