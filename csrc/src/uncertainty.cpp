#include "uncertainty.hpp"

#include <Eigen/Eigenvalues>
#include <cmath>

namespace pymixed {

namespace {

constexpr double flat = 1e-10;             // scaled eigenvalues of directions that do not change the model
constexpr double least_curvature = -1e-6;  // the smallest that may be rounding

/// H scaled to a unit diagonal, by its eigenvalues and eigenvectors.
struct UnitDiagonal {
    Vector scale;
    Eigen::SelfAdjointEigenSolver<Matrix> eigen;

    explicit UnitDiagonal(const Matrix& H)
        : scale(H.diagonal().unaryExpr([](double d) { return d > 0.0 ? 1.0 / std::sqrt(d) : 1.0; })),
          eigen(scale.asDiagonal() * H * scale.asDiagonal()) {}
};

Matrix block(const Matrix& A, const std::vector<Index>& rows, const std::vector<Index>& columns) {
    Matrix out(rows.size(), columns.size());
    for (std::size_t j = 0; j < columns.size(); ++j)
        for (std::size_t i = 0; i < rows.size(); ++i)
            out(i, j) = A(rows[i], columns[j]);
    return out;
}

/// Twice the part of the inverse of H that belongs to `wanted`; directions of the others along which the model does not
/// change take no part, along such a direction of the wanted ones the variance is very large.
Matrix covariance_of(const Matrix& H, const std::vector<Index>& wanted, const std::vector<Index>& others) {
    const Matrix coupling = block(H, wanted, others);
    const Matrix precision =
        block(H, wanted, wanted) - coupling * positive_inverse(block(H, others, others)) * coupling.transpose();
    const UnitDiagonal unit(precision);
    const Matrix half = unit.scale.asDiagonal() * unit.eigen.eigenvectors();
    return 2.0 * half * unit.eigen.eigenvalues().cwiseMax(flat).cwiseInverse().asDiagonal() * half.transpose();
}

}  // namespace

Matrix positive_inverse(const Matrix& H) {
    if (H.size() == 0)
        return H;
    const UnitDiagonal unit(H);
    const Vector inverse =
        unit.eigen.eigenvalues().unaryExpr([](double value) { return value > flat ? 1.0 / value : 0.0; });
    const Matrix half = unit.scale.asDiagonal() * unit.eigen.eigenvectors();
    return half * inverse.asDiagonal() * half.transpose();
}

std::vector<bool> free_entries(const RandomEffects& layout, const Vector& theta) {
    const auto& entries = layout.entries();
    std::vector<bool> free(entries.size(), false);
    for (std::size_t first = 0; first < entries.size();) {  // a column's diagonal entry comes first
        std::size_t last = first + 1;
        while (last < entries.size() && entries[last].row != entries[last].col)
            ++last;
        const bool any = !theta.segment(first, last - first).isZero(0.0);
        std::fill(free.begin() + first, free.begin() + last, any);
        first = last;
    }
    return free;
}

VarianceUncertainty variance_uncertainty(const CriterionDerivatives& derivatives, const std::vector<bool>& is_free,
                                         double sigma2, double nu) {
    const Index m = derivatives.pwrss.size();
    const double sigma = std::sqrt(sigma2);
    std::vector<Index> free;
    for (Index i = 0; i < m; ++i)
        if (is_free[i])
            free.push_back(i);
    // the minimising sigma follows theta with the slope (dr^2/dtheta) / (2 nu sigma)
    Matrix follow = Matrix::Zero(m + 1, static_cast<Index>(free.size()));
    for (std::size_t j = 0; j < free.size(); ++j) {
        follow(free[j], j) = 1.0;
        follow(m, j) = derivatives.pwrss[free[j]] / (2.0 * nu * sigma);
    }
    VarianceUncertainty out;
    out.covariance = 2.0 * follow * positive_inverse(block(derivatives.hessian, free, free)) * follow.transpose();
    out.covariance(m, m) += sigma2 / (2.0 * nu);
    out.jacobian.resize(m + 1, derivatives.C.size());
    out.jacobian.topRows(m) = sigma2 * derivatives.C_change;
    out.jacobian.row(m) = 2.0 * sigma * derivatives.C.transpose();
    return out;
}

VarianceUncertainty variance_uncertainty(Deviance& deviance, const Vector& theta) {
    const Index m = theta.size(), p = deviance.problem().p();
    CriterionDerivatives at;
    at.hessian = deviance.hessian(theta, Coordinates::Internal);
    deviance.evaluate(theta, Coordinates::Internal);
    deviance.differentiate();
    at.pwrss = deviance.pwrss_derivatives();
    at.C.resize(packed(p, 0));
    at.C_change.resize(m, packed(p, 0));
    const Matrix C = deviance.unscaled_covariance();
    const std::vector<Matrix> change = deviance.covariance_derivatives();
    for (Index i = 0; i < p; ++i)
        for (Index j = 0; j <= i; ++j) {
            at.C[packed(i, j)] = C(i, j);
            for (Index t = 0; t < m; ++t)
                at.C_change(t, packed(i, j)) = change[t](i, j);
        }
    return variance_uncertainty(at, free_entries(deviance.problem().layout(), theta), deviance.sigma2(),
                                static_cast<double>(deviance.nu()));
}

Matrix coefficient_covariance(GeneralizedDeviance& deviance, const Vector& psi) {
    const Index m = deviance.n_theta(), p = deviance.n_beta();
    const Matrix H = deviance.hessian(psi, Coordinates::Internal);
    const Matrix to_user = deviance.problem().coefficient_map();
    if (!H.allFinite())
        return Matrix();
    const std::vector<bool> is_free = free_entries(deviance.problem().layout(), psi.head(m));
    std::vector<Index> wanted, others, all;
    for (Index i = 0; i < psi.size(); ++i) {
        if (i < m && !is_free[i])
            continue;
        (i >= m && i < m + p ? wanted : others).push_back(i);
        all.push_back(i);
    }
    if (UnitDiagonal(block(H, all, all)).eigen.eigenvalues()[0] < least_curvature)
        return Matrix();
    return to_user * covariance_of(H, wanted, others) * to_user.transpose();
}

}  // namespace pymixed
