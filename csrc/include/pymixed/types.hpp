#pragma once
/// @file
/// Index type, matrix aliases and views that the whole core uses.

#include <Eigen/Core>
#include <cstdint>
#include <vector>

namespace pymixed {

/// Eigen's types and functions differ with the width of the vector registers that a compiler may use. Programs that are
/// compiled for wider ones than the library that they link would crash: the linker refuses them, for want of this name.
/// Such a host compiles the library's sources with its own flags.
template <int RegisterBytes>
struct CompiledFor {
    static const char same_registers;  ///< only that of the library's own width is defined
};
#if defined(_MSC_VER)
#pragma detect_mismatch("pymixed, bytes of a vector register", EIGEN_MAKESTRING(EIGEN_MAX_ALIGN_BYTES))
#else
/// Defined where the library is.
template <>
const char CompiledFor<EIGEN_MAX_ALIGN_BYTES>::same_registers;
[[gnu::used]] static const char* const library_has = &CompiledFor<EIGEN_MAX_ALIGN_BYTES>::same_registers;
#endif

using Index = Eigen::Index;      ///< sizes and positions: std::ptrdiff_t
using Matrix = Eigen::MatrixXd;  ///< column-major
using Vector = Eigen::VectorXd;  ///< a column of doubles
/// row-major
using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixMap = Eigen::Map<Matrix>;                   ///< memory of others as a matrix
using ConstMatrixMap = Eigen::Map<const Matrix>;        ///< the same, not written to
using RowMatrixMap = Eigen::Map<RowMatrix>;             ///< memory of others as a row-major matrix
using ConstRowMatrixMap = Eigen::Map<const RowMatrix>;  ///< the same, not written to

/// A column of host data: `data[i * stride]`, or the constant 1 where `data` is null. Borrowed, never owned.
struct ColumnView {
    const double* data = nullptr;  ///< the first value; null: the constant 1
    Index stride = 1;              ///< from one value to the next, in doubles

    bool is_constant() const { return data == nullptr; }  ///< whether it is the constant 1
    double operator[](Index i) const { return data == nullptr ? 1.0 : data[i * stride]; }  ///< value of row i
};

/// The rows of a data set as the host holds them; everything is borrowed for the time of a call.
struct Rows {
    Index n = 0;                             ///< rows
    ColumnView y;                            ///< the response
    std::vector<ColumnView> X;               ///< p columns of the fixed-effects model matrix
    std::vector<const std::int32_t*> codes;  ///< per grouping factor (the user's order): n codes from 0
    std::vector<ColumnView> Z;               ///< columns of all terms, one term after the other
    const double* weights = nullptr;         ///< n prior weights, all > 0; null: all 1
    const double* offset = nullptr;          ///< n values; null: none
};

}  // namespace pymixed
