#pragma once
// Adaptive Gauss-Hermite quadrature for one grouping factor with up to three columns.
//
//     L_g = integral of exp(sum_i w_i l_i(u) - |u|^2/2) / (2 pi)^(c/2) du
//         = |M_g|^-1/2 sum_k omega_k exp(sum_i w_i l_i(u_k) - |u_k|^2/2 + |x_k|^2/2),    u_k = u~_g + R_g x_k
//
// with the nodes x_k and weights omega_k of the product rule for the standard normal density and R_g R_g' = M_g^-1,
// R_g = L_g^-T for the Cholesky factor L_g of M_g (Pinheiro & Bates 1995, J. Comput. Graph. Stat. 4(1); Liu & Pierce
// 1994, Biometrika 81(3)). One node is Laplace's approximation. The gradient follows modes and M_g by adjoints.

#include "generalized_rows.hpp"
#include "template_parameters.hpp"

namespace pymixed {

class Quadrature {
 public:
    /// @throws std::invalid_argument  several grouping factors, or more than three columns
    Quadrature(const GeneralizedProblem& problem, Index n_nodes);

    /// Minus twice the log-likelihood, without the family's normalizer, at the modes of `pirls`, whose factor is that
    /// of the criterion.
    double evaluate(Pirls& pirls, const Templates& T);
    /// Writes the gradient in internal psi; `rows` are the derivatives at the modes, the factor of `pirls` that of the
    /// observed weights.
    void differentiate(Pirls& pirls, const TemplateParameters& parameters, RowDerivatives& rows, Vector& gradient);

    // What the last differentiate() summed: means over the nodes, and per level the derivative by its template.
    const Vector& score() const { return score_; }                          ///< n: w l'
    const Vector& slope(Index channel) const { return slopes_[channel]; }   ///< n: w dl/da
    const Matrix& template_adjoints() const { return template_adjoints_; }  ///< c x q, blocks of c columns

 private:
    void place_nodes(Index k, const Pirls& pirls, const Matrix& T);

    const GeneralizedProblem& problem_;
    Index c_;
    Matrix nodes_;                  // c x K
    Vector log_weights_;            // K: log omega_k + |x_k|^2 / 2
    RowMatrix posterior_;           // levels x K: log terms, then their shares
    std::vector<double> A_, root_;  // per level Z_g'WZ_g with the criterion's weights, and R_g
    Vector u_, b_, eta_;            // of one node
    Vector score_;
    std::vector<Vector> slopes_;
    Matrix template_adjoints_;
};

}  // namespace pymixed
