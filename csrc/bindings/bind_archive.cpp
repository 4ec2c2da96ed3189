#include <algorithm>
#include <type_traits>

#include "arrays.hpp"
#include "pymixed/archive.hpp"

namespace py = pybind11;
using namespace pymixed;

namespace {

/// Calls function(T{}, type) for the type of array elements named as NumPy does, kind and bytes; false for others.
template <class Function>
bool with_type(char kind, py::ssize_t size, Function&& function) {
    const auto matches = [&](char k, py::ssize_t s) { return kind == k && size == s; };
    if (matches('f', 8))
        function(double{}, NumberType::Float64);
    else if (matches('i', 8))
        function(std::int64_t{}, NumberType::Int64);
    else if (matches('i', 4))
        function(std::int32_t{}, NumberType::Int32);
    else if (matches('i', 1))
        function(std::int8_t{}, NumberType::Int8);
    else if (matches('u', 8))
        function(std::uint64_t{}, NumberType::UInt64);
    else if (matches('u', 1))
        function(std::uint8_t{}, NumberType::UInt8);
    else if (matches('b', 1))
        function(bool{}, NumberType::Boolean);
    else
        return false;
    return true;
}

[[noreturn]] void refuse(const std::string& name, const char* got) {
    throw std::invalid_argument("archive: expected " + name +
                                " to be text, a list of texts or an array of float64, int64, int32, int8, uint64, "
                                "uint8 or bool, got " +
                                got);
}

NumberArray numbers_of(const std::string& name, const py::array& array) {
    NumberArray out;
    out.shape.assign(array.shape(), array.shape() + array.ndim());
    const bool known = with_type(array.dtype().kind(), array.itemsize(), [&](auto zero, NumberType type) {
        using T = decltype(zero);
        const auto values = py::array_t < T, py::array::c_style | py::array::forcecast > ::ensure(array);
        out.type = type;
        if constexpr (std::is_same_v<T, double>)
            out.reals.assign(values.data(), values.data() + values.size());
        else
            for (py::ssize_t i = 0; i < values.size(); ++i)
                out.integers.push_back(static_cast<std::int64_t>(values.data()[i]));
    });
    if (!known)
        refuse(name, py::str(array.dtype()).cast<std::string>().c_str());
    return out;
}

py::bytes pack_dict(const py::dict& values) {
    Archive archive;
    for (const auto& [key, value] : values) {
        const auto name = key.cast<std::string>();
        ArchiveValue& entry = archive[name];
        if (py::isinstance<py::str>(value)) {
            entry = value.cast<std::string>();
        } else if (py::isinstance<py::array>(value)) {
            entry = numbers_of(name, py::reinterpret_borrow<py::array>(value));
        } else if (py::isinstance<py::list>(value)) {
            std::vector<std::string> texts;
            for (const py::handle text : value) {
                if (!py::isinstance<py::str>(text))
                    refuse(name, "a list of other things");
                texts.push_back(text.cast<std::string>());
            }
            entry = std::move(texts);
        } else {
            refuse(name, Py_TYPE(value.ptr())->tp_name);
        }
    }
    std::string bytes;
    {
        py::gil_scoped_release release;  // Python objects are not touched
        bytes = pack(archive);
    }
    return bytes;
}

py::str text_of(const std::string& bytes) {
    PyObject* text = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr);
    if (text == nullptr) {
        PyErr_Clear();
        throw ArchiveError(ArchiveError::Reason::Damaged);
    }
    return py::reinterpret_steal<py::str>(text);
}

py::object value_of(const std::string& text) {
    return text_of(text);
}

py::object value_of(const std::vector<std::string>& texts) {
    py::list out;
    for (const std::string& text : texts)
        out.append(text_of(text));
    return std::move(out);
}

template <class T>
py::object array_of(const std::vector<Index>& shape, const std::vector<std::int64_t>& integers) {
    py::array_t<T> out(shape);
    std::transform(integers.begin(), integers.end(), out.mutable_data(),
                   [](std::int64_t value) { return static_cast<T>(value); });
    return std::move(out);
}

py::object value_of(const NumberArray& numbers) {
    switch (numbers.type) {
        case NumberType::Float64: {
            py::array_t<double> out(numbers.shape);
            std::copy(numbers.reals.begin(), numbers.reals.end(), out.mutable_data());
            return std::move(out);
        }
        case NumberType::Int64:
            return array_of<std::int64_t>(numbers.shape, numbers.integers);
        case NumberType::Int32:
            return array_of<std::int32_t>(numbers.shape, numbers.integers);
        case NumberType::Int8:
            return array_of<std::int8_t>(numbers.shape, numbers.integers);
        case NumberType::UInt64:
            return array_of<std::uint64_t>(numbers.shape, numbers.integers);
        case NumberType::UInt8:
            return array_of<std::uint8_t>(numbers.shape, numbers.integers);
        case NumberType::Boolean:
            return array_of<bool>(numbers.shape, numbers.integers);
    }
    throw ArchiveError(ArchiveError::Reason::Damaged);
}

py::dict unpack_bytes(const py::bytes& bytes) {
    const std::string_view view = bytes;
    Archive archive;
    {
        py::gil_scoped_release release;  // `bytes` holds them and never changes
        archive = unpack(view.data(), view.size());
    }
    py::dict out;
    for (const auto& [name, value] : archive)
        out[text_of(name)] = std::visit([](const auto& content) { return value_of(content); }, value);
    return out;
}

}  // namespace

void bind_archive(py::module_& module) {
    py::register_exception<ArchiveError>(module, "ArchiveError", PyExc_ValueError);
    module.def("pack", &pack_dict, py::arg("values"), "Bytes of named texts, lists of texts and arrays.");
    module.def("unpack", &unpack_bytes, py::arg("data"), "The values that pack() was given, bit by bit.");
}
