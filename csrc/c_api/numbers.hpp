#pragma once
// What a host may do with the numbers of a quantity, whatever matrix they come as.

#include <vector>

#include "guard.hpp"

namespace pymixed::c_api {

/// Asks for their shape.
struct Shape {
    int64_t& n_rows;
    int64_t& n_columns;

    template <class Numbers>
    void operator()(const Numbers& numbers) const {
        n_rows = numbers.rows();
        n_columns = numbers.cols();
    }
};

/// Copies them, column-major.
struct Copy {
    double* values;
    int64_t capacity;

    template <class Numbers>
    void operator()(const Numbers& numbers) const {
        given(values, "values");
        if (capacity < numbers.size())
            refuse("capacity", "at least " + std::to_string(numbers.size()) + " numbers", capacity);
        MatrixMap(values, numbers.rows(), numbers.cols()) = numbers;
    }
};

/// A number, flag or count.
inline Eigen::Matrix<double, 1, 1> one(double value) {
    return Eigen::Matrix<double, 1, 1>::Constant(value);
}
inline Eigen::Matrix<double, 1, 1> one(Index value) {
    return one(static_cast<double>(value));
}

/// Positions, counts or codes.
template <class T>
Vector reals(const std::vector<T>& values) {
    Vector out(static_cast<Index>(values.size()));
    for (Index i = 0; i < out.size(); ++i)
        out[i] = static_cast<double>(values[i]);
    return out;
}

[[noreturn]] inline void refuse_quantity(const char* expected, int32_t quantity) {
    refuse("quantity", expected, int64_t{quantity});
}

}  // namespace pymixed::c_api
