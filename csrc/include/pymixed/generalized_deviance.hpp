#pragma once
/// @file
/// Minus twice the log-likelihood of a generalized linear mixed model, by Laplace's approximation or adaptive
/// quadrature, with its exact gradient.
///
///     d(theta, beta, a) = -2 sum_i w_i log f(y_i | eta~_i) + |u~|^2 + log|M|,    M = T'Z'WZT + I
///
/// at the conditional modes u~ (pirls.hpp), W the observed information -w l''(eta~) (Laplace's approximation as it is
/// defined; what glmmTMB computes) or its expectation (lme4's choice; the same for canonical links). a: the family's
/// parameters and the coefficients of the zero inflation. With 0 quadrature nodes beta is profiled: it minimises the
/// penalised deviance together with u, and d is a function of theta and a.
///
/// Gradient by the implicit-function theorem (Skaug & Fournier 2006, Comput. Stat. Data Anal. 51; docs/mathematics.md).
/// With r = w l', h_i = z_i'T M^-1 T'z_i, v = h dW/deta, s = Z'r, W_o the observed weights and Q_o the inverse with
/// them,
///
///     e = v - W_o Z Q_o Z'v,   t = Z'e,   H = sum_g [ Z_g'V^-1Z_g - s_g s_g' + (t_g s_g' + s_g t_g')/2 ]
///     dd/dT = 2 H T,   dd/dbeta = X'(e - 2 r),   dd/da = sum_i (-2 dl_i + h_i dW_i + (Z Q_o Z'v)_i dr_i)/da
///
/// Does not integrate exactly: with few rows per level, and not concave log-densities, the approximation has an error
/// that more quadrature nodes reduce (one grouping factor only).

#include <memory>

#include "pymixed/generalized_problem.hpp"
#include "pymixed/optimizer.hpp"

namespace pymixed {

class Pirls;
class TemplateParameters;
class Quadrature;
struct RowDerivatives;
struct NormalEquations;

/// The weights of the normal equations, of which log|M| is taken.
enum class Information {
    Observed,  ///< -l''
    Expected,  ///< its expectation
};

/// The criterion of a generalized model with its workspace: one per thread. The problem must outlive it.
class GeneralizedDeviance {
 public:
    /// @param n_nodes  0: beta profiled;  1: Laplace;  more: adaptive Gauss-Hermite quadrature, per column of the only
    ///                 grouping factor
    /// @throws std::invalid_argument  more than one node with several factors or more than three columns
    GeneralizedDeviance(const GeneralizedProblem& problem, Index n_nodes, Information information, int n_threads = 1);
    ~GeneralizedDeviance();
    GeneralizedDeviance(const GeneralizedDeviance&) = delete;

    /// The parameters psi: theta, beta (unless profiled), family parameters, coefficients of the zero inflation.
    Index n_parameters() const { return n_theta() + n_beta() + n_extra(); }
    Index n_theta() const { return problem_.n_theta(); }           ///< m
    Index n_beta() const { return profiled_ ? 0 : problem_.p(); }  ///< p, 0 where beta is profiled
    Index n_extra() const { return problem_.family().n_parameters() + problem_.n_zero(); }  ///< the others

    /// Another response on the same rows (n values in the order of the sorted ones), for all calls that follow; copied.
    /// The next search for modes starts at zero.
    void set_response(const Vector& y);

    /// psi at which the optimiser starts (internal coordinates), from the response alone; the modes are left there.
    /// Empty where no modes are found.
    Vector start();
    /// The criterion at psi; +infinity where the modes are not found.
    double evaluate(const Vector& psi, Coordinates coordinates);
    /// Gradient and curvature at the psi of the last evaluate(), in its coordinates.
    void differentiate() { differentiate(true); }
    /// The same, with exact rows of the curvature for the family's parameters, by differences of the gradient: the
    /// linear model of the iteration says little of them. Moves away from psi and back.
    void differentiate_for_newton();

    double value() const { return value_; }               ///< of the last evaluate()
    const Vector& gradient() const { return gradient_; }  ///< of the last differentiate()
    /// Average information of the working linear model, and the same with the extra term of linear models.
    const Matrix& average_information() const { return information_matrix_; }
    const Matrix& curvature() const { return curvature_; }            ///< what a Newton step takes
    Matrix variance_gradient(const RandomEffects::Term& term) const;  ///< as Deviance has it
    /// Exact Hessian at psi, by central differences of the exact gradient.
    Matrix hessian(const Vector& psi, Coordinates coordinates);

    /// Another basis of the templates in the place of the internal one, borrowed; null: back to it.
    void replace_internal(const Templates* basis);

    Vector to_user(const Vector& psi) const;      ///< psi from internal coordinates
    Vector to_internal(const Vector& psi) const;  ///< the way back

    const GeneralizedProblem& problem() const { return problem_; }  ///< what it is the criterion of
    bool profiled() const { return profiled_; }                     ///< whether beta is: no quadrature nodes
    Index n_pirls() const;                                          ///< iterations of PIRLS so far
    Index n_evaluations() const { return n_evaluations_; }  ///< of the criterion so far, those for differences too

    // Quantities of the last evaluate(), in the host's units.
    Vector beta() const;                                         ///< p, of the columns that are kept
    double squared_modes() const;                                ///< |u~|^2
    double log_determinant() const { return log_determinant_; }  ///< log|M|
    double magnitude() const;  ///< sum of the absolute terms that the criterion adds up: what it is rounded in
    /// (X'V^-1X)^-1 with the criterion's weights: the covariance of beta with theta held.
    Matrix unscaled_covariance();
    Vector linear_predictor() const;  ///< n, the host's order of rows
    /// n, the host's order: the criterion's weights W, and d log f / d eta, both with the prior weights.
    Vector working_weights() const;
    Vector working_scores() const;  ///< of the rows
    /// Sums over the rows with the weights W, in the bases and cells of problem().linear(); for EffectsCovariance.
    CrossProducts working_products() const;
    /// Conditional modes b per factor (the user's order): n_levels x c, row-major.
    std::vector<std::vector<double>> modes() const;
    /// Var(b | y) per factor (the user's order), with the criterion's weights: n_levels blocks of c x c.
    std::vector<std::vector<double>> conditional_covariances();
    /// Gradients of what clusters of rows add to the criterion, n_clusters x n_parameters, at the psi of the last
    /// evaluate() and in its coordinates (beta not profiled). Template columns that are zero get none.
    /// @param cluster  n: of every row, the host's order; the rows of one level of any factor share theirs
    Matrix cluster_gradients(const std::int32_t* cluster, Index n_clusters);

 private:
    void differentiate(bool with_curvature);
    void differentiate_laplace(bool with_curvature);
    std::vector<Matrix> laplace_template_adjoints();
    void add_normalizers(const std::vector<std::int32_t>& of_row, Matrix& out) const;
    void change_units(bool with_curvature);
    bool load(const Vector& psi, Coordinates coordinates);
    void change_fixed_part(Vector& psi, bool to_user) const;
    bool factor_criterion();
    void build_equations(const Templates& T, const Vector& score);
    void assemble_curvature();
    void remember_modes(const Vector& score);
    const Vector& criterion_weights() const;
    Vector to_host_order(const Vector& rows) const;

    const GeneralizedProblem& problem_;
    bool profiled_, expected_;
    std::unique_ptr<Pirls> pirls_;
    std::unique_ptr<TemplateParameters> parameters_;
    std::unique_ptr<Quadrature> quadrature_;  // null without
    std::unique_ptr<RowDerivatives> rows_;
    std::unique_ptr<NormalEquations> equations_;
    Templates H_, TH_;
    Vector psi_, gradient_;
    Matrix information_matrix_, curvature_;
    GeneralizedProblem::Start start_;
    bool has_start_ = true;  // start_ is that of the response
    double value_ = 0.0, log_determinant_ = 0.0;
    Index n_evaluations_ = 0;
    Coordinates coordinates_ = Coordinates::Internal;

    // modes at the last point that was differentiated and their derivatives in psi: where the next search starts
    struct Centre {
        bool known = false;
        Coordinates coordinates = Coordinates::Internal;
        Vector psi, u, beta;
        Matrix du, dbeta;  // q x n_parameters, p x n_parameters
    } centre_;
};

}  // namespace pymixed
