#pragma once
// A family as Python holds it: never changed, copied for every use.

#include <memory>

#include "pymixed/family.hpp"

class FamilyHolder {
 public:
    explicit FamilyHolder(std::unique_ptr<pymixed::Family> family) : family_(std::move(family)) {}
    const pymixed::Family& get() const { return *family_; }
    std::unique_ptr<pymixed::Family> clone() const { return family_->clone(); }

 private:
    std::unique_ptr<pymixed::Family> family_;
};
