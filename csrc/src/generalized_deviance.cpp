#include "pymixed/generalized_deviance.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "generalized_rows.hpp"
#include "pirls.hpp"
#include "quadrature.hpp"
#include "template_parameters.hpp"

namespace pymixed {

GeneralizedDeviance::GeneralizedDeviance(const GeneralizedProblem& problem, Index n_nodes, Information information,
                                         int n_threads)
    : problem_(problem),
      profiled_(n_nodes == 0),
      expected_(information == Information::Expected && !problem.family().canonical()),
      pirls_(std::make_unique<Pirls>(problem, n_threads)),
      parameters_(std::make_unique<TemplateParameters>(problem.layout(), problem.linear().products().random_basis())),
      rows_(std::make_unique<RowDerivatives>(problem.n(), problem.family().n_channels(), expected_)),
      equations_(std::make_unique<NormalEquations>()),
      H_(problem.layout().make_templates()),
      TH_(H_),
      start_(problem.start()) {
    if (n_nodes > 1)
        quadrature_ = std::make_unique<Quadrature>(problem, n_nodes);
    gradient_.setZero(n_parameters());
    for (Matrix* a : {&information_matrix_, &curvature_})
        a->setZero(n_parameters(), n_parameters());
}

GeneralizedDeviance::~GeneralizedDeviance() = default;

/// beta and gamma between the columns as the host gave them and the internal bases.
void GeneralizedDeviance::change_fixed_part(Vector& psi, bool to_user) const {
    const auto change = [&](const FixedBasis& basis, auto part) {
        if (part.size() == 0)
            return;
        const Matrix U = basis.U().topLeftCorner(part.size(), part.size());
        part = to_user ? Vector(U.partialPivLu().solve(part)) : Vector(U * part);
    };
    change(problem_.linear().products().fixed_basis(), psi.segment(n_theta(), n_beta()));
    change(problem_.rows().zero_basis, psi.tail(problem_.n_zero()));
}

Vector GeneralizedDeviance::to_user(const Vector& psi) const {
    Vector out = psi;
    out.head(n_theta()) = problem_.linear().products().random_basis().to_user(problem_.layout(), psi.head(n_theta()));
    change_fixed_part(out, true);
    return out;
}

Vector GeneralizedDeviance::to_internal(const Vector& psi) const {
    Vector out = psi;
    out.head(n_theta()) =
        problem_.linear().products().random_basis().to_internal(problem_.layout(), psi.head(n_theta()));
    change_fixed_part(out, false);
    return out;
}

void GeneralizedDeviance::set_response(const Vector& y) {
    pirls_->set_response(y);
    centre_.known = false;
    has_start_ = false;
    if (profiled_)
        start();  // coefficients for the first search
}

void GeneralizedDeviance::replace_internal(const Templates* basis) {
    parameters_->replace_internal(basis);
    centre_.known = false;
}

Vector GeneralizedDeviance::start() {
    if (!has_start_)
        start_ = problem_.start_of(pirls_->response());
    has_start_ = true;
    const Vector zero = problem_.initial_zero();
    parameters_->load(start_.theta, Coordinates::Internal);
    pirls_->set_parameters(start_.parameters, zero);
    const double tolerance = std::exchange(pirls_->tolerance, 1e-2);  // the optimiser moves on from here
    const bool found = pirls_->solve_from_response(parameters_->T());
    pirls_->tolerance = tolerance;
    centre_.known = false;
    if (!found)
        return {};
    Vector psi(n_parameters());
    psi << start_.theta, pirls_->beta.head(n_beta()), start_.parameters, zero;
    return psi;
}

/// The point, and a guess of its modes.
bool GeneralizedDeviance::load(const Vector& psi, Coordinates coordinates) {
    psi_ = psi;
    coordinates_ = coordinates;
    if (!psi.allFinite())
        return false;
    Vector internal = psi;
    if (coordinates == Coordinates::User)
        change_fixed_part(internal, false);
    parameters_->load(psi.head(n_theta()), coordinates);
    pirls_->set_parameters(internal.segment(n_theta() + n_beta(), problem_.family().n_parameters()),
                           internal.tail(problem_.n_zero()));
    if (centre_.known && centre_.coordinates == coordinates) {
        const Vector step = psi - centre_.psi;
        pirls_->u = centre_.u + centre_.du * step;
        if (profiled_)
            pirls_->beta = centre_.beta + centre_.dbeta * step;
    }
    if (!profiled_)
        pirls_->beta = internal.segment(n_theta(), n_beta());
    return true;
}

/// The factor of M at the modes with the criterion's weights.
bool GeneralizedDeviance::factor_criterion() {
    if (expected_) {
        FamilyOutput out = rows_->output(1);
        pirls_->evaluate_rows(pirls_->eta(), out);
        rows_->weights = rows_->expected;
        pirls_->apply_weights(rows_->weights);
        if (!rows_->weights.allFinite() || !pirls_->factor().update(rows_->weights.data(), parameters_->T()))
            return false;
    }
    log_determinant_ = pirls_->factor().log_determinant();
    return true;
}

double GeneralizedDeviance::evaluate(const Vector& psi, Coordinates coordinates) {
    ++n_evaluations_;
    value_ = std::numeric_limits<double>::infinity();
    if (!load(psi, coordinates) || !pirls_->solve(parameters_->T(), profiled_) || !factor_criterion())
        return value_;
    if (quadrature_)
        value_ = quadrature_->evaluate(*pirls_, parameters_->T());
    else
        value_ = pirls_->penalized_deviance() + log_determinant_;
    value_ -= 2.0 * pirls_->normalizer();
    if (!std::isfinite(value_))
        value_ = std::numeric_limits<double>::infinity();
    return value_;
}

/// `with_curvature`: and the modes' derivatives, which predict those of the next point.
void GeneralizedDeviance::differentiate(bool with_curvature) {
    PenalizedFactor& factor = pirls_->factor();
    rows_->evaluate(*pirls_);
    if (parameters_->lift())
        factor.update(parameters_->T());
    parameters_->differentiate();
    if (with_curvature || !quadrature_)
        differentiate_laplace(with_curvature);
    else if (expected_)
        factor.update(pirls_->weights().data(), parameters_->T());
    if (quadrature_)
        quadrature_->differentiate(*pirls_, *parameters_, *rows_, gradient_);
    if (coordinates_ == Coordinates::User)
        change_units(with_curvature);
}

/// The gradient of Laplace's approximation. Leaves the factor of the observed weights.
void GeneralizedDeviance::differentiate_laplace(bool with_curvature) {
    const SortedRows& data = problem_.rows();
    const Index m = n_theta(), p = problem_.p(), k = problem_.family().n_parameters();
    PenalizedFactor& factor = pirls_->factor();
    const Templates& T = parameters_->T();

    Vector score = Vector::Zero(data.q);  // s = Z'r
    data.add_Ztr(pirls_->score().data(), score.data());
    const bool equations = with_curvature || profiled_;
    if (equations && !expected_)
        build_equations(T, score);
    for (Matrix& TH : TH_)
        TH.setZero();
    factor.invert(T, TH_);
    factor.leverages_into(rows_->h.data());
    parameters_->sum_levels(factor.leading(), factor.leading_inverse(), factor.leading_R(), TH_, H_, TH_);
    if (expected_) {
        factor.update(pirls_->weights().data(), T);
        if (equations)
            build_equations(T, score);
    }

    // the modes' share: zeta = Q_o Z'v (and the same for beta where it is profiled)
    rows_->v = rows_->h.cwiseProduct(rows_->weights_d1);
    Matrix rhs = Matrix::Zero(data.q, 1), modes;
    Vector beta_share = Vector::Zero(p);
    data.add_Ztr(rows_->v.data(), rhs.data());
    if (profiled_) {
        const auto R_beta = equations_->R.middleCols(m, p);
        const auto QR_beta = equations_->QR.middleCols(m, p);
        beta_share = equations_->beta_factor.solve(data.X.transpose() * rows_->v - QR_beta.transpose() * rhs);
        rhs.noalias() -= R_beta * beta_share;
    }
    factor.solve(T, rhs, modes, nullptr);
    rows_->shift.setZero();
    data.add_Zb(modes.data(), rows_->shift.data());
    if (profiled_)
        rows_->shift += data.X * beta_share;
    rows_->e = rows_->v - pirls_->weights().cwiseProduct(rows_->shift);

    Vector rest = -score;  // t - s
    data.add_Ztr(rows_->e.data(), rest.data());
    for (std::size_t f = 0; f < H_.size(); ++f) {
        const Index c = T[f].rows();
        // sums of s_g r_g', r = t - s, and of (T's_g) r_g' + (T'r_g) s_g': T first, where T is zero s may be huge
        Matrix sr = Matrix::Zero(c, c), Tsr = Matrix::Zero(c, c);
        for (const Index start : data.first_effect[f]) {
            const double *s_g = score.data() + start, *r_g = rest.data() + start;
            for (Index i = 0; i < c; ++i) {
                double Ts = 0.0, Tr = 0.0;
                for (Index k = 0; k < c; ++k) {
                    Ts += T[f](k, i) * s_g[k];
                    Tr += T[f](k, i) * r_g[k];
                }
                for (Index j = 0; j < c; ++j) {
                    sr(i, j) += s_g[i] * r_g[j];
                    Tsr(i, j) += Ts * r_g[j] + Tr * s_g[j];
                }
            }
        }
        H_[f] += 0.5 * (sr + sr.transpose());
        TH_[f] += 0.5 * Tsr;
    }

    for (Index i = 0; i < m; ++i)
        gradient_[i] = parameters_->slope(i, H_, TH_);
    if (!profiled_)
        gradient_.segment(m, p) = data.X.transpose() * (rows_->e - 2.0 * pirls_->score());
    const Index first = m + n_beta();
    for (Index a = 0; a < problem_.family().n_channels(); ++a) {
        const auto& channel = rows_->channels[a];
        const Vector slope =
            -2.0 * channel.l + rows_->h.cwiseProduct(channel.weights) + rows_->shift.cwiseProduct(channel.d1);
        if (a < k)
            gradient_[first + a] = slope.sum() - 2.0 * pirls_->normalizer_gradient()[a];
        else
            gradient_.segment(first + k, problem_.n_zero()) = data.X_zero.transpose() * slope;
    }
    if (with_curvature) {
        assemble_curvature();
        remember_modes(score);
    }
}

/// Derivatives by beta and gamma for the host's columns: beta_internal = U beta.
void GeneralizedDeviance::change_units(bool with_curvature) {
    const auto transform = [&](Index start, const FixedBasis& basis, Index size) {
        if (size == 0)
            return;
        const Matrix U = basis.U().topLeftCorner(size, size);
        gradient_.segment(start, size) = (U.transpose() * gradient_.segment(start, size)).eval();
        if (!with_curvature)
            return;
        for (Matrix* A : {&information_matrix_, &curvature_}) {
            A->middleRows(start, size) = (U.transpose() * A->middleRows(start, size)).eval();
            A->middleCols(start, size) = (A->middleCols(start, size) * U).eval();
        }
        centre_.du.middleCols(start, size) = (centre_.du.middleCols(start, size) * U).eval();
        centre_.dbeta.middleCols(start, size) = (centre_.dbeta.middleCols(start, size) * U).eval();
    };
    transform(n_theta(), problem_.linear().products().fixed_basis(), n_beta());
    transform(n_parameters() - problem_.n_zero(), problem_.rows().zero_basis, problem_.n_zero());
}

void GeneralizedDeviance::differentiate_for_newton() {
    const Index k = problem_.family().n_parameters(), first = n_theta() + n_beta();
    constexpr double step = 1e-4;  // of a logarithm or logit
    Matrix columns(n_parameters(), k);
    const Vector psi = psi_;
    for (Index a = 0; a < k; ++a) {
        Vector point = psi;
        point[first + a] += step;
        centre_.known = false;  // the modes at hand are nearer
        if (!std::isfinite(evaluate(point, coordinates_)))
            break;
        differentiate(false);
        columns.col(a) = gradient_;
    }
    if (k > 0) {
        centre_.known = false;
        evaluate(psi, coordinates_);
    }
    differentiate();
    for (Index a = 0; a < k; ++a) {
        const Vector column = (columns.col(a) - gradient_) / step;
        if (!column.allFinite())
            continue;
        for (Matrix* A : {&information_matrix_, &curvature_}) {
            A->col(first + a) = column;
            A->row(first + a) = column.transpose();
        }
    }
}

Matrix GeneralizedDeviance::variance_gradient(const RandomEffects::Term& term) const {
    return parameters_->variance_gradient(term, H_);
}

Matrix GeneralizedDeviance::hessian(const Vector& psi, Coordinates coordinates) {
    const Index size = n_parameters();
    Matrix H(size, size);
    pirls_->tolerance = 1e-14;
    evaluate(psi, coordinates);
    differentiate();  // predicts the modes of the points around
    const Matrix U = problem_.linear().products().fixed_basis().U();
    for (Index i = 0; i < size; ++i) {
        double step = 3e-5;
        if (i < n_theta()) {
            parameters_->load(psi.head(n_theta()), coordinates);
            step = parameters_->step(i);
        } else if (i < n_theta() + n_beta() && coordinates == Coordinates::User) {
            step /= std::max(U.col(i - n_theta()).head(problem_.p()).norm(), 1e-300);
        }
        Vector point = psi;
        for (const double sign : {1.0, -1.0}) {
            point[i] = psi[i] + sign * step;
            evaluate(point, coordinates);
            differentiate(false);
            if (sign > 0.0)
                H.col(i) = gradient_;
            else
                H.col(i) -= gradient_;
        }
        H.col(i) /= 2.0 * step;
    }
    pirls_->tolerance = 1e-10;
    return 0.5 * (H + H.transpose());
}

double GeneralizedDeviance::magnitude() const {
    return pirls_->magnitude();
}

Index GeneralizedDeviance::n_pirls() const {
    return pirls_->n_iterations;
}

}  // namespace pymixed
