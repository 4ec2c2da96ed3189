#pragma once
// Fits of a model with one grouping factor and few patterns to many responses, several at a time: the sums of
// response_sums.hpp and Newton's steps of minimise_newton() in the lanes of pattern_lanes.hpp. What is not plain (a
// step that does not descend, a curvature that is not positive definite, a template near singularity, an exact fit) is
// left to the caller.

#include <functional>

#include "minque.hpp"
#include "pattern_lanes.hpp"
#include "pymixed/refit.hpp"
#include "sorted_rows.hpp"

namespace pymixed {

class PatternFits {
 public:
    /// Writes a response in the order of the sorted rows and returns its number; -1 where there is none left.
    using Next = std::function<Index(Vector& y)>;
    /// Takes over a response.
    using Leave = std::function<void(Index i, const Vector& y)>;

    static bool suits(const Problem& problem);
    PatternFits(const Problem& problem, const SortedRows& rows, bool reml, const FitOptions& options);

    void run(const Next& next, const Leave& leave, Refits& refits);

 private:
    enum class Progress { Going, Found, Left };
    struct Response {
        Index number = -1;
        Vector y, gamma;
        double scale = 1.0, value = 0.0, expected = 0.0;  // of the point before, and the descent that it promised
        Index n_evaluations = 0;
    };

    bool stage(const Next& next);
    bool load(int lane, const Next& next);
    Progress advance(int lane);
    bool nearly_singular(int lane) const;
    void write(int lane, Refits& refits);
    void write_uncertainty(const Response& response, int lane, Refits& refits);
    double covariance_in(const LaneState& state, int lane, Index i, Index j) const;

    const Problem& problem_;
    double tolerance_, step_cap_;
    Index max_evaluations_;
    Vector common_start_;  // internal coordinates; empty: each its own
    LaneRows rows_;
    Matrix XtWX_inverse_;
    Vector offset_;
    Minque minque_;
    Matrix coefficient_map_;
    std::vector<int> row_, column_;
    RowMatrix basis_;
    LaneModel model_;
    std::vector<Lane> memory_;
    LaneState state_;
    LaneState around_;  // one response at points around its minimum
    Lane *step_, *step_work_;
    Lane gain_;

    std::vector<Response> responses_;
    std::vector<Index> columns_;  // of the coefficients: all

    // responses whose sums are ready, and how many lanes have taken
    struct Staged {
        std::vector<Vector> y;
        Index number[Lane::width];
        int count = 0, taken = 0;
        Lane *lanes, *theta;
        LaneSums sums;
    } staged_;
};

}  // namespace pymixed
