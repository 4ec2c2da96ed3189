#pragma once
// NumPy arrays as the core's view of rows; keeps the arrays alive.

#include <optional>

#include "bind.hpp"
#include "pymixed/random_effects.hpp"

/// Columns of a matrix, none without one.
inline std::vector<pymixed::ColumnView> columns_of(const std::optional<Array>& matrix) {
    std::vector<pymixed::ColumnView> columns;
    if (matrix)
        for (pybind11::ssize_t j = 0; j < matrix->shape(1); ++j)
            columns.push_back({matrix->data(0, j), static_cast<pymixed::Index>(matrix->strides(0) / sizeof(double))});
    return columns;
}

class HostRows {
 public:
    HostRows(Array y, Array X, std::vector<Codes> codes, std::vector<std::optional<Array>> columns,
             std::optional<Array> weights, std::optional<Array> offset)
        : y_(std::move(y)),
          X_(std::move(X)),
          codes_(std::move(codes)),
          columns_(std::move(columns)),
          weights_(contiguous(weights)),
          offset_(contiguous(offset)) {
        view_.n = y_.shape(0);
        view_.y = column(y_);
        view_.X = columns_of(X_);
        for (const Codes& codes_of_factor : codes_)
            view_.codes.push_back(codes_of_factor.data());
        for (const auto& data : columns_)
            view_.Z.push_back(data ? column(*data) : pymixed::ColumnView{});
        if (weights_)
            view_.weights = weights_->data();
        if (offset_)
            view_.offset = offset_->data();
    }

    const pymixed::Rows& view() const { return view_; }

    /// Lengths and counts; the values were checked by the Python layer.
    void check(const pymixed::RandomEffects& layout) const {
        const auto expect = [&](const char* name, pybind11::ssize_t got) {
            if (got != view_.n)
                throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(view_.n) +
                                            " rows, got " + std::to_string(got));
        };
        expect("X", X_.shape(0));
        for (const Codes& codes : codes_)
            expect("codes", codes.shape(0));
        for (const auto& data : columns_)
            if (data)
                expect("columns", data->shape(0));
        if (weights_)
            expect("weights", weights_->shape(0));
        if (offset_)
            expect("offset", offset_->shape(0));
        if (static_cast<pymixed::Index>(columns_.size()) != layout.n_columns() ||
            codes_.size() != layout.factors().size())
            throw std::invalid_argument("columns, codes: expected one per column of the terms and one per factor");
    }

 private:
    static pymixed::ColumnView column(const Array& data) {
        return {data.data(), static_cast<pymixed::Index>(data.strides(0) / sizeof(double))};
    }
    static std::optional<Array> contiguous(const std::optional<Array>& data) {
        if (!data)
            return std::nullopt;
        return pybind11::array_t<double, pybind11::array::c_style>::ensure(*data);
    }

    Array y_, X_;
    std::vector<Codes> codes_;
    std::vector<std::optional<Array>> columns_;
    std::optional<Array> weights_, offset_;
    pymixed::Rows view_;
};
