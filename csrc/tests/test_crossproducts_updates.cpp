// Cross-products that change: rows added, merged, relevelled, taken away. Whatever the way, the sums are those of one
// pass over the rows in the same basis; what is refused leaves the object as it was, bit by bit.
#include "check.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>

#include "designs.hpp"

// Memory runs out at an allocation of choice.
static long allocations_left = -1;  // -1: no limit

[[gnu::noinline]] void* operator new(std::size_t size) {
    if (allocations_left == 0)
        throw std::bad_alloc();
    if (allocations_left > 0)
        --allocations_left;
    if (void* memory = std::malloc(size))
        return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace {

using namespace pymixed;
using designs::Design;
using designs::difference;

// The sums' rounding errors grow with the number of terms, 700 x 1e-16 here, and with the changes of basis; an error of
// the shifts, 1e6 x 1e-16 of a column's size, would be seen.
constexpr double tolerance = 1e-12;

/// Weights, an offset and covariates far from zero.
struct Data : Design {
    Vector offset;

    explicit Data(const std::vector<std::pair<Index, Index>>& factors, unsigned seed = 5, double far = 1e6)
        : Design(designs::simulate(700, 4, factors, seed)), offset(700) {
        designs::Normal normal(seed + 1);
        weights.resize(700);
        for (Index i = 0; i < 700; ++i) {
            weights[i] = 0.2 + normal.uniform();
            offset[i] = normal();
            y[i] += far + offset[i];
            for (Index j = 1; j < 4; ++j)
                X(i, j) += far;
        }
        for (Vector& z : Z)
            z.array() += far;
    }
    Rows rows(Index first, Index last) const {
        Rows out = Design::rows(first, last);
        out.offset = offset.data() + first;
        return out;
    }
    Rows rows() const { return rows(0, n()); }
    CrossProducts products(Index first, Index last) const { return {layout(), rows(first, last), 0}; }
};

const std::vector<std::vector<std::pair<Index, Index>>> all_factors = {
    {{23, 2}}, {{23, 2}, {31, 1}}, {{9, 1}, {14, 1}}, {{23, 2}, {31, 1}, {11, 3}}};

double difference_of(const std::vector<double>& a, const std::vector<double>& b) {
    CHECK(a.size() == b.size());
    if (a.empty() || a.size() != b.size())
        return 0.0;
    return difference(Eigen::Map<const Vector>(a.data(), a.size()), Eigen::Map<const Vector>(b.data(), b.size()));
}

/// The sums are those over `rows` in one pass.
void check_sums(const CrossProducts& products, const Rows& rows) {
    const CrossProducts whole(products.layout(), products.fixed_basis(), products.random_basis(), rows);
    CHECK(products.n() == whole.n());
    CHECK_CLOSE(products.sum_weights(), whole.sum_weights(), tolerance);
    CHECK_CLOSE(products.sum_log_weights(), whole.sum_log_weights(), tolerance);
    CHECK(difference(products.XytXy(), whole.XytXy()) < tolerance);
    CHECK(difference(products.means(), whole.means()) < 1e-14);
    for (std::size_t f = 0; f < products.layout().factors().size(); ++f) {
        CHECK(products.factor(f).rows == whole.factor(f).rows);
        CHECK(difference_of(products.factor(f).ZtZ, whole.factor(f).ZtZ) < tolerance);
        CHECK(difference_of(products.factor(f).ZtXy, whole.factor(f).ZtXy) < tolerance);
    }
    CHECK(products.couplings().size() == whole.couplings().size());
    for (std::size_t i = 0; i < products.couplings().size(); ++i) {
        const CouplingProducts &got = products.couplings()[i], &expected = whole.couplings()[i];
        CHECK(got.start == expected.start && got.level == expected.level && got.rows == expected.rows);
        CHECK(difference_of(got.block, expected.block) < tolerance);
    }
}

/// A part with the levels that it has, numbered as they come.
struct Part {
    CrossProducts products;
    std::vector<std::vector<std::int32_t>> levels;  // per factor: the data's number of each level
};
Part part_of(const Data& data, Index first, Index last) {
    Rows rows = data.rows(first, last);
    std::vector<std::vector<std::int32_t>> levels, codes;
    std::vector<Index> n_levels;
    for (std::size_t f = 0; f < data.codes.size(); ++f) {
        std::vector<std::int32_t> number(data.n_levels[f], -1), code;
        levels.emplace_back();
        for (Index i = first; i < last; ++i) {
            const std::int32_t level = data.codes[f][i];
            if (number[level] < 0) {
                number[level] = static_cast<std::int32_t>(levels[f].size());
                levels[f].push_back(level);
            }
            code.push_back(number[level]);
        }
        codes.push_back(std::move(code));
        n_levels.push_back(static_cast<Index>(levels[f].size()));
        rows.codes[f] = codes[f].data();
    }
    return {CrossProducts({n_levels, data.terms}, rows, 0), levels};
}

/// Both over the union of their levels: those of the first, then those that only the second has.
Part together(const Part& left, const Part& right) {
    std::vector<std::vector<std::int32_t>> levels = left.levels, maps_left, maps_right;
    std::vector<Index> n_levels;
    for (std::size_t f = 0; f < levels.size(); ++f) {
        maps_left.emplace_back(levels[f].size());
        std::iota(maps_left[f].begin(), maps_left[f].end(), 0);
        maps_right.emplace_back();
        for (const std::int32_t level : right.levels[f]) {
            const auto found = std::find(levels[f].begin(), levels[f].end(), level);
            maps_right[f].push_back(static_cast<std::int32_t>(found - levels[f].begin()));
            if (found == levels[f].end())
                levels[f].push_back(level);
        }
        n_levels.push_back(static_cast<Index>(levels[f].size()));
    }
    CrossProducts sum = left.products.relevelled(maps_left, n_levels);
    sum.merge(right.products.relevelled(maps_right, n_levels));
    return {std::move(sum), levels};
}

Data with_drift(const std::vector<std::pair<Index, Index>>& factors) {
    Data data(factors);
    for (Index i = 0; i < data.n(); ++i) {
        data.X(i, 1) += 0.01 * static_cast<double>(i);  // the bases of the parts differ
        data.X(i, 2) *= 1.0 + static_cast<double>(i % 350) / 350.0;
    }
    return data;
}

template <class Exception, class Change>
void check_refused(CrossProducts& products, Change change) {
    const State before = products.state();
    CHECK_THROWS(change(), Exception);
    CHECK(products.state() == before);
}

}  // namespace

TEST("rows added in batches") {
    for (const auto& factors : all_factors) {
        const Data data(factors);
        for (const Index batches : {2, 7, 70}) {
            CrossProducts products = data.products(0, data.n() / batches);
            for (Index k = 1; k < batches; ++k)
                products.add(data.rows(k * data.n() / batches, (k + 1) * data.n() / batches));
            check_sums(products, data.rows());
        }
    }
}

TEST("no row changes nothing") {
    const Data data(all_factors[3]);
    CrossProducts products = data.products(0, data.n());
    const State before = products.state();
    products.add(data.rows(5, 5));
    CHECK(products.state() == before);
    CHECK_THROWS(data.products(5, 5), std::invalid_argument);
}

TEST("merged in random trees, levels as they come") {
    for (const auto& factors : all_factors)
        for (const Index count : {2, 7, 40}) {
            const Data data = with_drift(factors);
            std::vector<Part> parts;
            for (Index k = 0; k < count; ++k)
                parts.push_back(part_of(data, k * data.n() / count, (k + 1) * data.n() / count));
            designs::Normal normal(static_cast<unsigned>(count));
            while (parts.size() > 1) {
                const auto pick = [&] {
                    const auto i = static_cast<std::size_t>(normal.uniform() * static_cast<double>(parts.size()));
                    Part out = std::move(parts[i]);
                    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i));
                    return out;
                };
                const Part left = pick(), right = pick();
                parts.push_back(together(left, right));
            }
            check_sums(parts[0].products.relevelled(parts[0].levels, data.n_levels), data.rows());
        }
}

TEST("a constant column of one part only") {
    Data data(all_factors[1]);
    data.X.col(0).tail(350).setLinSpaced(1.0, 2.0);
    CrossProducts products(data.layout(), data.rows(0, 300));
    CHECK(products.fixed_basis().intercept == 0);
    products.merge(CrossProducts(data.layout(), data.rows(300, 500)));
    CHECK(products.fixed_basis().intercept == -1);
    products.add(data.rows(500, 700));
    const CrossProducts whole(data.layout(), products.fixed_basis(), products.random_basis(), data.rows());
    // the three columns at 1e6 are told apart by the constant alone: 1e-16 of 1e6 squared
    CHECK(difference(products.XytXy(), whole.XytXy()) < 1e-9);
    CHECK(difference(products.means(), whole.means()) < 1e-12);
}

TEST("means") {
    const Data data(all_factors[1]);
    for (const Index intercept : {0, -1}) {
        const CrossProducts products(data.layout(), data.rows(), intercept);
        const double sum = data.weights.sum();
        CHECK_CLOSE(products.sum_weights(), sum, 1e-14);
        const Vector expected = data.X.transpose() * data.weights / sum;
        CHECK(difference(products.means().head(4), expected) < 1e-14);
        CHECK_CLOSE(products.means()[4], (data.y - data.offset).dot(data.weights) / sum, 1e-14);
    }
    const Design without = designs::simulate(50, 0, {{5, 1}}, 3);
    CHECK_CLOSE(CrossProducts(without.layout(), without.rows()).means()[0], without.y.mean(), 1e-13);
}

TEST("other levels and back") {
    for (const auto& factors : all_factors) {
        const Data data(factors);
        const CrossProducts products = data.products(0, data.n());
        // the smallest factor becomes the largest: the order is reversed, couplings are transposed
        std::vector<Index> position(factors.size());
        for (std::size_t f = 0; f < factors.size(); ++f)
            position[products.layout().factors()[f].user_position] = static_cast<Index>(f);
        std::vector<std::vector<std::int32_t>> there, back;
        std::vector<Index> more;
        for (std::size_t f = 0; f < data.n_levels.size(); ++f) {
            const Index stride = 1 + 8 * position[f];
            more.push_back(data.n_levels[f] * stride + 2);
            there.emplace_back();
            back.emplace_back(more[f], -1);
            for (Index g = 0; g < data.n_levels[f]; ++g) {
                there[f].push_back(static_cast<std::int32_t>((data.n_levels[f] - g) * stride));
                back[f][there[f][g]] = static_cast<std::int32_t>(g);
            }
        }
        const CrossProducts other = products.relevelled(there, more);
        Data renamed = data;
        renamed.n_levels = more;
        for (std::size_t f = 0; f < more.size(); ++f)
            for (std::int32_t& code : renamed.codes[f])
                code = there[f][code];
        check_sums(other, renamed.rows());
        CHECK(other.layout().n_levels() == more);
        if (factors.size() > 1)
            CHECK(other.layout().factors()[0].user_position != products.layout().factors()[0].user_position);
        CHECK(other.relevelled(back, data.n_levels).state() == products.state());
    }
}

TEST("levels appended") {
    const Data data(all_factors[3]);
    const Part first = part_of(data, 0, 9);
    CrossProducts grown = first.products;
    std::vector<std::vector<std::int32_t>> levels = first.levels;
    std::vector<Index> n_levels = grown.layout().n_levels();
    for (Index i = 9; i < data.n(); ++i) {  // row by row: factors overtake one another
        Rows row = data.rows(i, i + 1);
        std::vector<std::int32_t> code;
        for (std::size_t f = 0; f < levels.size(); ++f) {
            const auto found = std::find(levels[f].begin(), levels[f].end(), data.codes[f][i]);
            code.push_back(static_cast<std::int32_t>(found - levels[f].begin()));
            if (found == levels[f].end())
                levels[f].push_back(data.codes[f][i]);
            n_levels[f] = static_cast<Index>(levels[f].size());
        }
        for (std::size_t f = 0; f < levels.size(); ++f)
            row.codes[f] = &code[f];
        grown.grow(n_levels);
        grown.add(row);
    }
    check_sums(grown.relevelled(levels, data.n_levels), data.rows());
}

TEST("rows taken away are as never added") {
    for (const auto& factors : all_factors) {
        const Data data = with_drift(factors);
        for (const Index first : {0, 250, 600}) {
            const Index last = first + 100;
            CrossProducts products = data.products(0, data.n());
            products.subtract(data.products(first, last));
            std::vector<Index> kept;
            for (Index i = 0; i < data.n(); ++i)
                if (i < first || i >= last)
                    kept.push_back(i);
            Data remaining = data;
            remaining.y = data.y(kept).eval();
            remaining.X = data.X(kept, Eigen::all).eval();
            remaining.weights = data.weights(kept).eval();
            remaining.offset = data.offset(kept).eval();
            for (std::size_t f = 0; f < data.codes.size(); ++f)
                for (std::size_t k = 0; k < kept.size(); ++k)
                    remaining.codes[f][k] = data.codes[f][kept[k]];
            for (Vector& z : remaining.Z)
                if (z.size() > 0)
                    z = z(kept).eval();
            check_sums(products, remaining.rows());
        }
    }
}

TEST("levels and cells without rows are exact zeros") {
    Data data(all_factors[1]);
    for (Index i = 0; i < 700; ++i)
        data.codes[0][i] = static_cast<std::int32_t>(i / 31);  // sorted: the last levels are in the last rows only
    CrossProducts products = data.products(0, data.n());
    products.subtract(data.products(400, 700));
    const Index f = products.layout().factors()[0].user_position == 0 ? 0 : 1;
    const FactorProducts& factor = products.factor(f);
    CHECK(factor.rows[22] == 0 && factor.rows[0] == 31);
    for (Index k = 22 * 3; k < 23 * 3; ++k)
        CHECK(factor.ZtZ[k] == 0.0);
    for (Index k = 22 * 10; k < 23 * 10; ++k)
        CHECK(factor.ZtXy[k] == 0.0);
    check_sums(products, data.rows(0, 400));
}

TEST("what cannot be taken away") {
    const Data data(all_factors[1]);
    CrossProducts half = data.products(0, 350);
    const CrossProducts all = data.products(0, 700), others = data.products(350, 500);
    check_refused<std::invalid_argument>(half, [&] { half.subtract(all); });
    check_refused<std::invalid_argument>(half, [&] { half.subtract(half); });
    check_refused<std::invalid_argument>(half, [&] { half.subtract(others); });
    // the levels have the rows, their cells have not
    Data crossed(all_factors[2]);
    for (Index i = 0; i < 700; ++i) {
        crossed.codes[0][i] = static_cast<std::int32_t>(i % 2);
        crossed.codes[1][i] = static_cast<std::int32_t>(i < 600 ? i % 2 : 1 - i % 2);
    }
    CrossProducts diagonal = crossed.products(0, 600);
    check_refused<std::invalid_argument>(diagonal, [&] { diagonal.subtract(crossed.products(600, 700)); });
}

TEST("what is not safe to take away") {
    Data data(all_factors[0], 5, 0.0);
    // column 1 varies by 1e-5 of its size in the last rows: 10 of 16 digits are lost without the others
    for (Index i = 600; i < 700; ++i)
        data.X(i, 1) = 3.0 + 1e-5 * data.X(i, 1);
    CrossProducts products = data.products(0, 700);
    check_refused<UnsafeSubtraction>(products, [&] { products.subtract(data.products(0, 600)); });
    // digits that are lost step by step count as well: 4 with the first rows, 4 more with the next
    for (Index i = 0; i < 700; ++i)
        data.X(i, 1) = std::sin(i) * (i < 300 ? 1.0 : (i < 500 ? 1e-2 : 1e-4));
    products = data.products(0, 700);
    products.subtract(data.products(0, 300));
    check_refused<UnsafeSubtraction>(products, [&] { products.subtract(data.products(300, 500)); });
    // a column that depended on others before does not count
    Data dependent(all_factors[0]);
    dependent.X.col(3) = dependent.X.col(2);
    CrossProducts whole = dependent.products(0, 700);
    whole.subtract(dependent.products(0, 100));
    CHECK(whole.n() == 600);
}

TEST("what is refused leaves the sums as they were") {
    const Data data(all_factors[3]);
    CrossProducts products = data.products(0, 350);
    Data bad = data;
    bad.codes[1][699] = 31;
    check_refused<std::invalid_argument>(products, [&] { products.add(bad.rows(350, 700)); });
    bad = data;
    bad.X(699, 0) = 1.5;
    check_refused<std::invalid_argument>(products, [&] { products.add(bad.rows(350, 700)); });
    Rows fewer = data.rows(350, 700);
    fewer.X.pop_back();
    check_refused<std::invalid_argument>(products, [&] { products.add(fewer); });
    Rows other = data.rows(350, 700);
    other.Z[1] = ColumnView{};
    check_refused<std::invalid_argument>(products, [&] { products.add(other); });
    const std::vector<Index> n_levels = data.n_levels, less = {23, 30, 11};
    check_refused<std::invalid_argument>(products, [&] { products.grow(less); });
    std::vector<std::vector<std::int32_t>> maps;
    for (const Index count : n_levels) {
        maps.emplace_back(count);
        std::iota(maps.back().begin(), maps.back().end(), 0);
    }
    for (const std::int32_t target : {-1, -2, 23, 1}) {  // dropped with rows, no level, two of them
        auto wrong = maps;
        wrong[0][0] = target;
        CHECK_THROWS(products.relevelled(wrong, n_levels), std::invalid_argument);
    }
    maps.pop_back();
    CHECK_THROWS(products.relevelled(maps, n_levels), std::invalid_argument);
    for (const Index intercept : {-2, 1, 4})
        CHECK_THROWS(CrossProducts(data.layout(), data.rows(), intercept), std::invalid_argument);
}

TEST("memory that runs out leaves the sums as they were") {
    const Data data = with_drift(all_factors[3]);
    const CrossProducts other = data.products(300, 700);
    const Rows rows = data.rows(300, 700);
    const auto steps = {+[](CrossProducts& sums, const CrossProducts&, const Rows& more) { sums.add(more); },
                        +[](CrossProducts& sums, const CrossProducts& part, const Rows&) { sums.merge(part); },
                        +[](CrossProducts& sums, const CrossProducts&, const Rows&) { sums.grow({40, 32, 400}); }};
    for (const auto step : steps) {
        CrossProducts products = data.products(0, 300);
        const State before = products.state();
        bool done = false;
        long failures = 0;
        for (; !done; ++failures) {
            allocations_left = failures;
            try {
                step(products, other, rows);
                done = true;
            } catch (const std::bad_alloc&) {
            }
            allocations_left = -1;
            if (!done)
                CHECK(products.state() == before);
        }
        CHECK(failures > 3);
        CHECK(products.state() != before);
    }
}
