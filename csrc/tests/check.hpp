// Checks for the C++ tests. Each tests/test_*.cpp includes this header once and is one executable:
//
//   #include "check.hpp"
//
//   TEST("the square of a root is the number") {
//       const double root = std::sqrt(2.0);
//       CHECK(root > 1);
//       CHECK_CLOSE(root * root, 2.0, 1e-15);
//   }
//
// A failed check is printed with its place and counted, and the test goes on. The exit code is 0 when none failed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

namespace check {

struct Test {
    const char* name;
    void (*run)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

struct Registration {
    Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

inline int& failures() {
    static int count = 0;
    return count;
}

inline void report(bool passed, const char* file, int line, const char* text) {
    if (passed)
        return;
    ++failures();
    std::printf("%s:%d: failed: %s\n", file, line, text);
}

// Relative to the larger of the two; equal infinities are close, and nothing is close to a NaN.
inline void report_close(double a, double b, double rtol, const char* file, int line, const char* text) {
    if (a == b || std::abs(a - b) <= rtol * std::max(std::abs(a), std::abs(b)))
        return;
    ++failures();
    std::printf("%s:%d: failed: %s: %.17g against %.17g, difference %.3g, rtol %.3g\n", file, line, text, a, b, a - b,
                rtol);
}

}  // namespace check

#define CHECK_JOIN_(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN_(a, b)

#define TEST(name) CHECK_TEST(name, CHECK_JOIN(test_at_line_, __LINE__), CHECK_JOIN(registration_, __LINE__))
#define CHECK_TEST(name, function, registration)                   \
    static void function();                                        \
    static const check::Registration registration(name, function); \
    static void function()

#define CHECK(condition) check::report(static_cast<bool>(condition), __FILE__, __LINE__, #condition)
#define CHECK_CLOSE(a, b, rtol) check::report_close((a), (b), (rtol), __FILE__, __LINE__, #a " ~ " #b)

// The statement must throw an exception of this type.
#define CHECK_THROWS(statement, type)                                           \
    do {                                                                        \
        bool thrown = false;                                                    \
        try {                                                                   \
            statement;                                                          \
        } catch (const type&) {                                                 \
            thrown = true;                                                      \
        }                                                                       \
        check::report(thrown, __FILE__, __LINE__, #statement " throws " #type); \
    } while (false)

int main() {
    for (const check::Test& test : check::tests()) {
        const int before = check::failures();
        try {
            test.run();
        } catch (const std::exception& error) {
            ++check::failures();
            std::printf("unexpected exception: %s\n", error.what());
        }
        if (check::failures() > before)
            std::printf("FAILED  %s\n", test.name);
    }
    std::printf("%zu tests, %d failed checks\n", check::tests().size(), check::failures());
    return check::failures() == 0 ? 0 : 1;
}
