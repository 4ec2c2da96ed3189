// Cross-products as named arrays: the way back gives the same bits, and nothing else is let in.
#include "check.hpp"

#include <limits>

#include "designs.hpp"

namespace {

using namespace pymixed;
using designs::Design;

Design crossed() {
    Design design = designs::simulate(300, 3, {{13, 2}, {17, 1}, {7, 3}}, 5);
    design.weights = design.y.cwiseAbs() + Vector::Ones(300);
    return design;
}

/// Whether the state is refused; anything but std::invalid_argument goes on to the test's end.
bool is_refused(const State& state) {
    try {
        CrossProducts::from_state(state);
        return false;
    } catch (const std::invalid_argument&) {
        return true;
    }
}

}  // namespace

TEST("there and back") {
    const Design one_factor = designs::simulate(40, 0, {{5, 1}}, 3);
    for (const Design& design : {crossed(), designs::simulate(200, 2, {{9, 1}, {50, 1}}, 3), one_factor}) {
        CrossProducts products(design.layout(), design.rows(0, design.n() / 2));
        CrossProducts read = CrossProducts::from_state(products.state());
        CHECK(read.state() == products.state());
        products.add(design.rows(design.n() / 2, design.n()));
        read.add(design.rows(design.n() / 2, design.n()));
        CHECK(read.state() == products.state());
        CHECK(read.n_bytes() <= products.n_bytes());
        const Problem before(std::make_shared<const CrossProducts>(products));
        const Problem after(std::make_shared<const CrossProducts>(read));
        CHECK(before.response().scale == after.response().scale);
        CHECK(before.method() == after.method());
    }
}

TEST("a basis that is not diagonal") {
    Design design = crossed();
    design.X.col(2) = design.X.col(1) + 1e-3 * design.X.col(2);
    CrossProducts products(design.layout(), design.rows(0, 100));
    CHECK(!products.fixed_basis().diagonal);
    CrossProducts read = CrossProducts::from_state(products.state());
    products.add(design.rows(100, 300));
    read.add(design.rows(100, 300));
    CHECK(read.state() == products.state());
}

TEST("corrupt states") {
    const Design design = crossed();
    const State state = CrossProducts(design.layout(), design.rows()).state();
    for (const auto& [name, array] : state) {
        const auto check = [&, &name = name](const char* how, const State& corrupt) {
            const bool refused = is_refused(corrupt);
            CHECK(refused);
            if (!refused)
                std::printf("%s %s\n", name.c_str(), how);
        };
        State corrupt = state;
        corrupt.erase(name);
        check("missing", corrupt);
        corrupt[name] = std::vector<double>{};
        check("empty", corrupt);
        std::visit(
            [&](const auto& values) {
                using Values = std::decay_t<decltype(values)>;
                using Value = typename Values::value_type;
                Values changed = values;
                changed.pop_back();
                corrupt[name] = changed;
                check("too short", corrupt);
                changed = values;
                changed.push_back(values.back());
                corrupt[name] = changed;
                check("too long", corrupt);
                corrupt[name] = std::vector<std::conditional_t<std::is_same_v<Value, double>, std::int64_t, double>>(
                    values.begin(), values.end());
                check("of another type", corrupt);
                for (std::size_t i = 0; i < values.size(); ++i)
                    for (const Value wrong : {static_cast<Value>(-7), std::numeric_limits<Value>::max(),
                                              std::numeric_limits<Value>::min()}) {
                        changed = values;
                        changed[i] = std::is_same_v<Value, double> ? std::numeric_limits<Value>::quiet_NaN() : wrong;
                        corrupt[name] = changed;
                        check("of a wrong value", corrupt);
                    }
            },
            array);
    }
}

TEST("states that contradict themselves") {
    const Design design = crossed();
    const State state = CrossProducts(design.layout(), design.rows()).state();
    const auto with = [&](const char* name, auto change) {
        State corrupt = state;
        change(corrupt.at(name));
        return corrupt;
    };
    const auto real = [](StateArray& array) -> std::vector<double>& { return std::get<std::vector<double>>(array); };
    const auto integer = [](StateArray& array) -> std::vector<std::int64_t>& {
        return std::get<std::vector<std::int64_t>>(array);
    };
    CHECK(is_refused(with("n", [&](StateArray& n) { ++integer(n)[0]; })));
    CHECK(is_refused(with("n_levels", [&](StateArray& n) { std::swap(integer(n)[0], integer(n)[1]); })));
    CHECK(is_refused(with("terms", [&](StateArray& terms) { std::swap(integer(terms)[1], integer(terms)[4]); })));
    CHECK(is_refused(with("R", [&](StateArray& R) { real(R)[1] = 0.5; })));
    CHECK(is_refused(with("R", [&](StateArray& R) { real(R)[0] = 0.0; })));
    CHECK(is_refused(with("y_scale", [&](StateArray& scale) { real(scale)[0] = 0.0; })));
    CHECK(is_refused(with("random_scale", [&](StateArray& scale) { real(scale)[1] = -1.0; })));
    CHECK(is_refused(with("coupling0_1_rows", [&](StateArray& rows) {
        ++integer(rows)[0];
        --integer(rows)[1];
    })));
    CHECK(is_refused(with("coupling0_1_level", [&](StateArray& level) {
        auto& levels = std::get<std::vector<std::int32_t>>(level);
        std::swap(levels[0], levels[1]);
    })));
}
