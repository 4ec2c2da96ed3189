#include "minque.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "pymixed/fit.hpp"
#include "tail.hpp"

namespace pymixed {

Minque::Minque(const Problem& problem, const CrossProducts& products) : problem_(problem) {
    const auto& factors = problem.layout().factors();
    const Index p = products.p(), P = p + 1;
    for (const auto& factor : factors) {
        first_column_.push_back(n_columns_);
        n_columns_ += factor.n_cols;
    }
    const Index k = n_columns_;

    // E = Z'WX R^-1 with R'R = X'WX
    XtX_.compute(products.XytXy().topLeftCorner(p, p));
    const Matrix R_inverse = XtX_.matrixU().solve(Matrix::Identity(p, p));
    std::vector<RowMatrix> E;
    std::vector<Matrix> EtE(k, Matrix::Zero(p, p));
    Matrix S = Matrix::Zero(k + 1, k + 1);
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols, rows = factors[f].size(), first = first_column_[f];
        const double* ZtZ = products.factor(f).ZtZ.data();
        E.emplace_back(ConstRowMatrixMap(products.factor(f).ZtXy.data(), rows, P).leftCols(p) * R_inverse);
        for (Index r = 0; r < rows; ++r)
            EtE[first + r % c].noalias() += E[f].row(r).transpose() * E[f].row(r);
        for (Index g = 0; g < factors[f].n_levels; ++g)
            for (Index i = 0; i < c; ++i)
                for (Index j = 0; j <= i; ++j) {
                    const double a = ZtZ[g * packed(c, 0) + packed(i, j)];
                    const double inner = E[f].row(g * c + i).dot(E[f].row(g * c + j));
                    S(first + i, first + j) += a * (a - 2.0 * inner);
                    if (i == j)
                        S(k, first + i) += a - inner;
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
                        S(first_column_[coupling.b] + j, first_column_[coupling.a] + i) += a * (a - 2.0 * inner);
                    }
    }
    for (Index i = 0; i < k; ++i)
        for (Index j = 0; j <= i; ++j) {
            S(i, j) += EtE[i].cwiseProduct(EtE[j]).sum();
            S(j, i) = S(i, j);
        }
    S.col(k).head(k) = S.row(k).head(k);
    S(k, k) = static_cast<double>(problem.n() - p);
    S_inverse_ = S.colPivHouseholderQr().solve(Matrix::Identity(k + 1, k + 1));
}

Vector Minque::start(const ResponseView& response, double residual_variance) const {
    const RandomEffects& layout = problem_.layout();
    const auto& factors = layout.factors();
    const Index p = problem_.p(), P = p + 1, k = n_columns_;
    const Matrix& XytXy = *response.XytXy;
    Vector w(P), q = Vector::Zero(k + 1);  // Z'W M y = Z'W[X y] w
    w.head(p) = -XtX_.solve(XytXy.col(p).head(p));
    w[p] = 1.0;
    q[k] = XytXy.col(p).dot(w);
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        for (Index g = 0; g < factors[f].n_levels; ++g) {
            const double* rows =
                f == 0 ? response.leading + g * c * P
                       : response.tail->data() + problem_.tail().block_start[problem_.tail().block_of[f][g]] * P;
            for (Index j = 0; j < c; ++j) {
                const double e = Eigen::Map<const Vector>(rows + j * P, P).dot(w);
                q[first_column_[f] + j] += e * e;
            }
        }
    }
    Vector theta(layout.n_theta());
    start_into(q, residual_variance, response.scale, theta);
    return theta;
}

Vector Minque::start(const SortedRows& rows, const Vector& y, const Vector& weights, double residual_variance) const {
    const auto& factors = problem_.layout().factors();
    Vector rest = y;
    if (rows.offset.size() > 0)
        rest -= rows.offset;
    rest -= rows.X * XtX_.solve(rows.X.transpose() * weights.cwiseProduct(rest));
    const Vector weighted = weights.cwiseProduct(rest);
    Vector sums = Vector::Zero(rows.q), q = Vector::Zero(n_columns_ + 1);
    rows.add_Ztr(weighted.data(), sums.data());
    for (std::size_t f = 0; f < factors.size(); ++f)
        for (const Index first : rows.first_effect[f])
            for (Index j = 0; j < factors[f].n_cols; ++j)
                q[first_column_[f] + j] += sums[first + j] * sums[first + j];
    q[n_columns_] = rest.dot(weighted);
    Vector theta(problem_.layout().n_theta());
    start_into(q, residual_variance, 1.0, theta);
    return theta;
}

void Minque::start_into(const Vector& q, double residual_variance, double y_scale, Vector& theta) const {
    const auto& entries = problem_.layout().entries();
    const auto variance = [&](Index column) { return S_inverse_.row(column).dot(q); };
    const double unit = residual_variance > 0.0 ? residual_variance / (y_scale * y_scale) : variance(n_columns_);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        theta[i] = 0.0;
        if (entries[i].row != entries[i].col)
            continue;
        const double ratio = variance(first_column_[entries[i].factor] + entries[i].row) / unit;
        theta[i] = unit > 0.0 && std::isfinite(ratio) ? std::sqrt(std::min(std::max(ratio, 0.04), 1e12)) : 1.0;
    }
}

Vector minque_start(const Problem& problem, double residual_variance) {
    return Minque(problem).start(problem.response(), residual_variance);
}

}  // namespace pymixed
