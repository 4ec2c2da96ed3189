#include "pymixed/fit.hpp"

#include <algorithm>
#include <cmath>

#include "template_objective.hpp"

namespace pymixed {

namespace {

/// A criterion in internal coordinates.
template <class Criterion>
class InternalObjective : public TemplateObjective {
 public:
    explicit InternalObjective(Criterion& criterion)
        : TemplateObjective(criterion.problem().layout()), criterion_(criterion) {}

    double evaluate(const Vector& x) override { return criterion_.evaluate(x, Coordinates::Internal); }

    void differentiate(Vector& gradient, Matrix& curvature) override {
        criterion_.differentiate();
        gradient = criterion_.gradient();
        curvature = criterion_.curvature();
    }

 protected:
    const Vector& gradient() const override { return criterion_.gradient(); }
    const Matrix& average_information() const override { return criterion_.average_information(); }
    const Matrix& curvature() const override { return criterion_.curvature(); }
    Matrix variance_gradient(const RandomEffects::Term& term) const override {
        return criterion_.variance_gradient(term);
    }

    Criterion& criterion_;
};

class GeneralizedObjective final : public InternalObjective<GeneralizedDeviance> {
 public:
    using InternalObjective::InternalObjective;

    void differentiate(Vector& gradient, Matrix& curvature) override {
        criterion_.differentiate_for_newton();
        gradient = criterion_.gradient();
        curvature = criterion_.curvature();
    }

    double rounding(double value) const override {
        return std::max(Objective::rounding(value), 4e-16 * criterion_.magnitude());
    }

    bool exact_hessian(const Vector& x, Matrix& H) override {
        H = criterion_.hessian(x, Coordinates::Internal);
        criterion_.evaluate(x, Coordinates::Internal);
        criterion_.differentiate();
        return H.allFinite();
    }

    /// Parameters of a family whose logarithm goes to infinity (no overdispersion, say) are found there in few steps:
    /// where the criterion decays like exp(-|x|), its slope equals its curvature and Newton's step is 1 for ever.
    Vector shortcut(const Vector& x) override {
        Vector point = TemplateObjective::shortcut(x);
        const Index first = criterion_.n_theta() + criterion_.n_beta();
        const Index last = first + criterion_.problem().family().n_parameters();
        for (Index i = first; i < last; ++i) {
            const double ratio = std::abs(criterion_.gradient()[i]) / criterion_.curvature()(i, i);
            if (!(ratio > 0.9 && ratio < 1.1))
                continue;
            if (point.size() == 0)
                point = x;
            point[i] -= std::copysign(stride, criterion_.gradient()[i]);
        }
        return point;
    }

 private:
    static constexpr double stride = 8.0;  // in which exp(-|x|) all but vanishes
};

NewtonResult minimise(TemplateObjective& objective, const Vector& start, const NewtonOptions& options) {
    NewtonResult newton = minimise_newton(objective, start, options);
    if (newton.status != Status::NotPositiveDefinite)
        objective.settle_zeros(newton);
    return newton;
}

FitResult result_of(TemplateObjective& objective, const NewtonResult& newton, Vector user) {
    FitResult result;
    result.status = newton.status;
    const bool unfinished = newton.status == Status::IterationLimit || newton.status == Status::NoDescent;
    result.trapped = unfinished && objective.escape(newton.x, 1.0).size() > 0;
    result.internal = newton.x;
    result.parameters = std::move(user);
    result.objective = newton.value;
    result.expected_gain = newton.expected_gain;
    result.n_evaluations = newton.n_evaluations;
    result.n_gradients = newton.n_gradients;
    return result;
}

}  // namespace

FitResult fit(Deviance& deviance, const FitOptions& options) {
    return fit(deviance, options.newton,
               options.start.size() > 0 ? deviance.to_internal(options.start) : minque_start(deviance.problem()));
}

FitResult fit(Deviance& deviance, const NewtonOptions& options, const Vector& internal_start) {
    InternalObjective<Deviance> objective(deviance);
    const NewtonResult newton = minimise(objective, internal_start, options);
    return result_of(objective, newton, deviance.to_user(newton.x));
}

FitResult fit(GeneralizedDeviance& deviance, const FitOptions& options) {
    const Vector start = options.start.size() > 0 ? deviance.to_internal(options.start) : deviance.start();
    if (start.size() == 0) {
        FitResult result;
        result.status = Status::ModesNotFound;
        return result;
    }
    const Index before = deviance.n_evaluations();
    GeneralizedObjective objective(deviance);
    NewtonResult newton = minimise(objective, start, options.newton);
    if (newton.status == Status::NotPositiveDefinite)
        newton.status = Status::ModesNotFound;
    FitResult result = result_of(objective, newton, deviance.to_user(newton.x));
    result.n_differences = deviance.n_evaluations() - before - newton.n_evaluations;
    return result;
}

}  // namespace pymixed
