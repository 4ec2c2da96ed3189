// Gradients of the clusters' shares of the criterion.
//
// With all levels of all factors inside clusters the criterion is a sum over the clusters, each the criterion of a
// model of its rows alone. So is its gradient, whose sums over rows and levels are taken by cluster here. For the
// template of a level, with T+ the left inverse of the columns of T that are not zero,
//
//     d log|M| / dT_g = 2 Z_g'WZ T M^-1 = 2 sum_(rows i of g) w_i z_ig ((Q z_i)_g)' T+'
//
// because M^-1 T' = T+ Q in the rows of these columns.

#include <Eigen/QR>

#include "couplings.hpp"
#include "generalized_rows.hpp"
#include "quadrature.hpp"
#include "template_parameters.hpp"

namespace pymixed {

/// Left inverse of the columns that are not zero, whose rows stand at these columns' positions.
static Matrix left_inverse(const Matrix& T) {
    std::vector<Index> kept;
    for (Index j = 0; j < T.cols(); ++j)
        if (!T.col(j).isZero(0.0))
            kept.push_back(j);
    Matrix out = Matrix::Zero(T.cols(), T.rows());
    if (kept.empty())
        return out;
    const Matrix columns = T(Eigen::all, kept);
    const Matrix inverse = columns.completeOrthogonalDecomposition().pseudoInverse();
    out(kept, Eigen::all) = inverse;
    return out;
}

/// Per factor the derivatives by the templates of its levels, c x n_levels c. Leaves the factor of the criterion's
/// weights, inverted.
std::vector<Matrix> GeneralizedDeviance::laplace_template_adjoints() {
    const SortedRows& data = problem_.rows();
    const Templates& T = parameters_->T();
    PenalizedFactor& factor = pirls_->factor();
    Templates products = problem_.layout().make_templates();
    factor.update(rows_->weights.data(), T);
    factor.invert(T, products);
    const std::vector<RowMatrix> Qz = factor.row_products();
    Vector s = Vector::Zero(data.q), t = Vector::Zero(data.q);
    data.add_Ztr(pirls_->score().data(), s.data());
    data.add_Ztr(rows_->e.data(), t.data());
    std::vector<Matrix> out;
    for (std::size_t f = 0; f < T.size(); ++f) {
        const SortedRows::FactorRows& rows = data.factors[f];
        const Index n_levels = static_cast<Index>(data.first_effect[f].size()), c = rows.c;
        const Matrix inverse = left_inverse(T[f]);
        Matrix adjoint = Matrix::Zero(c, n_levels * c);
        for (Index i = 0; i < data.n; ++i) {
            const Eigen::Map<const Vector> z(data.z(rows, i), c);
            adjoint.middleCols(rows.level[i] * c, c).noalias() +=
                (2.0 * rows_->weights[i] * z).lazyProduct(Qz[f].row(i));
        }
        for (Index g = 0; g < n_levels; ++g) {
            const auto s_g = s.segment(data.first_effect[f][g], c), t_g = t.segment(data.first_effect[f][g], c);
            auto block = adjoint.middleCols(g * c, c);
            block = (block * inverse.transpose() + (t_g - 2.0 * s_g) * (s_g.transpose() * T[f]) +
                     s_g * (t_g.transpose() * T[f]))
                        .eval();
        }
        out.push_back(std::move(adjoint));
    }
    return out;
}

Matrix GeneralizedDeviance::cluster_gradients(const std::int32_t* cluster, Index n_clusters) {
    differentiate(false);
    parameters_->load(psi_.head(n_theta()), coordinates_);  // templates that are not lifted
    const SortedRows& data = problem_.rows();
    const Index m = n_theta(), p = problem_.p(), k = problem_.family().n_parameters(), r = problem_.n_zero();
    std::vector<std::int32_t> of_row(data.n);
    for (Index i = 0; i < data.n; ++i)
        of_row[i] = cluster[data.order[i]];
    Matrix out = Matrix::Zero(n_clusters, n_parameters());

    std::vector<Matrix> adjoints;
    if (quadrature_)
        adjoints.push_back(quadrature_->template_adjoints());
    else
        adjoints = laplace_template_adjoints();
    std::vector<std::vector<std::int32_t>> of_level;
    for (std::size_t f = 0; f < adjoints.size(); ++f) {
        of_level.emplace_back(data.first_effect[f].size());
        for (Index i = 0; i < data.n; ++i)
            of_level[f][data.factors[f].level[i]] = of_row[i];
    }
    for (Index j = 0; j < m; ++j) {
        const auto& entry = problem_.layout().entries()[j];
        const Index c = adjoints[entry.factor].rows();
        if (parameters_->T()[entry.factor].col(entry.col).isZero(0.0))
            continue;
        const auto basis = parameters_->basis_column(entry.factor, entry.row);
        for (std::size_t g = 0; g < of_level[entry.factor].size(); ++g)
            out(of_level[entry.factor][g], j) += basis.dot(adjoints[entry.factor].col(g * c + entry.col));
    }

    const auto add = [&](Index j, const Vector& slope) {
        for (Index i = 0; i < data.n; ++i)
            out(of_row[i], j) += slope[i];
    };
    const Vector slope = rows_->e - 2.0 * (quadrature_ ? quadrature_->score() : pirls_->score());
    for (Index j = 0; j < p; ++j)
        add(m + j, data.X.col(j).cwiseProduct(slope));
    for (Index a = 0; a < problem_.family().n_channels(); ++a) {
        const auto& channel = rows_->channels[a];
        const Vector by_row = -2.0 * (quadrature_ ? quadrature_->slope(a) : channel.l) +
                              rows_->h.cwiseProduct(channel.weights) + rows_->shift.cwiseProduct(channel.d1);
        if (a < k)
            add(m + p + a, by_row);
        else
            for (Index j = 0; j < r; ++j)
                add(m + p + k + j, data.X_zero.col(j).cwiseProduct(by_row));
    }
    if (k > 0)
        add_normalizers(of_row, out);
    if (coordinates_ == Coordinates::User) {
        out.middleCols(m, p) *= problem_.linear().products().fixed_basis().U().topLeftCorner(p, p);
        out.rightCols(r) *= data.zero_basis.U().topLeftCorner(r, r);
    }
    return out;
}

/// The share of the family's normalizer, the rows taken cluster by cluster.
void GeneralizedDeviance::add_normalizers(const std::vector<std::int32_t>& of_row, Matrix& out) const {
    const SortedRows& data = problem_.rows();
    const Index first = n_theta() + n_beta(), k = problem_.family().n_parameters();
    const std::vector<std::int32_t> order = sort_by_level({}, of_row.data(), data.n, out.rows());
    Vector y(data.n), weights(data.weights.size()), slope(k);
    for (Index i = 0; i < data.n; ++i) {
        y[i] = data.y[order[i]];
        if (weights.size() > 0)
            weights[i] = data.weights[order[i]];
    }
    for (Index start = 0, end = 0; start < data.n; start = end) {
        const std::int32_t j = of_row[order[start]];
        while (end < data.n && of_row[order[end]] == j)
            ++end;
        slope.setZero();
        pirls_->family().normalizer(end - start, y.data() + start,
                                    weights.size() > 0 ? weights.data() + start : nullptr, slope.data());
        out.row(j).segment(first, k) -= 2.0 * slope;
    }
}

}  // namespace pymixed
