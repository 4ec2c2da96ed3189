#pragma once
// Connected components of the tail: blocks that share a level of the leading factor or a cell of Z_2'WZ_2, directly or
// through others. S0, and what is made of it, is zero between components; nested designs have many small ones, crossed
// designs one. Within a component the scalar rows are sorted by factor, then by level.

#include "tail.hpp"

namespace pymixed {

struct TailComponents {
    explicit TailComponents(const Problem& problem);

    /// The levels of one factor in a component: its rows first .. first + n_levels * c - 1.
    struct Run {
        std::int32_t factor;
        Index first, n_levels;
    };

    Index n() const { return static_cast<Index>(start.size()) - 1; }
    Index size(Index k) const { return start[k + 1] - start[k]; }
    Index largest() const;

    std::vector<Index> start{0};         ///< first position of each component, n + 1
    std::vector<std::int32_t> row;       ///< scalar row of the tail at each position
    std::vector<std::int32_t> position;  ///< and back
    std::vector<Index> run_start{0};     ///< first run of each component, n + 1
    std::vector<Run> runs;
    std::vector<Index> level_start{0};  ///< levels of the leading factor that couple to each component, n + 1
    std::vector<std::int32_t> level;
};

}  // namespace pymixed
