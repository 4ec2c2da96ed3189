#include "bind.hpp"
#include "pymixed/build_info.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

constexpr const char* pybind11_version = PYBIND11_TOSTRING(PYBIND11_VERSION_MAJOR) "." PYBIND11_TOSTRING(
    PYBIND11_VERSION_MINOR) "." PYBIND11_TOSTRING(PYBIND11_VERSION_MICRO);

py::dict build_info_dict() {
    const BuildInfo info = build_info();
    py::list sets;
    for (const InstructionSet set : info.instruction_sets)
        sets.append(to_string(set));
    return py::dict(py::arg("version") = info.version, py::arg("compiler") = info.compiler,
                    py::arg("cpp_standard") = info.cpp_standard, py::arg("eigen") = info.eigen,
                    py::arg("pybind11") = pybind11_version, py::arg("pointer_bits") = info.pointer_bits,
                    py::arg("instruction_set") = to_string(info.instruction_set), py::arg("instruction_sets") = sets);
}

}  // namespace

void bind_build_info(py::module_& module) {
    instruction_set();  // the import fails, not the first fit, where the environment asks for one that there is not
    module.def("build_info", &build_info_dict);
}
