#pragma once
// A host's rows and its model, and what is read from them.

#include <memory>
#include <vector>

#include "guard.hpp"
#include "pymixed/family.hpp"
#include "pymixed/random_effects.hpp"

struct pymixed_data {
    pymixed::Rows rows;  ///< y: null until there is a response
    std::vector<pymixed::Index> n_levels;
    std::vector<pymixed::TermSpec> terms;
    std::vector<pymixed::ColumnView> zero_inflation;
    std::unique_ptr<pymixed::Family> family;  ///< null: a linear model

    pymixed::RandomEffects layout() const { return {n_levels, terms}; }
    /// The family with the zero inflation.
    std::unique_ptr<pymixed::Family> whole_family() const;

    /// @throws std::invalid_argument  values that are not finite, weights that are not positive
    void check_design() const;
    /// @throws std::invalid_argument  no response, or one that is not finite or outside the family's range
    void check_response() const;
};
