#include "owned_rows.hpp"

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
    for (const auto& factor : codes) {
        out.codes.emplace_back();
        for (const Index row : rows)
            out.codes.back().push_back(factor[row]);
    }
    return out;
}

}  // namespace pymixed
