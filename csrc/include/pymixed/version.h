/* The version of pymixed, typed here and nowhere else: setup.py, CMake and the Python module read this file.
 *
 * Semantic versioning (semver.org) of the C++ and the C API: within a major version, and before 1.0 within a minor one,
 * programs that compile against an older version compile against a newer one and mean the same. */
#pragma once

#define PYMIXED_VERSION_MAJOR 0
#define PYMIXED_VERSION_MINOR 1
#define PYMIXED_VERSION_PATCH 0

#define PYMIXED_VERSION "0.1.0"
