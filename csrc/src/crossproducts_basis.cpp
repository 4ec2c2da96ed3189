// Cross-products in another basis, and of fewer columns.

#include <Eigen/Cholesky>
#include <Eigen/LU>

#include "pymixed/crossproducts.hpp"

namespace pymixed {

CrossProducts CrossProducts::with_columns(const std::vector<Index>& columns) const {
    const Index kept = static_cast<Index>(columns.size());
    FixedBasis basis;
    basis.shift.resize(kept);
    basis.y_scale = fixed_.y_scale;
    for (Index j = 0; j < kept; ++j)
        if (columns[j] == fixed_.intercept)
            basis.intercept = j;
    Matrix R = Matrix::Identity(kept, kept);
    for (Index j = 0; j < kept; ++j) {
        basis.shift[j] = basis.intercept >= 0 ? fixed_.shift[columns[j]] : 0.0;
        R(j, j) = fixed_.R(columns[j], columns[j]);
    }
    basis.set_R(std::move(R));
    basis.gamma = Vector::Zero(kept);
    // X~ gamma, the part of y that was taken out, in the columns that are kept (they span the others)
    const Matrix N = fixed_.change_to(basis, columns).topLeftCorner(p(), kept);
    const auto XtX = XytXy_.topLeftCorner(p(), p());
    basis.gamma = (N.transpose() * XtX * N).ldlt().solve(N.transpose() * (XtX * fixed_.gamma));
    CrossProducts out = *this;
    const Matrix change = fixed_.change_to(basis, columns);
    out.change_fixed_basis(change, std::move(basis));
    return out;
}

Vector column_pivots(const Matrix& XytXy, Index intercept) {
    const Index P = XytXy.rows();
    std::vector<Index> order;
    if (intercept >= 0)
        order.push_back(intercept);
    for (Index j = 0; j < P; ++j)
        if (j != intercept)
            order.push_back(j);
    Matrix A = XytXy(order, order);
    constexpr double tolerance = 1e-11;
    const Vector size = A.diagonal();
    Vector pivots = Vector::Zero(P);
    for (Index j = 0; j < P; ++j) {
        if (!(A(j, j) > tolerance * size[j]))
            continue;
        pivots[order[j]] = A(j, j);
        for (Index k = j + 1; k < P; ++k)
            A.col(k).tail(P - k) -= A(k, j) / A(j, j) * A.col(j).tail(P - k);
    }
    return pivots;
}

void CrossProducts::change_basis(const FixedBasis& fixed, const RandomBasis& random) {
    if (!(fixed == fixed_))
        change_fixed_basis(fixed_.change_to(fixed), fixed);
    if (!(random == random_))
        change_random_basis(random);
}

/// [X~ y~]_new = [X~ y~]_old M, hence sums become M' sums M.
void CrossProducts::change_fixed_basis(const Matrix& M, FixedBasis basis) {
    const Index P = p() + 1, new_P = M.cols();
    XytXy_ = (M.transpose() * XytXy_ * M).eval();
    column_sums_ = (M.transpose() * column_sums_).eval();
    peak_ = (M.cwiseAbs().transpose() * peak_.cwiseSqrt()).cwiseAbs2();
    for (FactorProducts& factor : factors_) {
        const Index rows = static_cast<Index>(factor.ZtXy.size()) / P;
        std::vector<double> changed(rows * new_P);
        RowMatrixMap(changed.data(), rows, new_P).noalias() = ConstRowMatrixMap(factor.ZtXy.data(), rows, P) * M;
        factor.ZtXy = std::move(changed);
    }
    fixed_ = std::move(basis);
}

/// Z~_new = Z~_old M within each level.
void CrossProducts::change_random_basis(const RandomBasis& basis) {
    const Index P = p() + 1;
    const Templates change = random_.change_to(layout_, basis);
    for (std::size_t f = 0; f < factors_.size(); ++f) {
        const auto& factor = layout_.factors()[f];
        const Index c = factor.n_cols;
        const Matrix& M = change[f];
        Matrix square(c, c), half(c, c);
        RowMatrix rows(c, P);
        for (Index g = 0; g < factor.n_levels; ++g) {
            double* sums = factors_[f].ZtZ.data() + g * packed(c, 0);
            for (Index i = 0; i < c; ++i)
                for (Index j = 0; j <= i; ++j)
                    square(i, j) = square(j, i) = sums[packed(i, j)];
            half.noalias() = square.lazyProduct(M);
            square.noalias() = M.transpose().lazyProduct(half);
            for (Index i = 0; i < c; ++i)
                for (Index j = 0; j <= i; ++j)
                    sums[packed(i, j)] = square(i, j);
            RowMatrixMap B(factors_[f].ZtXy.data() + g * c * P, c, P);
            rows.noalias() = M.transpose().lazyProduct(B);
            B = rows;
        }
    }
    for (CouplingProducts& coupling : couplings_) {
        const Matrix &left = change[coupling.a], &right = change[coupling.b];
        const Index ca = left.rows(), cb = right.rows();
        RowMatrix half(ca, cb);
        for (Index i = 0; i < coupling.cells(); ++i) {
            RowMatrixMap block(coupling.block.data() + i * ca * cb, ca, cb);
            half.noalias() = block.lazyProduct(right);
            block.noalias() = left.transpose().lazyProduct(half);
        }
    }
    random_ = basis;
}

}  // namespace pymixed
