#include "pymixed/generalized_problem.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>

#include "pymixed/fit.hpp"
#include "sorted_rows.hpp"

namespace pymixed {

namespace {

constexpr double initial_zeta = -1.5;  // a structural zero in one row of six

// the largest standard deviation of random effects to start from: in units of a row's, or of the linear predictor
constexpr double largest_ratio = 5.0, largest_effect = 2.0;

/// Working response and weights of iteratively reweighted least squares at the initial linear predictors; weights of
/// mean 1, `deviation` being the standard deviation of a row of weight 1 in units of the linear predictor.
struct WorkingData {
    Vector y, weights, eta;
    double deviation;

    WorkingData(const Rows& rows, const Family& family, const Vector& response, Vector initial)
        : y(rows.n), weights(rows.n), eta(std::move(initial)) {
        const Vector zeta = Vector::Constant(rows.n, initial_zeta);
        Vector l(rows.n), d1(rows.n), d2(rows.n);
        FamilyOutput out;
        out.order = 1;
        out.l = l.data();
        out.d1 = d1.data();
        out.d2 = d2.data();
        out.expected = weights.data();
        family.evaluate({rows.n, response.data(), eta.data(), zeta.data()}, out);
        double largest = 0.0;
        for (Index i = 0; i < rows.n; ++i)
            if (std::isfinite(weights[i]))
                largest = std::max(largest, weights[i]);
        for (Index i = 0; i < rows.n; ++i) {
            const bool usable = weights[i] > 1e-8 * largest && std::isfinite(weights[i]) && std::isfinite(d1[i]);
            y[i] = eta[i] + (usable ? d1[i] / weights[i] : 0.0);
            weights[i] = usable ? weights[i] : std::max(1e-8 * largest, 1e-100);
            if (rows.weights != nullptr)
                weights[i] *= rows.weights[i];
        }
        const double mean = weights.mean();
        weights /= mean;
        deviation = 1.0 / std::sqrt(mean);
    }
};

}  // namespace

GeneralizedProblem::GeneralizedProblem(RandomEffects layout, const Rows& rows, std::unique_ptr<Family> family,
                                       const std::vector<ColumnView>& zero_inflation, Method method,
                                       double memory_limit, bool centred)
    : family_(std::move(family)), centred_(centred) {
    Vector y(rows.n), eta(rows.n);
    for (Index i = 0; i < rows.n; ++i)
        y[i] = rows.y[i];
    family_->initial_predictor(rows.n, y.data(), rows.weights, eta.data());
    const Vector centre = Vector::Constant(rows.n, eta.mean());
    parameters_ = family_->initial_parameters(rows.n, y.data(), rows.weights, centre.data());
    family_->set_parameters(parameters_);

    const WorkingData working(rows, *family_, y, std::move(eta));
    Rows linear_rows = rows;
    linear_rows.y = {working.y.data(), 1};
    linear_rows.weights = working.weights.data();
    auto basis = RandomBasis::from_rows(layout, linear_rows, centred);
    linear_ = std::make_unique<Problem>(
        std::make_shared<const CrossProducts>(std::move(layout), FixedBasis::from_rows(linear_rows), std::move(basis),
                                              linear_rows),
        method, memory_limit);
    theta_ = (working.deviation * minque_start(*linear_, working.deviation * working.deviation))
                 .cwiseMin(std::max(largest_ratio * working.deviation, largest_effect));

    rows_ = std::make_unique<SortedRows>(*linear_, rows, zero_inflation);
    eta_.resize(rows.n);
    for (Index i = 0; i < rows.n; ++i)
        eta_[i] = working.eta[rows_->order[i]];
    zero_ = Vector::Zero(rows_->X_zero.cols());
    if (rows_->zero_basis.intercept >= 0)
        zero_[rows_->zero_basis.intercept] = initial_zeta;
}

GeneralizedProblem::~GeneralizedProblem() = default;

static Matrix to_host(const FixedBasis& basis) {
    return basis.U().topLeftCorner(basis.p(), basis.p()).inverse();
}

Matrix GeneralizedProblem::coefficient_map() const {
    return to_host(linear_->products().fixed_basis());
}

Matrix GeneralizedProblem::zero_map() const {
    return to_host(rows_->zero_basis);
}

Index GeneralizedProblem::n_zero() const {
    return rows_->X_zero.cols();
}

}  // namespace pymixed
