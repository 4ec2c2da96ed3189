// Tweedie's compound Poisson-gamma distribution, variance phi mu^p with 1 < p < 2.

#include <algorithm>

#include "families.hpp"

namespace pymixed {
namespace {

/// log of a(y, phi, p) of Dunn & Smyth 2005 (Statistics and Computing 15, 267-280), and its derivatives (that by the
/// power where it is asked for).
struct Series {
    double value, by_log_phi, by_power;
};

/// y a = sum over j >= 1 of z^j / (j! Gamma(j a)), a = (2 - p)/(p - 1): the j-th term belongs to j gamma variables. The
/// terms rise to j = y^(2-p) / ((2 - p) phi) and fall like a normal density of variance j/(1 + a) around it. Where that
/// is wide every h-th term is enough: the trapezoidal rule of a smooth peak converges exponentially in its width over
/// h, and with h a third of the standard deviation its error is below rounding.
Series tweedie_series(double y, double log_phi, double p, bool with_power) {
    const double log_y = std::log(y), p1 = p - 1.0, p2 = 2.0 - p, a = p2 / p1, a_by_power = -1.0 / (p1 * p1);
    const double log_ratio = log_y - std::log(p1) - log_phi;
    const double log_z = a * log_ratio - log_phi - std::log(p2);
    const double log_z_by_power = a_by_power * log_ratio - a / p1 + 1.0 / p2;
    const double peak = std::max(1.0, std::floor(bounded_exp(p2 * log_y - log_phi) / p2));
    const double deviation = std::sqrt(peak / (1.0 + a)), step = std::max(1.0, std::floor(deviation / 3.0));
    const auto log_term = [&](double j) { return j * log_z - log_gamma(j + 1.0) - log_gamma(j * a); };
    const double largest = log_term(peak);
    constexpr double negligible = -40.0;
    double sum = 0.0, sum_j = 0.0, sum_psi = 0.0;
    const auto add = [&](double j) {
        const double log_share = log_term(j) - largest, share = std::exp(log_share);
        sum += share;
        sum_j += j * share;
        if (with_power)
            sum_psi += j * digamma(j * a) * share;
        return log_share > negligible;
    };
    constexpr int most = 1000;  // a peak beyond 1e15 drowns the fall of the terms in their rounding
    for (int i = 0; i < most && add(peak + i * step); ++i) {
    }
    for (int i = 1; i < most && peak - i * step >= 1.0 && add(peak - i * step); ++i) {
    }
    const double mean_j = sum_j / sum;
    return {largest + std::log(sum * step) - log_y, -(1.0 + a) * mean_j,
            mean_j * log_z_by_power - a_by_power * sum_psi / sum};
}

/// Parameters log(phi) and, where p is not given, logit(p - 1).
template <int K>
struct Tweedie {
    static constexpr int n_parameters = K;
    static constexpr Variable variable = Variable::log_mean;
    static constexpr Support support = Support::NonNegative;
    using CanonicalLink = void;

    double power = 1.5;

    void set_parameters(const double* parameters) {
        log_phi_ = parameters[0];
        inverse_phi_ = bounded_exp(-parameters[0]);
        if constexpr (K > 1) {
            // away from the ends, where the density has no limit
            power = 1.0 + std::min(std::max(logistic(parameters[1]), 1e-6), 1.0 - 1e-6);
        }
    }

    template <int order>
    Curve<K> at(double y, const LinkPoint& m) const {
        const double p1 = power - 1.0, p2 = 2.0 - power, log_mean = m.log_mean;
        // y mu^(1-p) and mu^(2-p), over phi
        const double u = inverse_phi_ * y * bounded_exp(-p1 * log_mean), v = inverse_phi_ * bounded_exp(p2 * log_mean);
        Curve<K> curve{-u / p1 - v / p2, u - v, -p1 * u - p2 * v, p1 * p1 * u - p2 * p2 * v, v, p2 * v, {}};
        if constexpr (order >= 2) {
            curve.channels[0] = {-curve.l, -curve.d1, -curve.d2, -curve.expected};
            if constexpr (K > 1) {
                const double slope = p1 * p2;  // dp / d logit(p - 1)
                curve.channels[1] = {slope * (u * (log_mean + 1.0 / p1) / p1 + v * (log_mean - 1.0 / p2) / p2),
                                     -slope * log_mean * curve.d1, -slope * (log_mean * curve.d2 + curve.d1),
                                     -slope * log_mean * v};
            }
        }
        return curve;
    }
    double normalizer(double y, double weight, double* gradient) const {
        if (y == 0.0)
            return 0.0;
        const Series series = tweedie_series(y, log_phi_, power, K > 1 && gradient != nullptr);
        if (gradient != nullptr) {
            gradient[0] += weight * series.by_log_phi;
            if constexpr (K > 1)
                gradient[1] += weight * (power - 1.0) * (2.0 - power) * series.by_power;
        }
        return weight * series.value;
    }
    static double start(double y, double, double typical) { return std::max(y, typical > 0.0 ? 0.1 * typical : 1.0); }
    /// A Poisson number of gamma variables; as many of one shape sum to a gamma variable of as many times that shape.
    double draw(const LinkPoint& m, double weight, Random& random) const {
        const double p1 = power - 1.0, p2 = 2.0 - power, phi = 1.0 / (inverse_phi_ * weight);
        const double jumps = random.poisson(bounded_exp(p2 * m.log_mean) / (p2 * phi));
        if (jumps == 0.0)
            return 0.0;
        return positive(random.gamma(jumps * p2 / p1) * (phi * p1 * bounded_exp(p1 * m.log_mean)));
    }
    Vector moments(const Sample& sample) const {
        const double p = K > 1 ? 1.5 : power;
        const double phi =
            sample.average([p](double y, double mean) { return (y - mean) * (y - mean) * std::pow(mean, -p); });
        const double scale = sample.average([p](double, double mean) { return std::pow(mean, 2.0 - p); });
        Vector out = Vector::Zero(K);
        out[0] = std::log(std::max({phi, 1e-4 * scale, 1e-80}));
        return out;
    }

 private:
    double log_phi_ = 0.0, inverse_phi_ = 1.0;
};

}  // namespace

std::unique_ptr<Family> make_tweedie(const std::string& link, double power) {
    if (std::isnan(power))
        return with_link("tweedie", link, Tweedie<2>{});
    Tweedie<1> fixed;
    fixed.power = power;
    return with_link("tweedie", link, fixed);
}

}  // namespace pymixed
