# Sets EIGEN3_INCLUDE_DIR, the folder that holds Eigen/, unless it is given (also as an environment variable), from the
# first of
#   1. the host's own target Eigen3::Eigen
#   2. an installed Eigen with its CMake package (Debian: libeigen3-dev)
#   3. the Python package cmeel-eigen beside pymixed, where this file is in an installed Python package
#   4. the same package where python3 has it
#   5. the same package, fetched by pip into the build folder

set(pymixed_eigen_package cmeel-eigen==3.4.1)

# Sets EIGEN3_INCLUDE_DIR to the headers in the folder of Python packages `site`; leaves it alone where there are none.
macro(pymixed_find_eigen_below site)
  if(EXISTS "${site}/cmeel.prefix/include/eigen3/Eigen/Core")
    get_filename_component(EIGEN3_INCLUDE_DIR "${site}/cmeel.prefix/include/eigen3" ABSOLUTE)
  endif()
endmacro()

if(NOT EIGEN3_INCLUDE_DIR)
  set(EIGEN3_INCLUDE_DIR "$ENV{EIGEN3_INCLUDE_DIR}")
endif()

if(NOT EIGEN3_INCLUDE_DIR)
  if(NOT TARGET Eigen3::Eigen)
    find_package(Eigen3 3.4 QUIET NO_MODULE)
  endif()
  if(TARGET Eigen3::Eigen)
    get_target_property(EIGEN3_INCLUDE_DIR Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
  else()
    pymixed_find_eigen_below("${CMAKE_CURRENT_LIST_DIR}/../../..")
  endif()
endif()

if(NOT EIGEN3_INCLUDE_DIR)
  find_package(Python3 QUIET COMPONENTS Interpreter)
endif()

if(NOT EIGEN3_INCLUDE_DIR AND Python3_FOUND)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c "import cmeel, pathlib; print(pathlib.Path(cmeel.__file__).parents[1])"
    OUTPUT_VARIABLE pymixed_python_site OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  pymixed_find_eigen_below("${pymixed_python_site}")
endif()

if(NOT EIGEN3_INCLUDE_DIR AND Python3_FOUND)
  set(pymixed_python_site ${PROJECT_BINARY_DIR}/eigen)
  if(NOT EXISTS ${pymixed_python_site})
    message(STATUS "Eigen is not installed: fetching ${pymixed_eigen_package} into ${pymixed_python_site}")
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -m pip install --quiet --no-deps
              --target ${pymixed_python_site} ${pymixed_eigen_package}
      OUTPUT_QUIET ERROR_QUIET)
  endif()
  pymixed_find_eigen_below(${pymixed_python_site})
endif()

# The folders of a target may be generator expressions.
if(NOT EIGEN3_INCLUDE_DIR MATCHES "\\$<" AND NOT EXISTS "${EIGEN3_INCLUDE_DIR}/Eigen/Core")
  message(FATAL_ERROR
    "Eigen 3.4 was not found. Install it (Debian: libeigen3-dev; Python: pip install ${pymixed_eigen_package}), "
    "or give -DEIGEN3_INCLUDE_DIR=<folder that holds Eigen/>.")
endif()
