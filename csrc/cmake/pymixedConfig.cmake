# pymixed: linear and generalized linear mixed models.
#
#   find_package(pymixed 0.1 REQUIRED)
#   target_link_libraries(host PRIVATE pymixed::pymixed)   # C++; pymixed::c is the C interface
#
# An installation has both libraries compiled. The Python package has their sources, in the folder above this one, and
# the host compiles what it links as a part of itself, with its own flags.
#
# EIGEN3_INCLUDE_DIR may name the folder that holds Eigen/; eigen.cmake says where we look otherwise.

if(TARGET pymixed::pymixed)
  return()
endif()

if(NOT EXISTS ${CMAKE_CURRENT_LIST_DIR}/pymixedTargets.cmake)
  add_subdirectory(${CMAKE_CURRENT_LIST_DIR}/.. ${CMAKE_BINARY_DIR}/_pymixed EXCLUDE_FROM_ALL)
  return()
endif()

include(CMakeFindDependencyMacro)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/pymixedTargets.cmake)
if(CMAKE_CXX_COMPILER_LOADED)  # hosts in C need no Eigen
  include(${CMAKE_CURRENT_LIST_DIR}/eigen.cmake)
  target_include_directories(pymixed::pymixed SYSTEM INTERFACE "${EIGEN3_INCLUDE_DIR}")
endif()
