#include "pattern_fits.hpp"

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "leading.hpp"
#include "template_objective.hpp"
#include "uncertainty.hpp"

namespace pymixed {

static constexpr Index most_columns = 16;  // of [X y]: beyond, a lane's sums leave the first-level cache

bool PatternFits::suits(const Problem& problem) {
    const Leading& lead = problem.leading();
    return lead.use_moments() && lead.c <= most_lane_columns && lead.P <= most_columns;
}

PatternFits::PatternFits(const Problem& problem, const SortedRows& rows, bool reml, const FitOptions& options)
    : problem_(problem),
      tolerance_(options.newton.tolerance),
      step_cap_(options.newton.step_cap),
      max_evaluations_(options.newton.max_evaluations),
      minque_(problem),
      coefficient_map_(problem.products().fixed_basis().U().topLeftCorner(problem.p(), problem.p()).inverse()),
      basis_(problem.products().random_basis().internal()[0]),
      responses_(Lane::width) {
    const Leading& lead = problem.leading();
    const RandomEffects& layout = problem.layout();
    const FixedBasis& fixed = problem.products().fixed_basis();
    if (options.start.size() > 0)
        common_start_ = problem.products().random_basis().to_internal(layout, options.start);
    for (const auto& entry : layout.entries()) {
        row_.push_back(static_cast<int>(entry.row));
        column_.push_back(static_cast<int>(entry.col));
    }
    const Index P = lead.P, m = layout.n_theta();
    const double nu = static_cast<double>(reml ? problem.n() - problem.p() : problem.n());
    constexpr double two_pi = 6.283185307179586476925;
    const double constant = nu * (1.0 + std::log(two_pi / nu)) - problem.products().sum_log_weights() +
                            (reml ? 2.0 * fixed.R.diagonal().array().log().sum() : 0.0);
    model_ = {lead.c,
              P,
              m,
              lead.n_patterns,
              reml,
              nu,
              constant,
              lead.A.data(),
              lead.count.data(),
              basis_.data(),
              row_.data(),
              column_.data()};
    XtWX_inverse_ = problem.products().XytXy().topLeftCorner(P - 1, P - 1).llt().solve(Matrix::Identity(P - 1, P - 1));
    rows_ = {rows.n,
             P - 1,
             lead.c,
             lead.n_levels,
             rows.X.data(),
             rows.weights.size() > 0 ? rows.weights.data() : nullptr,
             rows.factors[0].intercept ? nullptr : rows.factors[0].z.data(),
             rows.factors[0].level.data(),
             lead.pattern.data(),
             problem.products().factor(0).ZtXy.data(),
             XtWX_inverse_.data(),
             rows.weights.size() > 0 ? rows.weights.sum() : static_cast<double>(rows.n)};

    columns_.resize(problem.p());
    std::iota(columns_.begin(), columns_.end(), Index{0});

    const Index n_moments = lead.n_patterns * packed(lead.c, 0) * P * P;
    const std::pair<Lane**, Index> arrays[] = {{&state_.theta, m},
                                               {&state_.XytXy, P * P},
                                               {&state_.moments, n_moments},
                                               {&state_.gradient, m},
                                               {&state_.curvature, m * m},
                                               {&state_.W, P * P},
                                               {&state_.work, lane_work_size(model_)},
                                               {&step_, m},
                                               {&step_work_, m * m},
                                               {&around_.theta, m},
                                               {&around_.XytXy, P * P},
                                               {&around_.moments, n_moments},
                                               {&around_.gradient, m},
                                               {&around_.curvature, m * m},
                                               {&around_.W, P * P},
                                               {&around_.work, lane_work_size(model_)},
                                               {&staged_.lanes, rows.n},
                                               {&staged_.theta, m},
                                               {&staged_.sums.gamma, P - 1},
                                               {&staged_.sums.XytXy_row, P},
                                               {&staged_.sums.moments, n_moments},
                                               {&staged_.sums.work, rows.n + lead.n_levels * lead.c}};
    Index total = 0;
    for (const auto& array : arrays)
        total += array.second;
    memory_.resize(total);
    Lane* next = memory_.data();
    for (const auto& array : arrays) {
        *array.first = next;
        next += array.second;
    }
    staged_.sums.y = staged_.lanes;
    staged_.y.assign(Lane::width, Vector(rows.n));
    // what the design alone determines is the same in every lane and stays; lanes without a response hold the problem's
    const ResponseView own = problem.response();
    for (int lane = 0; lane < Lane::width; ++lane) {
        for (Index a = 0; a < P; ++a)
            for (Index b = 0; b < P; ++b)
                state_.XytXy[a * P + b].of[lane] = (*own.XytXy)(a, b);
        for (Index k = 0; k < n_moments; ++k)
            state_.moments[k].of[lane] = own.moments[k];
        for (Index e = 0; e < m; ++e)
            state_.theta[e].of[lane] = row_[e] == column_[e] ? 1.0 : 0.0;
        for (Index i = 0; i < rows.n; ++i)
            staged_.lanes[i].of[lane] = rows.y[i];
        responses_[lane].y.resize(rows.n);
        responses_[lane].gamma.resize(problem.p());
    }
    offset_ = rows.offset;
}

/// Sums of the next responses, and where their iterations start; false where there are none.
bool PatternFits::stage(const Next& next) {
    staged_.taken = staged_.count = 0;
    while (staged_.count < Lane::width) {
        Vector& y = staged_.y[staged_.count];
        const Index number = next(y);
        if (number < 0)
            break;
        for (Index i = 0; i < y.size(); ++i)
            staged_.lanes[i].of[staged_.count] = offset_.size() > 0 ? y[i] - offset_[i] : y[i];
        staged_.number[staged_.count++] = number;
    }
    if (staged_.count == 0)
        return false;
    lane_kernels().sum_responses(rows_, model_.n_patterns, staged_.sums);
    const Index P = model_.P, blocks = packed(model_.c, 0);
    Vector q(model_.c + 1), theta = common_start_;
    theta.resize(model_.m);
    for (int lane = 0; lane < staged_.count; ++lane) {
        if (common_start_.size() == 0) {  // y~ has no part in the span of X~
            q.setZero();
            for (Index k = 0; k < model_.n_patterns; ++k)
                for (Index j = 0; j < model_.c; ++j)
                    q[j] += staged_.sums.moments[(k * blocks + packed(j, j) + 1) * P * P - 1].of[lane];
            q[model_.c] = staged_.sums.XytXy_row[P - 1].of[lane];
            minque_.start_into(q, 0.0, 1.0, theta);
        }
        for (Index e = 0; e < model_.m; ++e)
            staged_.theta[e].of[lane] = theta[e];
    }
    return true;
}

/// The next response goes into a lane; false where there is none.
bool PatternFits::load(int lane, const Next& next) {
    if (staged_.taken == staged_.count && !stage(next))
        return false;
    const int from = staged_.taken++;
    Response& response = responses_[lane];
    response.number = staged_.number[from];
    response.y.swap(staged_.y[from]);
    response.scale = staged_.sums.scale.of[from];
    response.n_evaluations = 0;
    const Index P = model_.P, p = P - 1, blocks = model_.n_patterns * packed(model_.c, 0);
    for (Index j = 0; j < p; ++j)
        response.gamma[j] = staged_.sums.gamma[j].of[from];
    for (Index b = 0; b < P; ++b)
        state_.XytXy[p * P + b].of[lane] = staged_.sums.XytXy_row[b].of[from];
    for (Index k = 0; k < blocks; ++k) {
        const Lane* source = staged_.sums.moments + k * P * P;
        Lane* to = state_.moments + k * P * P;
        for (Index a = 0; a < P; ++a) {
            to[a * P + p].of[lane] = source[a * P + p].of[from];
            to[p * P + a].of[lane] = source[p * P + a].of[from];
        }
    }
    for (Index e = 0; e < model_.m; ++e)
        state_.theta[e].of[lane] = staged_.theta[e].of[from];
    return true;
}

/// From the derivatives at a point to the next one; see minimise_newton().
PatternFits::Progress PatternFits::advance(int lane) {
    Response& response = responses_[lane];
    const double value = state_.value.of[lane], gain = gain_.of[lane];
    const Index m = model_.m;
    ++response.n_evaluations;
    if (!std::isfinite(value) || !(gain >= 0.0) || !(state_.pwrss.of[lane] > exact_fit * rows_.sum_weights))
        return Progress::Left;
    const double noise = 1e-13 * std::max(1.0, std::abs(value));
    if (response.n_evaluations > 1 && !(value <= response.value - 1e-4 * response.expected + noise))
        return Progress::Left;
    if (gain <= tolerance_)
        return nearly_singular(lane) ? Progress::Left : Progress::Found;
    if (response.n_evaluations >= max_evaluations_)
        return Progress::Left;
    double length = 0.0, size = 0.0;
    for (Index e = 0; e < m; ++e) {
        length += step_[e].of[lane] * step_[e].of[lane];
        size += state_.theta[e].of[lane] * state_.theta[e].of[lane];
    }
    const double cap = std::max(step_cap_, std::sqrt(size));
    const double fraction = std::min(1.0, cap / std::sqrt(length));
    for (Index first = 0; first < m;) {  // a column of a template that vanishes: the iteration would only halve it
        double along = 0.0, square = 0.0;
        Index e = first;
        do {
            along += state_.theta[e].of[lane] * step_[e].of[lane];
            square += state_.theta[e].of[lane] * state_.theta[e].of[lane];
        } while (++e < m && row_[e] != column_[e]);
        if (along <= -0.7 * square)
            return Progress::Left;
        first = e;
    }
    for (Index e = 0; e < m; ++e)
        state_.theta[e].of[lane] += fraction * step_[e].of[lane];
    response.value = value;
    response.expected = 2.0 * gain * fraction;
    return Progress::Going;
}

bool PatternFits::nearly_singular(int lane) const {
    Vector theta(model_.m);
    for (Index e = 0; e < model_.m; ++e)
        theta[e] = state_.theta[e].of[lane];
    for (const auto& term : problem_.layout().terms())
        if (may_be_singular(problem_.layout().lower_triangle(term, theta)))
            return true;
    return false;
}

/// Entry of (X'V^-1X)^-1 in the user's columns.
double PatternFits::covariance_in(const LaneState& state, int lane, Index i, Index j) const {
    const Index P = model_.P, p = P - 1;
    double sum = 0.0;
    for (Index x = 0; x < p; ++x) {
        double root_i = 0.0, root_j = 0.0;
        for (Index a = 0; a <= x; ++a) {
            const double w = state.W[a * P + x].of[lane];
            root_i += coefficient_map_(i, a) * w;
            root_j += coefficient_map_(j, a) * w;
        }
        sum += root_i * root_j;
    }
    return sum;
}

void PatternFits::write(int lane, Refits& refits) {
    const Response& response = responses_[lane];
    const Index P = model_.P, p = P - 1, row = response.number;
    const double sigma2 = response.scale * response.scale * state_.pwrss.of[lane] / model_.nu;
    Vector theta(model_.m);
    for (Index e = 0; e < model_.m; ++e)
        theta[e] = state_.theta[e].of[lane];
    refits.theta.row(row) = problem_.products().random_basis().to_user(problem_.layout(), theta).transpose();
    refits.extra(row, 0) = std::sqrt(sigma2);
    for (Index i = 0; i < p; ++i) {
        refits.beta(row, i) = 0.0;
        for (Index a = 0; a < p; ++a)
            refits.beta(row, i) +=
                coefficient_map_(i, a) * (response.gamma[a] - response.scale * state_.W[a * P + p].of[lane]);
        for (Index j = 0; j <= i; ++j)
            refits.covariance(row, packed(i, j)) = sigma2 * covariance_in(state_, lane, i, j);
    }
    refits.objective[row] = state_.value.of[lane] + 2.0 * model_.nu * std::log(response.scale);
    refits.status[row] = Status::Success;
    refits.n_evaluations[row] = response.n_evaluations;
    refits.n_rows[row] = problem_.n();
    if (refits.variance_covariance.cols() > 0)
        write_uncertainty(response, lane, refits);
}

/// Derivatives at the minimum from points on both sides of it, a point per lane.
void PatternFits::write_uncertainty(const Response& response, int lane, Refits& refits) {
    const Index P = model_.P, p = P - 1, m = model_.m, size = packed(p, 0);
    const Index n_moments = model_.n_patterns * packed(model_.c, 0) * P * P;
    const auto spread = [lane](const Lane& from, Lane& to) { std::fill_n(to.of, Lane::width, from.of[lane]); };
    for (Index k = 0; k < P * P; ++k)
        spread(state_.XytXy[k], around_.XytXy[k]);
    for (Index k = 0; k < n_moments; ++k)
        spread(state_.moments[k], around_.moments[k]);
    const auto theta = [&](Index e) { return state_.theta[e].of[lane]; };
    const auto step = [&](Index e) { return 3e-5 * std::max(std::abs(theta(e)), 0.1); };
    CriterionDerivatives at{Matrix(m, m), Vector(m), Vector(size), RowMatrix(m, size)};
    constexpr Index at_a_time = Lane::width / 2;
    for (Index first = 0; first < m; first += at_a_time) {
        const Index last = std::min(first + at_a_time, m);
        for (Index e = 0; e < m; ++e)
            std::fill_n(around_.theta[e].of, Lane::width, theta(e));
        for (Index e = first; e < last; ++e) {
            around_.theta[e].of[2 * (e - first)] += step(e);
            around_.theta[e].of[2 * (e - first) + 1] -= step(e);
        }
        lane_kernels().evaluate(model_, around_);
        for (Index e = first; e < last; ++e) {
            const int above = static_cast<int>(2 * (e - first)), below = above + 1;
            const double inverse = 1.0 / (2.0 * step(e));
            for (Index i = 0; i < m; ++i)
                at.hessian(i, e) = (around_.gradient[i].of[above] - around_.gradient[i].of[below]) * inverse;
            at.pwrss[e] =
                response.scale * response.scale * (around_.pwrss.of[above] - around_.pwrss.of[below]) * inverse;
            for (Index i = 0; i < p; ++i)
                for (Index j = 0; j <= i; ++j)
                    at.C_change(e, packed(i, j)) =
                        (covariance_in(around_, above, i, j) - covariance_in(around_, below, i, j)) * inverse;
        }
    }
    at.hessian = (0.5 * (at.hessian + at.hessian.transpose())).eval();
    for (Index i = 0; i < p; ++i)
        for (Index j = 0; j <= i; ++j)
            at.C[packed(i, j)] = covariance_in(state_, lane, i, j);
    const double sigma = refits.extra(response.number, 0);
    refits.set_uncertainty(response.number,
                           variance_uncertainty(at, std::vector<bool>(m, true), sigma * sigma, model_.nu), columns_);
}

void PatternFits::run(const Next& next, const Leave& leave, Refits& refits) {
    const LaneKernels& kernels = lane_kernels();
    int active = 0;
    for (int lane = 0; lane < Lane::width; ++lane) {
        responses_[lane].number = -1;
        active += load(lane, next);
    }
    while (active > 0) {
        kernels.evaluate(model_, state_);
        kernels.newton_step(model_.m, state_.curvature, state_.gradient, step_, gain_, step_work_);
        for (int lane = 0; lane < Lane::width; ++lane) {
            Response& response = responses_[lane];
            if (response.number < 0)
                continue;
            const Progress progress = advance(lane);
            if (progress == Progress::Going)
                continue;
            if (progress == Progress::Found)
                write(lane, refits);
            else
                leave(response.number, response.y);
            response.number = -1;
            active -= !load(lane, next);
        }
    }
}

}  // namespace pymixed
