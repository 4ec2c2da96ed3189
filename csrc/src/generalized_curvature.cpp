// Curvature of the criterion for Newton's method, derivatives of the modes, and the rows that both come from.
//
// At fixed weights the model is linear with a working response. For a parameter psi_j let rho_j = -dr/dpsi_j, a vector
// over the rows with the modes held: W x_j for beta, W Z c_j with c_j = D_j s for theta, -dr/da for the rest. With
// R = Z'rho and G the matrix of second derivatives of -sum_i w_i log f with u held,
//
//     P = G - R'Q R,    du~/dpsi_j = [theta: d_jT's] - M^-1 T'R_j
//
// 2 P is the Hessian of the penalised deviance at the modes but for theta, where P itself is the average information
// of the linear model. Second derivatives by the family's parameters are replaced by squares of first ones.

#include <algorithm>

#include "generalized_rows.hpp"
#include "row_packer.hpp"
#include "template_parameters.hpp"

namespace pymixed {

RowDerivatives::RowDerivatives(Index n, Index n_channels, bool expected)
    : use_expected(expected), channels(n_channels) {
    for (Vector* a : {&l, &d1, &d2, &d3, &weights, &weights_d1, &h, &v, &shift, &e})
        a->setZero(n);
    if (expected) {
        this->expected.setZero(n);
        expected_d1.setZero(n);
    }
    for (Channel& channel : channels) {
        for (Vector* a : {&channel.l, &channel.d1, &channel.d2, &channel.weights})
            a->setZero(n);
        if (expected)
            channel.expected.setZero(n);
    }
}

FamilyOutput RowDerivatives::output(int order) {
    const auto target = [](Vector& a) { return a.size() > 0 ? a.data() : nullptr; };
    FamilyOutput out;
    out.order = order;
    out.l = l.data();
    out.d1 = d1.data();
    out.d2 = d2.data();
    out.d3 = d3.data();
    out.expected = target(expected);
    out.expected_d1 = target(expected_d1);
    for (Channel& channel : channels)
        out.channels.push_back({channel.l.data(), channel.d1.data(), channel.d2.data(), target(channel.expected)});
    return out;
}

void RowDerivatives::evaluate(const Pirls& pirls) {
    pirls.evaluate_rows(pirls.eta(), output(2));
    weights = use_expected ? expected : Vector(-d2);
    weights_d1 = use_expected ? expected_d1 : Vector(-d3);
    pirls.apply_weights(weights);
    pirls.apply_weights(weights_d1);
    for (Channel& channel : channels) {
        channel.weights = use_expected ? channel.expected : Vector(-channel.d2);
        for (Vector* a : {&channel.l, &channel.d1, &channel.weights})
            pirls.apply_weights(*a);
    }
}

void GeneralizedDeviance::build_equations(const Templates& T, const Vector& score) {
    const SortedRows& data = problem_.rows();
    const RandomEffects& layout = problem_.layout();
    const Index n = data.n, q = data.q, m = n_theta(), p = problem_.p(), k = problem_.family().n_parameters(),
                r = problem_.n_zero(), weighted = m + p, size = weighted + k + r;
    // c_j = D_j s by levels
    Matrix c = Matrix::Zero(q, m);
    for (Index j = 0; j < m; ++j) {
        const Index f = layout.entries()[j].factor;
        const Matrix& D = parameters_->D()[j];
        const Index width = D.rows();
        for (Index g = 0; g < layout.factors()[f].n_levels; ++g) {
            const Index start = data.first_effect[f][g];
            for (Index a = 0; a < width; ++a)
                for (Index b = 0; b < width; ++b)
                    c(start + a, j) += D(a, b) * score[start + b];
        }
    }
    Matrix& R = equations_->R;
    Matrix& P = equations_->P;
    R.setZero(q, size);
    P.setZero(size, size);
    Matrix direct(chunk_rows, weighted), rho(chunk_rows, size), slopes(chunk_rows, k + r);
    for (Index first = 0; first < n; first += chunk_rows) {
        const Index rows = std::min(chunk_rows, n - first), last = first + rows;
        direct.setZero();
        for (Index j = 0; j < m; ++j)
            data.add_Zb(c.col(j).data(), first, last, direct.col(j).data());
        direct.block(0, m, rows, p) = data.X.middleRows(first, rows);
        const auto w = pirls_->weights().segment(first, rows).array();
        for (Index j = 0; j < weighted; ++j)
            rho.col(j).head(rows).array() = w * direct.col(j).head(rows).array();
        for (Index a = 0; a < k + r; ++a) {
            const RowDerivatives::Channel& channel = rows_->channels[std::min(a, k)];
            rho.col(weighted + a).head(rows) = -channel.d1.segment(first, rows);
            slopes.col(a).head(rows) = channel.l.segment(first, rows);
            if (a >= k) {
                rho.col(weighted + a).head(rows).array() *= data.X_zero.col(a - k).segment(first, rows).array();
                slopes.col(a).head(rows).array() *= data.X_zero.col(a - k).segment(first, rows).array();
            }
        }
        for (Index j = 0; j < size; ++j)
            data.add_Ztr(rho.col(j).data(), first, last, R.col(j).data());
        P.topRows(weighted).noalias() += direct.topRows(rows).transpose() * rho.topRows(rows);
        if (k + r > 0)
            P.bottomRightCorner(k + r, k + r).noalias() += slopes.topRows(rows).transpose() * slopes.topRows(rows);
    }
    P.bottomLeftCorner(k + r, weighted) = P.topRightCorner(weighted, k + r).transpose();
    pirls_->factor().solve(T, R, equations_->QR, &equations_->UR);
    P.noalias() -= R.transpose() * equations_->QR;
    if (profiled_)
        equations_->beta_factor.compute(P.block(m, m, p, p));
}

void GeneralizedDeviance::assemble_curvature() {
    const Index m = n_theta(), p = problem_.p(), extra = n_extra();
    Matrix P = equations_->P;
    if (profiled_) {  // beta follows the others
        Matrix others(P.rows(), m + extra);
        others << P.leftCols(m), P.rightCols(extra);
        const Matrix follow = equations_->beta_factor.solve(others.middleRows(m, p));
        Matrix reduced(m + extra, m + extra);
        reduced << others.topRows(m), others.bottomRows(extra);
        P = reduced - others.middleRows(m, p).transpose() * follow;
    }
    information_matrix_ = P;
    information_matrix_.bottomRightCorner(P.rows() - m, P.rows() - m) *= 2.0;
    curvature_ = information_matrix_;
    for (Index i = 0; i < m; ++i)
        for (Index j = 0; j < m; ++j)
            curvature_(i, j) += parameters_->column_curvature(i, j, H_);
}

/// Modes and their derivatives in psi.
void GeneralizedDeviance::remember_modes(const Vector& score) {
    const RandomEffects& layout = problem_.layout();
    const SortedRows& data = problem_.rows();
    const Index m = n_theta(), p = problem_.p(), extra = n_extra();
    Matrix du = -equations_->UR;
    for (Index j = 0; j < m; ++j) {  // d_jT's: entry (row, col) of T times the basis' column
        const auto& e = layout.entries()[j];
        const Index width = parameters_->T()[e.factor].rows();
        for (Index g = 0; g < layout.factors()[e.factor].n_levels; ++g) {
            const Index start = data.first_effect[e.factor][g];
            du(start + e.col, j) += parameters_->basis_column(e.factor, e.row).dot(score.segment(start, width));
        }
    }
    centre_.known = true;
    centre_.coordinates = coordinates_;
    centre_.psi = psi_;
    centre_.u = pirls_->u;
    centre_.beta = pirls_->beta;
    centre_.dbeta = Matrix::Zero(p, n_parameters());
    if (!profiled_) {
        centre_.du = std::move(du);
        return;
    }
    centre_.du.resize(data.q, m + extra);
    centre_.du << du.leftCols(m), du.rightCols(extra);
    Matrix cross(p, m + extra);
    cross << equations_->P.block(m, 0, p, m), equations_->P.block(m, m + p, p, extra);
    centre_.dbeta = -equations_->beta_factor.solve(cross);
    centre_.du.noalias() += du.middleCols(m, p) * centre_.dbeta;
}

}  // namespace pymixed
