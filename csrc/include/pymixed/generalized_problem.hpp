#pragma once
/// @file
/// What a fit of a generalized linear mixed model needs and never changes:
///
///     y_i | u ~ family(eta_i),   eta = offset + X beta + Z T(theta) u,   u ~ N(0, I),   zeta = X0 gamma
///
/// (zeta: logit of the probability of a structural zero, zero-inflated families only). Holds the rows, unlike the
/// problem of a linear model: the weights of the normal equations change with every iteration.

#include <memory>

#include "pymixed/family.hpp"
#include "pymixed/problem.hpp"

namespace pymixed {

struct SortedRows;

/// The immutable part of a generalized linear mixed model.
class GeneralizedProblem {
 public:
    /// @param zero_inflation  columns of X0; only with a zero-inflated family
    /// @param centred  whether columns of Z are centred internally. A tensor rule of quadrature for several columns is
    ///                 that of the coordinates in which it is laid out: without, they are the user's up to scales.
    /// @throws std::invalid_argument  bad layout or method;  MemoryLimit  too large
    GeneralizedProblem(RandomEffects layout, const Rows& rows, std::unique_ptr<Family> family,
                       const std::vector<ColumnView>& zero_inflation, Method method = Method::Automatic,
                       double memory_limit = 0.0, bool centred = true);
    ~GeneralizedProblem();
    GeneralizedProblem(const GeneralizedProblem&) = delete;

    /// The linear problem of the first working response: bases, patterns and rank of X are those of the model.
    const Problem& linear() const { return *linear_; }
    const RandomEffects& layout() const { return linear_->layout(); }  ///< terms and levels
    const SortedRows& rows() const { return *rows_; }                  ///< in the order of the leading factor (private)
    const Family& family() const { return *family_; }                  ///< with the parameters of the start

    bool centred() const { return centred_; }             ///< columns of Z, internally
    Index n() const { return linear_->n(); }              ///< rows
    Index p() const { return linear_->p(); }              ///< rank of X
    Index n_theta() const { return layout().n_theta(); }  ///< m: entries of theta
    Index n_zero() const;                                 ///< columns of X0

    /// beta for the host's columns = coefficient_map() times beta for the internal ones, gamma likewise.
    Matrix coefficient_map() const;
    Matrix zero_map() const;  ///< gamma for the host's columns from the internal ones

    /// Where the search starts, from a response alone.
    struct Start {
        Vector theta;       ///< internal coordinates: MINQUE on the working response
        Vector parameters;  ///< the family's, by moments
    };
    const Start& start() const { return start_; }  ///< of the response that it came with
    /// The start that the problem would have with another response (sorted rows).
    Start start_of(const Vector& y) const;
    /// Coefficients of X0 to start from, in their internal basis.
    Vector initial_zero() const;

 private:
    std::unique_ptr<Family> family_;
    std::unique_ptr<Problem> linear_;
    std::unique_ptr<SortedRows> rows_;
    bool centred_;
    Start start_;
};

}  // namespace pymixed
