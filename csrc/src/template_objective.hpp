#pragma once
// What makes a criterion in the templates' entries easy to minimise: shortcuts to variances of zero and ways out of
// false ones, for linear and generalized models alike. The point x holds theta in internal coordinates first, then
// whatever else the model estimates.

#include "pymixed/optimizer.hpp"
#include "pymixed/random_effects.hpp"

namespace pymixed {

/// Whether the smallest singular value of a triangular T may be below what is tested as zero: false is certain.
bool may_be_singular(const Matrix& T);

class TemplateObjective : public Objective {
 public:
    explicit TemplateObjective(const RandomEffects& layout);

    Vector shortcut(const Vector& x) override;
    Vector escape(const Vector& x, double fraction) override;
    /// Diagonal entries so small that zero serves as well: set to zero where the criterion gets no worse.
    void settle_zeros(NewtonResult& result);

 protected:
    // of the last differentiate()
    virtual const Vector& gradient() const = 0;
    virtual const Matrix& average_information() const = 0;
    virtual const Matrix& curvature() const = 0;
    /// B'H B over the columns of a term: negative directions are those in which more variance lowers the criterion.
    virtual Matrix variance_gradient(const RandomEffects::Term& term) const = 0;

 private:
    struct Column {
        Index first, rows;
    };
    bool turn_rows(const Vector& x, const Vector& step, Vector& point) const;

    const RandomEffects& layout_;
    std::vector<Column> columns_;  // where in x each template column stands; its diagonal entry is the first
    std::vector<bool> vanishes_;   // entries of theta
};

}  // namespace pymixed
