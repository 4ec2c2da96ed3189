#include "pymixed/crossproducts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "chunk_kernels.hpp"
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

/// What the sums over rows need besides themselves.
struct CrossProducts::Buffers {
    Buffers(const CrossProducts& products, const Rows& rows)
        : packer(rows, products.fixed_),
          WV(buffer_rows, products.p() + 1),
          block(Matrix::Zero(products.p() + 1, products.p() + 1)),
          z(buffer_rows, products.layout_.n_columns()),
          z_of(products.factors_.size()) {
        for (std::size_t f = 0; f < z_of.size(); ++f)
            for (const Index j : products.layout_.factors()[f].columns)
                z_of[f].push_back(rows.Z[j].is_constant() ? nullptr : z.col(j).data());
    }

    RowPacker packer;
    Matrix WV, block, z;
    std::vector<std::vector<const double*>> z_of;  // per factor; null: the constant 1
};

void CrossProducts::add_checked(const Rows& rows) {
    const std::vector<CouplingProducts> parts = couple(rows, layout_, random_);
    std::vector<CouplingProducts> extended = extended_couplings(parts);
    Buffers buffers(*this, rows);
    extend_couplings(std::move(extended));  // neither this nor what follows fails
    add_blocks(rows, buffers);
    for (std::size_t i = 0; i < couplings_.size(); ++i)
        add_cells(couplings_[i], parts[i], 1);
    n_ += rows.n;
    peak_ = peak_.cwiseMax(XytXy_.diagonal());
}

/// count[code] += 1 for every code. Quarters in turn: codes that are sorted would wait for the sum before.
template <class T>
static void add_counts(const std::int32_t* codes, Index n, std::vector<T>& count) {
    const Index quarter = n / 4;
    for (Index i = 0; i < quarter; ++i)
        for (Index k = 0; k < 4; ++k)
            count[codes[i + k * quarter]] += 1;
    for (Index i = 4 * quarter; i < n; ++i)
        count[codes[i]] += 1;
}

void CrossProducts::add_blocks(const Rows& rows, Buffers& buffers) noexcept {
    const ChunkKernels& kernels = chunk_kernels();
    const Index P = p() + 1;
    const bool weighted = rows.weights != nullptr;
    auto& [packer, WV, block, z, z_of] = buffers;
    for (std::size_t f = 0; f < factors_.size(); ++f) {
        const std::int32_t* codes = rows.codes[layout_.factors()[f].user_position];
        add_counts(codes, rows.n, factors_[f].rows);
        if (!weighted && z_of[f].size() == 1 && z_of[f][0] == nullptr)
            add_counts(codes, rows.n, factors_[f].ZtZ);
    }
    for (Index first = 0, chunk = 1; first < rows.n; first += chunk_rows, ++chunk) {
        const Index m = std::min(chunk_rows, rows.n - first);
        const double* w = weighted ? rows.weights + first : nullptr;
        const Matrix& V = packer.pack(first, m);
        for (Index j = 0; j < P && weighted; ++j)
            for (Index i = 0; i < m; ++i)
                WV(i, j) = w[i] * V(i, j);
        const Matrix& weighted_V = weighted ? WV : V;
        kernels.add_products(m, P, V.data(), weighted_V.data(), V.rows(), block.data());
        kernels.add_column_sums(m, P, weighted_V.data(), V.rows(), column_sums_.data());
        if (chunk % chunks_per_block == 0 || first + m == rows.n) {
            for (Index j = 0; j < P; ++j)
                XytXy_.col(j).tail(P - j) += block.col(j).tail(P - j);
            block.setZero();
        }
        if (weighted)
            for (Index i = 0; i < m; ++i) {
                sum_weights_ += w[i];
                sum_log_weights_ += std::log(w[i]);
            }
        else
            sum_weights_ += static_cast<double>(m);

        for (Index j = 0; j < z.cols(); ++j) {
            const double shift = random_.shift(j), inverse_scale = 1.0 / random_.scale(j);
            for (Index i = 0; i < m && !rows.Z[j].is_constant(); ++i)
                z(i, j) = (rows.Z[j][first + i] - shift) * inverse_scale;
        }
        for (std::size_t f = 0; f < factors_.size(); ++f) {
            const auto& factor = layout_.factors()[f];
            kernels.add_to_levels({m, P, factor.n_cols, rows.codes[factor.user_position] + first, weighted_V.data(),
                                   weighted_V.rows(), w, z_of[f].data(), factors_[f].ZtZ.data(),
                                   factors_[f].ZtXy.data()});
        }
    }
    for (Index j = 1; j < P; ++j)  // the upper triangle
        for (Index i = 0; i < j; ++i)
            XytXy_(i, j) = XytXy_(j, i);
}

Vector CrossProducts::means() const {
    Vector means(p() + 1);
    const auto of_X = column_sums_.head(p());
    means.head(p()) = fixed_.R.triangularView<Eigen::Upper>().transpose() * of_X / sum_weights_ + fixed_.shift;
    means[p()] = (fixed_.gamma.dot(of_X) + fixed_.y_scale * column_sums_[p()]) / sum_weights_;
    return means;
}

}  // namespace pymixed
