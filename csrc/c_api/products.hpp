#pragma once

#include "pymixed.h"
#include "pymixed/crossproducts.hpp"

struct pymixed_products {
    pymixed::CrossProducts sums;
};
