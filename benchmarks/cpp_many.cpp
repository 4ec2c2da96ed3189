// fit_many of the C++ library on a design that cpp.py wrote: cpp_many DESIGN THREADS RESULTS
//
// Prints the CPU and the wall seconds of a call after one to warm up, writes the coefficients and theta to RESULTS.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include <pymixed/models.hpp>

using namespace pymixed;

/// What cpp.py writes: numbers, then arrays, one after the other.
class Reader {
 public:
    explicit Reader(const char* path) : file_(path, std::ios::binary) { file_.exceptions(std::ios::failbit); }

    template <class T>
    std::vector<T> array(std::int64_t count) {
        std::vector<T> values(count);
        file_.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(T)));
        return values;
    }
    std::int64_t number() { return array<std::int64_t>(1)[0]; }

 private:
    std::ifstream file_;
};

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: cpp_many DESIGN THREADS RESULTS\n");
        return 2;
    }
    Reader reader(argv[1]);
    const std::int64_t n = reader.number(), p = reader.number(), n_factors = reader.number(), n_terms = reader.number(),
                       count = reader.number();
    const bool poisson = reader.number() != 0;
    std::vector<Index> n_levels;
    for (std::int64_t f = 0; f < n_factors; ++f)
        n_levels.push_back(reader.number());
    std::vector<TermSpec> terms;
    std::vector<bool> constant;
    for (std::int64_t t = 0; t < n_terms; ++t) {
        const std::int64_t factor = reader.number(), n_cols = reader.number();
        terms.push_back({factor, n_cols});
        for (std::int64_t j = 0; j < n_cols; ++j)
            constant.push_back(reader.number() != 0);
    }
    const auto X = reader.array<double>(n * p), Y = reader.array<double>(n * count);
    std::vector<std::vector<double>> Z;
    for (const bool is_constant : constant)
        Z.push_back(is_constant ? std::vector<double>() : reader.array<double>(n));
    std::vector<std::vector<std::int32_t>> codes;
    for (std::int64_t f = 0; f < n_factors; ++f)
        codes.push_back(reader.array<std::int32_t>(n));

    Rows rows;
    rows.n = n;
    for (std::int64_t j = 0; j < p; ++j)
        rows.X.push_back({X.data() + j * n});
    for (const auto& column : Z)
        rows.Z.push_back({column.empty() ? nullptr : column.data()});
    for (const auto& factor : codes)
        rows.codes.push_back(factor.data());
    const RandomEffects layout(n_levels, terms);
    const Responses responses{Y.data(), nullptr, nullptr, count};
    RefitOptions options;
    options.n_threads = std::atoi(argv[2]);

    const auto fit = [&] {
        if (!poisson)
            return fit_many(layout, rows, responses, LmmManyOptions{true, options});
        RefitOptions with_hessian = options;
        with_hessian.uncertainty = true;  // covariances from the Hessian, as fit_many of Python has them
        return fit_many(layout, rows, *make_family("poisson", "log"), responses,
                        GlmmManyOptions{1, Information::Observed, with_hessian});
    };
    fit();
    const std::clock_t cpu = std::clock();
    const auto wall = std::chrono::steady_clock::now();
    const Refits fits = fit();
    const double wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
    std::printf("%.9f %.9f\n", static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC, wall_seconds);

    std::ofstream out(argv[3], std::ios::binary);
    for (const RowMatrix* values : {&fits.beta, &fits.theta, &fits.covariance})
        out.write(reinterpret_cast<const char*>(values->data()),
                  static_cast<std::streamsize>(values->size() * sizeof(double)));
    return 0;
}
