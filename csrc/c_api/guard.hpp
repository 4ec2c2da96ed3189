#pragma once
// The border between C++ and C: what every function of pymixed.h is wrapped in.

#include <memory>
#include <stdexcept>
#include <string>

#include "pymixed.h"
#include "pymixed/types.hpp"

namespace pymixed::c_api {

/// Keeps the message of the exception that is being handled; its code.
int32_t keep_exception() noexcept;

/// Runs a function's body; exceptions become codes here and nowhere else.
template <class Body>
int32_t guarded(Body&& body) noexcept {
    try {
        body();
        return PYMIXED_OK;
    } catch (...) {
        return keep_exception();
    }
}

/// A file that is none of ours.
class BadFile : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

[[noreturn]] void refuse(const std::string& name, const std::string& expected, const std::string& got);
[[noreturn]] void refuse(const std::string& name, const std::string& expected, double got);
[[noreturn]] void refuse(const std::string& name, const std::string& expected, int64_t got);

/// What an argument points to.
template <class T>
T& given(T* pointer, const char* name) {
    if (pointer == nullptr)
        refuse(name, "a pointer", std::string("NULL"));
    return *pointer;
}

/// `value` where it is one of 0 .. end - 1.
inline Index checked_position(const char* name, int64_t value, int64_t end) {
    if (value < 0 || value >= end)
        refuse(name, end == 0 ? "nothing: there are none" : "0 to " + std::to_string(end - 1), value);
    return static_cast<Index>(value);
}

/// A flag, 0 or 1.
inline bool checked_flag(const char* name, int32_t value) {
    return checked_position(name, value, 2) == 1;
}

/// Hands what make() returns, a std::unique_ptr<Handle>, over to the host; NULL where it fails.
template <class Handle, class Make>
int32_t hand_over(Handle** out, const char* name, Make&& make) noexcept {
    return guarded([&] {
        given(out, name) = nullptr;
        *out = make().release();
    });
}

}  // namespace pymixed::c_api
