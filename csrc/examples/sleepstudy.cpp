// A host program without Python: Reaction ~ Days + (Days | Subject) by REML on the sleep deprivation study.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <pymixed/models.hpp>

#include "sleepstudy.h"

int main() {
    std::vector<double> days(n_rows);
    std::vector<std::int32_t> subject(n_rows);
    for (int i = 0; i < n_rows; ++i) {
        days[i] = i % n_days;
        subject[i] = i / n_days;
    }
    const pymixed::ColumnView one, slope{days.data()};
    pymixed::Rows rows;  // borrowed while the model is fitted
    rows.n = n_rows;
    rows.y = {reaction};
    rows.X = {one, slope};
    rows.Z = {one, slope};
    rows.codes = {subject.data()};
    const pymixed::RandomEffects layout({n_subjects}, {{0, 2}});  // one term of two columns on factor 0

    const pymixed::LmmFit fit = pymixed::fit_lmm(layout, rows);
    if (fit.status != pymixed::Status::Success) {
        std::printf("no fit: %s\n", pymixed::to_string(fit.status));
        return 1;
    }
    const char* names[] = {"(Intercept)", "Days"};
    std::printf("REML criterion  %.4f\n", fit.objective);
    for (int j = 0; j < 2; ++j)
        std::printf("%-15s %.3f  (standard error %.3f)\n", names[j], fit.coefficients[j],
                    std::sqrt(fit.covariance(j, j)));
    const pymixed::Matrix& between = fit.term_covariances[0];
    std::printf("sd(Subject)     %.3f  %.3f, correlation %.3f\n", std::sqrt(between(0, 0)), std::sqrt(between(1, 1)),
                between(0, 1) / std::sqrt(between(0, 0) * between(1, 1)));
    std::printf("sigma           %.3f\n", fit.sigma);
    return 0;
}
