#include "path_inverse.hpp"

#include <algorithm>

namespace pymixed {

namespace {

/// Parents in the elimination tree of a sparse tail, -1 for a root.
std::vector<std::int32_t> parents(const SparsePattern& pattern) {
    std::vector<std::int32_t> out(pattern.n());
    for (Index j = 0; j < pattern.n(); ++j)
        out[j] = pattern.start[j + 1] - pattern.start[j] > 1 ? pattern.row[pattern.start[j] + 1] : -1;
    return out;
}

std::vector<Index> path_lengths(const std::vector<std::int32_t>& parent) {
    std::vector<Index> out(parent.size());
    for (Index j = static_cast<Index>(parent.size()) - 1; j >= 0; --j)
        out[j] = 1 + (parent[j] < 0 ? 0 : out[parent[j]]);
    return out;
}

}  // namespace

double PathInverse::n_values(const Tail& tail) {
    const double q = static_cast<double>(tail.q());
    if (tail.dense())
        return 0.5 * q * (q + 1.0);
    double sum = 0.0;
    for (const Index length : path_lengths(parents(tail.pattern)))
        sum += static_cast<double>(length);
    return sum;
}

PathInverse::PathInverse(const Tail& tail, const double* L) : start_(tail.q() + 1, 0) {
    std::vector<Index> lengths;
    if (!tail.dense()) {
        parent_ = parents(tail.pattern);
        lengths = path_lengths(parent_);
    }
    for (Index j = 0; j < n(); ++j)
        start_[j + 1] = start_[j] + (tail.dense() ? n() - j : lengths[j]);
    values_.resize(start_.back());
    if (tail.dense())
        invert_dense(L);
    else
        invert_sparse(tail, L);
}

void PathInverse::invert_dense(const double* L) {
    constexpr Index batch = 64;
    const Index q = n();
    Matrix columns;
    for (Index first = 0; first < q; first += batch) {
        const Index rows = q - first, m = std::min(batch, rows);
        columns = Matrix::Identity(rows, m);
        dense_kernels().solve_lower(rows, m, L + first * (q + 1), q, columns.data(), rows);
        for (Index j = 0; j < m; ++j)
            std::copy(columns.col(j).data() + j, columns.col(j).data() + rows, values_.begin() + start_[first + j]);
    }
}

void PathInverse::invert_sparse(const Tail& tail, const double* L) {
    const SparsePattern& pattern = tail.pattern;
    for (Index j = n() - 1; j >= 0; --j) {
        Eigen::Map<Vector> own(values_.data() + start_[j], length(j));
        own.setZero();
        own[0] = 1.0;
        for (Index p = pattern.start[j] + 1; p < pattern.start[j + 1]; ++p) {
            const Index i = pattern.row[p];
            own.tail(length(i)) -= L[p] * Eigen::Map<const Vector>(column(i), length(i));
        }
        own /= L[pattern.start[j]];
    }
}

void PathSum::clear() {
    first_ = inverse_.n();
    for (const std::int32_t i : entries_)
        seen_[i] = 0;
    entries_.clear();
}

/// Dense: entries from j on are part of the sum.
void PathSum::lower_to(Index j) {
    if (j < first_) {
        values_.segment(j, first_ - j).setZero();
        first_ = j;
    }
}

double& PathSum::at(std::int32_t i) {
    if (!seen_[i]) {
        seen_[i] = 1;
        entries_.push_back(i);
        values_[i] = 0.0;
    }
    return values_[i];
}

void PathSum::add(Index j, double x) {
    if (x == 0.0)
        return;
    const double* column = inverse_.column(j);
    if (inverse_.dense()) {
        lower_to(j);
        values_.tail(inverse_.n() - j) += x * Eigen::Map<const Vector>(column, inverse_.n() - j);
        return;
    }
    for (std::int32_t i = static_cast<std::int32_t>(j); i >= 0; i = inverse_.parent(i))
        at(i) += x * *column++;
}

void PathSum::add(const PathSum& other, double x) {
    if (inverse_.dense()) {
        lower_to(other.first_);
        const Index size = inverse_.n() - other.first_;
        values_.tail(size) += x * other.values_.tail(size);
        return;
    }
    for (const std::int32_t i : other.entries_)
        at(i) += x * other.values_[i];
}

double PathSum::squared_norm() const {
    if (inverse_.dense())
        return values_.tail(inverse_.n() - first_).squaredNorm();
    double sum = 0.0;
    for (const std::int32_t i : entries_)
        sum += values_[i] * values_[i];
    return sum;
}

}  // namespace pymixed
