// Every distribution with every link: derivatives against differences, densities and information against sums and
// quadrature, the far ends of the predictor.
#include "check.hpp"

#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

#include "pymixed/family.hpp"
#include "special_functions.hpp"

namespace {

using namespace pymixed;

/// A family at a point: all that evaluate() gives for one row.
struct Point {
    double l = 0, d1 = 0, d2 = 0, expected = 0, d3 = 0, expected_d1 = 0;
    std::vector<std::array<double, 4>> channels;  // l, d1, d2, expected
};

Point at(const Family& family, double y, double eta, double zeta = 0.0) {
    Point p;
    p.channels.resize(family.n_channels());
    FamilyRows rows{1, &y, &eta, &zeta};
    FamilyOutput out{2, &p.l, &p.d1, &p.d2, &p.expected, &p.d3, &p.expected_d1, {}};
    for (auto& c : p.channels)
        out.channels.push_back({&c[0], &c[1], &c[2], &c[3]});
    family.evaluate(rows, out);
    return p;
}

double log_density(const Family& family, double y, double eta, double zeta = 0.0) {
    const double l = at(family, y, eta, zeta).l;
    return l + family.normalizer(1, &y, nullptr, nullptr);
}

struct Setting {
    std::string distribution;
    std::vector<std::string> links;
    std::vector<std::vector<double>> parameters;
    std::vector<double> y;
    FamilyConstants constants;
};

FamilyConstants constants(double shape, double power) {
    FamilyConstants out;
    out.shape = shape;
    out.power = power;
    return out;
}

const double none = std::numeric_limits<double>::quiet_NaN();
const std::vector<std::string> of_probabilities{"logit", "probit", "cloglog", "cauchit", "log", "identity"};
const std::vector<std::string> of_means{"log", "sqrt", "inverse", "inverse_squared", "identity"};
const std::vector<double> counts{0, 1, 3, 40}, positive{0.02, 0.7, 3, 20}, any{-2, 0.3, 1, 9};

const std::vector<Setting> settings{
    {"binomial", of_probabilities, {{}}, {0, 0.3, 1}, {}},
    {"beta", of_probabilities, {{-1}, {1}, {3}, {5}}, {0.01, 0.4, 0.99}, {}},
    {"poisson", of_means, {{}}, counts, {}},
    {"negative_binomial", of_means, {{-2}, {1}, {4}, {7}}, counts, {}},
    {"negative_binomial", of_means, {{}}, counts, constants(2.5, none)},
    {"negative_binomial1", of_means, {{-6}, {-2}, {0.5}, {3}}, counts, {}},
    {"gamma", of_means, {{-3}, {0}, {1}}, positive, {}},
    {"inverse_gaussian", of_means, {{-3}, {0}, {1}}, positive, {}},
    {"gaussian", of_means, {{-2}, {1}}, any, {}},
    {"student_t", of_means, {{-2, 0.5}, {1, 2}, {0, 6}}, any, {}},
    {"student_t", of_means, {{-2}, {1}}, any, constants(4, none)},
    {"tweedie", of_means, {{-3, 0}, {0, -2}, {1, 2}}, {0, 0.02, 0.7, 20}, {}},
    {"tweedie", of_means, {{-3}, {1}}, {0, 0.02, 0.7, 20}, constants(none, 1.3)},
};

bool of_counts(const std::string& distribution) {
    return distribution == "poisson" || distribution.rfind("negative_binomial", 0) == 0;
}

std::vector<double> predictors(const Setting& s, const std::string& link) {
    if (s.distribution == "binomial" || s.distribution == "beta") {
        if (link == "log")
            return {-6, -1, -0.05};
        if (link == "identity")
            return {0.001, 0.3, 0.8};
        return {-7, -4.9, -2.4, -2.2, -0.4, 0.3, 1.1, 2.5};
    }
    if (link == "log")
        return {-3, -0.5, 0.4, 3};
    if (link == "identity" && (s.distribution == "gaussian" || s.distribution == "student_t"))
        return {-3, 0.2, 4};
    return {0.05, 0.6, 1.3, 5};
}

Vector vector(const std::vector<double>& values) {
    return Eigen::Map<const Vector>(values.data(), static_cast<Index>(values.size()));
}

using Use = std::function<void(Family&, const Setting&, const std::string& link, const Vector& parameters)>;

void for_each_family(const Use& use) {
    for (const Setting& s : settings)
        for (const std::string& link : s.links)
            for (const std::vector<double>& values : s.parameters) {
                const auto family = make_family(s.distribution, link, s.constants);
                family->set_parameters(vector(values));
                use(*family, s, link, vector(values));
            }
}

/// A derivative against differences of fourth order.
void check_derivative(const std::function<double(double)>& f, double x, double h, double derivative,
                      const std::string& what) {
    const double a = f(x - 2 * h), b = f(x - h), c = f(x + h), d = f(x + 2 * h);
    const double numerical = (8 * (c - b) - (d - a)) / (12 * h);
    const double size = std::max({std::abs(a), std::abs(b), std::abs(c), std::abs(d), 1.0});
    if (!(std::abs(numerical - derivative) <= 1e-6 * std::abs(derivative) + 1e-12 * size / h)) {
        CHECK(!"derivative");
        std::printf("  %s at %g: %.12g against %.12g\n", what.c_str(), x, derivative, numerical);
    }
}

void check_derivatives(Family& family, const Vector& parameters, double y, double eta, double zeta,
                       const std::string& name) {
    const Point p = at(family, y, eta, zeta);
    const std::string where = name + " y " + std::to_string(y) + " eta " + std::to_string(eta) + ": ";
    const double h = 2e-3 * std::min(std::abs(eta), 1.0);
    const std::array<double Point::*, 5> members{&Point::l, &Point::d1, &Point::d2, &Point::d3, &Point::expected};
    const auto along_eta = [&](double Point::* member) {
        return [&family, y, zeta, member](double x) { return at(family, y, x, zeta).*member; };
    };
    check_derivative(along_eta(&Point::l), eta, h, p.d1, where + "d1");
    check_derivative(along_eta(&Point::d1), eta, h, p.d2, where + "d2");
    check_derivative(along_eta(&Point::d2), eta, h, p.d3, where + "d3");
    check_derivative(along_eta(&Point::expected), eta, h, p.expected_d1, where + "expected_d1");
    const std::array<double Point::*, 4> of_channel{members[0], members[1], members[2], members[4]};
    for (Index k = 0; k < family.n_channels(); ++k)
        for (std::size_t j = 0; j < of_channel.size(); ++j) {
            const auto along_channel = [&](double x) {
                if (k == parameters.size())
                    return at(family, y, eta, x).*of_channel[j];
                Vector moved = parameters;
                moved[k] = x;
                family.set_parameters(moved);
                return at(family, y, eta, zeta).*of_channel[j];
            };
            check_derivative(along_channel, k == parameters.size() ? zeta : parameters[k], 2e-3, p.channels[k][j],
                             where + "channel " + std::to_string(k) + " of " + std::to_string(j));
            family.set_parameters(parameters);
        }
}

/// Sum or integral of g(y) times the density.
double expectation(const Family& family, const Setting& s, double eta, const std::function<double(double)>& g) {
    const auto term = [&](double y) { return std::exp(log_density(family, y, eta)) * g(y); };
    double sum = 0;
    if (s.distribution == "binomial")
        return term(0) + term(1);
    if (of_counts(s.distribution)) {
        for (int y = 0; y < 6000; ++y)
            sum += term(y);
        return sum;
    }
    // the trapezoidal rule along a variable in which the density falls fast
    const double step = 0.02;
    for (double t = -200; t < 40; t += step) {
        if (s.distribution == "beta") {
            if (t < 36)  // y is 1 beyond
                sum += step * term(logistic(t)) * logistic(t) * logistic(-t);
        } else if (s.distribution == "gaussian" || s.distribution == "student_t") {
            sum += step * term(std::sinh(t)) * std::cosh(t);
        } else {
            sum += step * term(std::exp(t)) * std::exp(t);
        }
    }
    return s.distribution == "tweedie" ? sum + term(0) : sum;
}

}  // namespace

TEST("derivatives by eta and by every channel") {
    for_each_family([](Family& family, const Setting& s, const std::string& link, const Vector& parameters) {
        for (const double y : s.y)
            for (const double eta : predictors(s, link))
                check_derivatives(family, parameters, y, eta, 0.0, s.distribution + " " + link);
    });
}

TEST("derivatives with zero inflation, by its logit as well") {
    for (const Setting& s : settings)
        for (const std::string& link : s.links)
            for (const std::vector<double>& values : s.parameters) {
                if (!of_counts(s.distribution))
                    continue;
                auto family = make_zero_inflated(make_family(s.distribution, link, s.constants));
                family->set_parameters(vector(values));
                CHECK(family->n_channels() == static_cast<Index>(values.size()) + 1);
                for (const double y : {0.0, 2.0})
                    for (const double eta : predictors(s, link))
                        for (const double zeta : {-4.0, 0.3, 5.0})
                            check_derivatives(*family, vector(values), y, eta, zeta,
                                              "zero-inflated " + s.distribution + " " + link);
            }
}

TEST("the gradient of the normalizer") {
    for_each_family([](Family& family, const Setting& s, const std::string& link, const Vector& parameters) {
        if (link != s.links.front())
            return;
        std::vector<double> weights{0.5, 2, 1, 3};
        const Index n = static_cast<Index>(s.y.size());
        Vector gradient = Vector::Constant(parameters.size(), 7.0);  // is overwritten
        family.normalizer(n, s.y.data(), weights.data(), gradient.data());
        for (Index k = 0; k < parameters.size(); ++k) {
            const auto along = [&](double x) {
                Vector moved = parameters;
                moved[k] = x;
                family.set_parameters(moved);
                return family.normalizer(n, s.y.data(), weights.data(), nullptr);
            };
            if (s.distribution != "beta" || s.y[0] > 0)
                check_derivative(along, parameters[k], 2e-3, gradient[k], "normalizer " + s.distribution);
        }
    });
}

TEST("densities sum to one, with mean slope 0 and the information expected of them") {
    for_each_family([](Family& family, const Setting& s, const std::string& link, const Vector& parameters) {
        if (s.distribution == "beta" && parameters[0] < 3)
            return;  // too much of it within rounding of 1 for the quadrature
        for (const double eta : predictors(s, link)) {
            if (std::abs(eta) > 2 || std::abs(eta) < 0.1)
                continue;
            const auto slope = [&](double y) { return at(family, y, eta).d1; };
            const auto minus_curvature = [&](double y) { return -at(family, y, eta).d2; };
            const double expected = at(family, 1.0, eta).expected;
            const double total = expectation(family, s, eta, [](double) { return 1.0; });
            const double slope_error = expectation(family, s, eta, slope) / std::sqrt(expected);
            const double information = expectation(family, s, eta, minus_curvature);
            // quasi-likelihood's information is below Fisher's
            const bool quasi = s.distribution == "negative_binomial1";
            const bool right = std::abs(total - 1) < 1e-8 && std::abs(slope_error) < 1e-7 &&
                               (quasi ? expected > 0.3 * information && expected < information * (1 + 1e-7)
                                      : std::abs(information - expected) < 1e-7 * expected);
            CHECK(right);
            if (!right)
                std::printf("  %s %s eta %g: total %.12g slope %.3g information %.12g expected %.12g\n",
                            s.distribution.c_str(), link.c_str(), eta, total, slope_error, information, expected);
        }
    });
}

TEST("canonical links: the observed information is the expected one") {
    Index n_canonical = 0;
    for_each_family([&](Family& family, const Setting& s, const std::string& link, const Vector&) {
        if (!family.canonical())
            return;
        ++n_canonical;
        for (const double y : s.y)
            for (const double eta : predictors(s, link)) {
                const Point p = at(family, y, eta);
                CHECK(std::abs(p.d2 + p.expected) <= 1e-11 * (p.expected + std::abs(y * p.d1)));
            }
    });
    CHECK(n_canonical == 1 + 1 + 3 + 3 + 2);
}

TEST("far predictors: finite derivatives") {
    for_each_family([](Family& family, const Setting& s, const std::string& link, const Vector&) {
        for (const double size : {700.0, 40.0, 30.0, 1e-12, 1e-30})
            for (const double eta : {-size, size})
                for (const double y : s.y) {
                    const Point p = at(family, y, eta);
                    if (p.l == -std::numeric_limits<double>::infinity())
                        continue;  // outside the domain
                    bool finite = std::isfinite(p.l + p.d1 + p.d2 + p.d3 + p.expected + p.expected_d1);
                    for (const auto& channel : p.channels)
                        finite = finite && std::isfinite(channel[0] + channel[1] + channel[2] + channel[3]);
                    CHECK(finite && p.expected >= 0);
                    if (!finite)
                        std::printf("  %s %s eta %g y %g\n", s.distribution.c_str(), link.c_str(), eta, y);
                }
    });
}

TEST("far predictors: no lost digits") {
    const auto logit = make_family("binomial", "logit"), poisson = make_family("poisson", "log");
    const auto probit = make_family("binomial", "probit"), cloglog = make_family("binomial", "cloglog");
    for (const double eta : {700.0, 40.0, 30.0, 3.0}) {
        const double small = std::exp(-eta);
        for (const double sign : {-1.0, 1.0}) {
            const Point p = at(*logit, sign > 0 ? 1 : 0, sign * eta), q = at(*logit, sign > 0 ? 0 : 1, sign * eta);
            CHECK_CLOSE(p.l, -std::log1p(small), 1e-15);
            CHECK_CLOSE(p.d1, sign * small / (1 + small), 1e-15);
            CHECK_CLOSE(p.d2, -small / (1 + small) / (1 + small), 1e-15);
            CHECK_CLOSE(q.l, -eta - std::log1p(small), 1e-15);
            CHECK_CLOSE(q.d1, -sign / (1 + small), 1e-15);
        }
    }
    // 1 - Phi(x) = phi(x)/x (1 - 1/x^2 + 3/x^4 - ..), so that d2 of the log tends to -(1 - 1/x^2 + 6/x^4 - 50/x^6)
    for (const double x : {100.0, 700.0}) {
        const Point p = at(*probit, 1, -x);
        const double s = 1 / (x * x);
        CHECK_CLOSE(p.d1, x * (1 + s * (1 - s * (2 - 10 * s))), 1e-13);
        CHECK_CLOSE(p.d2, -(1 - s * (1 - s * (6 - 50 * s))), 1e-13);
        CHECK_CLOSE(p.d3, 2 * s / x * (1 - s * (12 - 150 * s)), 1e-8);
        CHECK_CLOSE(at(*probit, 0, x).d3, -p.d3, 1e-15);
    }
    CHECK_CLOSE(at(*cloglog, 1, -30).d2, -0.5 * std::exp(-30), 1e-12);
    CHECK_CLOSE(at(*cloglog, 1, -700).l, -700.0, 1e-15);
    CHECK_CLOSE(at(*poisson, 3, -700).l, -2100.0, 1e-15);
}

TEST("outside the domain") {
    const double minus_infinity = -std::numeric_limits<double>::infinity();
    for (const char* link : {"sqrt", "inverse", "inverse_squared", "identity"})
        CHECK(at(*make_family("gamma", link), 1, -0.5).l == minus_infinity);
    CHECK(at(*make_family("binomial", "log"), 1, 0.1).l == minus_infinity);
    CHECK(at(*make_family("binomial", "identity"), 1, 1.1).l == minus_infinity);
    CHECK(at(*make_zero_inflated(make_family("poisson", "identity")), 0, -1).l == minus_infinity);
}

TEST("limits: negative binomials of huge size are Poisson, the t of many degrees of freedom is normal") {
    const auto poisson = make_family("poisson", "log"), gaussian = make_family("gaussian", "identity");
    const auto nb2 = make_family("negative_binomial", "log"), nb1 = make_family("negative_binomial1", "log");
    const auto t = make_family("student_t", "identity");
    nb2->set_parameters(Vector::Constant(1, std::log(1e11)));
    nb1->set_parameters(Vector::Constant(1, std::log(1e-11)));
    t->set_parameters(Eigen::Vector2d(0.0, std::log(1e10)));
    gaussian->set_parameters(Vector::Zero(1));
    for (const double y : {0.0, 1.0, 2.0, 5.0})
        for (const double eta : {-1.0, 0.5, 1.5}) {
            const Point p = at(*poisson, y, eta), g = at(*gaussian, y, eta);
            for (const auto* family : {nb2.get(), nb1.get()}) {
                const Point q = at(*family, y, eta);
                CHECK(std::abs(log_density(*family, y, eta) - log_density(*poisson, y, eta)) < 1e-9);
                CHECK(std::abs(q.d1 - p.d1) < 1e-9 && std::abs(q.d2 - p.d2) < 1e-9 && std::abs(q.d3 - p.d3) < 1e-9);
                double gradient = 0;
                family->normalizer(1, &y, nullptr, &gradient);
                // the gradient by the log of the size, to first order in its inverse
                const double mean = std::exp(eta), sign = family == nb2.get() ? 1 : -1;
                const double change = sign > 0 ? (y - mean) * (y - mean) - y : y * (y - 1) / mean + mean - 2 * y;
                CHECK(std::abs(gradient + q.channels[0][0] + sign * 0.5e-11 * change) < 3e-15);
            }
            CHECK(std::abs(log_density(*t, y, eta) - log_density(*gaussian, y, eta)) < 1e-7);
            CHECK(std::abs(at(*t, y, eta).d2 - g.d2) < 1e-7);
        }
}

TEST("tweedie: a series of many terms keeps its digits and its gradient") {
    // compound Poisson-gamma with millions of jumps is close to normal: variance phi mu^p
    const auto family = make_family("tweedie", "log");
    for (const double log_phi : {-8.0, -12.0, -15.0}) {
        family->set_parameters(Eigen::Vector2d(log_phi, 0.0));
        const double normal = -0.5 * (1.83787706640934548356 + log_phi);
        CHECK(std::abs(log_density(*family, 1.0, 0.0) - normal) < std::exp(log_phi) + 1e-8);
    }
}

TEST("zero inflation adds the structural zeros") {
    const auto base = make_family("poisson", "log"), inflated = make_zero_inflated(base->clone());
    const double pi = logistic(-0.7);
    for (const double y : {0.0, 1.0, 4.0}) {
        const double count = (1 - pi) * std::exp(log_density(*base, y, 0.3));
        CHECK_CLOSE(std::exp(log_density(*inflated, y, 0.3, -0.7)), count + (y == 0 ? pi : 0), 1e-14);
    }
    CHECK_THROWS(make_zero_inflated(make_family("gamma", "log")), std::invalid_argument);
    CHECK_THROWS(make_zero_inflated(inflated->clone()), std::invalid_argument);
}

TEST("starts are in the domain, and moments find the parameters") {
    for_each_family([](Family& family, const Setting& s, const std::string&, const Vector& parameters) {
        const Index n = static_cast<Index>(s.y.size());
        Vector eta(n);
        family.initial_predictor(n, s.y.data(), nullptr, eta.data());
        for (Index i = 0; i < n; ++i)
            CHECK(std::isfinite(at(family, s.y[i], eta[i]).l));
        const Vector start = family.initial_parameters(n, s.y.data(), nullptr, eta.data());
        CHECK(start.size() == parameters.size() && start.allFinite());
    });
    // y = mu (1 - 1/2), mu (1 + 1/2): squared coefficient of variation 1/4
    const std::vector<double> y{1, 3, 2, 6}, eta{std::log(2), std::log(2), std::log(4), std::log(4)};
    CHECK_CLOSE(make_family("gamma", "log")->initial_parameters(4, y.data(), nullptr, eta.data())[0], std::log(0.25),
                1e-12);
}

TEST("unknown names and constants out of range") {
    CHECK_THROWS(make_family("binomal", "logit"), std::invalid_argument);
    CHECK_THROWS(make_family("binomial", "sqrt"), std::invalid_argument);
    CHECK_THROWS(make_family("poisson", "logit"), std::invalid_argument);
    CHECK_THROWS(make_family("tweedie", "log", constants(none, 2.0)), std::invalid_argument);
    CHECK_THROWS(make_family("negative_binomial", "log", constants(0.0, none)), std::invalid_argument);
    CHECK_THROWS(make_family("gamma", "log")->set_parameters(Vector()), std::invalid_argument);
}
