#pragma once
// Index type, matrix aliases and views that the whole core uses.

#include <Eigen/Core>
#include <cstdint>
#include <vector>

namespace pymixed {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixMap = Eigen::Map<Matrix>;
using ConstMatrixMap = Eigen::Map<const Matrix>;
using RowMatrixMap = Eigen::Map<RowMatrix>;
using ConstRowMatrixMap = Eigen::Map<const RowMatrix>;

/// A column of host data: `data[i * stride]`, or the constant 1 where `data` is null. Borrowed, never owned.
struct ColumnView {
    const double* data = nullptr;
    Index stride = 1;

    bool is_constant() const { return data == nullptr; }
    double operator[](Index i) const { return data == nullptr ? 1.0 : data[i * stride]; }
};

/// The rows of a data set as the host holds them; everything is borrowed for the time of a call.
struct Rows {
    Index n = 0;
    ColumnView y;
    std::vector<ColumnView> X;               ///< p columns of the fixed-effects model matrix
    std::vector<const std::int32_t*> codes;  ///< per grouping factor (the user's order): n codes from 0
    std::vector<ColumnView> Z;               ///< columns of all terms, one term after the other
    const double* weights = nullptr;         ///< n prior weights, all > 0; null: all 1
    const double* offset = nullptr;          ///< n values; null: none
};

}  // namespace pymixed
