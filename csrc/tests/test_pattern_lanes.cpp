// Lanes against the criterion that one response has, at another theta in every lane; for the baseline instruction set
// and, where the processor has it, AVX2.
#include "pattern_lanes.hpp"

#include <cmath>

#include "check.hpp"
#include "designs.hpp"
#include "leading.hpp"
#include "pymixed/deviance.hpp"

namespace {

using namespace pymixed;
using designs::Design;

std::vector<const LaneKernels*> kernel_sets() {
    std::vector<const LaneKernels*> sets{&detail::lane_kernels_baseline()};
    if (&lane_kernels() != sets[0])
        sets.push_back(detail::lane_kernels_avx2());
    return sets;
}

/// The same columns in every level: one pattern. `patterns`: levels of several lengths.
Design balanced(Index c, Index p, bool patterns) {
    constexpr Index levels = 30;
    Design out = designs::simulate(6 * levels, p, {{levels, c}}, static_cast<unsigned>(10 * c + p));
    for (Index i = 0; i < out.n(); ++i) {
        out.codes[0][i] = static_cast<std::int32_t>(patterns && i < 60 ? i % 5 : i % levels);
        for (Index j = 1; j < c; ++j)
            out.Z[j][i] = j == 1 ? static_cast<double>(i / levels) : static_cast<double>((i / levels) % 2);
    }
    return out;
}

/// A model and its state, all lanes with the problem's response.
struct Lanes {
    const Problem& problem;
    RowMatrix basis;
    std::vector<int> row, column;
    LaneModel model;
    std::vector<Lane> memory;
    LaneState state;

    Lanes(const Problem& of, bool reml) : problem(of), basis(of.products().random_basis().internal()[0]) {
        const Leading& lead = problem.leading();
        for (const auto& entry : problem.layout().entries()) {
            row.push_back(static_cast<int>(entry.row));
            column.push_back(static_cast<int>(entry.col));
        }
        const Index P = lead.P, m = problem.layout().n_theta();
        model = {lead.c,
                 P,
                 m,
                 lead.n_patterns,
                 reml,
                 static_cast<double>(problem.n() - (reml ? problem.p() : 0)),
                 0.0,
                 lead.A.data(),
                 lead.count.data(),
                 basis.data(),
                 row.data(),
                 column.data()};
        const Index n_moments = lead.n_patterns * packed(lead.c, 0) * P * P;
        memory.resize(m + P * P + n_moments + m + m * m + P * P + lane_work_size(model));
        Lane* next = memory.data();
        const auto take = [&](Index size) {
            Lane* out = next;
            next += size;
            return out;
        };
        state.theta = take(m);
        state.XytXy = take(P * P);
        state.moments = take(n_moments);
        state.gradient = take(m);
        state.curvature = take(m * m);
        state.W = take(P * P);
        state.work = take(lane_work_size(model));
        const ResponseView response = problem.response();
        for (int lane = 0; lane < Lane::width; ++lane) {
            for (Index a = 0; a < P; ++a)
                for (Index b = 0; b < P; ++b)
                    state.XytXy[a * P + b].of[lane] = (*response.XytXy)(a, b);
            for (Index k = 0; k < n_moments; ++k)
                state.moments[k].of[lane] = response.moments[k];
            const Vector theta = designs::some_theta(problem.layout(), static_cast<unsigned>(lane + 1));
            for (Index e = 0; e < m; ++e)
                state.theta[e].of[lane] = theta[e];
        }
    }
};

}  // namespace

TEST("criterion, derivatives and coefficients in every lane") {
    for (const LaneKernels* kernels : kernel_sets())
        for (const bool reml : {true, false})
            for (const Index c : {1, 2, 3})
                for (const Index p : {0, 1, 4})
                    for (const bool patterns : {false, true}) {
                        const Design design = balanced(c, p, patterns);
                        const Problem problem(design.layout(), design.rows());
                        CHECK(problem.leading().use_moments());
                        Lanes lanes(problem, reml);
                        kernels->evaluate(lanes.model, lanes.state);
                        Deviance deviance(problem, reml);
                        const Index m = lanes.model.m, P = lanes.model.P;
                        double first = 0.0;
                        for (int lane = 0; lane < Lane::width; ++lane) {
                            deviance.evaluate(designs::some_theta(problem.layout(), static_cast<unsigned>(lane + 1)),
                                              Coordinates::Internal);
                            deviance.differentiate();
                            const double rest = deviance.value() - lanes.state.value.of[lane];  // of the design alone
                            if (lane == 0)
                                first = rest;
                            CHECK(std::abs(rest - first) < 1e-10 * std::abs(deviance.value()));
                            const double size = deviance.curvature().cwiseAbs().maxCoeff();
                            for (Index i = 0; i < m; ++i) {
                                CHECK(std::abs(deviance.gradient()[i] - lanes.state.gradient[i].of[lane]) <
                                      1e-10 * size);
                                for (Index j = 0; j < m; ++j)
                                    CHECK(std::abs(deviance.curvature()(i, j) -
                                                   lanes.state.curvature[i * m + j].of[lane]) < 1e-10 * size);
                            }
                            const double scale = deviance.response_scale();
                            CHECK_CLOSE(deviance.pwrss(), scale * scale * lanes.state.pwrss.of[lane], 1e-11);
                            CHECK(P == 1 || std::isfinite(lanes.state.W[P - 1].of[lane]));
                        }
                    }
}

TEST("Newton's step, and NaN where the curvature is not positive definite") {
    for (const LaneKernels* kernels : kernel_sets()) {
        std::vector<Lane> H(4), g(2), step(2), work(4);
        Lane gain;
        for (int lane = 0; lane < Lane::width; ++lane) {
            const double a = 2.0 + lane, b = 0.5, d = lane == 3 ? -1.0 : 1.0;
            const double values[] = {a, b, b, d};
            for (int k = 0; k < 4; ++k)
                H[k].of[lane] = values[k];
            g[0].of[lane] = 1.0;
            g[1].of[lane] = -2.0;
        }
        kernels->newton_step(2, H.data(), g.data(), step.data(), gain, work.data());
        for (int lane = 0; lane < Lane::width; ++lane) {
            if (lane == 3) {
                CHECK(std::isnan(gain.of[lane]));
                continue;
            }
            const double a = 2.0 + lane, determinant = a - 0.25;
            CHECK_CLOSE(step[0].of[lane], -(1.0 + 1.0) / determinant, 1e-14);
            CHECK_CLOSE(step[1].of[lane], (2.0 * a + 0.5) / determinant, 1e-14);
            CHECK_CLOSE(gain.of[lane], -0.5 * (step[0].of[lane] - 2.0 * step[1].of[lane]), 1e-13);
        }
    }
}
