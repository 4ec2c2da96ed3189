#pragma once
// How a host wants its models fitted, as the core asks for it.

#include "guard.hpp"
#include "pymixed/models.hpp"

struct pymixed_options {
    bool reml = true;
    pymixed::FitOptions fit;
    int n_threads = 1;
    pymixed::Index n_nodes = 1;
    pymixed::Information information = pymixed::Information::Observed;
    bool hessian = false;
    double memory_limit = 0.0;
    pymixed_callback callback = nullptr;
    void* user = nullptr;

    pymixed::LmmOptions linear() const;
    pymixed::GlmmOptions generalized() const;
    pymixed::LmmManyOptions linear_many() const;
    pymixed::GlmmManyOptions generalized_many() const;

 private:
    pymixed::FitOptions monitored_fit() const;
    pymixed::RefitOptions refits() const;
};

namespace pymixed::c_api {

/// The host's options, the defaults without.
inline pymixed_options options_or_defaults(const pymixed_options* options) {
    return options == nullptr ? pymixed_options() : *options;
}

}  // namespace pymixed::c_api
