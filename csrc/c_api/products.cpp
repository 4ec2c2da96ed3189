#include "products.hpp"

#include "data.hpp"

using namespace pymixed;
using namespace pymixed::c_api;

namespace {

/// The rows of a batch of a linear model.
const Rows& checked_batch(const pymixed_data& data) {
    if (data.family != nullptr)
        refuse("data", "a linear model", std::string("one with a family"));
    data.check_design();
    data.check_response();
    return data.rows;
}

/// Position of the column that is the constant 1 in every batch, -1: none.
Index intercept_of(const Rows& rows) {
    for (std::size_t j = 0; j < rows.X.size(); ++j)
        if (rows.X[j].is_constant())
            return static_cast<Index>(j);
    return -1;
}

}  // namespace

extern "C" {

int32_t pymixed_products_from_data(const pymixed_data* data, pymixed_products** products) {
    return hand_over(products, "products", [&] {
        const Rows& rows = checked_batch(given(data, "data"));
        return std::unique_ptr<pymixed_products>(
            new pymixed_products{CrossProducts(data->layout(), rows, intercept_of(rows))});
    });
}

void pymixed_products_free(pymixed_products* products) {
    delete products;
}

int32_t pymixed_products_add(pymixed_products* products, const pymixed_data* data) {
    return guarded([&] {
        CrossProducts& sums = given(products, "products").sums;
        const Rows& rows = checked_batch(given(data, "data"));
        const RandomEffects batch = data->layout();
        if (batch.specs() != sums.layout().specs() || batch.n_levels() != sums.layout().n_levels())
            refuse("data", "the factors, levels and terms of the first batch", std::string("others"));
        sums.add(rows);
    });
}

int32_t pymixed_products_merge(pymixed_products* products, const pymixed_products* other) {
    return guarded([&] { given(products, "products").sums.merge(given(other, "other").sums); });
}

int32_t pymixed_products_rows(const pymixed_products* products, int64_t* n_rows) {
    return guarded([&] { given(n_rows, "n_rows") = given(products, "products").sums.n(); });
}

}  // extern "C"
