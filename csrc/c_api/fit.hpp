#pragma once
// Problems and fits, linear or generalized.

#include <memory>
#include <variant>

#include "data.hpp"
#include "options.hpp"

/// One of both.
struct pymixed_problem {
    std::unique_ptr<const pymixed::Problem> linear;
    std::unique_ptr<const pymixed::GeneralizedProblem> generalized;
};

struct pymixed_fit {
    std::variant<pymixed::LmmFit, pymixed::GlmmFit> value;
    pymixed::Index n_terms, n_factors;
};
