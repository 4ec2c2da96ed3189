// Estimates at the last evaluation of a Deviance, in the host's units.

#include <Eigen/LU>
#include <algorithm>

#include "pymixed/deviance.hpp"
#include "scores.hpp"
#include "template_parameters.hpp"

namespace pymixed {

double Deviance::pwrss() const {
    const double scale = pls_->response().scale;
    return scale * scale * pls_->pwrss();
}

double Deviance::response_scale() const {
    return pls_->response().scale;
}

Vector Deviance::beta() const {
    return coefficient_map_ * (*pls_->response().gamma + pls_->response().scale * pls_->beta());
}

Matrix Deviance::unscaled_covariance() const {
    const Matrix root = coefficient_map_ * pls_->RX_inverse();
    return root * root.transpose();
}

std::vector<std::vector<double>> Deviance::modes() {
    const auto& factors = problem_.layout().factors();
    const Leading& lead = problem_.leading();
    const double y_scale = pls_->response().scale;
    const Index P = lead.P;
    const Vector w = scores_->weights().col(P - 1);
    std::vector<std::vector<double>> out(factors.size());
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        const Matrix C_inverse = y_scale * problem_.products().random_basis().user()[f].inverse();
        std::vector<double> b(factors[f].size());
        RowMatrix rhs(c, P);
        Vector mode(c);
        for (Index g = 0; g < factors[f].n_levels; ++g) {
            if (f == 0) {
                scores_->leading_rhs_into(g, rhs.data());
                mode = ConstMatrixMap(pls_->leading().K(lead.pattern[g]), c, c) * (rhs * w);
            } else {
                const Tail& tail = problem_.tail();
                mode = scores_->tail_solution().middleRows(tail.block_start[tail.block_of[f][g]], c) * w;
            }
            Eigen::Map<Vector>(b.data() + g * c, c) = C_inverse * mode;
        }
        out[factors[f].user_position] = std::move(b);
    }
    return out;
}

std::vector<std::vector<double>> Deviance::conditional_covariances() {
    const auto& factors = problem_.layout().factors();
    const Leading& lead = problem_.leading();
    std::vector<std::vector<double>> out(factors.size());
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const Index c = factors[f].n_cols;
        const Matrix C_inverse = problem_.products().random_basis().user()[f].inverse();
        std::vector<double> blocks(factors[f].size() * c);
        for (Index g = 0; g < factors[f].n_levels; ++g) {
            Matrix V(c, c);
            if (f == 0) {
                V = ConstMatrixMap(pls_->leading().K(lead.pattern[g]), c, c);
                if (problem_.has_tail())
                    V += (V * ConstMatrixMap(leading_R_.data() + g * c * c, c, c) * V).eval();
            } else {
                pls_->schur().diagonal_block_into(problem_.tail().block_of[f][g], V);
            }
            MatrixMap(blocks.data() + g * c * c, c, c) = C_inverse * V * C_inverse.transpose();
        }
        out[factors[f].user_position] = std::move(blocks);
    }
    return out;
}

std::vector<Matrix> Deviance::covariance_derivatives() {
    const auto& entries = problem_.layout().entries();
    const Leading& lead = problem_.leading();
    const Index m = gradient_.size(), p = problem_.p(), P = p + 1;
    std::vector<Matrix> change(m, Matrix::Zero(p, p));
    const auto add = [&](std::int32_t f, Index c, const double* rows) {  // G_g'D_iG_g
        const ConstRowMatrixMap GS(rows, c, P);
        const auto G = GS.leftCols(p);
        for (Index i = 0; i < m; ++i)
            if (entries[i].factor == f)
                change[i].noalias() += G.transpose() * (parameters_->D()[i] * G);
    };
    for (Index first = 0; first < lead.n_levels; first += PenalizedLeastSquares::batch) {
        const Index last = std::min(first + PenalizedLeastSquares::batch, lead.n_levels);
        const double* rows = scores_->leading_rows(*pls_, first, last).data();
        for (Index g = first; g < last; ++g)
            add(0, lead.c, rows + (g - first) * lead.c * P);
    }
    if (problem_.has_tail()) {
        const Tail& tail = problem_.tail();
        for (Index J = 0; J < tail.n_blocks(); ++J)
            add(tail.block_factor[J], tail.block_start[J + 1] - tail.block_start[J],
                scores_->tail_rows().data() + tail.block_start[J] * P);
    }
    const Matrix root = coefficient_map_ * pls_->RX_inverse();
    for (Matrix& dC : change)
        dC = (root * dC * root.transpose()).eval();
    return change;
}

Vector Deviance::pwrss_derivatives() const {
    const auto& entries = problem_.layout().entries();
    const double scale = pls_->response().scale;
    Vector out(gradient_.size());
    for (Index i = 0; i < out.size(); ++i)
        out[i] = -scale * scale * parameters_->D()[i].cwiseProduct(scores_->ss(entries[i].factor)).sum();
    return out;
}

}  // namespace pymixed
