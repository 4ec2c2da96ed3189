#pragma once
// Criteria over a chart, for the Newton iteration: what a point of a profile likelihood minimises.

#include <algorithm>
#include <cmath>
#include <limits>

#include "profile_chart.hpp"
#include "template_objective.hpp"

namespace pymixed {

/// A linear model with sigma at its minimum; psi = theta.
class ProfiledSigma {
 public:
    explicit ProfiledSigma(Deviance& deviance) : deviance_(deviance) {}

    double evaluate(const Vector& psi) { return deviance_.evaluate(psi, Coordinates::Internal); }
    void differentiate() { deviance_.differentiate(); }
    const Vector& gradient() const { return deviance_.gradient(); }
    const Matrix& average_information() const { return deviance_.average_information(); }
    const Matrix& curvature() const { return deviance_.curvature(); }
    double rounding() const { return 0.0; }

 private:
    Deviance& deviance_;
};

/// A linear model with psi = (theta, kappa), sigma = unit / kappa:
///
///     d = log|M| + nu log(2 pi unit^2) - 2 nu log(kappa) + kappa^2 r^2 / unit^2 - sum log w
///
/// Eliminating kappa from the curvature at its minimum leaves that of the profiled criterion.
class FreeSigma {
 public:
    FreeSigma(Deviance& deviance, double unit)
        : deviance_(deviance),
          unit_(unit),
          gradient_(deviance.problem().layout().n_theta() + 1),
          information_(gradient_.size(), gradient_.size()),
          curvature_(information_) {}

    double evaluate(const Vector& psi) {
        const Index m = gradient_.size() - 1;
        kappa_ = psi[m];
        if (!(kappa_ > 0.0))
            return std::numeric_limits<double>::infinity();
        Restriction restriction;
        restriction.sigma = unit_ / kappa_;
        deviance_.restrict_to(restriction);
        return deviance_.evaluate(psi.head(m), Coordinates::Internal);
    }
    void differentiate() {
        deviance_.differentiate();
        const Index m = gradient_.size() - 1;
        const double nu = static_cast<double>(deviance_.nu()), r2 = deviance_.pwrss() / (unit_ * unit_);
        const Vector cross = 2.0 * kappa_ / (unit_ * unit_) * deviance_.pwrss_derivatives();
        gradient_ << deviance_.gradient(), 2.0 * (r2 * kappa_ - nu / kappa_);
        information_.topLeftCorner(m, m) = deviance_.average_information();
        curvature_.topLeftCorner(m, m) = deviance_.curvature();
        for (Matrix* H : {&information_, &curvature_}) {
            H->col(m).head(m) = cross;
            H->row(m).head(m) = cross.transpose();
            (*H)(m, m) = 2.0 * (r2 + nu / (kappa_ * kappa_));
        }
    }
    const Vector& gradient() const { return gradient_; }
    const Matrix& average_information() const { return information_; }
    const Matrix& curvature() const { return curvature_; }
    double rounding() const { return 0.0; }

 private:
    Deviance& deviance_;
    double unit_, kappa_ = 1.0;
    Vector gradient_;
    Matrix information_, curvature_;
};

/// A generalized model; psi is its own.
class GeneralizedModel {
 public:
    explicit GeneralizedModel(GeneralizedDeviance& deviance) : deviance_(deviance) {}

    double evaluate(const Vector& psi) { return deviance_.evaluate(psi, Coordinates::Internal); }
    void differentiate() { deviance_.differentiate_for_newton(); }
    const Vector& gradient() const { return deviance_.gradient(); }
    const Matrix& average_information() const { return deviance_.average_information(); }
    const Matrix& curvature() const { return deviance_.curvature(); }
    double rounding() const { return 4e-16 * deviance_.magnitude(); }

 private:
    GeneralizedDeviance& deviance_;
};

/// A model's criterion as a function of the chart's x. Where the iteration looks for a way out of a template of less
/// than full rank, the rows that `order` has for what is held gain no variance.
template <class Model, class Criterion>
class ProfileObjective final : public TemplateObjective {
 public:
    ProfileObjective(Model& model, const Criterion& criterion, const Chart& chart, const TermOrder* order,
                     std::vector<Index> rows)
        : TemplateObjective(criterion.problem().layout()),
          model_(model),
          criterion_(criterion),
          chart_(chart),
          order_(order),
          rows_(std::move(rows)) {}

    double evaluate(const Vector& x) override { return model_.evaluate(chart_.psi(x)); }

    void differentiate(Vector& gradient, Matrix& curvature) override {
        model_.differentiate();
        gradient_ = chart_.reduce(model_.gradient());
        information_ = chart_.reduce(model_.average_information());
        curvature_ = chart_.reduce(model_.curvature());
        gradient = gradient_;
        curvature = curvature_;
    }

    double rounding(double value) const override { return std::max(Objective::rounding(value), model_.rounding()); }

    bool exact_hessian(const Vector& x, Matrix& H) override {
        H.setIdentity(x.size(), x.size());
        Vector point = x, slope(x.size());
        Matrix curvature(x.size(), x.size());
        for (Index i = 0; i < x.size(); ++i) {
            if (chart_.is_held(i))
                continue;
            const double step = 3e-5 * std::max(std::abs(x[i]), 0.1);
            H.col(i).setZero();
            for (const double sign : {1.0, -1.0}) {
                point[i] = x[i] + sign * step;
                if (!std::isfinite(evaluate(point)))
                    break;
                differentiate(slope, curvature);
                H.col(i) += sign / (2.0 * step) * slope;
            }
            point[i] = x[i];
        }
        H = (0.5 * (H + H.transpose())).eval();
        evaluate(x);
        differentiate(slope, curvature);
        return H.allFinite();
    }

 protected:
    const Vector& gradient() const override { return gradient_; }
    const Matrix& average_information() const override { return information_; }
    const Matrix& curvature() const override { return curvature_; }
    Matrix variance_gradient(const RandomEffects::Term& term) const override {
        Matrix H = criterion_.variance_gradient(term);
        if (order_ != nullptr && &term == &order_->term())
            for (const Index row : rows_) {
                H.row(row).setZero();
                H.col(row).setZero();
                H(row, row) = 1.0;
            }
        return H;
    }

 private:
    Model& model_;
    const Criterion& criterion_;
    const Chart& chart_;
    const TermOrder* order_;
    std::vector<Index> rows_;
    Vector gradient_;
    Matrix information_, curvature_;
};

}  // namespace pymixed
