#include "pymixed/profile.hpp"

#include <stdexcept>
#include <string>

#include "profile_objective.hpp"

namespace pymixed {

namespace {

// ---- what linear and generalized models do differently
// ---------------------------------------------------------------

const RandomBasis& random_basis(const Deviance& deviance) {
    return deviance.problem().products().random_basis();
}

const RandomBasis& random_basis(const GeneralizedDeviance& deviance) {
    return deviance.problem().linear().products().random_basis();
}

void estimates_into(Deviance& deviance, ProfilePoint& point) {
    point.sigma = std::sqrt(deviance.sigma2());
    point.beta = deviance.beta();
}

void estimates_into(GeneralizedDeviance& deviance, ProfilePoint& point) {
    point.beta = deviance.beta();
}

void restore(Deviance& deviance) {
    deviance.replace_internal(nullptr);
    deviance.restrict_to({});
}

void restore(GeneralizedDeviance& deviance) {
    deviance.replace_internal(nullptr);
}

/// Leaves a criterion as it was found.
template <class Criterion>
class Restored {
 public:
    explicit Restored(Criterion& criterion) : criterion_(criterion) {}
    ~Restored() { restore(criterion_); }
    Restored(const Restored&) = delete;

 private:
    Criterion& criterion_;
};

// ---- any model
// -------------------------------------------------------------------------------------------------------

/// The minimum over a chart from x on. x moves there.
template <class Model, class Criterion>
ProfilePoint minimise(Model model, Criterion& criterion, const Chart& chart, const TermOrder* order,
                      std::vector<Index> rows, Vector& x, const NewtonOptions& options) {
    ProfileObjective<Model, Criterion> objective(model, criterion, chart, order, std::move(rows));
    NewtonResult newton = minimise_newton(objective, x, options);
    ProfilePoint point;
    point.status = newton.status;
    if (newton.status != Status::NotPositiveDefinite) {
        objective.settle_zeros(newton);
        x = newton.x;
        const Vector psi = chart.psi(x), theta = psi.head(criterion.gradient().size());
        point.slope = model.gradient().dot(chart.slope(x));
        point.parameters = criterion.to_user(theta);
        if (order != nullptr)
            order->leave(theta, point.parameters);
        point.expected_gain = newton.expected_gain;
        estimates_into(criterion, point);
    }
    point.deviance = newton.value;
    point.n_evaluations = newton.n_evaluations;
    return point;
}

const RandomEffects::Term& term_of(const RandomEffects& layout, const ProfileTarget& target) {
    const auto inside = [](Index i, Index size) { return i >= 0 && i < size; };
    if (!inside(target.position, static_cast<Index>(layout.terms().size())))
        throw std::invalid_argument("target: expected a term of the model, got " + std::to_string(target.position));
    const auto& term = layout.terms()[target.position];
    const bool correlation = target.kind == ProfileKind::Correlation;
    if (!inside(target.row, term.n_cols) || (correlation && !inside(target.column, term.n_cols)))
        throw std::invalid_argument("target: expected columns of the term");
    if (correlation && (target.row == target.column || term.structure == Structure::Diagonal))
        throw std::invalid_argument("target: expected a correlation that the term has");
    return term;
}

void check_position(const ProfileTarget& target, Index size) {
    if (target.position < 0 || target.position >= size)
        throw std::invalid_argument("target: expected a position below " + std::to_string(size) + ", got " +
                                    std::to_string(target.position));
}

/// The column of a template that belongs to the row at `position` goes, its part of the other rows stays in theirs.
void remove_row(const RandomEffects& layout, const TermOrder& order, Index position, Vector& x) {
    const auto& term = order.term();
    Matrix T = layout.lower_triangle(term, x);
    T.row(position).setZero();
    if (term.structure == Structure::Unstructured && term.n_cols > 1) {  // position is 0
        const Index rest = term.n_cols - 1;
        const Matrix others = lower_factor(T.bottomRows(rest));
        T.setZero();
        T.bottomRightCorner(rest, rest) = others;
    }
    layout.lower_triangle_into(term, T, x);
}

/// A standard deviation of zero.
template <class Model, class Criterion>
ProfilePoint fit_without(Criterion& criterion, Index term, Index row, const Vector& start,
                         const NewtonOptions& options) {
    const Restored<Criterion> restored(criterion);
    const RandomEffects& layout = criterion.problem().layout();
    const TermOrder order(layout, random_basis(criterion), term, {row});
    const Index position = order.position(row);
    Vector x = criterion.to_internal(start);
    order.enter(start, x);
    remove_row(layout, order, position, x);
    Chart chart(x.size());
    const Index last = order.term().structure == Structure::Diagonal ? position + 1 : order.term().n_cols;
    for (Index i = position; i < last; ++i)
        chart.hold(order.entry(i, position), 0.0, 0.0);
    criterion.replace_internal(&order.basis());
    return minimise(Model(criterion), criterion, chart, &order, {position}, x, options);
}

/// A correlation. The chart goes on where one of the two standard deviations becomes negative and the correlation
/// changes its sign. Where the iteration ends there, the minimum is one with a standard deviation of zero, or one that
/// is found from the mirror image.
template <class Model, class Criterion>
ProfilePoint fit_correlation(Criterion& criterion, const ProfileTarget& target, double rho, const Vector& start,
                             const NewtonOptions& options) {
    ProfilePoint point;
    Index n_evaluations = 0;
    {
        const Restored<Criterion> restored(criterion);
        const TermOrder order(criterion.problem().layout(), random_basis(criterion), target.position,
                              {target.column, target.row});
        const Index first = order.entry(0, 0), along = order.entry(1, 0), across = order.entry(1, 1);
        Vector x = criterion.to_internal(start);
        order.enter(start, x);
        x[across] = std::hypot(x[along], x[across]);
        x[along] = 0.0;
        if (x[first] == 0.0 && x[across] == 0.0)  // stationary whatever the data
            x[first] = x[across] = 0.1;
        Chart chart(x.size());
        chart.hold_direction(along, across, rho);
        criterion.replace_internal(&order.basis());
        point = minimise(Model(criterion), criterion, chart, &order, {0, 1}, x, options);
        if (!(x[first] * x[across] < 0.0))
            return point;
        n_evaluations = point.n_evaluations;
        x[across] = -x[across];  // the iteration may have left a minimum behind
        point = minimise(Model(criterion), criterion, chart, &order, {0, 1}, x, options);
        n_evaluations += point.n_evaluations;
        if (x[first] * x[across] < 0.0)
            point.deviance = std::numeric_limits<double>::infinity();
    }
    for (const Index row : {target.row, target.column}) {
        ProfilePoint without = fit_without<Model>(criterion, target.position, row, start, options);
        n_evaluations += without.n_evaluations;
        if (without.deviance < point.deviance)
            point = std::move(without);
    }
    point.n_evaluations = n_evaluations;
    return point;
}

}  // namespace

// ---- linear models
// ---------------------------------------------------------------------------------------------------

ProfilePoint constrained_fit(Deviance& deviance, const ProfileTarget& target, double value, const Vector& start,
                             double sigma, const NewtonOptions& options) {
    const RandomEffects& layout = deviance.problem().layout();
    const RandomBasis& basis = random_basis(deviance);
    const Index m = layout.n_theta();
    const Restored<Deviance> restored(deviance);
    Vector x(m + 1);
    x << deviance.to_internal(start), 1.0;
    Chart chart(m + 1);
    switch (target.kind) {
        case ProfileKind::Sigma:
            chart.hold(m, 1.0, -1.0 / value);
            return minimise(FreeSigma(deviance, value), deviance, chart, nullptr, {}, x, options);
        case ProfileKind::Coefficient: {
            check_position(target, deviance.problem().p());
            Restriction restriction;
            restriction.contrast = Vector::Unit(deviance.problem().p(), target.position);
            restriction.value = value;
            deviance.restrict_to(restriction);
            Vector theta = x.head(m);
            ProfilePoint point = minimise(ProfiledSigma(deviance), deviance, Chart(m), nullptr, {}, theta, options);
            point.slope = deviance.contrast_slope();
            return point;
        }
        case ProfileKind::StandardDeviation: {
            term_of(layout, target);
            if (value == 0.0)
                return fit_without<ProfiledSigma>(deviance, target.position, target.row, start, options);
            const TermOrder order(layout, basis, target.position, {target.row});
            const Index position = order.position(target.row), entry = order.entry(position, position);
            const double per_kappa = order.size(position) / sigma;
            order.enter(start, x);
            x[entry] = value * per_kappa;
            chart.hold(entry);
            chart.A(entry, m) = value * per_kappa;
            chart.dA(entry, m) = per_kappa;
            deviance.replace_internal(&order.basis());
            return minimise(FreeSigma(deviance, sigma), deviance, chart, &order, {position}, x, options);
        }
        case ProfileKind::Correlation:
            term_of(layout, target);
            return fit_correlation<ProfiledSigma>(deviance, target, value, start, options);
        default:
            throw std::invalid_argument("target: expected a parameter of a linear model");
    }
}

// ---- generalized models
// ----------------------------------------------------------------------------------------------

ProfilePoint constrained_fit(GeneralizedDeviance& deviance, const ProfileTarget& target, double value,
                             const Vector& start, const NewtonOptions& options) {
    const GeneralizedProblem& problem = deviance.problem();
    const RandomEffects& layout = problem.layout();
    const Index first = deviance.n_theta(), extra = first + deviance.n_beta();
    const Restored<GeneralizedDeviance> restored(deviance);
    Vector x = deviance.to_internal(start);
    Chart chart(x.size());
    // beta_internal = U beta, so that beta_j is the product of row j of U^-1 with beta_internal
    const auto hold_coefficient = [&](Index from, const Matrix& to_user) {
        check_position(target, to_user.rows());
        chart.hold_contrast(from, to_user.row(target.position), value);
        x = (chart.A.transpose() * x).eval();  // the part along the contrast is held
    };
    switch (target.kind) {
        case ProfileKind::Coefficient:
            if (deviance.profiled())
                throw std::invalid_argument(
                    "target: expected a parameter of the criterion, whose coefficients are "
                    "profiled");
            hold_coefficient(first, problem.coefficient_map());
            break;
        case ProfileKind::ZeroInflation:
            hold_coefficient(x.size() - problem.n_zero(), problem.zero_map());
            break;
        case ProfileKind::Family:
            check_position(target, problem.family().n_parameters());
            chart.hold(extra + target.position, value, 1.0);
            break;
        case ProfileKind::StandardDeviation: {
            term_of(layout, target);
            if (value == 0.0)
                return fit_without<GeneralizedModel>(deviance, target.position, target.row, start, options);
            const TermOrder order(layout, random_basis(deviance), target.position, {target.row});
            const Index position = order.position(target.row), entry = order.entry(position, position);
            order.enter(start, x);
            x[entry] = value * order.size(position);
            chart.hold(entry, x[entry], order.size(position));
            deviance.replace_internal(&order.basis());
            return minimise(GeneralizedModel(deviance), deviance, chart, &order, {position}, x, options);
        }
        case ProfileKind::Correlation:
            term_of(layout, target);
            return fit_correlation<GeneralizedModel>(deviance, target, value, start, options);
        default:
            throw std::invalid_argument("target: expected a parameter of a generalized model");
    }
    return minimise(GeneralizedModel(deviance), deviance, chart, nullptr, {}, x, options);
}

}  // namespace pymixed
