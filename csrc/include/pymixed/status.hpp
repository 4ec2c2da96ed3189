#pragma once
/// @file
/// Outcomes of numerical work. Wrong *input* is an exception; numerical trouble is one of these.

namespace pymixed {

/// How numerical work ended.
enum class Status {
    Success,              ///< all is well
    IterationLimit,       ///< the optimiser used up its evaluations
    NoDescent,            ///< no step along a descent direction lowers the criterion, yet its gradient is not zero
    Interrupted,          ///< the host asked to stop
    ModesNotFound,        ///< penalised iteratively reweighted least squares did not converge at the start
    RankDeficient,        ///< resampled rows leave columns of X that depend on others
    NotPositiveDefinite,  ///< a factorisation broke down, or the model fits the response exactly
    InvalidResponse,      ///< one of many responses is not such as the model can be fitted to
};

/// The same in words.
inline const char* to_string(Status status) {
    switch (status) {
        case Status::Success:
            return "success";
        case Status::IterationLimit:
            return "the limit of evaluations was reached before convergence";
        case Status::NoDescent:
            return "no step lowers the criterion although its gradient is not zero";
        case Status::Interrupted:
            return "interrupted";
        case Status::ModesNotFound:
            return "the conditional modes of the random effects were not found";
        case Status::RankDeficient:
            return "columns of X depend on others in the rows that were drawn";
        case Status::NotPositiveDefinite:
            return "a factorisation broke down: the model fits the response exactly or the data are degenerate";
        case Status::InvalidResponse:
            return "the response does not suit the model: too few values or levels, constant, infinite, outside the "
                   "family's range, or weights that are not positive";
    }
    return "unknown";
}

}  // namespace pymixed
