// Cross-products of the same rows with other weights.

#include <algorithm>
#include <cmath>

#include "pymixed/crossproducts.hpp"
#include "row_packer.hpp"

namespace pymixed {

namespace {

/// Sums that change with the weights of rows, from values in the bases of the sums.
struct Reweighting {
    const RandomEffects& layout;
    Matrix& XytXy;
    std::vector<FactorProducts>& factors;
    std::vector<CouplingProducts>& couplings;

    /// @param x, z  the row's values of all columns
    void add(const Rows& rows, Index row, double weight, const Vector& x, const Vector& z) {
        const Index p = x.size();
        for (Index j = 0; j < p; ++j)
            for (Index i = 0; i < p; ++i)
                XytXy(i, j) += weight * x[i] * x[j];
        for (std::size_t f = 0; f < factors.size(); ++f) {
            const auto& factor = layout.factors()[f];
            const Index c = factor.n_cols, g = rows.codes[factor.user_position][row];
            double* squares = factors[f].ZtZ.data() + g * packed(c, 0);
            double* products = factors[f].ZtXy.data() + g * c * (p + 1);
            for (Index i = 0; i < c; ++i, products += p + 1) {
                const double wz = weight * z[factor.columns[i]];
                for (Index j = 0; j <= i; ++j)
                    *squares++ += wz * z[factor.columns[j]];
                for (Index k = 0; k < p; ++k)
                    products[k] += wz * x[k];
            }
        }
        for (CouplingProducts& coupling : couplings) {
            const auto &left = layout.factors()[coupling.a], &right = layout.factors()[coupling.b];
            const Index g = rows.codes[left.user_position][row];
            const auto level = coupling.level.begin();
            const Index cell = std::lower_bound(level + coupling.start[g], level + coupling.start[g + 1],
                                                rows.codes[right.user_position][row]) -
                               level;
            double* block = coupling.block.data() + cell * left.n_cols * right.n_cols;
            for (Index i = 0; i < left.n_cols; ++i)
                for (Index j = 0; j < right.n_cols; ++j)
                    *block++ += weight * z[left.columns[i]] * z[right.columns[j]];
        }
    }
};

}  // namespace

void CrossProducts::clear_sums() {
    XytXy_.setZero();
    for (FactorProducts& factor : factors_) {
        std::fill(factor.ZtZ.begin(), factor.ZtZ.end(), 0.0);
        std::fill(factor.ZtXy.begin(), factor.ZtXy.end(), 0.0);
    }
    for (CouplingProducts& coupling : couplings_)
        std::fill(coupling.block.begin(), coupling.block.end(), 0.0);
}

CrossProducts CrossProducts::with_weights(const Rows& rows, const Vector& weights) const {
    CrossProducts out = *this;
    out.clear_sums();
    out.column_sums_.setZero();
    out.sum_weights_ = weights.sum();
    out.sum_log_weights_ = 0.0;
    Reweighting sums{layout_, out.XytXy_, out.factors_, out.couplings_};
    Vector x(p()), z(layout_.n_columns());
    for (Index i = 0; i < rows.n; ++i) {
        for (Index j = 0; j < x.size(); ++j)
            x[j] = rows.X[j][i];
        for (Index j = 0; j < z.size(); ++j)
            z[j] = rows.Z[j][i];
        out.column_sums_.head(p()) += weights[i] * x;
        sums.add(rows, i, weights[i], x, z);
    }
    out.peak_ = out.XytXy_.diagonal().cwiseMax(0.0);
    return out;
}

CrossProducts CrossProducts::reweighted(const Rows& rows, const Vector& weights) const {
    const auto old_weight = [&](Index i) { return rows.weights == nullptr ? 1.0 : rows.weights[i]; };
    Index changed = 0;
    CrossProducts out = *this;
    out.n_ = 0;
    out.sum_weights_ = weights.sum();
    out.sum_log_weights_ = 0.0;
    for (FactorProducts& factor : out.factors_)
        std::fill(factor.rows.begin(), factor.rows.end(), 0);
    for (Index i = 0; i < rows.n; ++i) {
        changed += weights[i] != old_weight(i);
        if (weights[i] == 0.0)
            continue;
        ++out.n_;
        out.sum_log_weights_ += weights[i] == 1.0 ? 0.0 : std::log(weights[i]);
        for (std::size_t f = 0; f < out.factors_.size(); ++f)
            ++out.factors_[f].rows[rows.codes[layout_.factors()[f].user_position][i]];
    }

    // differences keep the rounding errors of what was there
    const bool anew = 2 * changed > rows.n || 2.0 * out.sum_weights_ < sum_weights_;
    if (anew)
        out.clear_sums();
    Reweighting sums{layout_, out.XytXy_, out.factors_, out.couplings_};
    Rows without_response = rows;
    without_response.y = {};
    RowPacker packer(without_response, fixed_);
    Vector x(p()), z(layout_.n_columns());
    for (Index first = 0; first < rows.n; first += chunk_rows) {
        const Index m = std::min(chunk_rows, rows.n - first);
        const auto change = [&](Index i) { return anew ? weights[i] : weights[i] - old_weight(i); };
        bool any = false;
        for (Index i = first; i < first + m; ++i)
            any = any || change(i) != 0.0;
        if (!any)
            continue;
        const Matrix& X = packer.pack(first, m);
        for (Index i = 0; i < m; ++i)
            if (const double weight = change(first + i); weight != 0.0) {
                x = X.row(i).head(p());
                for (Index j = 0; j < z.size(); ++j)
                    z[j] = rows.Z[j].is_constant() ? 1.0 : (rows.Z[j][first + i] - random_.shift(j)) / random_.scale(j);
                sums.add(rows, first + i, weight, x, z);
            }
    }
    for (std::size_t f = 0; f < out.factors_.size(); ++f) {  // what differences leave in levels without rows
        const Index c = layout_.factors()[f].n_cols, size = packed(c, 0), width = c * (p() + 1);
        for (Index g = 0; g < layout_.factors()[f].n_levels; ++g)
            if (out.factors_[f].rows[g] == 0) {
                std::fill_n(out.factors_[f].ZtZ.begin() + g * size, size, 0.0);
                std::fill_n(out.factors_[f].ZtXy.begin() + g * width, width, 0.0);
            }
    }
    return out;
}

}  // namespace pymixed
