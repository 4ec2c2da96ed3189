#include "pymixed/crossproducts.hpp"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "couplings.hpp"
#include "row_packer.hpp"

namespace pymixed {

static constexpr Index chunks_per_block = 64;  // chunk sums that are added up before they join the total

CrossProducts::CrossProducts(RandomEffects layout, const Rows& rows)
    : CrossProducts(layout, FixedBasis::from_rows(rows), RandomBasis::from_rows(layout, rows), rows) {}

CrossProducts::CrossProducts(RandomEffects layout, FixedBasis fixed_basis, RandomBasis random_basis, const Rows& rows)
    : layout_(std::move(layout)), fixed_(std::move(fixed_basis)), random_(std::move(random_basis)), n_(rows.n) {
    const Index P = p() + 1;
    if (n_ > std::numeric_limits<std::int32_t>::max())
        throw std::invalid_argument("rows: expected fewer than 2^31 at a time, got " + std::to_string(n_) +
                                    "; merge cross-products of parts");
    XytXy_ = Matrix::Zero(P, P);
    for (const auto& factor : layout_.factors()) {
        const std::int32_t* codes = rows.codes[factor.user_position];
        std::int32_t low = 0, high = 0;
        for (Index i = 0; i < n_; ++i) {
            low = std::min(low, codes[i]);
            high = std::max(high, codes[i]);
        }
        if (low < 0 || high >= factor.n_levels)
            throw std::invalid_argument("codes: expected 0 to " + std::to_string(factor.n_levels - 1) + ", got " +
                                        std::to_string(low < 0 ? low : high));
        FactorProducts products;
        products.ZtZ.assign(factor.n_levels * packed(factor.n_cols, 0), 0.0);
        products.ZtXy.assign(factor.size() * P, 0.0);
        factors_.push_back(std::move(products));
    }
    add_blocks(rows);
    add_couplings(rows);
}

void CrossProducts::add_blocks(const Rows& rows) {
    const Index P = p() + 1;
    const bool weighted = rows.weights != nullptr;
    RowPacker packer(rows, fixed_);
    RowMatrix WV(chunk_rows, P);
    std::vector<std::vector<double>> z(layout_.n_columns());
    for (auto& column : z)
        column.resize(chunk_rows, 1.0);
    Matrix block = Matrix::Zero(P, P);

    for (Index first = 0, chunk = 1; first < n_; first += chunk_rows, ++chunk) {
        const Index m = std::min(chunk_rows, n_ - first);
        const RowMatrix& V = packer.pack(first, m);
        if (weighted)
            for (Index i = 0; i < m; ++i)
                WV.row(i) = rows.weights[first + i] * V.row(i);
        const RowMatrix& weighted_V = weighted ? WV : V;
        block.noalias() += V.topRows(m).transpose() * weighted_V.topRows(m);
        if (chunk % chunks_per_block == 0 || first + m == n_) {
            XytXy_ += block;
            block.setZero();
        }
        if (weighted)
            for (Index i = 0; i < m; ++i)
                sum_log_weights_ += std::log(rows.weights[first + i]);

        for (std::size_t f = 0; f < factors_.size(); ++f) {
            const auto& factor = layout_.factors()[f];
            const Index c = factor.n_cols, size = packed(c, 0);
            const std::int32_t* codes = rows.codes[factor.user_position] + first;
            double* ZtZ = factors_[f].ZtZ.data();
            double* ZtXy = factors_[f].ZtXy.data();
            if (c == 1 && rows.Z[factor.columns[0]].is_constant()) {
                for (Index i = 0; i < m; ++i) {
                    ZtZ[codes[i]] += weighted ? rows.weights[first + i] : 1.0;
                    double* sum = ZtXy + codes[i] * P;
                    const double* v = weighted_V.data() + i * P;
                    for (Index k = 0; k < P; ++k)
                        sum[k] += v[k];
                }
                continue;
            }
            for (Index j : factor.columns) {
                if (rows.Z[j].is_constant())
                    continue;
                const double shift = random_.shift(j), inverse_scale = 1.0 / random_.scale(j);
                for (Index i = 0; i < m; ++i)
                    z[j][i] = (rows.Z[j][first + i] - shift) * inverse_scale;
            }
            for (Index i = 0; i < m; ++i) {
                const double w = weighted ? rows.weights[first + i] : 1.0;
                const double* v = weighted_V.data() + i * P;
                double* squares = ZtZ + codes[i] * size;
                double* sum = ZtXy + codes[i] * c * P;
                for (Index a = 0; a < c; ++a, sum += P) {
                    const double za = z[factor.columns[a]][i];
                    for (Index b = 0; b <= a; ++b)
                        *squares++ += w * za * z[factor.columns[b]][i];
                    for (Index k = 0; k < P; ++k)
                        sum[k] += za * v[k];
                }
            }
        }
    }
}

void CrossProducts::add_couplings(const Rows& rows) {
    const auto& factors = layout_.factors();
    const Index count = static_cast<Index>(factors.size());
    if (count < 2)
        return;
    for (Index b = 1; b < count; ++b) {
        const std::vector<std::int32_t> by_b =
            sort_by_level({}, rows.codes[factors[b].user_position], n_, factors[b].n_levels);
        for (Index a = 0; a < b; ++a)
            couplings_.push_back(
                couple(rows, layout_, random_, a, b,
                       sort_by_level(by_b, rows.codes[factors[a].user_position], n_, factors[a].n_levels)));
    }
}

void CrossProducts::merge(const CrossProducts& other) {
    if (other.p() != p() || other.layout_.n_theta() != layout_.n_theta() || other.factors_.size() != factors_.size())
        throw std::invalid_argument("merge: expected cross-products of the same model");
    for (std::size_t f = 0; f < factors_.size(); ++f)
        if (other.factors_[f].ZtXy.size() != factors_[f].ZtXy.size())
            throw std::invalid_argument("merge: expected the same levels of every grouping factor");
    CrossProducts addend = other;
    addend.change_fixed_basis(other.fixed_.U() * fixed_.U().inverse(), fixed_);
    addend.change_random_basis(random_);
    n_ += addend.n_;
    sum_log_weights_ += addend.sum_log_weights_;
    XytXy_ += addend.XytXy_;
    const auto add = [](std::vector<double>& to, const std::vector<double>& from) {
        std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<double>());
    };
    for (std::size_t f = 0; f < factors_.size(); ++f) {
        add(factors_[f].ZtZ, addend.factors_[f].ZtZ);
        add(factors_[f].ZtXy, addend.factors_[f].ZtXy);
    }
    for (std::size_t i = 0; i < couplings_.size(); ++i)
        couplings_[i] = merged(couplings_[i], addend.couplings_[i]);
}

CrossProducts CrossProducts::with_columns(const std::vector<Index>& columns) const {
    const Index kept = static_cast<Index>(columns.size());
    FixedBasis basis;
    basis.shift.resize(kept);
    basis.R = Matrix::Identity(kept, kept);
    basis.y_scale = fixed_.y_scale;
    for (Index j = 0; j < kept; ++j)
        if (columns[j] == fixed_.intercept)
            basis.intercept = j;
    for (Index j = 0; j < kept; ++j) {
        basis.shift[j] = basis.intercept >= 0 ? fixed_.shift[columns[j]] : 0.0;
        basis.R(j, j) = fixed_.R(columns[j], columns[j]);
    }
    basis.R_inverse = basis.R.inverse();
    basis.gamma = Vector::Zero(kept);
    Matrix select = Matrix::Zero(p() + 1, kept + 1);
    for (Index j = 0; j < kept; ++j)
        select(columns[j], j) = 1.0;
    select(p(), kept) = 1.0;
    const Matrix U = fixed_.U();
    // X~ gamma, the part of y that was taken out, in the columns that are kept (they span the others)
    const Matrix N = (U * select * basis.U().inverse()).topLeftCorner(p(), kept);
    const auto XtX = XytXy_.topLeftCorner(p(), p());
    basis.gamma = (N.transpose() * XtX * N).ldlt().solve(N.transpose() * (XtX * fixed_.gamma));
    CrossProducts out = *this;
    const Matrix change = U * select * basis.U().inverse();
    out.change_fixed_basis(change, std::move(basis));
    return out;
}

/// [X~ y~]_new = [X~ y~]_old M, hence sums become M' sums M.
void CrossProducts::change_fixed_basis(const Matrix& M, FixedBasis basis) {
    const Index P = p() + 1, new_P = M.cols();
    XytXy_ = (M.transpose() * XytXy_ * M).eval();
    for (std::size_t f = 0; f < factors_.size(); ++f) {
        const Index rows = static_cast<Index>(factors_[f].ZtXy.size()) / P;
        std::vector<double> changed(rows * new_P);
        RowMatrixMap(changed.data(), rows, new_P).noalias() = ConstRowMatrixMap(factors_[f].ZtXy.data(), rows, P) * M;
        factors_[f].ZtXy = std::move(changed);
    }
    fixed_ = std::move(basis);
}

/// Z~_new = Z~_old C_old C_new^-1 within each level.
void CrossProducts::change_random_basis(const RandomBasis& basis) {
    if (basis == random_)
        return;
    const Index P = p() + 1;
    std::vector<Matrix> change;
    for (std::size_t f = 0; f < factors_.size(); ++f) {
        const auto& factor = layout_.factors()[f];
        const Index c = factor.n_cols;
        change.push_back(random_.user()[f] * basis.user()[f].inverse());
        const Matrix& M = change.back();
        Matrix square(c, c);
        for (Index g = 0; g < factor.n_levels; ++g) {
            double* sums = factors_[f].ZtZ.data() + g * packed(c, 0);
            for (Index i = 0; i < c; ++i)
                for (Index j = 0; j <= i; ++j)
                    square(i, j) = square(j, i) = sums[packed(i, j)];
            square = (M.transpose() * square * M).eval();
            for (Index i = 0; i < c; ++i)
                for (Index j = 0; j <= i; ++j)
                    sums[packed(i, j)] = square(i, j);
            RowMatrixMap B(factors_[f].ZtXy.data() + g * c * P, c, P);
            B = (M.transpose() * B).eval();
        }
    }
    for (CouplingProducts& coupling : couplings_) {
        const Index ca = layout_.factors()[coupling.a].n_cols, cb = layout_.factors()[coupling.b].n_cols;
        for (std::size_t i = 0; i < coupling.level.size(); ++i) {
            RowMatrixMap block(coupling.block.data() + i * ca * cb, ca, cb);
            block = (change[coupling.a].transpose() * block * change[coupling.b]).eval();
        }
    }
    random_ = basis;
}

}  // namespace pymixed
