#pragma once
// Columns of responses as a fit takes them.

#include "pymixed/refit.hpp"

namespace pymixed {

struct ResponseColumn {
    enum class Kind {
        Complete,  ///< every row takes part, with the problem's weights
        Own,       ///< rows are missing or weights are its own
        Invalid,   ///< a value or a weight that no model has
    };
    Vector y;                ///< n
    Vector offset, weights;  ///< n, unless the response is complete and has none; of a row that is missing all are 0
    Index n_rows = 0;        ///< that take part

    explicit ResponseColumn(Index n) : y(n), offset(n), weights(n) {}

    /// @param order    row of the host for each row here; null: the same
    /// @param weights  of the problem, rows as here; empty: all 1
    Kind read(const Responses& from, Index column, const std::int32_t* order, const Vector& problem_weights);
};

}  // namespace pymixed
