#include "pymixed/kenward_roger.hpp"

#include <Eigen/LU>

#include "kenward_roger_sums.hpp"

namespace pymixed {

namespace {

/// E_i of the internal columns: B_rB_s' and, for two columns, its transpose, B the internal basis.
Matrix entry_matrix(const RandomBasis& basis, const RandomEffects::Entry& entry) {
    const Matrix& B = basis.internal()[entry.factor];
    const Matrix half = B.col(entry.row) * B.col(entry.col).transpose();
    return entry.row == entry.col ? half : Matrix(half + half.transpose());
}

/// The pairs of columns that the parameters use, and E_i at them: m x pairs.
struct UsedPairs {
    explicit UsedPairs(const Problem& problem) {
        const RandomEffects& layout = problem.layout();
        const Index m = layout.n_theta();
        std::vector<Matrix> E;
        for (const auto& entry : layout.entries())
            E.push_back(entry_matrix(problem.products().random_basis(), entry));
        for (std::size_t f = 0; f < layout.factors().size(); ++f)
            for (Index y = 0; y < layout.factors()[f].n_cols; ++y)
                for (Index x = y; x < layout.factors()[f].n_cols; ++x) {
                    bool used = false;
                    for (Index i = 0; i < m; ++i)
                        used = used || (layout.entries()[i].factor == static_cast<Index>(f) && E[i](x, y) != 0.0);
                    if (used)
                        pairs.push_back({static_cast<Index>(f), x, y});
                }
        weights.setZero(m, static_cast<Index>(pairs.size()));
        for (Index i = 0; i < m; ++i)
            for (Index u = 0; u < weights.cols(); ++u)
                if (layout.entries()[i].factor == pairs[u].factor)
                    weights(i, u) = E[i](pairs[u].x, pairs[u].y);
    }
    std::vector<ColumnPair> pairs;
    Matrix weights;
};

/// Parameters of the internal columns at templates T: entries of MM' per term, T = B M with B the internal basis.
Vector covariance_parameters(const RandomEffects& layout, const RandomBasis& basis, const Templates& T) {
    Vector gamma(layout.n_theta());
    for (const auto& term : layout.terms()) {
        const Matrix M = basis.internal()[term.factor].partialPivLu().solve(T[term.factor]);
        const auto rows = M.middleCols(term.first_column, term.n_cols);
        for (Index i = term.first_theta; i < term.first_theta + term.n_theta(); ++i)
            gamma[i] = rows.row(layout.entries()[i].row).dot(rows.row(layout.entries()[i].col));
    }
    return gamma;
}

/// The parameters of the internal columns from those of the user's: A Sigma A' per term, C = B A.
Matrix parameter_map(const RandomEffects& layout, const RandomBasis& basis) {
    const Index m = layout.n_theta();
    Matrix map = Matrix::Identity(m + 1, m + 1);
    for (const auto& term : layout.terms()) {
        const Matrix A = basis.internal()[term.factor].partialPivLu().solve(basis.user()[term.factor]);
        const Index first = term.first_theta, last = first + term.n_theta();
        for (Index i = first; i < last; ++i)
            for (Index j = first; j < last; ++j) {
                const auto &in = layout.entries()[i], &out = layout.entries()[j];
                map(i, j) = A(in.row, out.row) * A(in.col, out.col);
                if (out.row != out.col)
                    map(i, j) += A(in.row, out.col) * A(in.col, out.row);
            }
    }
    return map;
}

/// From the pairs to the entries of theta, and to the residual variance by W^-1 = V - sum_i gamma_i G_i.
void combine(const KenwardRogerSums& sums, const Matrix& weights, const Vector& gamma, double n, KenwardRoger& out) {
    const Index m = weights.rows(), n_pairs = weights.cols(), p = sums.P().rows();
    Matrix half = Matrix::Zero(m * p, n_pairs * p);
    out.P.setZero(p, (m + 1) * p);
    out.Q.setZero((m + 1) * p, (m + 1) * p);
    out.T.setZero(m + 1, m + 1);
    for (Index i = 0; i < m; ++i)
        for (Index u = 0; u < n_pairs; ++u)
            if (weights(i, u) != 0.0) {
                out.P.middleCols(i * p, p) += weights(i, u) * sums.P().middleCols(u * p, p);
                half.middleRows(i * p, p) += weights(i, u) * sums.Q().middleRows(u * p, p);
            }
    for (Index j = 0; j < m; ++j)
        for (Index v = 0; v < n_pairs; ++v)
            if (weights(j, v) != 0.0)
                out.Q.block(0, j * p, m * p, p) += weights(j, v) * half.middleCols(v * p, p);
    const Vector trace = weights * sums.trace();
    out.T.topLeftCorner(m, m) = weights * sums.T() * weights.transpose();

    const auto block = [p](Matrix& Q, Index i, Index j) { return Q.block(i * p, j * p, p, p); };
    auto P_residual = out.P.rightCols(p);
    P_residual = -Matrix::Identity(p, p);
    Matrix Q_residual = Matrix::Identity(p, p);
    double T_residual = n;
    for (Index i = 0; i < m; ++i) {
        const auto P_i = out.P.middleCols(i * p, p);
        P_residual -= gamma[i] * P_i;
        Matrix Q_i = -P_i;
        double T_i = trace[i];
        for (Index j = 0; j < m; ++j) {
            Q_i -= gamma[j] * block(out.Q, i, j);
            T_i -= gamma[j] * out.T(i, j);
        }
        block(out.Q, i, m) = Q_i;
        block(out.Q, m, i) = Q_i.transpose();
        out.T(i, m) = out.T(m, i) = T_i;
        // W^-1 in V^-1W^-1V^-1W^-1 by V - sum_i gamma_i G_i once more
        Q_residual += gamma[i] * (P_i - Q_i.transpose());
        T_residual -= gamma[i] * (trace[i] + T_i);
    }
    block(out.Q, m, m) = 0.5 * (Q_residual + Q_residual.transpose());
    out.T(m, m) = T_residual;
}

}  // namespace

KenwardRogerCost kenward_roger_cost(const Problem& problem) {
    return KenwardRogerSums::cost(problem, TailComponents(problem), UsedPairs(problem).pairs);
}

std::optional<KenwardRoger> kenward_roger(Deviance& deviance, const std::function<bool()>& interrupted) {
    const Problem& problem = deviance.problem();
    const RandomEffects& layout = problem.layout();
    const RandomBasis& basis = problem.products().random_basis();
    const TailComponents components(problem);
    const UsedPairs used(problem);
    KenwardRogerSums sums(deviance, components, used.pairs);
    if (!sums.compute(interrupted))
        return std::nullopt;
    KenwardRoger out;
    const Index p = problem.p();
    out.sigma2 = deviance.pwrss() / static_cast<double>(problem.n() - p);
    out.root = problem.products().fixed_basis().U().topLeftCorner(p, p).partialPivLu().solve(sums.RX_inverse());
    out.to_internal = parameter_map(layout, basis);
    combine(sums, used.weights, covariance_parameters(layout, basis, sums.templates()),
            static_cast<double>(problem.n()), out);
    return out;
}

}  // namespace pymixed
