// Bases for the columns, estimated from a sample of the rows.

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "pymixed/crossproducts.hpp"

namespace pymixed {

namespace {

/// Row numbers spread over the data; jittered, so that a periodic design does not alias.
std::vector<Index> sample_rows(Index n, Index most) {
    if (n < 1)
        throw std::invalid_argument("rows: expected at least one, got none");
    const Index m = std::min(n, most), step = n / m;
    std::vector<Index> rows(m);
    for (Index i = 0; i < m; ++i)
        rows[i] = i * step + (i * 7919) % step;
    return rows;
}

bool is_all_ones(const ColumnView& column, Index n) {
    if (column.is_constant())
        return true;
    for (Index i = 0; i < n; ++i)
        if (column[i] != 1.0)
            return false;
    return true;
}

}  // namespace

RandomBasis RandomBasis::from_rows(const RandomEffects& layout, const Rows& rows, bool centred) {
    const Index count = layout.n_columns();
    const std::vector<Index> picked = sample_rows(rows.n, 1024);
    const Index m = static_cast<Index>(picked.size());
    Vector shift = Vector::Zero(count), scale = Vector::Ones(count), sample(m);
    std::vector<bool> constant(count, false);
    for (Index j = 0; j < count; ++j) {
        constant[j] = rows.Z[j].is_constant();
        if (constant[j])
            continue;
        for (Index i = 0; i < m; ++i)
            sample[i] = rows.Z[j][picked[i]];
        shift[j] = sample.mean();
        const double sd = std::sqrt((sample.array() - shift[j]).square().mean());
        const double size = sample.cwiseAbs().maxCoeff();
        if (size > 0.0)
            scale[j] = sd > 1e-12 * size ? sd : size;
    }
    const RandomBasis shifted(layout, shift, scale, constant);
    for (Index j = 0; j < count; ++j)  // a column that no constant centres is scaled by its root mean square
        if (!constant[j] && (!centred || shifted.shift(j) == 0.0))
            scale[j] = std::hypot(scale[j], shift[j]);
    if (!centred)
        shift.setZero();
    return RandomBasis(layout, shift, scale, constant);
}

Matrix FixedBasis::U() const {
    Matrix U = Matrix::Zero(p() + 1, p() + 1);
    U.topLeftCorner(p(), p()) = R;
    if (intercept >= 0)
        U.topLeftCorner(p(), p()) += R.col(intercept) * shift.transpose();
    U.topRightCorner(p(), 1) = gamma;
    U(p(), p()) = y_scale;
    return U;
}

void FixedBasis::set_R(Matrix upper) {
    R = std::move(upper);
    diagonal = true;
    for (Index j = 1; j < R.cols(); ++j)
        diagonal = diagonal && R.col(j).head(j).isZero(0.0);
    R_inverse = R.triangularView<Eigen::Upper>().solve(Matrix::Identity(R.rows(), R.cols()));
}

Matrix FixedBasis::change_to(const FixedBasis& to, const std::vector<Index>& columns) const {
    // X~_to = X~ M with M = (R S + R_1 d') R_to^-1: S selects the columns, d is the difference of their shifts, and
    // R_1, the intercept's column of R, is what makes X~ the constant 1. With S taken out of M nothing large cancels.
    const Index kept = to.p();
    Matrix rest(p(), kept);
    for (Index j = 0; j < kept; ++j) {
        rest.col(j) = R.col(columns[j]);
        if (intercept >= 0)
            rest.col(j) += (shift[columns[j]] - to.shift[j]) * R.col(intercept);
    }
    for (Index j = 0; j < kept; ++j)
        rest.row(columns[j]) -= to.R.row(j);
    to.R.triangularView<Eigen::Upper>().solveInPlace<Eigen::OnTheRight>(rest);
    Matrix M = Matrix::Zero(p() + 1, kept + 1);
    Vector of_y = gamma;
    M.topLeftCorner(p(), kept) = rest;
    for (Index j = 0; j < kept; ++j) {
        M(columns[j], j) += 1.0;
        of_y[columns[j]] -= to.gamma[j];
    }
    of_y -= rest * to.gamma;
    M.topRightCorner(p(), 1) = of_y / to.y_scale;
    M(p(), kept) = y_scale / to.y_scale;
    return M;
}

Matrix FixedBasis::change_to(const FixedBasis& to) const {
    std::vector<Index> all(p());
    std::iota(all.begin(), all.end(), Index{0});
    return change_to(to, all);
}

FixedBasis FixedBasis::without_intercept() const {
    const Eigen::HouseholderQR<Matrix> qr(U().topLeftCorner(p(), p()));
    FixedBasis out;
    out.shift = Vector::Zero(p());
    out.set_R(qr.matrixQR().triangularView<Eigen::Upper>());
    out.gamma = qr.householderQ().transpose() * gamma;
    out.y_scale = y_scale;
    return out;
}

bool FixedBasis::operator==(const FixedBasis& other) const {
    return p() == other.p() && intercept == other.intercept && shift == other.shift && R == other.R &&
           gamma == other.gamma && y_scale == other.y_scale;
}

void check_intercept(const Rows& rows, Index intercept) {
    if (intercept < -1 || intercept >= static_cast<Index>(rows.X.size()))
        throw std::invalid_argument("intercept: expected -1 to " + std::to_string(rows.X.size() - 1) + ", got " +
                                    std::to_string(intercept));
    if (intercept >= 0 && !is_all_ones(rows.X[intercept], rows.n))
        throw std::invalid_argument("X: expected column " + std::to_string(intercept) + " to be the constant 1");
}

FixedBasis FixedBasis::from_rows(const Rows& rows, std::optional<Index> intercept) {
    const Index p = static_cast<Index>(rows.X.size());
    const std::vector<Index> picked = sample_rows(rows.n, std::max<Index>(512, 4 * p));
    const Index m = static_cast<Index>(picked.size());
    const double root_m = std::sqrt(static_cast<double>(m));
    FixedBasis basis;
    basis.shift = Vector::Zero(p);
    if (intercept) {
        check_intercept(rows, *intercept);
        basis.intercept = *intercept;
    }
    for (Index j = 0; j < p && !intercept && basis.intercept < 0; ++j)
        if (is_all_ones(rows.X[j], rows.n))
            basis.intercept = j;

    // modified Gram-Schmidt on the sample: raw = Q R with columns of unit root mean square
    Matrix Q(m, p);
    Vector size(p);
    basis.R = Matrix::Zero(p, p);
    double smallest_angle = 1.0;
    for (Index j = 0; j < p; ++j) {
        auto q = Q.col(j);
        for (Index i = 0; i < m; ++i)
            q[i] = rows.X[j][picked[i]];
        if (basis.intercept >= 0 && j != basis.intercept) {
            basis.shift[j] = q.mean();
            q.array() -= basis.shift[j];
        }
        size[j] = q.norm() / root_m;
        if (size[j] <= 1e-12 * std::abs(basis.shift[j]))
            size[j] = basis.shift[j] == 0.0 ? 1.0 : std::abs(basis.shift[j]);
        for (Index k = 0; k < j; ++k) {
            basis.R(k, j) = Q.col(k).dot(q) / m;
            q -= basis.R(k, j) * Q.col(k);
        }
        basis.R(j, j) = q.norm() / root_m;
        if (basis.R(j, j) > 1e-7 * size[j]) {
            smallest_angle = std::min(smallest_angle, basis.R(j, j) / size[j]);
            q /= basis.R(j, j);
        } else {  // collinear in the sample: scaled only
            basis.R.col(j).setZero();
            basis.R(j, j) = size[j];
            q.setZero();
        }
    }
    Vector y(m);
    for (Index i = 0; i < m; ++i)
        y[i] = rows.y[picked[i]] - (rows.offset == nullptr ? 0.0 : rows.offset[picked[i]]);
    const double y_size = y.norm() / root_m;
    basis.gamma.resize(p);
    for (Index j = 0; j < p; ++j) {
        basis.gamma[j] = Q.col(j).dot(y) / m;
        y -= basis.gamma[j] * Q.col(j);
    }
    const double rest = y.norm() / root_m;
    basis.y_scale = rest > 1e-10 * y_size ? rest : (y_size > 0.0 ? y_size : 1.0);

    if (smallest_angle > 0.05) {
        basis.gamma = size.asDiagonal() * basis.R.triangularView<Eigen::Upper>().solve(basis.gamma);
        basis.R = size.asDiagonal();
    }
    basis.set_R(std::move(basis.R));
    return basis;
}

}  // namespace pymixed
