"""The arrows of dependence: every module imports only from layers before its own, in Python and in C++."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.source


def of_inference(*modules: str) -> set[str]:
    """Modules of the folder _inference."""
    return {f"_inference.{name}" for name in modules}


def of_diagnostics(*modules: str) -> set[str]:
    """Modules of the folder _diagnostics."""
    return {f"_diagnostics.{name}" for name in modules}


def of_many(*modules: str) -> set[str]:
    """Modules of the folder _many."""
    return {f"_many.{name}" for name in modules}


def of_plots(*modules: str) -> set[str]:
    """Modules of the folder _plots."""
    return {f"_plots.{name}" for name in modules}


def of_streams(*modules: str) -> set[str]:
    """Modules of the folder _streams."""
    return {f"_streams.{name}" for name in modules}


def of_reports(*modules: str) -> set[str]:
    """Modules of the folder _reports."""
    return {f"_reports.{name}" for name in modules}


def of_saved(*modules: str) -> set[str]:
    """Modules of the folder _saved."""
    return {f"_saved.{name}" for name in modules}


# First to last. A module imports from the lines above its own.
PYTHON_LAYERS = [
    {"errors", "_build", "_library", "_diagnostics", "_inference", "_many", "_plots", "_reports", "_saved",
     "_streams"},
    {"_common", "_categorical", *of_inference("progress")},
    {"_adapters", "_archives", *of_plots("style")},
    of_plots("means", "profiles", "random_effects", "residuals"),
    {"_frames", "_executors"},
    {"_links", "_distributions"},
    {"_family"},
    {"_custom"},
    {"families"},
    {"formula"},
    {"_parts", "_responses"},
    {"_model_matrix"},
    {"_formula_columns", "_row_sums"},
    {"_from_arrays", "_from_formula"},
    {"_checks"},
    {"design"},
    of_saved("plain"),
    of_saved("rowless", "safety", "specs"),
    of_saved("encoders"),
    of_inference("clusters"),
    of_inference("resampling"),
    {"_engine"},
    {"inference", "_memory"},
    {"_joint", "_averaged"},
    {"_updates", *of_saved("values")},
    of_saved("writing"),
    of_inference("kenward_roger"),
    {"_prediction", "_predictive"},
    {"_tables", "_conditional", "_convergence", *of_inference("variance_parameters",
      "coefficient_tests", "gls")},
    {"_generalized_prediction"},
    of_inference("contrasts", "intervals", "profile_branch", "robust", "effects", "conditional_aic"),
    of_inference("bootstrap", "profile", "terms", "nesting", "submodels", "adjust", "grid", "contrast_methods"),
    of_inference("anova", "emmeans"),
    {"_solution"},
    of_inference("comparison", "truth", "drawing"),
    of_inference("deletions"),
    {"_tested_solution"},
    {"_bounded_solution"},
    of_inference("pbtest"),
    {"_described_solution"},
    {"_saved_solution"},
    {"_predicted_solution"},
    {"_simulated_solution"},
    of_diagnostics("collinearity", "dimensions", "optimizers", "written_terms", "deletion", "influence"),
    of_diagnostics("simplification", "case_deletion"),
    {"_diagnosed_solution"},
    {*of_reports("parameters", "augment"), *of_plots("from_solution")},
    {*of_reports("tidy", "compare"), *of_plots("accessor")},
    {"_reported_solution"},
    {"_linear_solution", "_generalized_solution", "_diagnosis"},
    {"solution"},
    of_streams("levels", "batches", "sums"),
    of_streams("encoding"),
    of_streams("planning", "statistics"),
    of_streams("design", "workers", "files"),
    of_streams("dask"),
    {"_sampling"},
    {"_fitting"},
    {"_refits", "_deleted_rows"},
    {"_linear", "_generalized"},
    of_saved("criterion"),
    of_saved("reading"),
    of_many("triangles", "moderation", "rows", "responses", "growth"),
    of_many("fits", "designs", "jobs"),
    of_many("running", "joint"),
    of_many("power"),
    {"solvers", "crossproducts", "many", "simulations"},
    {"sklearn", "marginaleffects"},
    {"datasets"},
    {"__init__", *of_reports("json")},
    {"cli"},
    {"__main__"},
]
# Who may import the compiled core.
CORE_USERS = {"_archives", "_build", "_sampling", "_fitting", "_refits", "_deleted_rows", "_linear", "_generalized",
              *of_many("designs", "jobs"), "__init__", *of_streams("statistics", "files"),
              *of_saved("rowless", "criterion", "reading")}

# A name stands for its .hpp, .inl and .cpp files and for its instruction-set variants (NAME_avx2.cpp); the names of a
# line work together and may include one another.
CPP_LAYERS = [
    {"version"},
    {"build_info", "instruction_set"},
    {"types", "status", "small_matrix", "positive_solver", "special_functions"},
    {"archive"},
    {"random", "random_counts", "philox", "wide_product", "ziggurat"},
    {"random_effects"},
    {"canonical_kernels", "links"},
    {"family", "families", "families_binomial", "families_counts", "families_continuous", "tweedie", "zero_inflation"},
    {"crossproducts", "crossproducts_basis", "crossproducts_levels", "crossproducts_merge", "crossproducts_state",
     "crossproducts_weights", "couplings", "basis", "row_packer", "chunk_kernels"},
    {"dense_kernels", "sparse_cholesky", "gauss_hermite", "pattern_lanes"},
    {"problem", "leading", "tail", "schur"},
    {"pls", "template_parameters", "sorted_rows"},
    {"penalized_factor", "path_inverse"},
    {"effects_covariance", "path_rows"},
    {"saved_model"},
    {"response_sums", "scores"},
    {"tail_components"},
    {"deviance", "estimates"},
    {"kenward_roger", "kenward_roger_sums", "kenward_roger_pairs", "kenward_roger_component"},
    {"optimizer"},
    {"template_objective"},
    {"generalized_problem", "pirls", "quadrature", "generalized_rows", "generalized_deviance", "generalized_curvature",
     "generalized_estimates", "generalized_clusters", "fit", "minque"},
    {"parallel", "owned_rows", "cluster_resampling", "uncertainty"},
    {"own_design"},
    {"refit", "response_columns", "pattern_fits", "simulation", "cluster_refits"},
    {"models", "host_rows"},
    {"profile", "profile_chart", "profile_objective"},
]


def layer_of(layers: list[set[str]]) -> dict[str, int]:
    return {name: depth for depth, names in enumerate(layers) for name in names}


# ---- Python ----------------------------------------------------------------------------------------------------------


MODULES = set().union({"_core"}, *PYTHON_LAYERS)


def named(parts: Sequence[str]) -> str | None:
    """The layers' name of what a dotted name begins with: a module, one of a folder, or the folder."""
    return next((name for k in range(len(parts), 0, -1) if (name := ".".join(parts[:k])) in MODULES), None)


def module_of(path: Path) -> str:
    """The layers' name of a file."""
    parts = path.relative_to(ROOT / "pymixed").with_suffix("").parts
    return named(parts) or ".".join(parts)


def imported_modules(path: Path) -> set[str]:
    """Modules of the layers that a file imports, those inside functions and of type checking among them."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            stem = [*above, *(node.module.split(".") if node.module else [])]
            names = [[*stem, alias.name] for alias in node.names]
        else:
            continue
        for top, *rest in names:
            if top == "pymixed":
                found.add(named(rest) or "__init__")
    return found


PYTHON_FILES = sorted((ROOT / "pymixed").rglob("*.py"))


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_python_module_imports_only_from_layers_before_it(path):
    depth, module = layer_of(PYTHON_LAYERS), module_of(path)
    assert module in depth, f"{module}: name its place in PYTHON_LAYERS"
    imported = imported_modules(path)
    assert "_core" not in imported or module in CORE_USERS
    backward = {name for name in imported - {"_core", module} if depth[name] >= depth[module]}
    assert not backward


# ---- C++ -------------------------------------------------------------------------------------------------------------

CPP_FILES = sorted(path for folder in ("include/pymixed", "src") for path in (ROOT / "csrc" / folder).iterdir())
C_FILES = sorted((ROOT / "csrc/c_api").iterdir())

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
FORBIDDEN_HEADERS = re.compile(r"Python\.h|pybind11/.*|iostream|fstream|print|R\.h|Rcpp.*")
PRINTING = re.compile(r"\b(?:f|v|vf)?printf\s*\(|\bputs\s*\(|\bstd::(?:cout|cerr|clog)\b")


def cpp_name(path: str | Path) -> str:
    return Path(path).stem.removesuffix("_avx2")


@pytest.mark.parametrize("path", CPP_FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_cpp_file_includes_only_from_layers_before_it(path):
    depth, name = layer_of(CPP_LAYERS), cpp_name(path)
    assert name in depth, f"{name}: name its place in CPP_LAYERS"
    ours = {other.name for other in CPP_FILES}
    included = {
        cpp_name(header) for header in INCLUDE.findall(path.read_text(encoding="utf-8")) if Path(header).name in ours
    }
    backward = {other for other in included if depth[other] > depth[name]}
    assert not backward


@pytest.mark.parametrize("path", [*CPP_FILES, *C_FILES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_core_knows_no_host_and_prints_nothing(path):
    code = COMMENT.sub("", path.read_text(encoding="utf-8"))
    assert not [header for header in INCLUDE.findall(code) if FORBIDDEN_HEADERS.fullmatch(header)]
    assert not PRINTING.findall(code)


def test_public_headers_include_no_private_ones():
    public = ROOT / "csrc/include/pymixed"
    for path in public.glob("*.hpp"):
        for header in INCLUDE.findall(path.read_text(encoding="utf-8")):
            assert not (ROOT / "csrc/src" / header).exists(), f"{path.name} includes {header}"


def test_the_c_interface_stands_on_public_headers_and_nothing_on_it():
    own = {path.name for path in C_FILES} | {"pymixed.h"}
    for path in C_FILES:
        ours = [header for header in INCLUDE.findall(path.read_text(encoding="utf-8")) if "." in header]
        assert all(header in own or header.startswith("pymixed/") for header in ours), path.name
    for path in CPP_FILES:
        assert not own & set(INCLUDE.findall(path.read_text(encoding="utf-8"))), path.name
    header = (ROOT / "csrc/include/pymixed.h").read_text(encoding="utf-8")
    assert set(INCLUDE.findall(header)) == {"stddef.h", "stdint.h", "pymixed/version.h"}
