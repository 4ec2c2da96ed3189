// Zero inflation of a count family, from the base's own l and derivatives, in place.

#include <cmath>
#include <limits>
#include <stdexcept>

#include "families.hpp"

namespace pymixed {
namespace {

class ZeroInflated final : public Family {
 public:
    explicit ZeroInflated(std::unique_ptr<Family> base) : base_(std::move(base)) {}
    std::unique_ptr<Family> clone() const override { return std::make_unique<ZeroInflated>(base_->clone()); }
    Index n_parameters() const override { return base_->n_parameters(); }
    void set_parameters(const Vector& parameters) override { base_->set_parameters(parameters); }
    bool zero_inflated() const override { return true; }
    Support support() const override { return base_->support(); }
    bool canonical() const override { return false; }

    void evaluate(const FamilyRows& rows, const FamilyOutput& out) const override {
        base_->evaluate(rows, out);
        for (Index i = 0; i < rows.n; ++i) {
            if (out.l[i] == -std::numeric_limits<double>::infinity())
                continue;
            // The information is that of the rows which are no structural zeros, (1 - pi) e0: what the zeros' own
            // uncertainty takes away from it is left out, and it stays positive.
            if (out.order >= 1 && out.expected != nullptr)
                thin_information(rows.zeta[i], i, out);
            if (rows.y[i] == 0.0)
                zero(rows.zeta[i], i, out);
            else
                positive(rows.zeta[i], i, out);
        }
    }

    double normalizer(Index n, const double* y, const double* weights, double* gradient) const override {
        return base_->normalizer(n, y, weights, gradient);
    }
    void initial_predictor(Index n, const double* y, const double* weights, double* eta) const override {
        base_->initial_predictor(n, y, weights, eta);
    }
    Vector initial_parameters(Index n, const double* y, const double* weights, const double* eta) const override {
        return base_->initial_parameters(n, y, weights, eta);
    }
    void simulate(Index n, const double* eta, const double* zeta, const double* weights, Random& random,
                  double* y) const override {
        base_->simulate(n, eta, nullptr, weights, random, y);
        for (Index i = 0; i < n; ++i)
            if (!std::isnan(y[i]) && random.uniform() < logistic(zeta[i]))
                y[i] = 0.0;
    }

 private:
    void thin_information(double zeta, Index i, const FamilyOutput& out) const {
        const double kept = logistic(-zeta);
        if (out.order >= 2) {
            const Index n = n_parameters();
            for (Index k = 0; k < n; ++k)
                if (out.channels[k].expected != nullptr)
                    out.channels[k].expected[i] *= kept;
            if (out.channels[n].expected != nullptr)
                out.channels[n].expected[i] = -kept * logistic(zeta) * out.expected[i];
            if (out.expected_d1 != nullptr)
                out.expected_d1[i] *= kept;
        }
        out.expected[i] *= kept;
    }

    /// log(1 - pi) + l0
    void positive(double zeta, Index i, const FamilyOutput& out) const {
        out.l[i] -= softplus(zeta);
        if (out.order < 2)
            return;
        const FamilyOutput::Channel& inflation = out.channels[n_parameters()];
        inflation.l[i] = -logistic(zeta);
        inflation.d1[i] = inflation.d2[i] = 0.0;
    }

    /// log(pi + (1 - pi) exp(l0)); its derivative by l0 is the probability that the zero is the base's, a logistic
    /// function of l0 - zeta.
    void zero(double zeta, Index i, const FamilyOutput& out) const {
        const double x = out.l[i] - zeta, share = logistic(x), second = share * logistic(-x);
        out.l[i] = softplus(x) + zeta - softplus(zeta);
        if (out.order < 1)
            return;
        const double d1 = out.d1[i], d2 = out.d2[i], third = second * (logistic(-x) - share);
        out.d1[i] = share * d1;
        out.d2[i] = share * d2 + second * d1 * d1;
        if (out.order < 2)
            return;
        out.d3[i] = share * out.d3[i] + 3.0 * second * d1 * d2 + third * d1 * d1 * d1;
        const Index n = n_parameters();
        for (Index k = 0; k < n; ++k) {
            const FamilyOutput::Channel& channel = out.channels[k];
            const double a = channel.l[i], a1 = channel.d1[i];
            channel.l[i] = share * a;
            channel.d1[i] = share * a1 + second * a * d1;
            channel.d2[i] = share * channel.d2[i] + second * (a * d2 + 2.0 * d1 * a1) + third * a * d1 * d1;
        }
        out.channels[n].l[i] = logistic(-x) - logistic(zeta);
        out.channels[n].d1[i] = -second * d1;
        out.channels[n].d2[i] = -second * d2 - third * d1 * d1;
    }

    std::unique_ptr<Family> base_;
};

}  // namespace

std::unique_ptr<Family> make_zero_inflated(std::unique_ptr<Family> base) {
    const double zero = 0.0;
    if (base->zero_inflated() || base->normalizer(1, &zero, nullptr, nullptr) != 0.0)
        throw std::invalid_argument("zero inflation: a family of counts expected");
    return std::make_unique<ZeroInflated>(std::move(base));
}

}  // namespace pymixed
