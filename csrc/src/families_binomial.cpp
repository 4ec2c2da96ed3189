// Distributions of a proportion: binomial and beta. Both are sums of a function of log(mu) and one of log(1 - mu).

#include <algorithm>

#include "families.hpp"

namespace pymixed {
namespace {

/// Trials are the prior weights; y is the proportion of successes.
struct Binomial {
    static constexpr int n_parameters = 0;
    static constexpr Variable variable = Variable::probabilities;
    static constexpr Support support = Support::Proportions;
    using CanonicalLink = LogitLink;

    template <int order>
    Curve<0> at(double y, const LogProbabilities& log_of) const {
        const Jet &a = log_of.success, &b = log_of.failure;
        const double z = 1.0 - y;
        Curve<0> curve;
        curve.l = y * a.value + z * b.value;
        if constexpr (order >= 1) {
            curve.d1 = y * a.d1 + z * b.d1;
            curve.d2 = y * a.d2 + z * b.d2;
            curve.expected = -a.d1 * b.d1;  // mu'^2 / (mu (1 - mu))
        }
        if constexpr (order >= 2) {
            curve.d3 = y * a.d3 + z * b.d3;
            curve.expected_d1 = -a.d2 * b.d1 - a.d1 * b.d2;
        }
        return curve;
    }
    double normalizer(double y, double trials, double*) const {
        if (y == 0.0 || y == 1.0)
            return 0.0;
        return log_factorial(trials) - log_factorial(trials * y) - log_factorial(trials - trials * y);
    }
    static double start(double y, double trials, double) { return (trials * y + 0.5) / (trials + 1.0); }
    double draw(const LogProbabilities& log_of, double weight, Random& random) const {
        const double trials = std::round(weight);
        if (log_of.success.value < log_of.failure.value)
            return random.binomial(trials, std::exp(log_of.success.value)) / trials;
        return (trials - random.binomial(trials, std::exp(log_of.failure.value))) / trials;
    }
};

/// Beta(mu phi, (1 - mu) phi); parameter log(phi).
struct Beta {
    static constexpr int n_parameters = 1;
    static constexpr Variable variable = Variable::probabilities;
    static constexpr Support support = Support::OpenUnit;
    using CanonicalLink = void;

    void set_parameters(const double* parameters) { log_precision_ = parameters[0]; }

    template <int order>
    Curve<1> at(double y, const LogProbabilities& log_of) const {
        const Side a = side<order>(std::log(y), log_of.success.value);
        const Side b = side<order>(std::log1p(-y), log_of.failure.value);
        Curve<1> curve = along_eta<order>(a, log_of.success);
        const Curve<1> other = along_eta<order>(b, log_of.failure);
        curve.l += other.l;
        if constexpr (order >= 1) {
            curve.d1 += other.d1;
            curve.d2 += other.d2;
            curve.expected += other.expected;
        }
        if constexpr (order >= 2) {
            curve.d3 += other.d3;
            curve.expected_d1 += other.expected_d1;
            curve.channels[0].l += other.channels[0].l;
            curve.channels[0].d1 += other.channels[0].d1;
            curve.channels[0].d2 += other.channels[0].d2;
            curve.channels[0].expected += other.channels[0].expected;
        }
        return curve;
    }
    double normalizer(double y, double weight, double* gradient) const {
        const double precision = bounded_exp(log_precision_);
        if (gradient != nullptr)
            *gradient += weight * precision * digamma(precision);
        return weight * (log_gamma(precision) - std::log(y) - std::log1p(-y));
    }
    static double start(double y, double, double) { return y; }
    double draw(const LogProbabilities& log_of, double, Random& random) const {
        const double y = random.beta(bounded_exp(log_precision_ + log_of.success.value),
                                     bounded_exp(log_precision_ + log_of.failure.value));
        return std::min(positive(y), 1.0 - 0x1p-53);
    }
    Vector moments(const Sample& sample) const {
        const double ratio =
            sample.average([](double y, double mean) { return (y - mean) * (y - mean) / (mean * (1.0 - mean)); });
        return Vector::Constant(1, std::log(std::min(std::max(1.0 / ratio - 1.0, 0.1), 1e6)));
    }

 private:
    /// One of the two terms, a log(y) - log Gamma(a) with a = mu phi or (1 - mu) phi, differentiated by log(a).
    struct Side {
        double l, d1, d2, d3, information, information_d1;
    };
    template <int order>
    Side side(double log_y, double log_probability) const {
        const double a = bounded_exp(log_precision_ + log_probability);
        Side side{};
        side.l = a * log_y - log_gamma(a);
        if constexpr (order >= 1) {
            side.d1 = a * (log_y - digamma(a));
            side.information = a * a * trigamma(a);
            side.d2 = side.d1 - side.information;
        }
        if constexpr (order >= 2) {
            side.information_d1 = 2.0 * side.information + a * a * a * tetragamma(a);
            side.d3 = side.d2 - side.information_d1;
        }
        return side;
    }
    /// log(a) is log(phi) plus the log probability, so that derivatives by log(phi) are those by log(a).
    template <int order>
    static Curve<1> along_eta(const Side& s, const Jet& log_probability) {
        Curve<1> curve{s.l, s.d1, s.d2, s.d3, s.information, s.information_d1, {}};
        curve.channels[0] = {s.d1, s.d2, s.d3, s.information_d1};
        compose<order>(curve, log_probability.d1, log_probability.d2, log_probability.d3);
        return curve;
    }

    double log_precision_ = 0.0;
};

}  // namespace

template <>
void ComposedFamily<Binomial, LogitLink>::evaluate(const FamilyRows& rows, const FamilyOutput& out) const {
    evaluate_canonical(canonical_kernels().binomial_logit, rows, out);
}

std::unique_ptr<Family> make_binomial(const std::string& link) {
    return with_link("binomial", link, Binomial{});
}

std::unique_ptr<Family> make_beta(const std::string& link) {
    return with_link("beta", link, Beta{});
}

}  // namespace pymixed
