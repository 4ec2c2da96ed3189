# Which versions the sources beside this folder satisfy. An installation has a file of CMake's own, with the same rule.

include(${CMAKE_CURRENT_LIST_DIR}/version.cmake)
include(CMakePackageConfigHelpers)
set(pymixed_version_file ${CMAKE_BINARY_DIR}/CMakeFiles/pymixedConfigVersion.cmake)
write_basic_package_version_file(${pymixed_version_file}
  VERSION ${pymixed_version} COMPATIBILITY ${pymixed_compatibility} ARCH_INDEPENDENT)
include(${pymixed_version_file})
