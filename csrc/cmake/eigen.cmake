# Sets EIGEN3_INCLUDE_DIR, the folder that holds Eigen/, unless it is given, from the first of
#   1. an installed Eigen with its CMake package (Debian: libeigen3-dev)
#   2. the Python package cmeel-eigen, where python3 has it
#   3. the same package, fetched by pip into the build folder

set(pymixed_eigen_package cmeel-eigen==3.4.1)

# Sets `result` to the headers in the folder of Python packages `site`; leaves it alone where there are none.
function(pymixed_eigen_below site result)
  set(folder "${site}/cmeel.prefix/include/eigen3")
  if(EXISTS "${folder}/Eigen/Core")
    set(${result} "${folder}" PARENT_SCOPE)
  endif()
endfunction()

if(NOT EIGEN3_INCLUDE_DIR)
  find_package(Eigen3 3.4 QUIET NO_MODULE)
  if(TARGET Eigen3::Eigen)
    get_target_property(EIGEN3_INCLUDE_DIR Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
  else()
    find_package(Python3 QUIET COMPONENTS Interpreter)
  endif()
endif()

if(NOT EIGEN3_INCLUDE_DIR AND Python3_FOUND)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c "import cmeel, pathlib; print(pathlib.Path(cmeel.__file__).parents[1])"
    OUTPUT_VARIABLE pymixed_python_site OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  pymixed_eigen_below("${pymixed_python_site}" EIGEN3_INCLUDE_DIR)
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
  pymixed_eigen_below(${pymixed_python_site} EIGEN3_INCLUDE_DIR)
endif()

if(NOT EXISTS "${EIGEN3_INCLUDE_DIR}/Eigen/Core")
  message(FATAL_ERROR
    "Eigen 3.4 was not found. Install it (Debian: libeigen3-dev; Python: pip install ${pymixed_eigen_package}), "
    "or give -DEIGEN3_INCLUDE_DIR=<folder that holds Eigen/>.")
endif()
