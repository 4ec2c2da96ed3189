// A host program without Python: cbind(incidence, size - incidence) ~ period + (1 | herd), a binomial model with
// logit link, on contagious bovine pleuropneumonia in 15 herds of zebu cattle.
//
// New serological cases, herd sizes, herds and periods: Lesnoff et al. (2004), Preventive Veterinary Medicine 64(1),
// as in Bates et al. (2015), lme4's vignettes, where this fit stands.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <pymixed/models.hpp>

constexpr int n = 56, n_herds = 15;

constexpr double incidence[n] = {
    2, 3, 4, 0, 3, 1, 1, 8, 2, 0, 2, 2, 0, 2, 0, 5, 0, 0, 1, 3, 0,  0, 1, 8, 1, 3, 0, 12,
    2, 0, 0, 0, 1, 1, 0, 2, 0, 5, 3, 1, 2, 1, 0, 0, 1, 2, 0, 0, 11, 0, 0, 0, 1, 1, 1, 0,
};
constexpr double size[n] = {
    14, 12, 9, 5, 22, 18, 21, 22, 16, 16, 20, 10, 10, 9, 6, 18, 25, 24, 4,  17, 17, 18, 20, 16, 10, 9,  5,  34,
    9,  6,  8, 6, 22, 22, 18, 22, 25, 27, 22, 22, 10, 8, 6, 5,  21, 24, 19, 23, 19, 2,  3,  2,  19, 15, 15, 15,
};
constexpr std::int32_t herd[n] = {
    0, 0, 0, 0, 1, 1, 1, 2, 2,  2,  2,  3,  3,  3,  3,  4,  4,  4,  4,  5,  5,  5,  5,  6,  6,  6,  6,  7,
    8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14,
};
constexpr int period[n] = {
    1, 2, 3, 4, 1, 2, 3, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1,
    1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4,
};

int main() {
    std::vector<double> proportion(n), second(n), third(n), fourth(n);
    for (int i = 0; i < n; ++i) {
        proportion[i] = incidence[i] / size[i];
        second[i] = period[i] == 2;
        third[i] = period[i] == 3;
        fourth[i] = period[i] == 4;
    }
    const pymixed::ColumnView one;
    pymixed::Rows rows;  // borrowed while the model is fitted
    rows.n = n;
    rows.y = {proportion.data()};
    rows.weights = size;  // trials
    rows.X = {one, {second.data()}, {third.data()}, {fourth.data()}};
    rows.Z = {one};
    rows.codes = {herd};

    const pymixed::RandomEffects layout({n_herds}, {{0, 1}});  // an intercept per herd
    const auto family = pymixed::make_family("binomial", "logit");

    const pymixed::GlmmFit fit = pymixed::fit_glmm(layout, rows, *family);  // Laplace's approximation
    if (fit.status != pymixed::Status::Success) {
        std::printf("no fit: %s\n", pymixed::to_string(fit.status));
        return 1;
    }
    const char* names[] = {"(Intercept)", "period2", "period3", "period4"};
    for (int j = 0; j < 4; ++j)
        std::printf("%-12s %8.4f  (standard error %.4f)\n", names[j], fit.coefficients[j],
                    std::sqrt(fit.covariance(j, j)));
    std::printf("sd(herd)     %8.4f\n", std::sqrt(fit.term_covariances[0](0, 0)));
    std::printf("-2 log-likelihood %.4f\n", fit.objective);
    return 0;
}
