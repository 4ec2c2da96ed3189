#pragma once
// C++ values as NumPy arrays.

#include "bind.hpp"
#include "pymixed/random_effects.hpp"

template <class T>
pybind11::array_t<T> take(std::vector<T>&& values, std::vector<pybind11::ssize_t> shape) {
    auto* owner = new std::vector<T>(std::move(values));
    return pybind11::array_t<T>(std::move(shape), owner->data(),
                                pybind11::capsule(owner, [](void* p) { delete static_cast<std::vector<T>*>(p); }));
}

template <class T>
pybind11::array_t<T> take(std::vector<T>&& values) {
    const auto size = static_cast<pybind11::ssize_t>(values.size());
    return take(std::move(values), {size});
}

/// One array per factor (the user's order), its columns in the order of the factor's terms.
inline pybind11::tuple by_factor(const pymixed::RandomEffects& layout, std::vector<std::vector<double>>&& values,
                                 bool square) {
    pybind11::tuple out(values.size());
    for (const auto& factor : layout.factors()) {
        std::vector<pybind11::ssize_t> shape{factor.n_levels, factor.n_cols};
        if (square)
            shape.push_back(factor.n_cols);
        out[factor.user_position] = take(std::move(values[factor.user_position]), shape);
    }
    return out;
}

/// The same with a last axis of `size` values for every random effect.
inline pybind11::tuple by_factor(const pymixed::RandomEffects& layout, std::vector<std::vector<double>>&& values,
                                 pymixed::Index size) {
    pybind11::tuple out(values.size());
    for (const auto& factor : layout.factors())
        out[factor.user_position] =
            take(std::move(values[factor.user_position]), {factor.n_levels, factor.n_cols, size});
    return out;
}
