// The version of pymixed, typed here and nowhere else: setup.py, CMake and the Python module read this file.
#pragma once

#define PYMIXED_VERSION_MAJOR 0
#define PYMIXED_VERSION_MINOR 1
#define PYMIXED_VERSION_PATCH 0

#define PYMIXED_VERSION "0.1.0"
