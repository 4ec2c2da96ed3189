// Distributions of a count, along log(mu).

#include <algorithm>

#include "families.hpp"

namespace pymixed {
namespace {

struct Poisson {
    static constexpr int n_parameters = 0;
    static constexpr Variable variable = Variable::log_mean;
    static constexpr Support support = Support::Counts;
    using CanonicalLink = LogLink;

    template <int order>
    Curve<0> at(double y, const LinkPoint& m) const {
        const double mean = m.mean;
        return {y * m.log_mean - mean, y - mean, -mean, -mean, mean, mean, {}};
    }
    double normalizer(double y, double weight, double*) const { return -weight * log_factorial(y); }
    static double start(double y, double, double) { return y + 0.1; }
    double draw(const LinkPoint& m, double, Random& random) const { return random.poisson(m.mean); }
};

/// Size s, variance mu + mu^2/s; parameter log(s), or none where s is given. The powers of s are shared out so that
/// both parts tend to those of the Poisson distribution.
template <int K>
struct NegativeBinomial {
    static constexpr int n_parameters = K;
    static constexpr Variable variable = Variable::log_mean;
    static constexpr Support support = Support::Counts;
    using CanonicalLink = void;

    double size = 1.0;

    void set_parameters(const double* parameters) { size = bounded_exp(parameters[0]); }

    template <int order>
    Curve<K> at(double y, const LinkPoint& m) const {
        const double mean = m.mean, x = mean / size;
        // q = mu/(s + mu), a logistic function of log(mu) and of -log(s)
        const double rest = 1.0 / (1.0 + x), q = x * rest, slope = q * rest, total = y + size;
        Curve<K> curve{};
        curve.l = y * m.log_mean - total * std::log1p(x);
        if constexpr (order >= 1) {
            curve.d1 = (y - mean) * rest;
            curve.d2 = -total * slope;
            curve.expected = mean * rest;
        }
        if constexpr (order >= 2) {
            curve.d3 = -total * slope * (rest - q);
            curve.expected_d1 = mean * rest * rest;
            if constexpr (K > 0) {
                curve.channels[0].l = y * q - size * log1p_minus_share(x);
                curve.channels[0].d1 = (y - mean) * slope;
                curve.channels[0].d2 = slope * (y - 2.0 * q * total);
                curve.channels[0].expected = mean * slope;
            }
        }
        return curve;
    }
    double normalizer(double y, double weight, double* gradient) const {
        if constexpr (K > 0)
            if (gradient != nullptr)
                *gradient += weight * digamma_difference(size, y);
        return weight * (log_gamma_ratio(size, y) - log_factorial(y));
    }
    static double start(double y, double, double) { return y + 0.1; }
    double draw(const LinkPoint& m, double, Random& random) const {
        return random.poisson(random.gamma(size) * (m.mean / size));
    }
    Vector moments(const Sample& sample) const {
        const double excess =
            sample.average([](double y, double mean) { return (y - mean) * (y - mean) / mean - 1.0; });
        const double mean = sample.average([](double, double mean) { return mean; });
        return Vector::Constant(1, std::log(excess > 1e-4 * mean ? std::max(mean / excess, 0.05) : 1e4));
    }
};

/// Size mu/phi, variance mu (1 + phi); parameter log(phi).
struct NegativeBinomial1 {
    static constexpr int n_parameters = 1;
    static constexpr Variable variable = Variable::log_mean;
    static constexpr Support support = Support::Counts;
    using CanonicalLink = void;

    void set_parameters(const double* parameters) {
        phi_ = bounded_exp(parameters[0]);
        odds_ = phi_ / (1.0 + phi_);
    }

    /// With c = log(1 + phi): l = log_gamma_ratio(s, y) + y log(mu) - c s, s = mu/phi, differentiated by log(s).
    template <int order>
    Curve<1> at(double y, const LinkPoint& m) const {
        const double s = m.mean / phi_, cs = s * std::log1p(phi_);
        Curve<1> curve{};
        curve.l = log_gamma_ratio(s, y) + y * m.log_mean - cs;
        if constexpr (order >= 1) {
            const PolygammaDifferences psi = polygamma_differences(s, y);
            const double g1 = psi.first + y, g2 = g1 + psi.second;
            curve.d1 = g1 - cs;
            curve.d2 = g2 - cs;
            // The expectation of -l'' has no closed form; this is the information of quasi-likelihood, mu'^2/variance.
            curve.expected = m.mean / (1.0 + phi_);
            if constexpr (order >= 2) {
                const double g3 = g2 + 2.0 * psi.second + psi.third;
                curve.d3 = g3 - cs;
                curve.expected_d1 = curve.expected;
                const double change = s * log1p_minus_share(phi_);  // d(-c s)/d log(phi)
                curve.channels[0] = {change - psi.first, change - g2, change - g3, -curve.expected * odds_};
            }
        }
        return curve;
    }
    double normalizer(double y, double weight, double* gradient) const {
        if (gradient != nullptr)
            *gradient -= weight * y * odds_;
        return -weight * (log_factorial(y) + y * std::log1p(phi_));
    }
    static double start(double y, double, double) { return y + 0.1; }
    double draw(const LinkPoint& m, double, Random& random) const {
        return random.poisson(random.gamma(m.mean / phi_) * phi_);
    }
    Vector moments(const Sample& sample) const {
        const double phi = sample.average([](double y, double mean) { return (y - mean) * (y - mean) / mean; }) - 1.0;
        return Vector::Constant(1, std::log(std::min(std::max(phi, 1e-4), 1e4)));
    }

 private:
    double phi_ = 1.0, odds_ = 0.5;
};

}  // namespace

template <>
void ComposedFamily<Poisson, LogLink>::evaluate(const FamilyRows& rows, const FamilyOutput& out) const {
    evaluate_canonical(canonical_kernels().poisson_log, rows, out);
}

std::unique_ptr<Family> make_poisson(const std::string& link) {
    return with_link("poisson", link, Poisson{});
}

std::unique_ptr<Family> make_negative_binomial(const std::string& link, double shape) {
    if (std::isnan(shape))
        return with_link("negative_binomial", link, NegativeBinomial<1>{});
    return with_link("negative_binomial", link, NegativeBinomial<0>{shape});
}

std::unique_ptr<Family> make_negative_binomial1(const std::string& link) {
    return with_link("negative_binomial1", link, NegativeBinomial1{});
}

}  // namespace pymixed
