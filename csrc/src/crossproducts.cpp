#include "pymixed/crossproducts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "couplings.hpp"
#include "row_packer.hpp"

namespace pymixed {

static constexpr Index chunks_per_block = 64;  // chunk sums that are added up before they join the total

CrossProducts::CrossProducts(RandomEffects layout, FixedBasis fixed_basis, RandomBasis random_basis)
    : layout_(std::move(layout)), fixed_(std::move(fixed_basis)), random_(std::move(random_basis)) {
    const Index P = p() + 1;
    XytXy_ = Matrix::Zero(P, P);
    column_sums_ = peak_ = Vector::Zero(P);
    for (const auto& factor : layout_.factors()) {
        FactorProducts products;
        products.ZtZ.assign(factor.n_levels * packed(factor.n_cols, 0), 0.0);
        products.ZtXy.assign(factor.size() * P, 0.0);
        products.rows.assign(factor.n_levels, 0);
        factors_.push_back(std::move(products));
    }
    couplings_ = empty_couplings(layout_);
}

CrossProducts::CrossProducts(RandomEffects layout, FixedBasis fixed_basis, RandomBasis random_basis, const Rows& rows)
    : CrossProducts(std::move(layout), std::move(fixed_basis), std::move(random_basis)) {
    check(rows);
    add_checked(rows);
}

CrossProducts::CrossProducts(RandomEffects layout, const Rows& rows, std::optional<Index> intercept)
    : CrossProducts(layout, FixedBasis::from_rows(rows, intercept), RandomBasis::from_rows(layout, rows), rows) {}

void CrossProducts::check(const Rows& rows) const {
    const auto expect = [](bool right, const std::string& name, const std::string& expected, auto got) {
        if (!right)
            throw std::invalid_argument(name + ": expected " + expected + ", got " + std::to_string(got));
    };
    expect(rows.n <= std::numeric_limits<std::int32_t>::max(), "rows", "fewer than 2^31 at a time", rows.n);
    expect(static_cast<Index>(rows.X.size()) == p(), "X", std::to_string(p()) + " columns", rows.X.size());
    expect(rows.codes.size() == factors_.size(), "codes", std::to_string(factors_.size()) + " factors",
           rows.codes.size());
    const std::vector<bool>& constant = random_.constant();
    expect(rows.Z.size() == constant.size(), "columns", std::to_string(constant.size()), rows.Z.size());
    for (std::size_t j = 0; j < constant.size(); ++j)
        if (rows.Z[j].is_constant() != constant[j])
            throw std::invalid_argument("columns: expected " + std::string(constant[j] ? "the constant" : "values") +
                                        " for column " + std::to_string(j));
    for (const auto& factor : layout_.factors()) {
        const std::int32_t* codes = rows.codes[factor.user_position];
        std::int32_t low = 0, high = 0;
        for (Index i = 0; i < rows.n; ++i) {
            low = std::min(low, codes[i]);
            high = std::max(high, codes[i]);
        }
        expect(low >= 0 && high < factor.n_levels, "codes", "0 to " + std::to_string(factor.n_levels - 1),
               low < 0 ? low : high);
    }
}

void CrossProducts::add(const Rows& rows) {
    check(rows);
    check_intercept(rows, fixed_.intercept);
    add_checked(rows);
}

void CrossProducts::add_checked(const Rows& rows) {
    std::vector<CouplingProducts> parts = couple(rows, layout_, random_);
    extend_couplings(parts);
    add_blocks(rows);  // allocates before it adds
    for (std::size_t i = 0; i < couplings_.size(); ++i)
        add_cells(couplings_[i], parts[i], 1);
    n_ += rows.n;
    peak_ = peak_.cwiseMax(XytXy_.diagonal());
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

    for (Index first = 0, chunk = 1; first < rows.n; first += chunk_rows, ++chunk) {
        const Index m = std::min(chunk_rows, rows.n - first);
        const RowMatrix& V = packer.pack(first, m);
        if (weighted)
            for (Index i = 0; i < m; ++i)
                WV.row(i) = rows.weights[first + i] * V.row(i);
        const RowMatrix& weighted_V = weighted ? WV : V;
        block.noalias() += V.topRows(m).transpose() * weighted_V.topRows(m);
        if (chunk % chunks_per_block == 0 || first + m == rows.n) {
            XytXy_ += block;
            block.setZero();
        }
        column_sums_ += weighted_V.topRows(m).colwise().sum().transpose();
        if (weighted)
            for (Index i = 0; i < m; ++i) {
                sum_weights_ += rows.weights[first + i];
                sum_log_weights_ += std::log(rows.weights[first + i]);
            }
        else
            sum_weights_ += static_cast<double>(m);

        for (std::size_t f = 0; f < factors_.size(); ++f) {
            const auto& factor = layout_.factors()[f];
            const Index c = factor.n_cols, size = packed(c, 0);
            const std::int32_t* codes = rows.codes[factor.user_position] + first;
            double* ZtZ = factors_[f].ZtZ.data();
            double* ZtXy = factors_[f].ZtXy.data();
            for (Index i = 0; i < m; ++i)
                ++factors_[f].rows[codes[i]];
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

Vector CrossProducts::means() const {
    Vector means(p() + 1);
    const auto of_X = column_sums_.head(p());
    means.head(p()) = fixed_.R.triangularView<Eigen::Upper>().transpose() * of_X / sum_weights_ + fixed_.shift;
    means[p()] = (fixed_.gamma.dot(of_X) + fixed_.y_scale * column_sums_[p()]) / sum_weights_;
    return means;
}

}  // namespace pymixed
