// After its first round the criterion and its derivatives ask for no memory, in every regime; nor do the sums of other
// responses.
//
// The trap stands in for malloc and its relatives, through which operator new and Eigen's own allocator go.
// It needs glibc's second names of these functions and no sanitizer in their place; elsewhere nothing is counted.
#include "check.hpp"

#include <atomic>
#include <cstdlib>

#include "designs.hpp"
#include "leading.hpp"
#include "pymixed/deviance.hpp"
#include "response_sums.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__GLIBC__) && !defined(SANITIZED)
#define TRAP
#endif

static std::atomic<long> allocations{0};

#ifdef TRAP
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) noexcept {
    ++allocations;
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
    ++allocations;
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) noexcept {
    ++allocations;
    return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
    ++allocations;
    return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    return memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
    *out = memalign(alignment, size);
    return *out == nullptr ? 12 : 0;  // ENOMEM
}
}
#endif

namespace {

using namespace pymixed;
using designs::Design;

/// Allocations of the rounds after the first, singular and nearly singular points among them.
void check_quiet(const Problem& problem) {
    for (const bool reml : {true, false}) {
        Deviance deviance(problem, reml);
        std::vector<Vector> points;
        for (unsigned seed = 1; seed <= 3; ++seed)
            points.push_back(designs::some_theta(problem.layout(), seed));
        points.push_back(Vector::Zero(problem.layout().n_theta()));
        points.push_back(1e-13 * points[0]);
        deviance.evaluate(points[0], Coordinates::User);
        deviance.differentiate();
        for (const Coordinates coordinates : {Coordinates::User, Coordinates::Internal})
            for (const Vector& theta : points) {
                const long before = allocations;
                deviance.evaluate(theta, coordinates);
                const long between = allocations;
                deviance.differentiate();
                const long after = allocations;
                CHECK(between == before);
                CHECK(after == between);
                CHECK(std::isfinite(deviance.value()));
                CHECK(deviance.gradient().allFinite() && deviance.curvature().allFinite());
            }
    }
}

/// Allocations of setting another response and evaluating its criterion.
void check_quiet_response(Design design, bool weighted) {
    if (weighted)
        design.weights = Vector::LinSpaced(design.n(), 0.5, 2.0);
    Rows rows = design.rows();
    const Vector offset = Vector::LinSpaced(design.n(), -3.0, 3.0);
    rows.offset = weighted ? offset.data() : nullptr;
    const Problem problem(design.layout(), rows);
    const SortedRows sorted(problem, rows, {});
    ResponseSums sums(problem, sorted);
    Deviance deviance(problem, true);
    const Vector theta = designs::some_theta(problem.layout(), 1), other = 3.0 * sorted.y;
    deviance.set_response(sums.view());
    deviance.evaluate(theta, Coordinates::User);
    const long before = allocations;
    sums.set(other);
    const long between = allocations;
    deviance.set_response(sums.view());
    deviance.evaluate(theta, Coordinates::User);
    const long after = allocations;
    CHECK(between == before);
    CHECK(after == between);
    CHECK(std::isfinite(deviance.value()));
}

constexpr Index columns_of_X[] = {0, 1, 30};

}  // namespace

#ifdef TRAP
TEST("the trap counts new, malloc and Eigen's allocations") {
    const long before = allocations;
    ::operator delete(::operator new(8));
    const long after_new = allocations;
    CHECK(after_new > before);
    {
        Vector eigen = Vector::Zero(1000);
        CHECK(eigen.sum() == 0.0);
    }
    const long after_eigen = allocations;
    CHECK(after_eigen > after_new);
    void* block = nullptr;
    CHECK(posix_memalign(&block, 64, 640) == 0);
    std::free(block);
    CHECK(allocations > after_eigen);
}
#endif

TEST("one factor, sums over patterns") {
    for (const Index p : columns_of_X) {
        const Design design = designs::simulate(600, p, {{100, 1}}, 1);
        const Problem problem(design.layout(), design.rows());
        CHECK(problem.method() == Method::Single && problem.leading().use_moments());
        check_quiet(problem);
        Design slopes = designs::simulate(600, p, {{100, 2}}, 2);  // the same six values of z in every level
        for (Index i = 0; i < slopes.n(); ++i)
            slopes.Z[1][i] = static_cast<double>(i / 100);
        const Problem vector_valued(slopes.layout(), slopes.rows());
        CHECK(vector_valued.leading().use_moments());
        check_quiet(vector_valued);
    }
}

TEST("one factor, level by level") {
    for (const Index p : columns_of_X)
        for (const Index n_cols : {2, 3, 5}) {
            const Design design = designs::simulate(900, p, {{100, n_cols}}, 3);
            const Problem problem(design.layout(), design.rows());
            CHECK(problem.method() == Method::Single && !problem.leading().use_moments());
            check_quiet(problem);
        }
}

TEST("dense and sparse tails, scalar and vector-valued") {
    for (const Method method : {Method::Dense, Method::Sparse})
        for (const Index p : columns_of_X)
            for (const Index leading : {1, 2, 3})
                for (const Index tail : {1, 2, 3}) {
                    const Design design = designs::simulate(900, p, {{100, leading}, {20, tail}, {12, 1}}, 4);
                    const Problem problem(design.layout(), design.rows(), method);
                    CHECK(problem.method() == method);
                    check_quiet(problem);
                }
}

TEST("another response") {
    for (const bool weighted : {false, true})
        for (const Index p : columns_of_X)
            for (const Index c : {1, 2, 3}) {
                check_quiet_response(designs::simulate(900, p, {{100, c}}, 5), weighted);
                check_quiet_response(designs::simulate(900, p, {{100, c}, {20, 2}, {12, 1}}, 6), weighted);
            }
}
