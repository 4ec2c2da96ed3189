#include <cstdio>
#include <new>

#include "guard.hpp"
#include "pymixed/archive.hpp"
#include "pymixed/status.hpp"

namespace pymixed::c_api {

namespace {

thread_local char last_message[1024] = "";  // of a fixed size: to keep a message must not fail

int32_t keep(const char* message, int32_t code) noexcept {
    std::snprintf(last_message, sizeof last_message, "%s", message);
    return code;
}

}  // namespace

int32_t keep_exception() noexcept {
    try {
        throw;
    } catch (const std::invalid_argument& error) {
        return keep(error.what(), PYMIXED_INVALID_ARGUMENT);
    } catch (const std::bad_alloc& error) {  // MemoryLimit says how much
        return keep(error.what(), PYMIXED_OUT_OF_MEMORY);
    } catch (const std::length_error& error) {  // more than any machine has
        return keep(error.what(), PYMIXED_OUT_OF_MEMORY);
    } catch (const ArchiveError& error) {
        return keep(error.what(), PYMIXED_BAD_FILE);
    } catch (const BadFile& error) {
        return keep(error.what(), PYMIXED_BAD_FILE);
    } catch (const std::exception& error) {
        return keep(error.what(), PYMIXED_INTERNAL_ERROR);
    } catch (...) {
        return keep("an exception of an unknown type", PYMIXED_INTERNAL_ERROR);
    }
}

void refuse(const std::string& name, const std::string& expected, const std::string& got) {
    throw std::invalid_argument(name + ": expected " + expected + ", got " + got);
}

void refuse(const std::string& name, const std::string& expected, double got) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", got);
    refuse(name, expected, std::string(text));
}

void refuse(const std::string& name, const std::string& expected, int64_t got) {
    refuse(name, expected, std::to_string(got));
}

}  // namespace pymixed::c_api

extern "C" {

const char* pymixed_version(void) {
    return PYMIXED_VERSION;
}

const char* pymixed_last_error(void) {
    return pymixed::c_api::last_message;
}

const char* pymixed_status_message(int32_t status) {
    return pymixed::to_string(static_cast<pymixed::Status>(status));
}

}  // extern "C"
