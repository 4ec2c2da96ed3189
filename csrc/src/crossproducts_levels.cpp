// Cross-products over other sets of levels.

#include <algorithm>
#include <numeric>
#include <string>

#include "couplings.hpp"
#include "pymixed/crossproducts.hpp"

namespace pymixed {

/// Whether the internal order of the factors is the same.
static bool same_order(const RandomEffects& left, const RandomEffects& right) {
    return std::equal(left.factors().begin(), left.factors().end(), right.factors().begin(),
                      [](const auto& a, const auto& b) { return a.user_position == b.user_position; });
}

/// One map per factor, of the right length, that takes every level with rows to a level of its own.
static void check_maps(const CrossProducts& products, const std::vector<std::vector<std::int32_t>>& maps,
                       const std::vector<Index>& n_levels) {
    const auto& factors = products.layout().factors();
    if (maps.size() != factors.size() || n_levels.size() != factors.size())
        throw std::invalid_argument("maps, n_levels: expected one per factor, " + std::to_string(factors.size()));
    for (std::size_t f = 0; f < factors.size(); ++f) {
        const std::vector<std::int32_t>& map = maps[factors[f].user_position];
        const Index count = n_levels[factors[f].user_position];
        const std::string name = "maps[" + std::to_string(factors[f].user_position) + "]";
        if (static_cast<Index>(map.size()) != factors[f].n_levels)
            throw std::invalid_argument(name + ": expected " + std::to_string(factors[f].n_levels) + " levels, got " +
                                        std::to_string(map.size()));
        std::vector<bool> taken(std::max<Index>(count, 0), false);
        for (std::size_t g = 0; g < map.size(); ++g) {
            if (map[g] < -1 || map[g] >= count)
                throw std::invalid_argument(name + ": expected -1 to " + std::to_string(count - 1) + ", got " +
                                            std::to_string(map[g]));
            if (map[g] == -1) {
                if (products.factor(f).rows[g] > 0)
                    throw std::invalid_argument(name + ": level " + std::to_string(g) + " has rows and is dropped");
                continue;
            }
            if (taken[map[g]])
                throw std::invalid_argument(name + ": two levels become level " + std::to_string(map[g]));
            taken[map[g]] = true;
        }
    }
}

CrossProducts CrossProducts::relevelled(const std::vector<std::vector<std::int32_t>>& maps,
                                        const std::vector<Index>& n_levels) const {
    check_maps(*this, maps, n_levels);
    const RandomEffects layout = layout_.with_levels(n_levels);
    CrossProducts out(layout, fixed_, random_.in_order_of(layout));
    out.n_ = n_;
    out.sum_weights_ = sum_weights_;
    out.sum_log_weights_ = sum_log_weights_;
    out.column_sums_ = column_sums_;
    out.peak_ = peak_;
    out.XytXy_ = XytXy_;

    const std::size_t count = factors_.size();
    std::vector<Index> position(count);  // internal position in this object, by the user's
    for (std::size_t f = 0; f < count; ++f)
        position[layout_.factors()[f].user_position] = static_cast<Index>(f);
    const auto map_of = [&](Index f) -> const std::vector<std::int32_t>& {
        return maps[layout_.factors()[f].user_position];
    };
    for (FactorProducts& to : out.factors_) {
        const Index f = position[layout.factors()[&to - out.factors_.data()].user_position];
        const FactorProducts& from = factors_[f];
        const Index c = layout_.factors()[f].n_cols, squares = packed(c, 0), sums = c * (p() + 1);
        for (Index g = 0; g < layout_.factors()[f].n_levels; ++g) {
            const Index target = map_of(f)[g];
            if (target < 0)
                continue;
            to.rows[target] = from.rows[g];
            std::copy_n(from.ZtZ.begin() + g * squares, squares, to.ZtZ.begin() + target * squares);
            std::copy_n(from.ZtXy.begin() + g * sums, sums, to.ZtXy.begin() + target * sums);
        }
    }
    for (CouplingProducts& to : out.couplings_) {
        const Index first = position[layout.factors()[to.a].user_position],
                    second = position[layout.factors()[to.b].user_position];
        const Index a = std::min(first, second), b = std::max(first, second);
        const CouplingProducts& from = couplings_[b * (b - 1) / 2 + a];
        CouplingProducts changed =
            pymixed::relevelled(from, {map_of(a), map_of(b), layout.factors()[to.a].n_levels,
                                       layout.factors()[to.b].n_levels, layout_.factors()[a].n_cols, a != first});
        changed.a = to.a;
        changed.b = to.b;
        to = std::move(changed);
    }
    return out;
}

/// Room for `size` numbers; doubles, so that growing by one costs a constant on average.
template <class T>
static void reserve_for(std::vector<T>& vector, std::size_t size) {
    if (size > vector.capacity())
        vector.reserve(std::max(size, 2 * vector.capacity()));
}

void CrossProducts::grow(const std::vector<Index>& n_levels) {
    const std::vector<Index> before = layout_.n_levels();
    if (n_levels.size() != before.size())
        throw std::invalid_argument("n_levels: expected one per factor, " + std::to_string(before.size()));
    for (std::size_t f = 0; f < before.size(); ++f)
        if (n_levels[f] < before[f])
            throw std::invalid_argument("n_levels: expected at least " + std::to_string(before[f]) + ", got " +
                                        std::to_string(n_levels[f]));
    RandomEffects layout = layout_.with_levels(n_levels);
    if (!same_order(layout, layout_)) {
        std::vector<std::vector<std::int32_t>> identity;
        for (const Index count : before) {
            identity.emplace_back(count);
            std::iota(identity.back().begin(), identity.back().end(), 0);
        }
        *this = relevelled(identity, n_levels);
        return;
    }
    const auto resize = [&](auto change) {
        for (std::size_t f = 0; f < factors_.size(); ++f) {
            const auto& factor = layout.factors()[f];
            change(factors_[f].rows, factor.n_levels, 0);
            change(factors_[f].ZtZ, factor.n_levels * packed(factor.n_cols, 0), 0.0);
            change(factors_[f].ZtXy, factor.size() * (p() + 1), 0.0);
        }
        for (CouplingProducts& coupling : couplings_)
            change(coupling.start, layout.factors()[coupling.a].n_levels + 1, coupling.cells());
    };
    resize([](auto& vector, Index size, auto) { reserve_for(vector, size); });
    resize([](auto& vector, Index size, auto value) { vector.resize(size, value); });  // has the room
    layout_ = std::move(layout);
}

}  // namespace pymixed
