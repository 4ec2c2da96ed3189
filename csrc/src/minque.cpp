#include <Eigen/Cholesky>
#include <Eigen/QR>
#include <cmath>

#include "pymixed/fit.hpp"

namespace pymixed {

namespace {

/// Position of a column among the columns of all factors, factor after factor in internal order.
struct Column {
    Index factor, column;
};

}  // namespace

Vector minque_start(const Problem& problem, double residual_variance) {
    const CrossProducts& products = problem.products();
    const RandomEffects& layout = problem.layout();
    const auto& factors = layout.factors();
    const Index p = products.p(), P = p + 1;

    std::vector<Column> columns;
    std::vector<Index> first_column;
    for (std::size_t f = 0; f < factors.size(); ++f) {
        first_column.push_back(static_cast<Index>(columns.size()));
        for (Index j = 0; j < factors[f].n_cols; ++j)
            columns.push_back({static_cast<Index>(f), j});
    }
    const Index k = static_cast<Index>(columns.size());

    // E = Z'WX R^-1 with R'R = X'WX, e = Z'W M y with M the projection off X
    const Eigen::LLT<Matrix> XtX(products.XytXy().topLeftCorner(p, p));
    const Vector beta = XtX.solve(products.XytXy().topRightCorner(p, 1));
    const Matrix R_inverse = XtX.matrixU().solve(Matrix::Identity(p, p));
    std::vector<RowMatrix> E;
    std::vector<Matrix> EtE(k, Matrix::Zero(p, p));
    Matrix S = Matrix::Zero(k + 1, k + 1);
    Vector rhs = Vector::Zero(k + 1);
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols, rows = factors[f].size();
        const ConstRowMatrixMap B(products.factor(f).ZtXy.data(), rows, P);
        const double* ZtZ = products.factor(f).ZtZ.data();
        E.emplace_back(B.leftCols(p) * R_inverse);
        const Vector e = B.col(p) - B.leftCols(p) * beta;
        for (Index j = 0; j < c; ++j) {
            const Index at = first_column[f] + j;
            for (Index r = j; r < rows; r += c) {
                rhs[at] += e[r] * e[r];
                EtE[at].noalias() += E[f].row(r).transpose() * E[f].row(r);
            }
        }
        for (Index g = 0; g < factors[f].n_levels; ++g)
            for (Index i = 0; i < c; ++i)
                for (Index j = 0; j <= i; ++j) {
                    const double a = ZtZ[g * packed(c, 0) + packed(i, j)];
                    const double inner = E[f].row(g * c + i).dot(E[f].row(g * c + j));
                    S(first_column[f] + i, first_column[f] + j) += a * (a - 2.0 * inner);
                    if (i == j)
                        S(k, first_column[f] + i) += a - inner;
                }
    }
    for (const CouplingProducts& coupling : products.couplings()) {
        const Index ca = factors[coupling.a].n_cols, cb = factors[coupling.b].n_cols;
        for (Index g = 0; g < factors[coupling.a].n_levels; ++g)
            for (Index cell = coupling.start[g]; cell < coupling.start[g + 1]; ++cell)
                for (Index i = 0; i < ca; ++i)
                    for (Index j = 0; j < cb; ++j) {
                        const double a = coupling.block[(cell * ca + i) * cb + j];
                        const double inner =
                            E[coupling.a].row(g * ca + i).dot(E[coupling.b].row(coupling.level[cell] * cb + j));
                        S(first_column[coupling.b] + j, first_column[coupling.a] + i) += a * (a - 2.0 * inner);
                    }
    }
    for (Index i = 0; i < k; ++i)
        for (Index j = 0; j <= i; ++j) {
            S(i, j) += EtE[i].cwiseProduct(EtE[j]).sum();
            S(j, i) = S(i, j);
        }
    S.col(k).head(k) = S.row(k).head(k);
    S(k, k) = static_cast<double>(problem.n() - p);
    rhs[k] = products.XytXy()(p, p) - beta.dot(products.XytXy().topRightCorner(p, 1).col(0));
    const Vector variance = S.colPivHouseholderQr().solve(rhs);

    const double y_scale = products.fixed_basis().y_scale;
    const double unit = residual_variance > 0.0 ? residual_variance / (y_scale * y_scale) : variance[k];
    Vector theta = Vector::Zero(layout.n_theta());
    for (Index i = 0; i < layout.n_theta(); ++i) {
        const auto& entry = layout.entries()[i];
        if (entry.row != entry.col)
            continue;
        const double ratio = variance[first_column[entry.factor] + entry.row] / unit;
        theta[i] = unit > 0.0 && std::isfinite(ratio) ? std::sqrt(std::min(std::max(ratio, 0.04), 1e12)) : 1.0;
    }
    return theta;
}

}  // namespace pymixed
