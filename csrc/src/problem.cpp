#include "pymixed/problem.hpp"

#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "leading.hpp"
#include "tail.hpp"

namespace pymixed {

const char* to_string(Method method) {
    switch (method) {
        case Method::Automatic:
            return "auto";
        case Method::Single:
            return "single";
        case Method::Dense:
            return "dense";
        case Method::Sparse:
            return "sparse";
    }
    return "unknown";
}

MemoryLimit::MemoryLimit(double needed, double available) {
    char text[200];
    std::snprintf(text, sizeof text,
                  "the Cholesky factor of the random effects needs %.2f GB, the limit is %.2f GB of memory",
                  needed / 1e9, available / 1e9);
    message_ = text;
}

/// Positions of columns that add nothing to the span of those before them, the intercept counted as the first.
static std::vector<Index> dependent_columns(const CrossProducts& products) {
    const Vector pivots = column_pivots(products.XytXy(), products.fixed_basis().intercept);
    std::vector<Index> dependent;
    for (Index j = 0; j < products.p(); ++j)
        if (pivots[j] == 0.0)
            dependent.push_back(j);
    return dependent;
}

Problem::Problem(RandomEffects layout, const Rows& rows, Method method, double memory_limit)
    : Problem(std::make_shared<const CrossProducts>(std::move(layout), rows), method, memory_limit) {}

Problem::Problem(std::shared_ptr<const CrossProducts> products, Method method, double memory_limit, bool independent)
    : products_(std::move(products)) {
    choose_columns(independent);
    if (method == Method::Single && has_tail())
        throw std::invalid_argument("method: 'single' needs one grouping factor, got " +
                                    std::to_string(this->layout().factors().size()));
    leading_ = std::make_unique<Leading>(*products_);
    tail_ = has_tail() ? std::make_unique<Tail>(*products_, method, memory_limit) : std::make_unique<Tail>();
    sum_patterns();
}

Problem::Problem(const Problem& analysed, std::shared_ptr<const CrossProducts> products, bool independent)
    : products_(std::move(products)) {
    choose_columns(independent);
    leading_ = std::make_unique<Leading>(*products_);
    tail_ = has_tail() ? std::make_unique<Tail>(*analysed.tail_, *products_) : std::make_unique<Tail>();
    sum_patterns();
}

void Problem::choose_columns(bool independent) {
    if (!independent)
        aliased_ = dependent_columns(*products_);
    for (Index j = 0; j < products_->p(); ++j) {
        bool dropped = false;
        for (const Index k : aliased_)
            dropped = dropped || k == j;
        if (!dropped)
            kept_.push_back(j);
    }
    if (!aliased_.empty())
        products_ = std::make_shared<const CrossProducts>(products_->with_columns(kept_));
    if (!independent && n() <= p())
        throw std::invalid_argument("X: expected more rows than independent columns, got " + std::to_string(n()) +
                                    " rows and rank " + std::to_string(p()));
}

/// Sums over patterns take the place of the levels where they are smaller.
void Problem::sum_patterns() {
    if (!has_tail() &&
        leading_->n_patterns * (leading_->c + 1) * leading_->P <= 2 * leading_->n_levels + 64 * leading_->P)
        leading_->sum_moments(products_->factor(0).ZtXy.data());
}

Problem::~Problem() = default;

ResponseView Problem::response() const {
    const FixedBasis& basis = products_->fixed_basis();
    return {&products_->XytXy(), products_->factor(0).ZtXy.data(), leading_->moments.data(), &tail_->B2, &basis.gamma,
            basis.y_scale};
}

Method Problem::method() const {
    if (!has_tail())
        return Method::Single;
    return tail_->dense() ? Method::Dense : Method::Sparse;
}

double Problem::workspace_bytes() const {
    return has_tail() ? tail_->workspace_bytes()
                      : 24.0 * static_cast<double>(leading_->n_patterns * leading_->c * leading_->c);
}

}  // namespace pymixed
