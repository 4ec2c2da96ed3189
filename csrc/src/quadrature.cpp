#include "quadrature.hpp"

#include <Eigen/Cholesky>
#include <cmath>
#include <stdexcept>
#include <string>

#include "gauss_hermite.hpp"
#include "small_matrix.hpp"

namespace pymixed {

Quadrature::Quadrature(const GeneralizedProblem& problem, Index n_nodes)
    : problem_(problem), c_(problem.layout().factors()[0].n_cols) {
    const Index n_factors = static_cast<Index>(problem.layout().factors().size());
    if (n_factors > 1)
        throw std::invalid_argument("n_agq: quadrature with more than one node needs a single grouping factor, got " +
                                    std::to_string(n_factors));
    if (c_ > 3)
        throw std::invalid_argument("n_agq: quadrature with more than one node takes at most 3 random effects per " +
                                    std::string("level, got ") + std::to_string(c_));
    const GaussHermite rule(n_nodes);
    Index count = 1;
    for (Index a = 0; a < c_; ++a)
        count *= n_nodes;
    nodes_.resize(c_, count);
    log_weights_.setZero(count);
    for (Index k = 0; k < count; ++k)
        for (Index a = 0, rest = k; a < c_; ++a, rest /= n_nodes) {
            nodes_(a, k) = rule.nodes[rest % n_nodes];
            log_weights_[k] += std::log(rule.weights[rest % n_nodes]) + 0.5 * nodes_(a, k) * nodes_(a, k);
        }
    const SortedRows& rows = problem.rows();
    const Index n_levels = problem.layout().factors()[0].n_levels;
    posterior_.resize(n_levels, count);
    A_.resize(n_levels * c_ * c_);
    root_.resize(n_levels * c_ * c_);
    u_.resize(rows.q);
    b_.resize(rows.q);
    eta_.resize(rows.n);
}

/// u_k of every level, T u_k and the linear predictors there.
void Quadrature::place_nodes(Index k, const Pirls& pirls, const Matrix& T) {
    const double* x = nodes_.col(k).data();
    for (Index g = 0; g < posterior_.rows(); ++g) {
        const double* root = root_.data() + g * c_ * c_;
        double *u = u_.data() + g * c_, *b = b_.data() + g * c_;
        multiply_small_transposed(c_, root, x, u);  // both stand by columns
        for (Index i = 0; i < c_; ++i)
            u[i] += pirls.u[g * c_ + i];
        multiply_small_transposed(c_, T.data(), u, b);
    }
    eta_ = pirls.base();
    problem_.rows().add_Zb(b_.data(), eta_.data());
}

double Quadrature::evaluate(Pirls& pirls, const Templates& T) {
    const SortedRows& rows = problem_.rows();
    const std::vector<double>& A = pirls.factor().leading().A;
    A_ = A;
    Matrix M(c_, c_);
    double value = 0.0;
    for (Index g = 0; g < posterior_.rows(); ++g) {
        M = T[0].transpose() * ConstMatrixMap(A_.data() + g * c_ * c_, c_, c_) * T[0];
        M.diagonal().array() += 1.0;
        const Eigen::LLT<Matrix> llt(M);
        MatrixMap root(root_.data() + g * c_ * c_, c_, c_);
        root = llt.matrixU().solve(Matrix::Identity(c_, c_));
        value += 2.0 * llt.matrixLLT().diagonal().array().log().sum();
    }
    Vector l(rows.n);
    FamilyOutput out;
    out.l = l.data();
    for (Index k = 0; k < nodes_.cols(); ++k) {
        place_nodes(k, pirls, T[0]);
        pirls.evaluate_rows(eta_, out);
        pirls.apply_weights(l);
        for (Index g = 0; g < posterior_.rows(); ++g)
            posterior_(g, k) = log_weights_[k] - 0.5 * u_.segment(g * c_, c_).squaredNorm() +
                               l.segment(rows.level_start[g], rows.level_start[g + 1] - rows.level_start[g]).sum();
    }
    for (Index g = 0; g < posterior_.rows(); ++g) {
        auto terms = posterior_.row(g);
        const double largest = terms.maxCoeff();
        const double sum = (terms.array() - largest).exp().sum();
        terms.array() = (terms.array() - largest).exp() / sum;
        value -= 2.0 * (largest + std::log(sum));
    }
    return value;
}

void Quadrature::differentiate(Pirls& pirls, const TemplateParameters& parameters, RowDerivatives& rows,
                               Vector& gradient) {
    const SortedRows& data = problem_.rows();
    const Matrix& T = parameters.T()[0];
    const Index n = data.n, q = data.q, n_levels = posterior_.rows(), m = problem_.n_theta(), p = problem_.p(),
                k_family = problem_.family().n_parameters(), n_channels = problem_.family().n_channels();
    // sums over the nodes: of the scores by rows, of the channels' slopes, and per level the adjoints of u~ and R_g
    score_.setZero(n);
    slopes_.assign(n_channels, Vector::Zero(n));
    template_adjoints_.setZero(c_, q);
    Vector r(n), Ztr(q), d2(n), d3(n), l(n), u_adjoint = Vector::Zero(q);
    std::vector<Vector> channel_l(n_channels, Vector::Zero(n)), unused(2 * n_channels, Vector::Zero(n));
    Matrix root_adjoint = Matrix::Zero(c_, q), M(c_, c_), S(c_, c_);
    FamilyOutput out;
    out.order = n_channels > 0 ? 2 : 1;
    out.l = l.data();
    out.d1 = r.data();
    out.d2 = d2.data();
    out.d3 = d3.data();
    for (Index a = 0; a < n_channels; ++a)
        out.channels.push_back({channel_l[a].data(), unused[2 * a].data(), unused[2 * a + 1].data(), nullptr});
    for (Index k = 0; k < nodes_.cols(); ++k) {
        place_nodes(k, pirls, T);
        pirls.evaluate_rows(eta_, out);
        for (Index g = 0; g < n_levels; ++g) {
            const Index first = data.level_start[g], size = data.level_start[g + 1] - first;
            r.segment(first, size) *= posterior_(g, k);
            for (Index a = 0; a < n_channels; ++a)
                slopes_[a].segment(first, size) += posterior_(g, k) * channel_l[a].segment(first, size);
        }
        pirls.apply_weights(r);
        score_ += r;
        Ztr.setZero();
        data.add_Ztr(r.data(), Ztr.data());
        for (Index g = 0; g < n_levels; ++g) {
            const double *Zr = Ztr.data() + g * c_, *u = u_.data() + g * c_;
            for (Index i = 0; i < c_; ++i) {
                double slope = 2.0 * posterior_(g, k) * u[i];
                for (Index j = 0; j < c_; ++j) {
                    slope -= 2.0 * T(j, i) * Zr[j];
                    template_adjoints_(j, g * c_ + i) -= 2.0 * Zr[j] * u[i];
                }
                u_adjoint[g * c_ + i] += slope;
                for (Index j = 0; j < c_; ++j)
                    root_adjoint(i, g * c_ + j) += slope * nodes_(j, k);
            }
        }
    }
    for (Vector& slope : slopes_)
        pirls.apply_weights(slope);

    std::vector<double> V(A_.size());
    for (Index g = 0; g < n_levels; ++g) {
        const ConstMatrixMap root(root_.data() + g * c_ * c_, c_, c_), A(A_.data() + g * c_ * c_, c_, c_);
        const Matrix B = root.transpose() * root_adjoint.middleCols(g * c_, c_);
        // R follows M: dR = -R Phi(R'dM R)', Phi the lower triangle with half of the diagonal
        S.setIdentity();
        for (Index i = 0; i < c_; ++i)
            for (Index j = 0; j <= i; ++j) {
                S(i, j) -= 0.5 * B(j, i);
                if (j < i)
                    S(j, i) = S(i, j);
            }
        S = (root * S * root.transpose()).eval();
        template_adjoints_.middleCols(g * c_, c_).noalias() += 2.0 * A * T * S;
        MatrixMap(V.data() + g * c_ * c_, c_, c_) = T * S * T.transpose();
    }
    const SortedRows::FactorRows& f = data.factors[0];
    for (Index i = 0; i < n; ++i) {
        const double *z = data.z(f, i), *V_g = V.data() + f.level[i] * c_ * c_;
        rows.h[i] = 0.0;
        for (Index a = 0; a < c_; ++a)
            for (Index b = 0; b < c_; ++b)
                rows.h[i] += z[a] * z[b] * V_g[a * c_ + b];
    }
    rows.v = rows.h.cwiseProduct(rows.weights_d1);
    Matrix template_adjoint = Matrix::Zero(c_, c_);
    Vector Zv = Vector::Zero(q), modes(q), b(q), s = Vector::Zero(q), t = Vector::Zero(q);
    data.add_Ztr(rows.v.data(), Zv.data());
    data.add_Ztr(pirls.score().data(), s.data());
    for (Index g = 0; g < n_levels; ++g) {
        M = T.transpose() * ConstMatrixMap(pirls.factor().leading().A.data() + g * c_ * c_, c_, c_) * T;
        M.diagonal().array() += 1.0;
        modes.segment(g * c_, c_) =
            M.llt().solve(u_adjoint.segment(g * c_, c_) + T.transpose() * Zv.segment(g * c_, c_));
        b.segment(g * c_, c_) = T * modes.segment(g * c_, c_);
    }
    rows.shift.setZero();
    data.add_Zb(b.data(), rows.shift.data());
    rows.e = rows.v - pirls.weights().cwiseProduct(rows.shift);
    data.add_Ztr(rows.e.data(), t.data());
    for (Index g = 0; g < n_levels; ++g) {
        auto adjoint = template_adjoints_.middleCols(g * c_, c_);
        adjoint.noalias() += t.segment(g * c_, c_) * pirls.u.segment(g * c_, c_).transpose();
        adjoint.noalias() += s.segment(g * c_, c_) * modes.segment(g * c_, c_).transpose();
        template_adjoint += adjoint;
    }
    for (Index i = 0; i < m; ++i) {
        const auto& entry = problem_.layout().entries()[i];
        gradient[i] = parameters.basis_column(0, entry.row).dot(template_adjoint.col(entry.col));
    }
    gradient.segment(m, p) = data.X.transpose() * (rows.e - 2.0 * score_);
    for (Index a = 0; a < n_channels; ++a) {
        const auto& channel = rows.channels[a];
        const Vector slope =
            -2.0 * slopes_[a] + rows.h.cwiseProduct(channel.weights) + rows.shift.cwiseProduct(channel.d1);
        if (a < k_family)
            gradient[m + p + a] = slope.sum() - 2.0 * pirls.normalizer_gradient()[a];
        else
            gradient.tail(problem_.n_zero()) = data.X_zero.transpose() * slope;
    }
}

}  // namespace pymixed
