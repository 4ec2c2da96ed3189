// A linear mixed model of more rows than memory holds: cross-products from chunks, which threads, processes or machines
// add up and merge. What is kept is as large as the levels, whatever the number of rows.
//
// Here 1,000,000 rows are made up, 10,000 at a time: y = 2 + 0.5 x + b_g (1 + x) effects of 500 groups + noise.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include <pymixed/models.hpp>

constexpr int n_groups = 500, n_chunks = 100, chunk = 10'000;

/// Rows of one chunk, as a file reader would fill them.
struct Chunk {
    std::vector<double> x = std::vector<double>(chunk), y = std::vector<double>(chunk);
    std::vector<std::int32_t> group = std::vector<std::int32_t>(chunk);

    void read(int number) {
        std::mt19937_64 bits(static_cast<std::uint64_t>(number));
        // the sum of twelve is nearly normal, and the same with every standard library
        const auto uniform = [&] { return static_cast<double>(bits() >> 11) * 0x1p-53; };
        const auto normal = [&] {
            double sum = -6.0;
            for (int k = 0; k < 12; ++k)
                sum += uniform();
            return sum;
        };
        for (int i = 0; i < chunk; ++i) {
            const auto g = static_cast<std::int32_t>(uniform() * n_groups);
            const double intercept = std::sin(1.7 * g), slope = 0.3 * std::cos(2.3 * g);  // "effects" of the group
            group[i] = g;
            x[i] = 100.0 + normal();
            y[i] = 2.0 + intercept + (0.5 + slope) * x[i] + normal();
        }
    }

    pymixed::Rows rows() const {
        const pymixed::ColumnView one, slope{x.data()};
        pymixed::Rows rows;
        rows.n = chunk;
        rows.y = {y.data()};
        rows.X = {one, slope};
        rows.Z = {one, slope};
        rows.codes = {group.data()};
        return rows;
    }
};

/// Sums over chunks first .. last - 1.
pymixed::CrossProducts sums(const pymixed::RandomEffects& layout, int first, int last) {
    Chunk data;
    data.read(first);
    pymixed::CrossProducts products(layout, data.rows(), /*intercept=*/0);
    for (int number = first + 1; number < last; ++number) {
        data.read(number);
        products.add(data.rows());
    }
    return products;
}

int main() {
    const pymixed::RandomEffects layout({n_groups}, {{0, 2}});
    pymixed::CrossProducts products = sums(layout, 0, n_chunks / 2);  // one worker
    products.merge(sums(layout, n_chunks / 2, n_chunks));             // and another
    std::printf("%td rows in %zu bytes\n", products.n(), products.n_bytes());

    const pymixed::LmmFit fit = pymixed::fit_lmm(std::move(products));
    std::printf("status     %s\n", pymixed::to_string(fit.status));
    std::printf("intercept  %.4f  (standard error %.4f)\n", fit.coefficients[0], std::sqrt(fit.covariance(0, 0)));
    std::printf("slope      %.4f  (standard error %.4f)\n", fit.coefficients[1], std::sqrt(fit.covariance(1, 1)));
    std::printf("sd(slope)  %.4f, sigma %.4f\n", std::sqrt(fit.term_covariances[0](1, 1)), fit.sigma);
    return fit.status == pymixed::Status::Success ? 0 : 1;
}
