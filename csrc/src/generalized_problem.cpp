#include "pymixed/generalized_problem.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>

#include "minque.hpp"
#include "sorted_rows.hpp"

namespace pymixed {

namespace {

constexpr double initial_zeta = -1.5;  // a structural zero in one row of six

// the largest standard deviation of random effects to start from: in units of a row's, or of the linear predictor
constexpr double largest_ratio = 5.0, largest_effect = 2.0;

/// Working response and weights of iteratively reweighted least squares at the initial linear predictors, with the
/// initial parameters, to which it sets the family; weights of mean 1, `deviation` being the standard deviation of a
/// row of weight 1 in units of the linear predictor.
struct WorkingData {
    Vector parameters, y, weights;
    double deviation;

    /// @param prior  weights; null: all 1
    WorkingData(Family& family, const Vector& response, const double* prior)
        : y(response.size()), weights(response.size()) {
        const Index n = response.size();
        Vector eta(n), l(n), d1(n), d2(n);
        family.initial_predictor(n, response.data(), prior, eta.data());
        const Vector centre = Vector::Constant(n, eta.mean()), zeta = Vector::Constant(n, initial_zeta);
        parameters = family.initial_parameters(n, response.data(), prior, centre.data());
        family.set_parameters(parameters);
        FamilyOutput out;
        out.order = 1;
        out.l = l.data();
        out.d1 = d1.data();
        out.d2 = d2.data();
        out.expected = weights.data();
        family.evaluate({n, response.data(), eta.data(), zeta.data()}, out);
        double largest = 0.0;
        for (Index i = 0; i < n; ++i)
            if (std::isfinite(weights[i]))
                largest = std::max(largest, weights[i]);
        for (Index i = 0; i < n; ++i) {
            const bool usable = weights[i] > 1e-8 * largest && std::isfinite(weights[i]) && std::isfinite(d1[i]);
            y[i] = eta[i] + (usable ? d1[i] / weights[i] : 0.0);
            weights[i] = usable ? weights[i] : std::max(1e-8 * largest, 1e-100);
            if (prior != nullptr)
                weights[i] *= prior[i];
        }
        const double mean = weights.mean();
        weights /= mean;
        deviation = 1.0 / std::sqrt(mean);
    }

    double variance() const { return deviation * deviation; }  ///< of a row of weight 1

    /// @param ratios  of the standard deviations of random effects and of rows
    GeneralizedProblem::Start start(const Vector& ratios) const {
        return {(deviation * ratios).cwiseMin(std::max(largest_ratio * deviation, largest_effect)), parameters};
    }
};

}  // namespace

GeneralizedProblem::GeneralizedProblem(RandomEffects layout, const Rows& rows, std::unique_ptr<Family> family,
                                       const std::vector<ColumnView>& zero_inflation, Method method,
                                       double memory_limit, bool centred)
    : family_(std::move(family)), centred_(centred) {
    Vector y(rows.n);
    for (Index i = 0; i < rows.n; ++i)
        y[i] = rows.y[i];
    const WorkingData working(*family_, y, rows.weights);
    Rows linear_rows = rows;
    linear_rows.y = {working.y.data(), 1};
    linear_rows.weights = working.weights.data();
    auto basis = RandomBasis::from_rows(layout, linear_rows, centred);
    linear_ = std::make_unique<Problem>(
        std::make_shared<const CrossProducts>(std::move(layout), FixedBasis::from_rows(linear_rows), std::move(basis),
                                              linear_rows),
        method, memory_limit);
    start_ = working.start(Minque(*linear_).start(linear_->response(), working.variance()));
    rows_ = std::make_unique<SortedRows>(*linear_, rows, zero_inflation);
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

GeneralizedProblem::Start GeneralizedProblem::start_of(const Vector& y) const {
    const auto family = family_->clone();
    const WorkingData working(*family, y, rows_->weights.size() > 0 ? rows_->weights.data() : nullptr);
    const CrossProducts products = linear_->products().with_weights(rows_->internal_rows(layout()), working.weights);
    const Minque minque(*linear_, products);
    return working.start(minque.start(*rows_, working.y, working.weights, working.variance()));
}

Vector GeneralizedProblem::initial_zero() const {
    Vector zero = Vector::Zero(n_zero());
    if (rows_->zero_basis.intercept >= 0)
        zero[rows_->zero_basis.intercept] = initial_zeta;
    return zero;
}

Index GeneralizedProblem::n_zero() const {
    return rows_->X_zero.cols();
}

}  // namespace pymixed
