# What the scripts of this folder share; they source it after `set -euo pipefail`.
#
#   $root  the checkout, which no script writes into
#   $work  a folder of the script's own, removed at its end, when its background jobs end too

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

section() { printf '\n==== %s\n' "$*"; }

has_python() {
  python3 -c 'import ensurepip, os, sysconfig, venv
os.stat(os.path.join(sysconfig.get_paths()["include"], "Python.h"))' 2>/dev/null
}

# install_packages PACKAGE...: by apt
install_packages() {
  command -v apt-get >/dev/null || { echo "Needed: $*" >&2; exit 1; }
  local as_root
  as_root=$([ "$(id -u)" -eq 0 ] || echo sudo)
  $as_root apt-get update -qq
  $as_root apt-get install -qq --no-install-recommends "$@"
}

# require_clang: Clang and the runtimes of its sanitizers, for CMake too
require_clang() {
  export CXX=clang++ CC=clang
  require clang
  echo 'int main() {}' > "$work/main.cpp"
  clang++ -fsanitize=address,undefined "$work/main.cpp" -o "$work/main" 2>/dev/null ||
    install_packages "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"
}

# require COMMAND...: the compiler, CMake and Python that every script needs, and commands of packages of their own name
require() {
  local missing=() name
  for name in g++ cmake make "$@"; do
    command -v "$name" >/dev/null || missing+=("$name")
  done
  has_python || missing+=(python3 python3-dev python3-venv)
  [ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
}

# copy FOLDER: the checkout without what was built in it
copy() {
  mkdir "$1"
  tar -C "$root" --exclude=./.git --exclude='./.venv*' --exclude=./build --exclude=./benchmarks/tables \
      --exclude=./docs/_build --exclude=./docs/api --exclude=./docs/figures \
      --exclude='*.so' --exclude='*.egg-info' --exclude=__pycache__ -cf - . | tar -C "$1" -xf -
}

# configure SOURCE FOLDER OPTION...: CMake with the Eigen that pyproject.toml names, in a Python of its own
configure() {
  local source=$1 folder=$2
  python3 -m venv "$work/eigen"
  "$work/eigen/bin/pip" install --quiet "$(grep -om 1 'cmeel-eigen==[0-9.]*' "$root/pyproject.toml")"
  cmake -S "$source" -B "$folder" -DPython3_EXECUTABLE="$work/eigen/bin/python" "${@:3}"
}

# Of AddressSanitizer and UndefinedBehaviorSanitizer together. The first finding ends the program.
# Clang's, with the coverage that fuzzing follows, so that one build serves three scripts.
address_flags='-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all'
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# build FOLDER FLAGS TARGET...: targets of the C++ side with flags of the compiler in the place of a build type, several
# sources at a time; what is printed only where it fails. CXX chooses the compiler.
build_options=(-DCMAKE_BUILD_TYPE=None -DCMAKE_UNITY_BUILD=ON)
build() {
  local folder=$1 flags=$2
  { configure "$root/csrc" "$folder" "${build_options[@]}" -DCMAKE_CXX_FLAGS="$flags" &&
    cmake --build "$folder" --parallel "$(nproc)" --target "${@:3}"; } > "$work/build.log" 2>&1 ||
    { cat "$work/build.log"; exit 1; }
  echo "Built in $SECONDS s"
}
