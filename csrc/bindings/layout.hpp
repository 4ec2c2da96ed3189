#pragma once
// Layout of the random effects, method of the factorisation and kind of information from their Python descriptions.

#include <string>
#include <tuple>
#include <vector>

#include "pymixed/generalized_deviance.hpp"

inline pymixed::RandomEffects make_layout(
    const std::vector<pymixed::Index>& n_levels,
    const std::vector<std::tuple<pymixed::Index, pymixed::Index, std::string>>& terms) {
    std::vector<pymixed::TermSpec> specs;
    for (const auto& [factor, n_cols, structure] : terms) {
        if (structure != "us" && structure != "diag")
            throw std::invalid_argument("structure: expected 'us' or 'diag', got '" + structure + "'");
        specs.push_back(
            {factor, n_cols, structure == "us" ? pymixed::Structure::Unstructured : pymixed::Structure::Diagonal});
    }
    return pymixed::RandomEffects(n_levels, specs);
}

inline pymixed::Method parse_method(const std::string& name) {
    for (const auto method :
         {pymixed::Method::Automatic, pymixed::Method::Single, pymixed::Method::Dense, pymixed::Method::Sparse})
        if (name == to_string(method))
            return method;
    throw std::invalid_argument("method: expected 'auto', 'single', 'dense' or 'sparse', got '" + name + "'");
}

inline pymixed::Information parse_information(const std::string& name) {
    if (name != "observed" && name != "expected")
        throw std::invalid_argument("curvature: expected 'observed' or 'expected', got '" + name + "'");
    return name == "observed" ? pymixed::Information::Observed : pymixed::Information::Expected;
}
