#include "tail_components.hpp"

#include <algorithm>
#include <numeric>

#include "leading.hpp"

namespace pymixed {

namespace {

/// Disjoint sets of blocks with path halving; the smallest block stands for its set.
class BlockSets {
 public:
    explicit BlockSets(Index n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), std::int32_t{0}); }
    std::int32_t find(std::int32_t i) {
        while (parent_[i] != i)
            i = parent_[i] = parent_[parent_[i]];
        return i;
    }
    void join(std::int32_t i, std::int32_t j) {
        i = find(i);
        j = find(j);
        parent_[std::max(i, j)] = std::min(i, j);
    }

 private:
    std::vector<std::int32_t> parent_;
};

}  // namespace

Index TailComponents::largest() const {
    Index most = 0;
    for (Index k = 0; k < n(); ++k)
        most = std::max(most, size(k));
    return most;
}

TailComponents::TailComponents(const Problem& problem) {
    if (!problem.has_tail())
        return;
    const Tail& tail = problem.tail();
    const Index n_blocks = tail.n_blocks(), q = tail.q(), n_levels = problem.leading().n_levels;
    std::vector<std::int32_t> block_of_row(q);
    for (Index J = 0; J < n_blocks; ++J)
        std::fill(block_of_row.begin() + tail.block_start[J], block_of_row.begin() + tail.block_start[J + 1],
                  static_cast<std::int32_t>(J));
    BlockSets sets(n_blocks);
    for (Index j = 0; j < q; ++j)
        for (Index i = tail.A22_start[j]; i < tail.A22_start[j + 1]; ++i)
            sets.join(block_of_row[j], block_of_row[tail.A22_row[i]]);
    for (Index g = 0; g < n_levels; ++g)
        for (Index i = tail.coupling_start[g] + 1; i < tail.coupling_start[g + 1]; ++i)
            sets.join(block_of_row[tail.coupling_row[i - 1]], block_of_row[tail.coupling_row[i]]);

    std::vector<std::int32_t> component(n_blocks, -1);
    std::int32_t count = 0;
    for (Index J = 0; J < n_blocks; ++J) {  // a set's first block comes first
        std::int32_t& own = component[sets.find(static_cast<std::int32_t>(J))];
        if (own < 0)
            own = count++;
        component[J] = own;
    }
    start.assign(count + 1, 0);
    for (Index J = 0; J < n_blocks; ++J)
        start[component[J] + 1] += tail.block_start[J + 1] - tail.block_start[J];
    std::partial_sum(start.begin(), start.end(), start.begin());

    row.resize(q);
    position.resize(q);
    std::vector<Index> next(start.begin(), start.end() - 1);
    std::vector<std::vector<Run>> runs_of(count);
    for (std::size_t f = 1; f < tail.block_of.size(); ++f)
        for (const Index J : tail.block_of[f]) {
            const std::int32_t k = component[J];
            if (runs_of[k].empty() || runs_of[k].back().factor != static_cast<std::int32_t>(f))
                runs_of[k].push_back({static_cast<std::int32_t>(f), next[k] - start[k], 0});
            ++runs_of[k].back().n_levels;
            for (Index i = tail.block_start[J]; i < tail.block_start[J + 1]; ++i) {
                position[i] = static_cast<std::int32_t>(next[k]);
                row[next[k]++] = static_cast<std::int32_t>(i);
            }
        }
    for (const auto& own : runs_of) {
        runs.insert(runs.end(), own.begin(), own.end());
        run_start.push_back(static_cast<Index>(runs.size()));
    }

    level_start.assign(count + 1, 0);
    const auto component_of_level = [&](Index g) {
        return component[block_of_row[tail.coupling_row[tail.coupling_start[g]]]];
    };
    const auto couples = [&](Index g) { return tail.coupling_start[g] < tail.coupling_start[g + 1]; };
    for (Index g = 0; g < n_levels; ++g)
        if (couples(g))
            ++level_start[component_of_level(g) + 1];
    std::partial_sum(level_start.begin(), level_start.end(), level_start.begin());
    level.resize(level_start.back());
    next.assign(level_start.begin(), level_start.end() - 1);
    for (Index g = 0; g < n_levels; ++g)
        if (couples(g))
            level[next[component_of_level(g)]++] = static_cast<std::int32_t>(g);
}

}  // namespace pymixed
