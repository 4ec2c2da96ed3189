#include "pymixed/host_rows.hpp"

#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace pymixed {

namespace {

std::string shown(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

[[noreturn]] void refuse(const std::string& name, const std::string& expected, const std::string& got) {
    throw std::invalid_argument(name + ": expected " + expected + ", got " + got);
}

std::string at(const char* name, std::size_t j) {
    return std::string(name) + "[" + std::to_string(j) + "]";
}

void check_finite(const std::string& name, const ColumnView& column, Index n) {
    if (column.is_constant())
        return;
    double sum = 0.0;
    for (Index i = 0; i < n; ++i)
        sum += 0.0 * column[i];  // NaN from the first value that is not finite
    if (sum == 0.0)
        return;
    for (Index i = 0; i < n; ++i)
        if (!std::isfinite(column[i]))
            refuse(name, "finite numbers", shown(column[i]) + " in row " + std::to_string(i));
}

void check_count(const char* name, Index expected, std::size_t got, const char* what) {
    if (static_cast<Index>(got) != expected)
        refuse(name, std::to_string(expected) + " " + what, std::to_string(got));
}

}  // namespace

void check_rows(const RandomEffects& layout, const Rows& rows, const std::vector<ColumnView>& zero_inflation) {
    if (rows.n < 1)
        refuse("n", "at least one row", std::to_string(rows.n));
    check_count("codes", static_cast<Index>(layout.factors().size()), rows.codes.size(), "grouping factors");
    check_count("Z", layout.n_columns(), rows.Z.size(), "columns of the terms");
    for (std::size_t f = 0; f < rows.codes.size(); ++f)
        if (rows.codes[f] == nullptr)
            refuse(at("codes", f), "n codes", "a null pointer");
    for (std::size_t j = 0; j < rows.X.size(); ++j)
        check_finite(at("X", j), rows.X[j], rows.n);
    for (std::size_t j = 0; j < rows.Z.size(); ++j)
        check_finite(at("Z", j), rows.Z[j], rows.n);
    for (std::size_t j = 0; j < zero_inflation.size(); ++j)
        check_finite(at("zero_inflation", j), zero_inflation[j], rows.n);
    if (rows.offset != nullptr)
        check_finite("offset", {rows.offset}, rows.n);
    for (Index i = 0; rows.weights != nullptr && i < rows.n; ++i)
        if (!(rows.weights[i] > 0.0 && std::isfinite(rows.weights[i])))
            refuse("weights", "positive numbers", shown(rows.weights[i]) + " in row " + std::to_string(i));
}

void check_response(const Rows& rows) {
    if (rows.y.is_constant())
        refuse("y", "n values", "a null pointer");
    check_finite("y", rows.y, rows.n);
}

void check_response(const Rows& rows, const Family& family, const std::vector<ColumnView>& zero_inflation) {
    check_response(rows);
    if (family.zero_inflated() == zero_inflation.empty())
        refuse("zero_inflation", family.zero_inflated() ? "columns for a zero-inflated family" : "no columns",
               std::to_string(zero_inflation.size()));
    for (Index i = 0; i < rows.n; ++i) {
        const double y = rows.y[i];
        if (first_unsuitable(family.support(), 1, &y, rows.weights == nullptr ? nullptr : rows.weights + i) == 0)
            refuse("y", to_string(family.support()), shown(y) + " in row " + std::to_string(i));
    }
}

}  // namespace pymixed
