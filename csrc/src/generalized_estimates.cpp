// Estimates at the last evaluation of a GeneralizedDeviance, in the host's units.

#include <Eigen/Eigenvalues>
#include <Eigen/LU>

#include "generalized_rows.hpp"
#include "template_parameters.hpp"

namespace pymixed {

Vector GeneralizedDeviance::beta() const {
    const Index p = problem_.p();
    return problem_.linear().products().fixed_basis().U().topLeftCorner(p, p).partialPivLu().solve(pirls_->beta);
}

double GeneralizedDeviance::squared_modes() const {
    return pirls_->u.squaredNorm();
}

Matrix GeneralizedDeviance::unscaled_covariance() {
    const SortedRows& data = problem_.rows();
    const Index p = problem_.p();
    if (p == 0)
        return Matrix(0, 0);
    const Vector& weights = criterion_weights();
    const Matrix WX = weights.asDiagonal() * data.X;
    Matrix R = Matrix::Zero(data.q, p), QR;
    for (Index j = 0; j < p; ++j)
        data.add_Ztr(WX.col(j).data(), R.col(j).data());
    PenalizedFactor& factor = pirls_->factor();
    factor.update(weights.data(), parameters_->T());
    factor.solve(parameters_->T(), R, QR, nullptr);
    const Matrix XVX = data.X.transpose() * WX - R.transpose() * QR;
    // where a coefficient runs off to infinity its variance is large, not rounding
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(XVX);
    const double least = 1e-13 * eigen.eigenvalues().cwiseAbs().maxCoeff();
    const Matrix inverse = eigen.eigenvectors() * eigen.eigenvalues().cwiseMax(least).cwiseInverse().asDiagonal() *
                           eigen.eigenvectors().transpose();
    const Eigen::PartialPivLU<Matrix> lu(problem_.linear().products().fixed_basis().U().topLeftCorner(p, p));
    return lu.solve(lu.solve(inverse).transpose());
}

const Vector& GeneralizedDeviance::criterion_weights() const {
    return expected_ ? rows_->weights : pirls_->weights();
}

Vector GeneralizedDeviance::to_host_order(const Vector& rows) const {
    const SortedRows& data = problem_.rows();
    Vector out(data.n);
    for (Index i = 0; i < data.n; ++i)
        out[data.order[i]] = rows[i];
    return out;
}

Vector GeneralizedDeviance::linear_predictor() const {
    return to_host_order(pirls_->eta());
}

Vector GeneralizedDeviance::working_weights() const {
    return to_host_order(criterion_weights());
}

Vector GeneralizedDeviance::working_scores() const {
    return to_host_order(pirls_->score());
}

CrossProducts GeneralizedDeviance::working_products() const {
    return problem_.linear().products().with_weights(problem_.rows().internal_rows(problem_.layout()),
                                                     criterion_weights());
}

std::vector<std::vector<double>> GeneralizedDeviance::modes() const {
    const auto& factors = problem_.layout().factors();
    std::vector<std::vector<double>> out(factors.size());
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        const Matrix C_inverse = problem_.linear().products().random_basis().user()[f].inverse();
        std::vector<double> b(factors[f].size());
        for (Index g = 0; g < factors[f].n_levels; ++g)
            Eigen::Map<Vector>(b.data() + g * c, c) =
                C_inverse * pirls_->b().segment(problem_.rows().first_effect[f][g], c);
        out[factors[f].user_position] = std::move(b);
    }
    return out;
}

std::vector<std::vector<double>> GeneralizedDeviance::conditional_covariances() {
    const auto& factors = problem_.layout().factors();
    PenalizedFactor& factor = pirls_->factor();
    const Vector& weights = criterion_weights();
    Templates products = problem_.layout().make_templates();
    factor.update(weights.data(), parameters_->T());
    factor.invert(parameters_->T(), products);
    std::vector<std::vector<double>> out(factors.size());
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        const Matrix C_inverse = problem_.linear().products().random_basis().user()[f].inverse();
        std::vector<double> blocks(factors[f].size() * c);
        for (Index g = 0; g < factors[f].n_levels; ++g)
            MatrixMap(blocks.data() + g * c * c, c, c) =
                C_inverse * factor.diagonal_block(f, g) * C_inverse.transpose();
        out[factors[f].user_position] = std::move(blocks);
    }
    return out;
}

}  // namespace pymixed
