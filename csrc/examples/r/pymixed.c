/* What R needs to call pymixed: .Call functions whose handles are external pointers with finalizers.
 *
 *     PKG_CPPFLAGS=-Iinclude PKG_LIBS="-Llib -lpymixed_c" R CMD SHLIB pymixed.c
 *
 * R's integers are 32 bits, its factors count from 1, its matrices are column-major as ours. Rf_error() jumps, so that
 * what a function has allocated must be R's to free: a handle is under its external pointer before anything can fail.
 */

#include <R.h>
#include <R_ext/Rdynload.h>
#include <Rinternals.h>

#include <pymixed.h>

static void expect(int32_t code) {
    if (code != PYMIXED_OK)
        Rf_error("%s", pymixed_last_error());
}

static void finalize_data(SEXP handle) {
    pymixed_data_free((pymixed_data*)R_ExternalPtrAddr(handle));
    R_ClearExternalPtr(handle);
}

static void finalize_fit(SEXP handle) {
    pymixed_fit_free((pymixed_fit*)R_ExternalPtrAddr(handle));
    R_ClearExternalPtr(handle);
}

static SEXP new_handle(R_CFinalizer_t finalize) {
    SEXP handle = PROTECT(R_MakeExternalPtr(NULL, R_NilValue, R_NilValue));
    R_RegisterCFinalizerEx(handle, finalize, TRUE);
    UNPROTECT(1);
    return handle;
}

/* Columns of a matrix, or the constant 1 for NULL. */
static const double* columns_of(SEXP matrix, R_xlen_t n, int64_t* size) {
    if (matrix == R_NilValue) {
        *size = n;
        return NULL;
    }
    if (TYPEOF(matrix) != REALSXP)
        Rf_error("columns: expected numbers of type double");
    *size = XLENGTH(matrix);
    return REAL(matrix);
}

/* Fit of a linear mixed model with one grouping factor; see lmm() in sleepstudy.R. `fixed` and `random` are lists of
 * columns, NULL being the constant 1. */
static SEXP fit_lmm(SEXP response, SEXP fixed, SEXP group, SEXP random, SEXP reml) {
    if (TYPEOF(response) != REALSXP || TYPEOF(fixed) != VECSXP || !Rf_isFactor(group) || TYPEOF(random) != VECSXP)
        Rf_error("expected a response of type double, lists of columns and a factor");
    const R_xlen_t n = XLENGTH(response);
    if (XLENGTH(group) != n)
        Rf_error("group: expected %lld values, got %lld", (long long)n, (long long)XLENGTH(group));
    int32_t* codes = (int32_t*)R_alloc((size_t)n, sizeof(int32_t)); /* R frees it when .Call returns */
    for (R_xlen_t i = 0; i < n; ++i)
        codes[i] = INTEGER(group)[i] - 1;

    SEXP data_handle = PROTECT(new_handle(finalize_data)), fit_handle = PROTECT(new_handle(finalize_fit));
    pymixed_data* data;
    pymixed_fit* fit;
    int64_t size;
    expect(pymixed_data_new(n, &data));
    R_SetExternalPtrAddr(data_handle, data);
    expect(pymixed_data_set_response(data, REAL(response), n));
    for (R_xlen_t j = 0; j < XLENGTH(fixed); ++j) {
        const double* columns = columns_of(VECTOR_ELT(fixed, j), n, &size);
        expect(pymixed_data_add_fixed(data, columns, size));
    }
    expect(pymixed_data_add_factor(data, codes, n, Rf_nlevels(group)));
    expect(pymixed_data_add_term(data, 0, PYMIXED_UNSTRUCTURED));
    for (R_xlen_t j = 0; j < XLENGTH(random); ++j) {
        const double* columns = columns_of(VECTOR_ELT(random, j), n, &size);
        expect(pymixed_data_add_term_columns(data, columns, size));
    }

    pymixed_options* options;
    expect(pymixed_options_new(&options));
    int32_t code = pymixed_options_set_reml(options, Rf_asLogical(reml));
    if (code == PYMIXED_OK)
        code = pymixed_fit_from_data(data, options, &fit);
    pymixed_options_free(options);
    expect(code);
    R_SetExternalPtrAddr(fit_handle, fit);
    finalize_data(data_handle); /* the arrays it borrows end with this call */
    UNPROTECT(2);
    return fit_handle;
}

/* A quantity of a fit as a matrix. */
static SEXP get(SEXP handle, SEXP quantity, SEXP index) {
    const pymixed_fit* fit = (const pymixed_fit*)R_ExternalPtrAddr(handle);
    const int32_t what = Rf_asInteger(quantity), which = Rf_asInteger(index);
    int64_t n_rows, n_columns;
    expect(pymixed_fit_size(fit, what, which, &n_rows, &n_columns));
    SEXP values = PROTECT(Rf_allocMatrix(REALSXP, (int)n_rows, (int)n_columns));
    expect(pymixed_fit_get(fit, what, which, REAL(values), XLENGTH(values)));
    UNPROTECT(1);
    return values;
}

static SEXP status_message(SEXP status) {
    return Rf_mkString(pymixed_status_message(Rf_asInteger(status)));
}

static const R_CallMethodDef methods[] = {
    {"fit_lmm", (DL_FUNC)&fit_lmm, 5},
    {"get", (DL_FUNC)&get, 3},
    {"status_message", (DL_FUNC)&status_message, 1},
    {NULL, NULL, 0},
};

void R_init_pymixed(DllInfo* info) {
    R_registerRoutines(info, NULL, methods, NULL, NULL);
    R_useDynamicSymbols(info, FALSE);
}
