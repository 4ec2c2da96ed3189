// Distributions of a positive number, along log(mu), and of any number, along mu.

#include <algorithm>

#include "families.hpp"

namespace pymixed {
namespace {

constexpr double log_2pi = 1.83787706640934548356;

/// Log of a variance or dispersion by moments, kept from where the likelihood degenerates.
Vector log_dispersion(double estimate, double smallest) {
    return Vector::Constant(1, std::log(std::max({estimate, smallest, 1e-80})));
}

/// The same of a variance about the means, for location families.
Vector log_variance(const Sample& sample) {
    const double size = sample.average([](double y, double) { return y * y; });
    return log_dispersion(sample.average([](double y, double mean) { return (y - mean) * (y - mean); }), 1e-8 * size);
}

/// Dispersion phi, l proportional to 1/phi: the derivatives by log(phi) are the terms with their signs changed.
template <int order>
void dispersion_channel(Curve<1>& curve) {
    if constexpr (order >= 2)
        curve.channels[0] = {-curve.l, -curve.d1, -curve.d2, -curve.expected};
}

/// Shape 1/phi; parameter log(phi).
struct Gamma {
    static constexpr int n_parameters = 1;
    static constexpr Variable variable = Variable::log_mean;
    static constexpr Support support = Support::Positive;
    using CanonicalLink = InverseLink;

    void set_parameters(const double* parameters) { shape_ = bounded_exp(-parameters[0]); }

    template <int order>
    Curve<1> at(double y, const LinkPoint& m) const {
        const double u = shape_ * (y / m.mean);
        Curve<1> curve{-shape_ * m.log_mean - u, u - shape_, -u, u, shape_, 0.0, {}};
        dispersion_channel<order>(curve);
        return curve;
    }
    double normalizer(double y, double weight, double* gradient) const {
        const double log_shape = std::log(shape_), log_y = std::log(y);
        if (gradient != nullptr)
            *gradient -= weight * shape_ * (log_shape + 1.0 - digamma(shape_) + log_y);
        return weight * (shape_ * log_shape + (shape_ - 1.0) * log_y - log_gamma(shape_));
    }
    static double start(double y, double, double) { return y; }
    double draw(const LinkPoint& m, double weight, Random& random) const {
        const double shape = shape_ * weight;
        return positive(random.gamma(shape) * (m.mean / shape));
    }
    Vector moments(const Sample& sample) const {
        return log_dispersion(sample.average([](double y, double mean) { return std::pow(y / mean - 1.0, 2); }), 1e-4);
    }

 private:
    double shape_ = 1.0;
};

/// Variance phi mu^3; parameter log(phi).
struct InverseGaussian {
    static constexpr int n_parameters = 1;
    static constexpr Variable variable = Variable::log_mean;
    static constexpr Support support = Support::Positive;
    using CanonicalLink = InverseSquaredLink;

    void set_parameters(const double* parameters) {
        log_phi_ = parameters[0];
        lambda_ = bounded_exp(-parameters[0]);
    }

    template <int order>
    Curve<1> at(double y, const LinkPoint& m) const {
        const double ratio = y / m.mean, u = lambda_ / m.mean, yu = u * ratio;
        Curve<1> curve{
            -0.5 * lambda_ / y * (ratio - 1.0) * (ratio - 1.0), yu - u, u - 2.0 * yu, 4.0 * yu - u, u, -u, {}};
        dispersion_channel<order>(curve);
        return curve;
    }
    double normalizer(double y, double weight, double* gradient) const {
        if (gradient != nullptr)
            *gradient -= 0.5 * weight;
        return -0.5 * weight * (log_2pi + log_phi_ + 3.0 * std::log(y));
    }
    static double start(double y, double, double) { return y; }
    double draw(const LinkPoint& m, double weight, Random& random) const {
        return positive(random.inverse_gaussian(m.mean, 1.0 / (lambda_ * weight)));
    }
    Vector moments(const Sample& sample) const {
        const double scale = sample.average([](double, double mean) { return 1.0 / mean; });
        return log_dispersion(sample.average([](double y, double mean) { return std::pow(y / mean - 1.0, 2) / mean; }),
                              1e-4 * scale);
    }

 private:
    double log_phi_ = 0.0, lambda_ = 1.0;
};

struct Gaussian {
    static constexpr int n_parameters = 1;
    static constexpr Variable variable = Variable::mean;
    static constexpr Support support = Support::Real;
    using CanonicalLink = IdentityLink;

    void set_parameters(const double* parameters) {
        log_variance_ = parameters[0];
        precision_ = bounded_exp(-parameters[0]);
    }

    template <int order>
    Curve<1> at(double y, const LinkPoint& m) const {
        const double r = y - m.mean, d1 = precision_ * r;
        Curve<1> curve{-0.5 * r * d1, d1, -precision_, 0.0, precision_, 0.0, {}};
        dispersion_channel<order>(curve);
        return curve;
    }
    double normalizer(double, double weight, double* gradient) const {
        if (gradient != nullptr)
            *gradient -= 0.5 * weight;
        return -0.5 * weight * (log_2pi + log_variance_);
    }
    static double start(double y, double, double) { return y; }
    double draw(const LinkPoint& m, double weight, Random& random) const {
        return m.mean + random.normal() / std::sqrt(precision_ * weight);
    }
    Vector moments(const Sample& sample) const { return log_variance(sample); }

 private:
    double log_variance_ = 0.0, precision_ = 1.0;
};

/// Scale sigma and nu degrees of freedom; parameters log(sigma^2) and, where nu is not given, log(nu).
template <int K>
struct StudentT {
    static constexpr int n_parameters = K;
    static constexpr Variable variable = Variable::mean;
    static constexpr Support support = Support::Real;
    using CanonicalLink = void;

    double nu = 5.0;

    void set_parameters(const double* parameters) {
        log_variance_ = parameters[0];
        variance_ = bounded_exp(parameters[0]);
        if constexpr (K > 1)
            nu = bounded_exp(parameters[1]);
    }

    template <int order>
    Curve<K> at(double y, const LinkPoint& m) const {
        // t + k = 1, and no power of r but its square is formed
        const double r = y - m.mean, c = nu * variance_, w = 1.0 / (c + r * r), t = r * r * w, k = c * w;
        const double x = r * r / c, g = r * w;
        Curve<K> curve{};
        curve.l = -0.5 * (nu + 1.0) * std::log1p(x);
        if constexpr (order >= 1) {
            curve.d1 = (nu + 1.0) * g;
            curve.d2 = (nu + 1.0) * w * (t - k);
            curve.expected = (nu + 1.0) / ((nu + 3.0) * variance_);
        }
        if constexpr (order >= 2) {
            curve.d3 = (nu + 1.0) * 2.0 * g * w * (t - 3.0 * k);
            curve.channels[0] = {0.5 * (nu + 1.0) * t, -(nu + 1.0) * g * k, -(nu + 1.0) * w * k * (3.0 * t - k),
                                 -curve.expected};
            if constexpr (K > 1) {
                const double rest = nu + 3.0;
                curve.channels[1] = {0.5 * t - 0.5 * nu * log1p_minus_share(x), g * (nu * t - k),
                                     w * (k * k - 3.0 * (nu + 1.0) * k * t + nu * t * t),
                                     2.0 * nu / (rest * rest * variance_)};
            }
        }
        return curve;
    }
    double normalizer(double, double weight, double* gradient) const {
        if (gradient != nullptr) {
            gradient[0] -= 0.5 * weight;
            if constexpr (K > 1)
                gradient[1] += weight * digamma_difference(0.5 * nu, 0.5);
        }
        return weight * (log_gamma_ratio(0.5 * nu, 0.5) - 0.5 * (log_2pi + log_variance_));
    }
    static double start(double y, double, double) { return y; }
    double draw(const LinkPoint& m, double, Random& random) const {
        return m.mean + random.student_t(nu) * std::sqrt(variance_);
    }
    Vector moments(const Sample& sample) const {
        const double degrees = K > 1 ? 5.0 : nu, ratio = degrees > 2.5 ? (degrees - 2.0) / degrees : 0.2;
        Vector out = Vector::Constant(K, std::log(degrees));
        out[0] = std::log(ratio) + log_variance(sample)[0];
        return out;
    }

 private:
    double log_variance_ = 0.0, variance_ = 1.0;
};

}  // namespace

std::unique_ptr<Family> make_gamma(const std::string& link) {
    return with_link("gamma", link, Gamma{});
}

std::unique_ptr<Family> make_inverse_gaussian(const std::string& link) {
    return with_link("inverse_gaussian", link, InverseGaussian{});
}

std::unique_ptr<Family> make_gaussian(const std::string& link) {
    return with_link("gaussian", link, Gaussian{});
}

std::unique_ptr<Family> make_student_t(const std::string& link, double shape) {
    if (std::isnan(shape))
        return with_link("student_t", link, StudentT<2>{});
    StudentT<1> fixed;
    fixed.nu = shape;
    return with_link("student_t", link, fixed);
}

}  // namespace pymixed
