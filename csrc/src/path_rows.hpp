#pragma once
// L^-1 T2't of rows one after the other, what rows of the same leading level have in common found once.

#include "path_inverse.hpp"
#include "pymixed/effects_covariance.hpp"

namespace pymixed {

class EffectsCovariance::PathRows {
 public:
    PathRows(const EffectsCovariance& covariance, const PathInverse& paths, const Rows& rows);
    /// Of a row, until the next call; fast where rows of a leading level follow each other.
    const PathSum& of(Index row);

 private:
    const EffectsCovariance& covariance_;
    const Rows& rows_;
    std::vector<PathSum> of_level_;
    PathSum sum_;
    std::int32_t level_ = -1;
    Vector z_, Kz_;
};

}  // namespace pymixed
