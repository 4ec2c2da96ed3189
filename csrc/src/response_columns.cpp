#include "response_columns.hpp"

#include <cmath>

namespace pymixed {

ResponseColumn::Kind ResponseColumn::read(const Responses& from, Index column, const std::int32_t* order,
                                          const Vector& problem_weights) {
    const Index n = y.size();
    const auto of_column = [&](const double* values) { return values == nullptr ? nullptr : values + column * n; };
    const double *from_y = of_column(from.y), *from_weights = of_column(from.weights),
                 *from_offset = of_column(from.offset);
    if (from_weights == nullptr && from_offset == nullptr) {  // the common case
        double sum = 0.0;
        for (Index k = 0; k < n; ++k) {
            y[k] = from_y[order == nullptr ? k : order[k]];
            sum += y[k];
        }
        n_rows = n;
        if (std::isfinite(sum))
            return Kind::Complete;
    }
    bool valid = true;
    n_rows = 0;
    for (Index k = 0; k < n; ++k) {
        const Index row = order == nullptr ? k : order[k];
        y[k] = from_y[row];
        offset[k] = from_offset == nullptr ? 0.0 : from_offset[row];
        weights[k] = from_weights != nullptr      ? from_weights[row]
                     : problem_weights.size() > 0 ? problem_weights[k]
                                                  : 1.0;
        const double sum = y[k] + offset[k] + weights[k];
        if (std::isfinite(sum) && weights[k] > 0.0) {
            ++n_rows;
        } else if (std::isnan(y[k]) || std::isnan(offset[k]) || std::isnan(weights[k])) {
            y[k] = offset[k] = weights[k] = 0.0;
        } else {
            valid = false;
        }
    }
    if (!valid)
        return Kind::Invalid;
    return n_rows == n && from_weights == nullptr ? Kind::Complete : Kind::Own;
}

}  // namespace pymixed
