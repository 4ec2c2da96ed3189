#pragma once
// A distribution composed with a link at compile time: the loop over the rows is one function per pair.
//
// A distribution D has
//   n_parameters, set_parameters(const double*)
//   variable                        what its density is a function of (see Variable)
//   CanonicalLink                   void: none
//   support                         the values that a response can take
//   at<order>(y, point)             the density and its derivatives along that variable, a Curve
//   normalizer(y, weight, gradient) the part without eta of one row, weight times; adds to `gradient` where not null
//   start(y, weight, typical)       a mean inside the domain near y; `typical`: mean of |y|
//   moments(sample)                 estimates of the parameters
//   draw(point, weight, random)     a response

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "canonical_kernels.hpp"
#include "links.hpp"
#include "pymixed/family.hpp"

namespace pymixed {

struct ChannelTerms {
    double l, d1, d2, expected;
};

/// Log density of a row, its derivatives along a variable, and those of all by the K parameters.
template <int K>
struct Curve {
    double l, d1, d2, d3, expected, expected_d1;
    std::array<ChannelTerms, K> channels;
};

enum class Variable { mean, log_mean, probabilities };

/// From derivatives along the link's variable to those along eta. The information needs no second derivative of the
/// link: the expected slope is zero.
template <int order, int K>
void compose(Curve<K>& curve, double v1, double v2, double v3) {
    if constexpr (order >= 2) {
        curve.d3 = curve.d3 * v1 * v1 * v1 + 3.0 * curve.d2 * v1 * v2 + curve.d1 * v3;
        curve.expected_d1 = curve.expected_d1 * v1 * v1 * v1 + 2.0 * curve.expected * v1 * v2;
        for (ChannelTerms& channel : curve.channels) {
            channel.d2 = channel.d2 * v1 * v1 + channel.d1 * v2;
            channel.d1 *= v1;
            channel.expected *= v1 * v1;
        }
    }
    if constexpr (order >= 1) {
        curve.d2 = curve.d2 * v1 * v1 + curve.d1 * v2;
        curve.d1 *= v1;
        curve.expected *= v1 * v1;
    }
}

/// What moments are taken of: responses and means.
struct Sample {
    Index n;
    const double *y, *weights, *eta;
    double (*mean)(double);

    /// Weighted mean of f(y, mu) over the rows.
    template <class Function>
    double average(Function f) const {
        double sum = 0.0, total = 0.0;
        for (Index i = 0; i < n; ++i) {
            const double weight = weights == nullptr ? 1.0 : weights[i];
            sum += weight * f(y[i], mean(eta[i]));
            total += weight;
        }
        return sum / total;
    }
};

/// A positive number that was drawn, where it did not underflow.
inline double positive(double y) {
    return std::max(y, std::numeric_limits<double>::min());
}

template <class Distribution, class Link>
class ComposedFamily final : public Family {
    static constexpr int K = Distribution::n_parameters;

 public:
    explicit ComposedFamily(const Distribution& distribution) : distribution_(distribution) {}
    std::unique_ptr<Family> clone() const override { return std::make_unique<ComposedFamily>(*this); }
    Index n_parameters() const override { return K; }
    void set_parameters(const Vector& parameters) override {
        if (parameters.size() != K)
            throw std::invalid_argument("family: " + std::to_string(K) + " parameters expected, got " +
                                        std::to_string(parameters.size()));
        if constexpr (K > 0)
            distribution_.set_parameters(parameters.data());
    }
    Support support() const override { return Distribution::support; }
    bool canonical() const override { return std::is_same_v<Link, typename Distribution::CanonicalLink>; }

    void evaluate(const FamilyRows& rows, const FamilyOutput& out) const override {
        if (out.order == 0)
            evaluate_rows<0>(rows, out);
        else if (out.order == 1)
            evaluate_rows<1>(rows, out);
        else
            evaluate_rows<2>(rows, out);
    }

    double normalizer(Index n, const double* y, const double* weights, double* gradient) const override {
        double sum = 0.0;
        if (gradient != nullptr)
            std::fill_n(gradient, K, 0.0);
        for (Index i = 0; i < n; ++i)
            sum += distribution_.normalizer(y[i], weights == nullptr ? 1.0 : weights[i], gradient);
        return sum;
    }

    void initial_predictor(Index n, const double* y, const double* weights, double* eta) const override {
        double typical = 0.0;
        for (Index i = 0; i < n; ++i)
            typical += std::abs(y[i]) / static_cast<double>(n);
        for (Index i = 0; i < n; ++i) {
            double mean = Distribution::start(y[i], weights == nullptr ? 1.0 : weights[i], typical);
            if constexpr (Distribution::variable == Variable::mean && !std::is_same_v<Link, IdentityLink>)
                mean = std::max(mean, typical > 0.0 ? 0.1 * typical : 1.0);
            eta[i] = Link::predictor(mean);
        }
    }

    Vector initial_parameters(Index n, const double* y, const double* weights, const double* eta) const override {
        if constexpr (K == 0)
            return Vector();
        else
            return distribution_.moments(Sample{n, y, weights, eta, &mean});
    }

    void simulate(Index n, const double* eta, const double*, const double* weights, Random& random,
                  double* y) const override {
        for (Index i = 0; i < n; ++i)
            y[i] = std::isfinite(eta[i]) && Link::contains(eta[i])
                       ? distribution_.draw(point(eta[i]), weights == nullptr ? 1.0 : weights[i], random)
                       : std::numeric_limits<double>::quiet_NaN();
    }

 private:
    static double mean(double eta) {
        if constexpr (Distribution::variable == Variable::probabilities)
            return std::exp(Link::at(eta).success.value);
        else
            return Link::mean(eta);
    }

    static auto point(double eta) {
        if constexpr (Distribution::variable == Variable::probabilities)
            return Link::at(eta);
        else if constexpr (Distribution::variable == Variable::log_mean)
            return Link::along_log_mean(eta);
        else
            return Link::along_mean(eta);
    }

    template <int order>
    Curve<K> row(double y, double eta) const {
        const auto at = point(eta);
        Curve<K> curve = distribution_.template at<order>(y, at);
        if constexpr (Distribution::variable != Variable::probabilities)
            compose<order>(curve, at.d1, at.d2, at.d3);
        return curve;
    }

    template <int order>
    void evaluate_rows(const FamilyRows& rows, const FamilyOutput& out) const {
        for (Index i = 0; i < rows.n; ++i) {
            if (!Link::contains(rows.eta[i])) {
                out.l[i] = -std::numeric_limits<double>::infinity();
                continue;
            }
            const Curve<K> curve = row<order>(rows.y[i], rows.eta[i]);
            out.l[i] = curve.l;
            if constexpr (order >= 1) {
                out.d1[i] = curve.d1;
                out.d2[i] = curve.d2;
                if (out.expected != nullptr)
                    out.expected[i] = curve.expected;
            }
            if constexpr (order >= 2) {
                out.d3[i] = curve.d3;
                if (out.expected_d1 != nullptr)
                    out.expected_d1[i] = curve.expected_d1;
                for (int k = 0; k < K; ++k) {
                    const FamilyOutput::Channel& channel = out.channels[k];
                    channel.l[i] = curve.channels[k].l;
                    channel.d1[i] = curve.channels[k].d1;
                    channel.d2[i] = curve.channels[k].d2;
                    if (channel.expected != nullptr)
                        channel.expected[i] = curve.channels[k].expected;
                }
            }
        }
    }

    Distribution distribution_;
};

/// evaluate() of a family whose loops are among the canonical kernels: -l'' is the information, whatever y.
inline void evaluate_canonical(CanonicalKernel kernel, const FamilyRows& rows, const FamilyOutput& out) {
    kernel(rows.n, rows.y, rows.eta, out.l, out.order >= 1 ? out.d1 : nullptr, out.order >= 1 ? out.d2 : nullptr,
           out.order >= 2 ? out.d3 : nullptr);
    if (out.order >= 1 && out.expected != nullptr)
        std::transform(out.d2, out.d2 + rows.n, out.expected, std::negate<>());
    if (out.order >= 2 && out.expected_d1 != nullptr)
        std::transform(out.d3, out.d3 + rows.n, out.expected_d1, std::negate<>());
}

/// The family of a distribution and one of several links, by the link's name.
template <class Distribution>
class LinkChoice {
 public:
    LinkChoice(const std::string& name, const std::string& link, const Distribution& distribution)
        : name_(name), link_(link), distribution_(distribution) {}

    template <class Link>
    LinkChoice& option(const char* link) {
        if (link_ == link)
            family_ = std::make_unique<ComposedFamily<Distribution, Link>>(distribution_);
        expected_ += (expected_.empty() ? "" : ", ") + std::string(link);
        return *this;
    }
    std::unique_ptr<Family> take() {
        if (family_ == nullptr)
            throw std::invalid_argument("link of the " + name_ + " family: one of " + expected_ + " expected, got '" +
                                        link_ + "'");
        return std::move(family_);
    }

 private:
    const std::string &name_, &link_;
    const Distribution& distribution_;
    std::string expected_;
    std::unique_ptr<Family> family_;
};

template <class Distribution>
std::unique_ptr<Family> with_link(const std::string& name, const std::string& link, const Distribution& distribution) {
    LinkChoice<Distribution> choice(name, link, distribution);
    if constexpr (Distribution::variable == Variable::probabilities)
        choice.template option<LogitLink>("logit")
            .template option<ProbitLink>("probit")
            .template option<CloglogLink>("cloglog")
            .template option<CauchitLink>("cauchit")
            .template option<LogProbabilityLink>("log")
            .template option<IdentityProbabilityLink>("identity");
    else
        choice.template option<LogLink>("log")
            .template option<SqrtLink>("sqrt")
            .template option<InverseLink>("inverse")
            .template option<InverseSquaredLink>("inverse_squared")
            .template option<
                std::conditional_t<Distribution::variable == Variable::mean, IdentityLink, PositiveIdentityLink>>(
                "identity");
    return choice.take();
}

// The distributions, one file of a kind.
std::unique_ptr<Family> make_binomial(const std::string& link);
std::unique_ptr<Family> make_beta(const std::string& link);
std::unique_ptr<Family> make_poisson(const std::string& link);
std::unique_ptr<Family> make_negative_binomial(const std::string& link, double shape);
std::unique_ptr<Family> make_negative_binomial1(const std::string& link);
std::unique_ptr<Family> make_gamma(const std::string& link);
std::unique_ptr<Family> make_inverse_gaussian(const std::string& link);
std::unique_ptr<Family> make_gaussian(const std::string& link);
std::unique_ptr<Family> make_student_t(const std::string& link, double shape);
std::unique_ptr<Family> make_tweedie(const std::string& link, double power);

}  // namespace pymixed
